"""`--teacher`: most of a target is another model's answer to the very example that is shown.

Hinton et al. 2015, "Distilling the knowledge in a neural network"; that teacher and student see the same augmented
picture is from Beyer et al. 2022, "Knowledge distillation: a good teacher is patient and consistent".
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from convmedia.apps.console.progress import progress
from convmedia.data.storage.errors import InputError

if TYPE_CHECKING:
    from convmedia.data.datasets.photos import Decoded
    from convmedia.models.inference.predictor import Predictor

SHARE = 0.7  # of a target that is the teacher's answer


class Teacher:
    """A model that answers what a network learns.

    Args:
        predictor: it gives probabilities.
        labels: of the network, in its order.

    Raises:
        InputError: the teacher knows other labels.
    """

    def __init__(self, predictor: "Predictor", labels: Sequence[str]):
        known = list(predictor.labels or [])
        if unknown := [label for label in labels if label not in known]:
            raise InputError(
                f"--teacher {predictor.path}: it knows {', '.join(known) or 'no labels'}, and not "
                f"{', '.join(unknown)}; give a model with the labels of --data"
            )
        self.predictor, self.places = predictor, [known.index(label) for label in labels]

    def answered(self, scores: np.ndarray, single: bool) -> np.ndarray:
        """Its scores in the order of the network's labels, float32 (n, labels); with `single` the second of two labels'
        share of both, (n, 1)."""
        chosen = np.asarray(scores, np.float32)[:, self.places]
        if single:
            return chosen[:, 1:] / np.maximum(chosen.sum(axis=1, keepdims=True), 1e-12)
        return chosen

    def mixed(self, wanted, answer: Callable[..., np.ndarray], *batch):
        """Targets for tf.data: float32 (n, labels) or (n, 1), as `wanted` is, with the teacher's share.

        Args:
            answer: NumPy's batches to scores (n, labels of the teacher).
            batch: what it is called with.
        """
        import tensorflow as tf

        single = wanted.shape[-1] == 1
        said = tf.numpy_function(lambda *given: self.answered(answer(*given), single), batch, tf.float32)
        return (1.0 - SHARE) * wanted + SHARE * tf.ensure_shape(said, wanted.shape)

    def pictures(self, batch, wanted):
        """`mixed` for raw pictures, float32 (n, height, width, 3 or 1), 0..255."""
        return self.mixed(wanted, self.predictor, batch)

    def on_bank(self, bank: "Decoded", wanted: np.ndarray, batch_size: int = 32) -> np.ndarray:
        """Targets of all pictures of a bank as they are, float32 of the shape of `wanted`, with the teacher's share."""
        said = []
        with progress("asking the teacher") as update:
            for start in range(0, len(bank), batch_size):
                batch = bank.batch(np.arange(start, min(start + batch_size, len(bank))))
                said.append(self.answered(self.predictor(batch), wanted.shape[-1] == 1))
                update(min(start + batch_size, len(bank)), len(bank))
        return (1.0 - SHARE) * wanted + SHARE * np.concatenate(said)

    def sounds(self, windows, heard, wanted):
        """`mixed` for waveforms, float32 (n, samples), of which `heard` samples are of the sound."""
        return self.mixed(wanted, self.predictor.window_scores, windows, heard)


def teacher_of(options: dict[str, Any], labels: Sequence[str], **takes: Any) -> Teacher | None:
    """The teacher that a run's arguments name; None without one.

    Args:
        takes: what it must take, as a model's `input` says it.

    Raises:
        InputError: it takes something else, or knows other labels.
    """
    if options.get("teacher") is None:
        return None
    from convmedia.models import load

    predictor = load(options["teacher"])
    for name, value in takes.items():
        if predictor.input[name] != value:
            raise InputError(
                f"--teacher {predictor.path}: the {name.replace('_', ' ')} of its input is {predictor.input[name]}, "
                f"not {value}; give a model of the same kind of files"
            )
    return Teacher(predictor, labels)


def facts(teacher: Teacher | None) -> dict[str, str | None]:
    """What must be the same where a run is continued."""
    return {"teacher_digest": teacher.predictor.digest} if teacher else {}
