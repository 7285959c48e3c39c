"""The last layer of every saved file: an identity that says what the file takes and what its answers mean."""

import json
from typing import Any

import keras

from convmedia.models.outputs import Kind, kind_named

PICTURE: dict[str, Any] = {"kind": "image", "dtype": "float32", "shape": [None, None, 3]}
"""The input of every file that takes pictures: RGB, 0..255, of any height and width."""


@keras.saving.register_keras_serializable("convmedia")
class Answer(keras.layers.Layer):
    """Identity that carries the description of a saved file in its config.

    Input and output: any tensor, returned as float32 and otherwise unchanged; or several in a list.

    Args:
        app: name of the application as its command has it, such as "mnist".
        labels: names of the classes in the order of the answer's last axis, or None where the answer is no choice
            among classes.
        input: description of the raw input, such as
            {"kind": "image", "dtype": "float32", "shape": [None, None, 3]} (without the batch).
        details: further values that JSON can hold: network, seed, preparation.
        kind: what the answers are, a name of `outputs.KINDS`; None for "probabilities" where there are labels and for
            "picture" where there are none.

    Raises:
        TypeError: a value that JSON cannot hold.
        ValueError: no such kind.
    """

    def __init__(
        self,
        app: str,
        labels: list[str] | None = None,
        input: dict[str, Any] | None = None,  # the name that run.json uses
        details: dict[str, Any] | None = None,
        kind: str | None = None,
        **kwargs: Any,
    ):
        kwargs.setdefault("dtype", "float32")  # answers stay float32 whatever precision the network computes in
        super().__init__(**kwargs)
        self.kind: Kind = kind_named(kind, labels)
        # Kept as text: Keras would wrap lists and dictionaries in tracking types, and a loaded layer must equal this.
        described = {"app": app, "kind": self.kind.name, "labels": labels, "input": input or {}}
        self._description = json.dumps({**described, "details": details or {}}, allow_nan=False)

    def call(self, inputs):
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape

    @property
    def app(self) -> str:
        return json.loads(self._description)["app"]

    @property
    def labels(self) -> list[str] | None:
        return json.loads(self._description)["labels"]

    @property
    def input_description(self) -> dict[str, Any]:
        return json.loads(self._description)["input"]

    @property
    def details(self) -> dict[str, Any]:
        return json.loads(self._description)["details"]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **json.loads(self._description)}


def wrong_description(answer: Answer, shapes: list[tuple[int | None, ...]]) -> str | None:
    """What an altered file says of itself that cannot be, if it does.

    Args:
        shapes: of the tensors of the model's answer, with the batch.
    """
    described, details = answer.input_description, answer.details
    if not isinstance(answer.app, str) or not isinstance(details, dict):
        return "its application or its details are of a wrong kind"
    if not isinstance(described, dict) or described.get("kind") not in RANKS:
        return "its input is neither pictures nor sounds"
    size, rate = described.get("shape"), described.get("sample_rate", 1)
    if not isinstance(size, list) or len(size) != RANKS[described["kind"]] or described.get("dtype") != "float32":
        return "its input has another shape or dtype than pictures or sounds"
    if type(rate) is not int or rate < 1:
        return "its sample rate is no number of Hz"
    return wrong_labels(answer.labels) or answer.kind.wrong(answer.labels, shapes)


def wrong_labels(labels: Any) -> str | None:
    """What is wrong with labels, if anything is."""
    if labels is None:
        return None
    if not isinstance(labels, list) or not all(isinstance(label, str) and label for label in labels):
        return "its labels are not a list of names"
    if not labels or len(set(labels)) < len(labels):
        return f"it has {len(labels)} labels, not all of them different"
    return None


RANKS = {"image": 3, "sound": 1}
