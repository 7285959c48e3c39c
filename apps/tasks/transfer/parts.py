"""What both stages of a transfer training work on."""

from functools import cached_property, partial
from typing import Any

import keras

from convmedia.apps.classification import photo_pipeline
from convmedia.apps.runs.run_folder import Run
from convmedia.apps.tasks.transfer.evaluate import of_run
from convmedia.apps.training import distillation
from convmedia.data.datasets.photos import Decoded, Pictures
from convmedia.models.answer import PICTURE
from convmedia.models.backbones import catalogue, finetuning
from convmedia.models.saving.assembly import assemble

HEAD_L2 = 1e-2  # of 1e-3 to 1e-1 best in cross-validation, of 2,000 pictures as of 20 of each label


class Parts:
    """A backbone with a new head, the pictures at its size and their targets: what both stages work on."""

    def __init__(self, run: Run, data: Pictures):
        options = run.arguments
        keras.utils.set_random_seed(options["seed"])
        self.objective = of_run(data, options)
        self.labels = self.objective.labels
        self.backbone = catalogue.backbone(options["backbone"], options["weights"])
        side = options["side"] or catalogue.row_of(options["backbone"]).side
        self.as_input = partial(catalogue.as_input, options["backbone"])
        self.frozen = finetuning.features(self.backbone)
        size, activation = self.frozen.output_shape[-1], self.objective.activation
        self.head = finetuning.head(size, len(self.labels), l2=HEAD_L2, activation=activation)
        self.network = finetuning.joined(self.frozen, self.head)
        self.details = {"network": options["backbone"], "side": side, "seed": options["seed"]}
        self.details |= self.objective.details()
        self.side = side
        preparation = catalogue.preparation(options["backbone"], side)
        self.assembled = partial(assemble, preparation=preparation, app="transfer", input=PICTURE)
        self.model = self.whole(self.network)
        self.monitor = self.objective.monitor
        self.teacher = distillation.teacher_of(options, self.labels, kind="image")

    def whole(self, network: keras.Model, **facts: Any) -> keras.Model:
        """What is saved of a network of prepared pictures.

        Args:
            facts: further details of it.
        """
        answer = network.outputs[0]
        for layer in self.objective.closing():
            answer = layer(answer)
        closed = keras.Model(network.inputs[0], answer, name=network.name)
        details = {**self.details, **facts}
        return self.assembled(closed, labels=self.labels, details=details, kind=self.objective.kind)

    def read(self, data: Pictures) -> None:
        """Take the training and validation pictures; they are decoded when they are first asked for."""
        self.data = data
        self.targets = self.objective.targets(data.train.truth)
        self.held_targets = self.objective.targets(data.validation.truth)
        self.objective.read(data.train.truth)

    @cached_property
    def train(self) -> Decoded:
        return photo_pipeline.decoded(self.data.train, self.side, "decoding")

    @cached_property
    def held(self) -> Decoded:
        return photo_pipeline.decoded(self.data.validation, self.side, "decoding validation")

    def compiling(self, optimizer) -> dict[str, Any]:
        """What both stages are compiled with, beside the optimizer."""
        return {"optimizer": optimizer, **self.objective.compiling()}

    def example(self, augment: str):
        """(indices, seed) to prepared inputs, targets and, where they differ, weights of a stage 2 batch."""
        recipe = photo_pipeline.recipe_of(augment)
        example = photo_pipeline.example_of(self.train, self.targets, self.as_input, recipe, teacher=self.teacher)
        return self.objective.weighted(example)
