package dev.zoetrope.tasks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.zoetrope.tensor.UserError;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class JsonSchemaTest {
    private static final String FOX =
            """
            {"type": "object", "required": ["name", "legs"], "properties": {
              "name": {"type": "string", "minLength": 1, "maxLength": 5},
              "legs": {"type": "integer"},
              "colour": {"enum": ["red", "light \\"red\\"", null]},
              "kits": {"type": "array", "maxItems": 2, "items": {"$ref": "#"}},
              "weight": {"type": ["number", "null"]}}}
            """;

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{\"name\": \"fox\", \"legs\": 4}",
                "{ \"name\":\"fox\",\n  \"legs\":-40,\"weight\":1.5e-3 }",
                "{\"name\":\"fox\",\"legs\":4,\"colour\":\"light \\\"red\\\"\"}",
                "{\"name\":\"fox\",\"legs\":4,\"colour\":null,\"weight\":null}",
                "{\"name\":\"fox\",\"legs\":4,\"kits\":[]}",
            })
    void whatKeepsToTheSchema(String text) {
        JsonSchema.State end = JsonSchema.of(FOX).start().after(text);
        assertThat(end).isNotNull();
        assertThat(end.isComplete()).isTrue();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{\"name\":\"\",\"legs\":4}",
                "{\"name\":\"reynard\",\"legs\":4}",
                "{\"legs\":4,\"name\":\"fox\"}",
                "{\"name\":\"fox\"}",
                "{\"name\":\"fox\",\"legs\":04}",
                "{\"name\":\"fox\",\"legs\":4.5}",
                "{\"name\":\"fox\",\"legs\":4,}",
                "{\"name\":\"fox\",\"legs\":4,\"colour\":\"blue\"}",
                "{\"name\":\"fox\",\"legs\":4,\"tail\":1}",
                "{\"name\":\"fox\",\"legs\":4}}",
                "{\"name\":\"f\n\",\"legs\":4}",
            })
    void whatDoesNot(String text) {
        JsonSchema.State end = JsonSchema.of(FOX).start().after(text);
        assertThat(end == null || !end.isComplete()).isTrue();
    }

    @Test
    void anyObject() {
        String text = "{\"a\": [1, {\"b\": {}}, \"\\\\\", true], \"c\": null}";
        JsonSchema.State end = JsonSchema.OBJECT.start().after(text);
        assertThat(end).isNotNull();
        assertThat(end.isComplete() && end.isFinal()).isTrue();
        assertThat(JsonSchema.OBJECT.start().after("[1]")).isNull();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "{\"type\":\"string\",\"pattern\":\"a+\"}|pattern",
                "{\"type\":\"date\"}|date",
                "{\"enum\":[]}|enum is empty",
                "{\"anyOf\":[{\"$ref\":\"#\"}]}|leads back to itself",
                "{\"$ref\":\"other.json\"}|outside",
                "{\"type\":\"object\",\"properties\":{\"a\":{}},\"required\":[\"b\"]}|required names b",
            })
    void whatCannotBeKeptToIsRefusedByName(String schema, String says) {
        assertThatThrownBy(() -> JsonSchema.of(schema))
                .isInstanceOf(UserError.class)
                .hasMessageContaining(says);
    }
}
