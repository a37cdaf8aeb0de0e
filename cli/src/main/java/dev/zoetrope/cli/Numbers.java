package dev.zoetrope.cli;

import dev.zoetrope.media.Box;
import dev.zoetrope.tasks.Segment;
import java.util.Arrays;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Points and boxes as they are written on the command line. */
final class Numbers {
    private Numbers() {}

    /** {@code x,y} on what is wanted, {@code x,y,0} on what is not. */
    static final class PointConverter implements ITypeConverter<Segment.Point> {
        @Override
        public Segment.Point convert(String text) {
            double[] v = parse(text);
            boolean labelled = v.length == 3 && (v[2] == 0 || v[2] == 1);
            if (v.length != 2 && !labelled) {
                throw new TypeConversionException(
                        "'" + text + "' is not X,Y, or X,Y,1 on what is wanted and X,Y,0 on what is not");
            }
            return new Segment.Point(v[0], v[1], v.length == 2 || v[2] == 1);
        }
    }

    /** {@code x0,y0,x1,y1}. */
    static final class BoxConverter implements ITypeConverter<Box> {
        @Override
        public Box convert(String text) {
            double[] v = parse(text);
            if (v.length != 4) {
                throw new TypeConversionException("'" + text + "' is not X0,Y0,X1,Y1, such as 20,30,200,180");
            }
            return new Box(v[0], v[1], v[2], v[3]);
        }
    }

    private static double[] parse(String text) {
        try {
            return Arrays.stream(text.split(",", -1))
                    .mapToDouble(part -> Double.parseDouble(part.strip()))
                    .toArray();
        } catch (NumberFormatException e) {
            throw new TypeConversionException("'" + text + "' is not numbers with commas between them");
        }
    }
}
