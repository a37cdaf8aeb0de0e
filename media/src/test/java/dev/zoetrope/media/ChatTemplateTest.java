package dev.zoetrope.media;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.zoetrope.media.ChatTemplate.Message;
import dev.zoetrope.tensor.UserError;
import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ChatTemplateTest {

    /** Every construct, against what Jinja itself makes of it under transformers' settings. */
    @Test
    void rendersAsJinjaDoes() throws IOException {
        JsonNode file = new ObjectMapper().readTree(ChatTemplateTest.class.getResourceAsStream("jinja.json"));
        Map<String, Object> values =
                new ObjectMapper().convertValue(file.get("values"), new TypeReference<HashMap<String, Object>>() {});
        assertThat(file.get("cases")).hasSize(34).allSatisfy(c -> {
            String template = c.get("template").asText();
            assertThat(new ChatTemplate(template, Map.of()).render(values))
                    .as(template)
                    .isEqualTo(c.get("expected").asText());
        });
    }

    @Test
    void rendersMessages() {
        ChatTemplate template = new ChatTemplate(
                "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {% for part in m.content if m.content is not string %}"
                        + "<{{ part.type }}>{% else %}{{ m.content }}{% endfor %}{% endfor %}"
                        + "{% if add_generation_prompt %}[assistant]{% endif %}",
                Map.of("bos_token", "<s>"));
        List<Message> messages = List.of(
                new Message("user", List.of(Map.of("type", "image"), Map.of("type", "text", "text", "What?"))),
                new Message("assistant", "A cat."));
        assertThat(template.render(messages, true)).isEqualTo("<s>[user] <image><text>[assistant] A cat.[assistant]");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{{ messages.append(1) }}",
                "{{ ''.__class__.__mro__ }}",
                "{{ messages.getClass() }}",
                "{% include 'x' %}",
                "{{ nobody.home }}",
                "{{ 'a' + 1 }}",
                "{{ 1 // 0 }}",
                "{% set a = 'a' * 999999999 %}",
                "{% for i in range(99999) %}{% for k in range(99999) %}{% endfor %}{% endfor %}",
                "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
                "{{ raise_exception('roles must alternate') }}",
                "{{ 'a' | nofilter }}",
                "{% if true %}",
                "{% endif %}",
                "{% break %}",
                "{{ 'a",
                "{{ 1 +",
                "{# no end"
            })
    void refusesWhatIsUnsafeEndlessOrWrong(String template) {
        assertThatThrownBy(() -> new ChatTemplate(template, Map.of()).render(List.of(), false))
                .isInstanceOf(UserError.class)
                .hasMessageStartingWith("chat template: ");
    }

    @ParameterizedTest
    @ValueSource(strings = {"(", "[", "-", "not ", "{"})
    void survivesDeepNesting(String piece) {
        assertThatThrownBy(() -> new ChatTemplate("{{ " + piece.repeat(200_000) + " }}", Map.of()))
                .isInstanceOf(UserError.class);
    }
}
