"""The super-resolution model that options name, and its scale."""

from pathlib import Path

from convmedia.apps.training.mixed_precision import precision_here, twin
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown
from convmedia.data.storage.model_files import MODEL_FILE, OF_SCALES
from convmedia.models import load, shipped
from convmedia.models.inference.predictor import Predictor
from convmedia.models.networks.super_resolution import SCALES, network_in, whole
from convmedia.models.saving.assembly import assemble

APP = "super-resolution"
DEFAULT = "carn-m"  # of the shipped networks


def chosen(model: str | None, network: str | None, scale: int | None) -> tuple[Predictor, int]:
    """The model that the options name, and its scale.

    Raises:
        InputError: no such model; it is of another scale or network than the options say.
    """
    if model is None:
        factor = scale or SCALES[0]
        return shipped(f"{network or DEFAULT}_x{factor}"), factor
    several = sorted(Path(model).glob(OF_SCALES)) if Path(model).is_dir() else []
    if several and not (Path(model) / MODEL_FILE).exists():
        at_hand = [int(path.stem.removeprefix("model_x")) for path in several]
        factor = scale or at_hand[0]
        if factor not in at_hand:
            raise InputError(f"{shown(model)} has no model of scale {factor}, only of {', '.join(map(str, at_hand))}")
        predictor = load(Path(model) / f"model_x{factor}.keras", app=APP)
    else:
        predictor = load(model, app=APP)
    details = predictor.details
    for option, wanted in (("scale", scale), ("network", network)):
        if wanted is not None and details[option] != wanted:
            raise InputError(f"--{option} {wanted}: {shown(model)} is of {option} {details[option]}; leave it out")
    return predictor, details["scale"]


def at_precision(predictor: Predictor, scale: int, wanted: str) -> Predictor:
    """The predictor, or where `wanted` means bfloat16 here one whose network multiplies in it, with the same weights.

    What is around the network, from pixels to its input and from its answer to pixels, stays in float32.
    """
    if precision_here(wanted) == "float32":
        return predictor
    network = whole(twin(network_in(predictor.model), "bfloat16"), scale)
    model = assemble(network, app=predictor.app, labels=None, input=predictor.input, details=predictor.details)
    return Predictor(model, predictor.path)
