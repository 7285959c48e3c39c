"""Numbers of parameters in the docstrings of builders, against networks that are built."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from pkgutil import resolve_name

import keras
import pytest

from convmedia import models
from convmedia.models.backbones import inverted_residuals, squeezenet
from convmedia.models.networks import digits, photos, sounds, stylization, super_resolution
from convmedia.models.networks.catalogue import DIGITS, PHOTOS, SOUNDS

STATED = re.compile(r"(\d[\d,]*) (learned )?parameters")

# What each docstring states the numbers of, in its order.
BUILT: dict[Callable, list[dict]] = {
    digits.lenet5: [{}],
    digits.convnet: [{}],
    photos.small: [{}],
    photos.resnet: [{}],
    squeezenet.squeezenet: [{}],
    inverted_residuals.efficientnet_lite0: [{}],
    inverted_residuals.mobilenet_v2: [{}],
    sounds.compact: [{"frames": 81, "bands": bands, "labels": 10} for bands in (40, 64)],
    sounds.piczak: [{"frames": frames, "bands": 60, "labels": 10} for frames in (101, 41)],
    sounds.speech: [{"frames": 101, "bands": 40, "labels": 10}],
    sounds.tagger: [{"frames": frames, "bands": bands, "labels": 10} for frames, bands in ((81, 40), (216, 64))],
    super_resolution.srcnn: [{}],
    super_resolution.espcn: [{"scale": scale} for scale in (2, 3, 4)],
    super_resolution.vdsr: [{}],
    super_resolution.carn: [{"scales": (2, 3, 4)}],
    super_resolution.carn_m: [{"scales": (2, 3, 4)}],
    stylization.painter: [{}, {"filters": 32}],
}


def text(function: Callable) -> str:
    return " ".join((function.__doc__ or "").split())


def counted(network: keras.Model, learned: bool) -> int:
    return sounds.parameters(network) if learned else network.count_params()


@pytest.mark.parametrize("builder", BUILT, ids=lambda builder: builder.__name__)
def test_a_builder_states_its_parameters(builder):
    stated = STATED.findall(text(builder))
    assert len(stated) == len(BUILT[builder])
    for (number, learned), options in zip(stated, BUILT[builder], strict=True):
        assert int(number.replace(",", "")) == counted(builder(**options), bool(learned))


def test_the_other_srcnn_has_the_parameters_that_are_stated():
    [number] = re.findall(r"or ([\d,]+) for `kernels=\(9, 1, 5\)`", text(super_resolution.srcnn))
    assert int(number.replace(",", "")) == super_resolution.srcnn(kernels=(9, 1, 5)).count_params()


def test_every_builder_that_states_parameters_is_built_here():
    found = pkgutil.walk_packages(models.__path__, "convmedia.models.")
    modules = [importlib.import_module(one.name) for one in found]
    found = {
        function
        for module in modules
        for _, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__.startswith("convmedia.") and re.search(r"\d (\w+ )?parameters", text(function))
    }
    networks = {resolve_name(row.function) for row in (*DIGITS.values(), *PHOTOS.values(), *SOUNDS.values())}
    assert found | networks == set(BUILT)
