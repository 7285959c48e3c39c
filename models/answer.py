"""The last layer of every saved file: an identity that says what the file takes and what its answers mean."""

import json
from typing import Any

import keras

from convmedia.models.kind import Kind
from convmedia.models.outputs import kind_named

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
        self.kind: Kind = kind_named(kind, labels, details)
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
