package dev.zoetrope.cli;

import dev.zoetrope.tasks.BuiltIn;
import dev.zoetrope.tasks.Caption;
import dev.zoetrope.tasks.Chat;
import dev.zoetrope.tasks.ChatModel;
import dev.zoetrope.tensor.DType;
import dev.zoetrope.tensor.PackedWeight;
import dev.zoetrope.tensor.UserError;
import java.io.PrintWriter;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Which chat model a command uses, and how. */
final class ChatModelOption {
    @Option(
            names = "--model",
            paramLabel = "DIR|ORG/NAME",
            description = "Folder of a model, or its name on the hub (default: the built-in one, which knows only the"
                    + " built-in world).")
    private @Nullable String model;

    @Option(names = "--adapter", paramLabel = "DIR", description = "Folder of a LoRA adapter that peft wrote.")
    private @Nullable Path adapter;

    @Option(
            names = "--dtype",
            paramLabel = "TYPE",
            description = "Of weights and arithmetic: float32 (default), bfloat16 or float16.")
    private @Nullable String dtype;

    @Option(
            names = "--quantize",
            paramLabel = "KIND",
            description = "Pack the language model's matrices: int8 or int4. Arithmetic is then bfloat16.")
    private @Nullable String quantize;

    private ChatModel.Precision precision() {
        PackedWeight.Kind packing = quantize == null ? null : PackedWeight.Kind.of(quantize);
        DType type = dtype != null ? DType.of(dtype) : packing != null ? DType.BFLOAT16 : DType.FLOAT32;
        return new ChatModel.Precision(type, packing);
    }

    /** The model's folder, fetched from the hub if it is not there yet. */
    Path folder(PrintWriter err) {
        precision(); // refused before anything is fetched
        return model == null ? BuiltIn.folder(BuiltIn.CHAT) : ModelOption.fetched(model, err);
    }

    /** A BLIP-2, which says what is to be seen without being asked. */
    Caption captions(Path folder) {
        if (adapter != null) {
            throw new UserError(
                    "--adapter: adapters of BLIP-2 are not supported; take a chat model, or merge it first");
        }
        return Caption.load(folder, precision());
    }

    Chat load(Path folder) {
        Chat chat = Chat.load(folder, precision());
        try {
            if (adapter != null) {
                chat.adapt(adapter);
            }
            return chat;
        } catch (RuntimeException e) {
            chat.close();
            throw e;
        }
    }
}
