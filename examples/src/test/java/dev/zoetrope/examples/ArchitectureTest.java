package dev.zoetrope.examples;

import static com.tngtech.archunit.core.domain.JavaCall.Predicates.target;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.assignableTo;
import static com.tngtech.archunit.core.domain.properties.HasName.Predicates.name;
import static com.tngtech.archunit.core.domain.properties.HasOwner.Predicates.With.owner;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.junit.jupiter.api.Test;

/** The layers of ARCHITECTURE.md, held against the compiled classes of every module. */
class ArchitectureTest {
    private static final JavaClasses CLASSES = new ClassFileImporter()
            .withImportOption(new ImportOption.DoNotIncludeTests())
            .importPackages("dev.zoetrope");

    @Test
    void onlyTensorTouchesTheEngine() {
        noClasses()
                .that()
                .resideOutsideOfPackage("dev.zoetrope.tensor..")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("org.bytedeco.pytorch..")
                .check(CLASSES);
    }

    @Test
    void eachLayerUsesOnlyThoseBelow() {
        layeredArchitecture()
                .consideringOnlyDependenciesInLayers()
                .layer("tensor")
                .definedBy("dev.zoetrope.tensor..")
                .layer("checkpoint")
                .definedBy("dev.zoetrope.checkpoint..")
                .layer("nn")
                .definedBy("dev.zoetrope.nn..")
                .layer("media")
                .definedBy("dev.zoetrope.media..")
                .layer("schedulers")
                .definedBy("dev.zoetrope.schedulers..")
                .layer("models")
                .definedBy("dev.zoetrope.models..")
                .layer("tasks")
                .definedBy("dev.zoetrope.tasks..")
                .layer("world")
                .definedBy("dev.zoetrope.world..")
                .layer("training")
                .definedBy("dev.zoetrope.training..")
                .layer("curation")
                .definedBy("dev.zoetrope.curation..")
                .layer("parity")
                .definedBy("dev.zoetrope.parity..")
                .layer("bench")
                .definedBy("dev.zoetrope.bench..")
                .layer("cli")
                .definedBy("dev.zoetrope.cli..")
                .whereLayer("tensor")
                .mayNotAccessAnyLayer()
                .whereLayer("checkpoint")
                .mayOnlyAccessLayers("tensor")
                .whereLayer("nn")
                .mayOnlyAccessLayers("tensor", "checkpoint")
                .whereLayer("media")
                .mayOnlyAccessLayers("tensor", "checkpoint")
                .whereLayer("schedulers")
                .mayOnlyAccessLayers("tensor", "checkpoint")
                .whereLayer("models")
                .mayOnlyAccessLayers("tensor", "checkpoint", "nn", "media", "schedulers")
                .whereLayer("tasks")
                .mayOnlyAccessLayers("tensor", "checkpoint", "nn", "media", "schedulers", "models")
                .whereLayer("world")
                .mayOnlyAccessLayers("tensor", "checkpoint", "media")
                .whereLayer("training")
                .mayOnlyAccessLayers("tensor", "checkpoint", "nn", "media", "schedulers", "models", "tasks", "world")
                .whereLayer("curation")
                .mayOnlyAccessLayers(
                        "tensor", "checkpoint", "nn", "media", "schedulers", "models", "tasks", "world", "training")
                .whereLayer("parity")
                .mayOnlyBeAccessedByLayers("cli")
                .whereLayer("bench")
                .mayOnlyBeAccessedByLayers("cli")
                .layer("server")
                .definedBy("dev.zoetrope.server..")
                .whereLayer("cli")
                .mayOnlyBeAccessedByLayers("server")
                .whereLayer("server")
                .mayNotBeAccessedByAnyLayer()
                .check(CLASSES);
    }

    @Test
    void noCyclesBetweenPackages() {
        slices().matching("dev.zoetrope.(*)..").should().beFreeOfCycles().check(CLASSES);
    }

    /** Checkpoints are data, and no other program is started on anyone's behalf; this one may start itself again. */
    @Test
    void nothingIsExecutedOrDeserialised() {
        noClasses()
                .that()
                .doNotHaveFullyQualifiedName("dev.zoetrope.cli.Processes")
                .should()
                .dependOnClassesThat()
                .haveFullyQualifiedName("java.io.ObjectInputStream")
                .orShould()
                .dependOnClassesThat()
                .haveFullyQualifiedName("java.lang.ProcessBuilder")
                .orShould()
                .callMethodWhere(target(name("exec")).and(target(owner(assignableTo(Runtime.class)))))
                .check(CLASSES);
    }
}
