"""The super-resolution model that options name, and its scale."""

from pathlib import Path

from convmedia.apps.cli.inputs import AUTO, KERAS, answering
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown
from convmedia.data.storage.model_files import MODEL_FILE, OF_SCALES
from convmedia.models.inference.file_predictor import FilePredictor

APP = "super-resolution"
DEFAULT, SCALE = "carn-m", 2  # of the shipped networks
EXACT = "float32"


def chosen(
    model: str | None, network: str | None, scale: int | None, runtime: str = KERAS
) -> tuple[FilePredictor, int]:
    """The model that the options name, and its scale.

    Args:
        runtime: as of `inputs.answering`.

    Raises:
        InputError: no such model; it is of another scale or network than the options say.
    """
    if model is None:
        factor = scale or SCALE
        return answering(APP, None, runtime, f"{network or DEFAULT}_x{factor}"), factor
    several = sorted(Path(model).glob(OF_SCALES)) if Path(model).is_dir() else []
    if several and not (Path(model) / MODEL_FILE).exists():
        at_hand = [int(path.stem.removeprefix("model_x")) for path in several]
        factor = scale or at_hand[0]
        if factor not in at_hand:
            raise InputError(f"{shown(model)} has no model of scale {factor}, only of {', '.join(map(str, at_hand))}")
        predictor = answering(APP, str(Path(model) / f"model_x{factor}.keras"), runtime)
    else:
        predictor = answering(APP, model, runtime)
    details = predictor.details
    for option, wanted in (("scale", scale), ("network", network)):
        if wanted is not None and details[option] != wanted:
            raise InputError(f"--{option} {wanted}: {shown(model)} is of {option} {details[option]}; leave it out")
    return predictor, details["scale"]


def at_precision(predictor: FilePredictor, scale: int, wanted: str) -> FilePredictor:
    """The predictor, or where `wanted` means bfloat16 here one whose network multiplies in it, with the same weights.

    What is around the network, from pixels to its input and from its answer to pixels, stays in float32. An exported
    file is asked as it is.
    """
    if wanted == EXACT or computed_in(predictor, wanted) == EXACT:
        return predictor
    from convmedia.apps.training.mixed_precision import twin
    from convmedia.models.inference.predictor import Predictor
    from convmedia.models.networks.super_resolution import network_in, whole
    from convmedia.models.saving.assembly import assemble

    assert isinstance(predictor, Predictor)
    network = whole(twin(network_in(predictor.model), "bfloat16"), scale)
    model = assemble(network, app=predictor.app, labels=None, input=predictor.input, details=predictor.details)
    return Predictor(model, predictor.path)


def computed_in(predictor: FilePredictor, wanted: str) -> str:
    """ "bfloat16" or "float32": what the network computes in here, where `wanted` is asked for."""
    if wanted == EXACT or predictor.runtime != KERAS:
        return EXACT
    from convmedia.apps.training.mixed_precision import precision_here

    return precision_here(wanted)


def runtime_for(runtime: str, precision: str) -> str:
    """What answers: only Keras computes in anything but float32.

    Raises:
        InputError: another runtime is asked for.
    """
    if precision == EXACT or runtime == KERAS:
        return runtime
    if runtime != AUTO:
        raise InputError(f"--engine-runtime {runtime} computes in float32: leave --precision {precision} out")
    return KERAS
