package dev.zoetrope.cli;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Width and height in pixels, written as {@code 64x48}. */
record PixelSize(int width, int height) {
    private static final Pattern FORM = Pattern.compile("(\\d{1,6})[xX](\\d{1,6})");

    /** Reads it from the command line. */
    static final class Converter implements ITypeConverter<PixelSize> {
        @Override
        public PixelSize convert(String text) {
            Matcher m = FORM.matcher(text);
            if (!m.matches()) {
                throw new TypeConversionException("'" + text + "' is not WIDTHxHEIGHT, such as 64x64");
            }
            return new PixelSize(Integer.parseInt(m.group(1)), Integer.parseInt(m.group(2)));
        }
    }
}
