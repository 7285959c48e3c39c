"""What a saved or exported file says of itself, read without Keras: application, kind of answer, labels, input."""

from dataclasses import dataclass
from typing import Any, Protocol

from convmedia.models.kind import Kind
from convmedia.models.outputs import kind_named

NAME = "convmedia"
"""Under which exported files carry their description."""

RANKS = {"image": 3, "sound": 1}
"""Axes of the raw input of each kind, without the batch."""


class Described(Protocol):
    """An `Answer` layer, or a `Description`."""

    @property
    def app(self) -> str: ...

    @property
    def labels(self) -> list[str] | None: ...

    @property
    def input_description(self) -> dict[str, Any]: ...

    @property
    def details(self) -> dict[str, Any]: ...

    @property
    def kind(self) -> Kind: ...


@dataclass(frozen=True)
class Description:
    """The same, without a layer. The attributes are those of `Answer`."""

    app: str
    labels: list[str] | None
    input_description: dict[str, Any]
    details: dict[str, Any]
    kind: Kind

    @classmethod
    def of(cls, said: dict[str, Any]) -> "Description":
        """From the configuration of an `Answer` layer, or from what an exported file says of itself.

        Raises:
            ValueError: no such kind of answer.
            KeyError: something is missing.
        """
        labels, details = said["labels"], said["details"] or {}
        kind = kind_named(said.get("kind"), labels, details)
        return cls(said["app"], labels, said["input"] or {}, details, kind)


def wrong_description(answer: Described, shapes: list[tuple[int | None, ...]]) -> str | None:
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
