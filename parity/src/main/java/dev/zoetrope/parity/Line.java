package dev.zoetrope.parity;

/** What is printed for one output. */
record Line(boolean passed, String name, String output, String detail) {
    static Line fail(String name, String output, String reason) {
        return new Line(false, name, output, reason.strip().replaceAll("\\s*\\R\\s*", "; "));
    }

    @Override
    public String toString() {
        return (passed ? "PASS " : "FAIL ") + name + " " + output + " " + detail;
    }
}
