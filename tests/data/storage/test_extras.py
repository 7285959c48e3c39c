"""What is missing is named, and installed by its packages' own names."""

import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest

from convmedia.data.storage import extras
from convmedia.data.storage.errors import InputError

EXTRAS = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "optional-dependencies"
]


def packages(extra):
    """What an extra declares, with that of the extras of this package that it names."""
    inner = {one: one.removeprefix("convmedia[").removesuffix("]") for one in EXTRAS[extra]}
    return {found for one, name in inner.items() for found in ({one} if one == name else packages(name))}


def parts(requirement):
    """Name with extras, and bounds in any order."""
    name, bounds = re.fullmatch(r"([\w.\[\]-]+)(.*)", requirement).groups()
    return name, frozenset(bounds.split(","))


@pytest.mark.parametrize("extra", sorted(name for name in EXTRAS if name not in ("test", "dev")))
def test_an_extra_is_installed_by_the_packages_that_it_declares(extra):
    pip, install, *named = shlex.split(extras.command(extra))
    assert (pip, install) == ("pip", "install")
    assert set(map(parts, named)) == set(map(parts, packages(extra)))


def test_what_is_there_needs_no_word_and_what_is_not_is_named_in_one_line(monkeypatch):
    extras.require("this", "onnx", "json", "numpy")
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(InputError) as error:
        extras.require("this", "onnx", "json", "tf2onnx")
    assert str(error.value).startswith("this needs tf2onnx, not installed here; run: pip install ")


def test_without_metadata_the_extra_itself_is_named():
    assert extras.command("unheard-of") == "pip install 'convmedia[unheard-of]'"
