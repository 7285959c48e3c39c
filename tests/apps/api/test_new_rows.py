"""A network, an augmentation, an export format, a named set: one file and one row each, and the commands take them."""

import dataclasses
import hashlib
import json
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import onnx
import pytest
import soundfile
from PIL import Image

from convmedia.apps import __main__ as main
from convmedia.apps.cli.entry import exit_code
from convmedia.data.augmentation import catalogue as recipes
from convmedia.data.datasets import photos
from convmedia.data.sources import catalogue as sources
from convmedia.data.storage.deferred import Deferred
from convmedia.models.formats import formats
from convmedia.models.networks import catalogue as networks
from convmedia.models.saving.files import load

TOY = Path(__file__).parent / "toy"


@pytest.fixture(autouse=True)
def toys(monkeypatch):
    monkeypatch.syspath_prepend(TOY)


def convmedia(*arguments: object) -> int:
    return exit_code(main.command, list(map(str, arguments)))


def test_a_network_is_a_function_and_a_row_and_so_is_a_format(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(networks.DIGITS, "tiny", networks.Network("toy_network:tiny"))
    options = ("--data", "digits", "--preparation", "resize", "--epochs", 1, "--limit", 64)
    assert convmedia("mnist", "train", *options, "--network", "tiny", "--out", tmp_path / "run") == 0
    assert load(tmp_path / "run").model.get_layer("tiny").count_params() == 16 * 10 + 10
    assert json.loads((tmp_path / "run" / "run.json").read_text())["arguments"]["network"] == "tiny"

    signed = dataclasses.replace(formats.FORMATS["onnx"], file="signed.onnx", write=Deferred("toy_format:write_signed"))
    monkeypatch.setitem(formats.FORMATS, "signed-onnx", signed)
    export = ("mnist", "export", "--model", tmp_path / "run", "--format", "signed-onnx", "--out", tmp_path / "files")
    assert convmedia(*export) == 0
    assert onnx.load(tmp_path / "files" / "signed.onnx").producer_name == "toy"
    parity = json.loads((tmp_path / "files" / "parity.json").read_text())
    assert parity["signed-onnx"]["max_abs_diff"] < 1e-4

    capsys.readouterr()
    assert convmedia("mnist", "train", "--network", "none-such", "--out", tmp_path / "none") == 2
    assert "is not one of 'convnet', 'lenet5', 'tiny'" in capsys.readouterr().err


def test_an_augmentation_of_sounds_is_a_function_and_a_row(tmp_path, monkeypatch):
    time = np.arange(8000) / 8000
    for label, hz in (("low", 300), ("high", 2000)):
        (tmp_path / "sounds" / label).mkdir(parents=True)
        for number in range(12):
            wave = 0.3 * np.sin(2 * np.pi * (hz + number) * time)
            soundfile.write(tmp_path / "sounds" / label / f"{number}.wav", wave, 8000)
    monkeypatch.setitem(recipes.SOUNDS, "quieter", recipes.SoundRecipes(Deferred("toy_sounds:quieter")))
    options = ("--data", tmp_path / "sounds", "--epochs", 1, "--augment", "quieter", "--out", tmp_path / "run")
    assert convmedia("audio", "train", *options) == 0
    assert json.loads((tmp_path / "run" / "run.json").read_text())["arguments"]["augment"] == "quieter"


@pytest.fixture
def archive(tmp_path):
    """A web server on this machine with a zip of ten photos: its URL and its file."""
    folder = tmp_path / "served"
    folder.mkdir()
    with zipfile.ZipFile(folder / "toys.zip", "w") as packed:
        for number in range(10):
            Image.fromarray(np.full((9, 12, 3), 25 * number, np.uint8)).save(tmp_path / "photo.png")
            packed.write(tmp_path / "photo.png", f"toys/{'dark' if number < 5 else 'light'}/{number}.png")

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/toys.zip", folder / "toys.zip"
        server.shutdown()


def test_a_named_set_is_a_row(tmp_path, monkeypatch, archive, capsys):
    monkeypatch.setenv("CONVMEDIA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CONVMEDIA_DATA", raising=False)
    url, file = archive
    row = sources.Source(
        name="toys",
        kind="photos",
        what="dark and light toys",
        urls=(url,),
        bytes=file.stat().st_size,
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        licence="CC0",
        homepage="http://localhost/",
        local="toys",
        members=((r"toys/(\w+/\d+\.png)", r"\1"),),
        suffixes=(".png",),
        files=(10,),
    )
    monkeypatch.setitem(sources.SOURCES, "toys", row)
    assert convmedia("data", "list") == 0
    assert "dark and light toys" in capsys.readouterr().out
    assert convmedia("data", "fetch", "toys") == 0
    loaded = photos.load("toys")
    assert list(loaded.labels) == ["dark", "light"]
    assert sum(map(len, (loaded.train, loaded.validation, loaded.test))) == 10
