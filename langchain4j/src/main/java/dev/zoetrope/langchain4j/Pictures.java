package dev.zoetrope.langchain4j;

import dev.langchain4j.data.image.Image;
import dev.zoetrope.media.Images;
import dev.zoetrope.tensor.UserError;
import java.util.Base64;
import java.util.Map;

/** Pictures from one library's form to the other's. */
final class Pictures {
    private Pictures() {}

    /** @throws UserError for pictures by address, which are not fetched */
    static dev.zoetrope.media.Image read(Image image) {
        String data = image.base64Data();
        if (data == null) {
            throw new UserError("a picture by its address is not fetched; give its bytes as base64");
        }
        try {
            return Images.read(Base64.getDecoder().decode(data), "the picture");
        } catch (IllegalArgumentException e) {
            throw new UserError("the picture is not base64: " + e.getMessage(), e);
        }
    }

    static Image of(dev.zoetrope.media.Image image, Map<String, String> settings) {
        String data = Base64.getEncoder().encodeToString(Images.png(image, settings));
        return Image.builder().base64Data(data).mimeType("image/png").build();
    }
}
