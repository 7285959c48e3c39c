"""What a `.keras` archive says of its model, read without Keras: description, layers, what a network looks at."""

import io
import json
import math
import zipfile
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

from convmedia.data.storage import arrays
from convmedia.data.storage.errors import InputError, in_one_line
from convmedia.data.storage.files import shown
from convmedia.data.storage.model_files import require_archive
from convmedia.models.description import Description, wrong_description
from convmedia.models.saving import safe_archive

Layer = dict[str, Any]
MODELS = ("Functional", "Sequential")
REACH = 2  # of `Enlarge`, as `upsampling.REACH`
POINTWISE = {
    *("InputLayer", "Rescaling", "ReLU", "Activation", "Add", "Concatenate", "Subtract"),
    *("Answer", "Luma", "ReplacedLuma", "RepeatEdges"),
}


class Unknown(Exception):
    """Only Keras can tell."""


class Archive:
    """A `.keras` file that `files.save` wrote, looked into without building its model.

    Attributes:
        path: the file.
        answer: its description.

    Raises:
        InputError: no such file, not a Keras file, damaged, altered, or of other origin.
    """

    def __init__(self, path: Path):
        self.path = path
        require_archive(path)
        try:
            safe_archive.check(path)
            with zipfile.ZipFile(path) as archive:
                self.config: Layer = json.loads(archive.read(safe_archive.CONFIG))
            last = self.config["config"]["layers"][-1]
            if last["registered_name"] != f"{safe_archive.OURS}Answer":
                raise KeyError("answer")
            self.answer = Description.of(last["config"])
            shapes = [tuple(tensor["shape"]) for tensor in _tensors(last["inbound_nodes"])]
        except arrays.DAMAGED as error:
            raise InputError(f"{shown(path)} cannot be read as a Keras model ({in_one_line(error)}).") from error
        except (KeyError, TypeError, IndexError) as error:
            raise InputError(
                f"{shown(path)} is a Keras model that this program did not write (it has no answer layer); "
                "give the model.keras of a run."
            ) from error
        reason = wrong_description(self.answer, shapes)
        if reason:
            raise InputError(f"{shown(path)} was altered: {reason}; give the model.keras of a run.")

    @cached_property
    def _every(self) -> list[Layer]:
        return list(_within(self.config))

    @property
    def classes(self) -> set[str]:
        """Names of the classes of all layers."""
        return {layer["class_name"] for layer in self._every}

    @property
    def resizes_to(self) -> tuple[int, int] | None:
        """Height and width that the first layer resizes to; None where another comes first, or inputs are several."""
        first = self.config["config"]["layers"][1]
        if first["class_name"] != "Resize" or self.beside:
            return None
        return first["config"]["height"], first["config"]["width"]

    @property
    def beside(self) -> list[int]:
        """How many values each further input of the model takes."""
        inputs = [one for one in self.config["config"]["layers"] if one["class_name"] == "InputLayer"]
        return [one["config"]["batch_shape"][1] for one in inputs[1:]]

    @property
    def most_filters(self) -> int | None:
        """Of its convolutions; None where it has none."""
        found = [layer["config"]["filters"] for layer in self._every if layer["class_name"] == "Conv2D"]
        return max(found, default=None)

    @property
    def hop_samples(self) -> int:
        """Of a model of sounds, as its `Windows` layer has it once it is loaded."""
        named = {layer["config"]["name"]: layer for layer in self.config["config"]["layers"]}
        windows = named["windows"]["config"]
        overlapping = windows.get("overlapping", False) or self._renewed
        return (windows["window_samples"] + 1) // 2 if overlapping else windows["window_samples"]

    @property
    def _renewed(self) -> bool:
        """Whether loading gives it other windows, as `sounds.renewed` does."""
        return "MeanOfWindows" in self.classes

    @cached_property
    def reach_px(self) -> int:
        """As `receptive_field.reach_px`.

        Raises:
            Unknown: a layer of which it is not known here how far it looks.
        """
        return math.ceil(max(radius for radius, _ in _places(self.config, []).values()))

    def describe(self, digest: str) -> dict[str, Any]:
        """As `FilePredictor.describe`.

        Raises:
            Unknown: it has layers within layers, of which only Keras knows the order.
            InputError: weights that are NaN or infinite, or cannot be read.
        """
        try:
            counts = list(self._parameters())
        except arrays.DAMAGED as error:
            raise InputError(f"{shown(self.path)} cannot be read as a Keras model ({in_one_line(error)}).") from error
        layers = [{"name": name, "type": kind, "parameters": number} for name, kind, number in counts]
        return {
            "app": self.answer.app,
            "kind": self.answer.kind.name,
            "input": self.answer.input_description,
            "labels": self.answer.labels,
            "parameters": sum(number for *_, number in counts),
            "details": self.answer.details,
            "bytes": self.path.stat().st_size,
            "sha256": digest,
            "layers": layers,
        }

    def _parameters(self) -> Iterator[tuple[str, str, int]]:
        import h5py

        with zipfile.ZipFile(self.path) as archive:
            content = archive.read(safe_archive.NUMBERS)
        with h5py.File(io.BytesIO(content)) as weights:
            yield from _counted(self.config, weights, self.path, self._renewed)


