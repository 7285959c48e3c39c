"""What every objective of `transfer` has: what is learned of a picture, how it is trained and what it is worth."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from convmedia.data.datasets.photos import Pictures
from convmedia.data.storage.errors import InputError
from convmedia.models.inference.file_predictor import FilePredictor

if TYPE_CHECKING:
    import keras

    from convmedia.apps.runs.run_folder import Run
    from convmedia.models.export.quality_loss import Trial


class Objective:
    """What a training is for: made of its data and arguments. What is static is asked of a trained model.

    Attributes:
        kind: of the answers, a name of `outputs.KINDS`.
        activation: of the head's last layer, as of `finetuning.head`; None for labels that exclude each other.
        monitors: what `--monitor` may name, first what it is where it is left out.
        what: each picture has, for messages.
        taught: whether a teacher's scores can be learned.
        abstains: whether "none of these" can be one more label.
        labels: names.
        monitor: what is monitored, one of `monitors`.

    Raises:
        InputError: an argument is for other data.
    """

    kind: ClassVar[str] = "probabilities"
    activation: ClassVar[str | None] = None
    monitors: ClassVar[tuple[str, ...]]
    what: ClassVar[str]
    taught: ClassVar[bool] = False
    abstains: ClassVar[bool] = False

    def __init__(self, data: Pictures, options: Mapping[str, Any]):
        self.labels = list(data.labels)
        wanted = options.get("monitor", "accuracy")  # of runs from before there was the option
        if wanted not in (None, *self.monitors):
            possible = ", ".join(self.monitors)
            raise InputError(f"--monitor {wanted}: {data.name} has {self.what}; give one of {possible}")
        self.monitor = wanted or self.monitors[0]
        if options.get("teacher") is not None and not self.taught:
            raise InputError(f"--teacher is for one label a picture; {data.name} has {self.what}")
        if options.get("none_of_these", "none") != "none" and not self.abstains:
            raise InputError(f"--none-of-these is for one label a picture; {data.name} has {self.what}")
        self.class_weights = options.get("class_weights", False)  # likewise

    def details(self) -> dict[str, Any]:
        """What the saved file says of itself beside network, side and seed."""
        return {}

    def closing(self) -> "list[keras.layers.Layer]":
        """Layers without weights that follow the trained network in the saved file."""
        return []

    def targets(self, truth: np.ndarray) -> np.ndarray:
        """What the network is trained to answer: float32 (n, units)."""
        raise NotImplementedError

    def read(self, truth: np.ndarray) -> None:
        """Take the truth of the training pictures, which weights follow from."""

    def solved(self, head: "keras.Model", features: np.ndarray, targets: np.ndarray, seed: int) -> bool:
        """Give the head of stage 1 its weights in closed form, where there is one; False: it is trained.

        Args:
            features: float32 (n, size), of all training pictures one after the other, perhaps several times.
            targets: (n, units), as of `targets`.
        """
        return False

    def example_weights(self, truth: np.ndarray) -> np.ndarray | None:
        """How much each example counts, float32 (n,); None where all count the same."""
        return None

    def weighted(self, example: Callable) -> Callable:
        """An `example` of tf.data, as `trainer.stream` takes it, that gives the weight of each example where they have
        some."""
        return example

    def compiling(self) -> dict[str, Any]:
        """Loss and metrics, as `keras.Model.compile` takes them."""
        raise NotImplementedError

    def shown(self, number: int) -> dict[str, Callable[[float], str]]:
        """The validation figures of a stage that are shown, each with what says it.

        Args:
            number: of validation pictures.
        """
        raise NotImplementedError

    def saved_labels(self, options: Mapping[str, Any]) -> list[str]:
        """The labels of the saved file."""
        return self.labels

    def settle(
        self, run: "Run", data: Pictures, network: "keras.Model", assembled: "Callable[..., keras.Model]"
    ) -> None:
        """What is found on the validation pictures when the training is over, and goes into the saved file.

        Args:
            network: the inner network of the file.
            assembled: makes what is saved of a network, its `labels` and `details`.
        """

    @staticmethod
    def answered_by(predictor: FilePredictor) -> bool:
        """Whether a model was trained for this objective."""
        raise NotImplementedError

    @staticmethod
    def reading(predictor: FilePredictor) -> dict[str, Any]:
        """How a set is read for a model: further arguments of `photos.load`."""
        return {}

    @staticmethod
    def measure(predictor: FilePredictor, data: Any) -> tuple[dict[str, Any], np.ndarray]:
        """Figures of a model on the test pictures, {"test": {...}}, and its answers to them."""
        raise NotImplementedError

    @staticmethod
    def print_figures(predictor: FilePredictor, data: Any, metrics: dict[str, Any], as_json: bool) -> None:
        """What `evaluate` prints."""
        raise NotImplementedError

    @staticmethod
    def line(figures: dict[str, Any]) -> str | None:
        """The figures of one split for a person; None where they are of another objective."""
        raise NotImplementedError

    @staticmethod
    def headline(metrics: dict[str, Any]) -> dict[str, str]:
        """The few numbers that a report begins with."""
        raise NotImplementedError

    @staticmethod
    def drawn(report: Any, predictor: Any, data: Any, metrics: dict[str, Any], answers: np.ndarray) -> None:
        """Add what the answers to the test pictures tell to a report."""
        raise NotImplementedError

    @staticmethod
    def trial(predictor: FilePredictor, data: Pictures, said: str, inputs: Callable) -> "Trial":
        """What quantised files are measured by on the test split of a set.

        Args:
            said: what it is measured on, for people.
            inputs: gives the raw test pictures.
        """
        raise NotImplementedError
