"""Joining preparation, network and answer into the model that is saved."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from convmedia.models.answer import Answer


def assemble(
    network: keras.Model,
    *,
    preparation: Sequence[keras.layers.Layer] = (),
    app: str,
    labels: list[str] | None,
    input: dict[str, Any],
    details: dict[str, Any],
    beside: Mapping[str, int] | None = None,
    kind: str | None = None,
) -> keras.Model:
    """Join preparation, network and answer into the model that is saved. Weights are shared with `network`.

    Args:
        network: takes what the last preparation layer gives; for a classifier it answers (batch, labels)
            probabilities, or (batch, 1), the probability of the second of two labels. A list of tensors where the kind
            of answer has several.
        preparation: layers from raw input to the network's input, in order.
        app, labels, input, details, kind: as `Answer` has them. `input["shape"]` and `input["dtype"]` (float32) make
            the model's input, which is named by `input["kind"]`: pictures (batch, height, width, 3) in 0..255,
            waveforms (batch, samples) in -1..1.
        beside: further inputs by name, float32 (batch, values) of so many values, which the network takes as they are.

    Returns:
        Uncompiled functional model. A one-unit answer became [1 - p, p], (batch, 2).

    Raises:
        ValueError: the network's answer does not fit the kind or the labels.
    """
    raw = keras.Input(tuple(input["shape"]), dtype=input["dtype"], name=input["kind"])
    prepared = raw
    for layer in preparation:
        prepared = layer(prepared)
    others = [keras.Input((values,), name=name) for name, values in (beside or {}).items()]
    answer = network([prepared, *others] if others else prepared)
    last = Answer(app, labels, input, details, kind, name="answer")
    if last.kind.name == "probabilities":
        answer = _one_score_per_label(answer, len(labels or []))
    reason = last.kind.wrong(labels, [tensor.shape for tensor in keras.tree.flatten(answer)])
    if reason:
        raise ValueError(f"{app}: {reason}")
    return keras.Model([raw, *others] if others else raw, last(answer), name=app.replace("-", "_"))


def _one_score_per_label(answer, labels: int):
    """The probability of the second of two labels, (batch, 1), as those of both."""
    if len(answer.shape) == 2 and answer.shape[-1] == 1 and labels == 2:
        return ops.concatenate([1.0 - answer, answer], axis=-1)
    return answer