def _within(layer: Layer) -> Iterator[Layer]:
    """A layer and all layers that its configuration holds, the outer ones first."""
    yield layer
    for one in layer["config"].get("layers", ()):
        yield from _within(one)


def _tensors(nodes: Any) -> Iterator[dict[str, Any]]:
    """The descriptions of tensors in the calls of a layer."""
    waiting = [nodes]
    while waiting:
        found = waiting.pop(0)
        if isinstance(found, dict) and found.get("class_name") == "__keras_tensor__":
            yield found["config"]
        elif isinstance(found, dict):
            waiting = [*found.values(), *waiting]
        elif isinstance(found, list):
            waiting = [*found, *waiting]


Place = tuple[Fraction, Fraction]  # radius and resolution, as of `receptive_field.Place`


def _places(model: Layer, given: list[Place]) -> dict[tuple[str, int], Place]:
    """The places of the tensors of a functional model, by layer and call."""
    if model["class_name"] != "Functional":
        raise Unknown
    found: dict[tuple[str, int], Place] = {}
    left = [(layer, number) for layer in model["config"]["layers"] for number in range(len(layer["inbound_nodes"]))]
    inputs = [layer for layer in model["config"]["layers"] if layer["class_name"] == "InputLayer"]
    for number, layer in enumerate(inputs):
        found[layer["name"], 0] = given[number] if given else (Fraction(0), Fraction(1))
    while left:
        ready = [one for one in left if all(key in found for key in _entering(*one))]
        if not ready:
            raise Unknown
        for layer, number in ready:
            entering = [found[key] for key in _entering(layer, number)]
            place = max(one[0] for one in entering), max(one[1] for one in entering)
            found[layer["name"], number] = _after(layer, place)
        left = [one for one in left if one not in ready]
    return found


def _entering(layer: Layer, number: int) -> list[tuple[str, int]]:
    """Which calls give what a call takes."""
    return [tuple(tensor["keras_history"][:2]) for tensor in _tensors(layer["inbound_nodes"][number])]


def _after(layer: Layer, place: Place) -> Place:
    """As `receptive_field.after`, from a configuration; what is within a model counts."""
    (radius, resolution), kind, config = place, layer["class_name"], layer["config"]
    if kind == "Functional":
        inside = _places(layer, [place]).values()
        return max(one[0] for one in inside), list(inside)[-1][1]
    if kind == "Enlarge":
        return radius + REACH / resolution, resolution * config["scale"]
    if kind == "DepthToSpace":
        return radius, resolution * config["scale"]
    if kind == "Conv2D" and {*config["strides"], *config["dilation_rate"]} == {1}:
        return radius + max(config["kernel_size"]) // 2 / resolution, resolution
    if kind in POINTWISE or _is_operation(layer):
        return place
    raise Unknown


def _is_operation(layer: Layer) -> bool:
    """Whether a part of a functional model is no layer but an operation, which has no weights."""
    return str(layer.get("module")).startswith("keras.src.ops")


def _counted(model: Layer, group: Any, path: Path, renewed: bool) -> Iterator[tuple[str, str, int]]:
    """Name, class and number of parameters of each layer of a model, and of models within it.

    Args:
        group: of its weights file.
    """
    if model["class_name"] != "Functional":
        raise Unknown
    stored = group["layers"]
    names = {part["vars"].attrs["name"]: key for key, part in stored.items() if "vars" in part}
    seen: Counter[str] = Counter()
    for layer in model["config"]["layers"]:
        kind, name = layer["class_name"], layer["config"]["name"]
        if _is_operation(layer):
            continue
        if kind in MODELS:
            key = kind.lower() + (f"_{seen[kind]}" if seen[kind] else "")
            seen[kind] += 1
            yield from _counted(layer, stored[key], path, renewed)
            continue
        if name not in names or "layer" in layer["config"] or "layers" in layer["config"]:
            raise Unknown
        kept = [value for value in stored[names[name]]["vars"].values()]
        _refuse_no_numbers(kept, path, name)
        told = "MeanByEnergy" if renewed and kind == "MeanOfWindows" else kind
        yield name, told, sum(value.size for value in kept)


def _refuse_no_numbers(weights: list[Any], path: Path, layer: str) -> None:
    import numpy as np

    if not all(np.isfinite(weight[()]).all() for weight in weights):
        raise InputError(no_numbers(path, layer))


def no_numbers(path: Path, layer: str) -> str:
    """The error of a file with weights that are no numbers."""
    return f"{shown(path)} holds NaN or infinity in the weights of layer {layer!r}; train again, or give another model."
