"""Named sets: found, fetched from a server, and checked by content."""

import csv
import dataclasses
import functools
import gzip
import hashlib
import io
import json
import os
import shutil
import socket
import threading
import zipfile
from collections.abc import Iterator
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest

from convmedia.data.images import decoding
from convmedia.data.sources import fetch
from convmedia.data.sources.catalogue import SOURCES
from convmedia.data.storage.errors import InputError


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder and writes each request down."""

    requests: list[str]

    def log_message(self, form: str, *parts: object) -> None:
        self.requests.append(form % parts)


class Server:
    """A web server on this machine: what is written to `file` is at `url`."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "archive.zip"
        self.requests: list[str] = []
        recorder = type("Recorder", (Handler,), {"requests": self.requests})
        self.http = HTTPServer(("127.0.0.1", 0), functools.partial(recorder, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/archive.zip"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "served").mkdir()
    server = Server(tmp_path / "served")
    thread = threading.Thread(target=server.http.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no data folder."""
    monkeypatch.setenv("CONVMEDIA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CONVMEDIA_DATA", raising=False)
    return tmp_path / "cache"


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def archive(names: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as container:
        for name, data in names.items():
            container.writestr(name, data)
    return content.getvalue()


def test_the_table_is_complete() -> None:
    names = "mnist digits dogs-vs-cats Set5 Set14 B100 Urban100 T91 BSD200 fsdd esc10 esc50 speech-commands"
    assert list(SOURCES) == names.split()
    for row in SOURCES.values():
        assert row.licence and row.homepage.startswith("http") and row.bytes > 10_000 and "\n" not in row.what
        assert row.sha256 is None or len(bytes.fromhex(row.sha256)) == 32
        assert bool(row.urls) == (row.name != "digits") and bool(row.members) == (row.files != ())
    places = [row.local for row in SOURCES.values()]
    assert len(set(places)) == len(places)


def test_unknown_names_get_near_ones() -> None:
    for wrong, near in {
        "minst": "mean mnist?",
        "set5": "mean Set5 or",
        "speech_commands": "mean speech-commands?",
    }.items():
        with pytest.raises(InputError, match=near):
            fetch.locate(wrong)


def test_the_bundled_set_is_there_without_network(home: Path) -> None:
    found = fetch.fetch("digits")
    with gzip.open(found, "rt") as file:
        table = list(csv.reader(file))
    assert len(table) == 1797 and len(table[0]) == 65
    assert not home.exists()


def test_offline_is_one_line_that_names_everything(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = closed_port()
    row = dataclasses.replace(SOURCES["mnist"], urls=(f"http://127.0.0.1:{port}/mnist.npz",))
    monkeypatch.setitem(SOURCES, "mnist", row)
    with pytest.raises(InputError) as error:
        fetch.fetch("mnist")
    text = str(error.value)
    for part in (
        "mnist is not in",
        str(home / "mnist.npz"),
        "CONVMEDIA_DATA is not set",
        str(port),
        "bundled set digits",
    ):
        assert part in text
    assert "\n" not in text
    monkeypatch.setenv("CONVMEDIA_DATA", "/nowhere")
    with pytest.raises(InputError, match=r"/nowhere/mnist\.npz nor in"):
        fetch.fetch("mnist")


def set5(width: int = 512) -> dict[str, bytes]:
    """Five pictures of the sizes of Set5."""
    sizes = {"baby": (width, 512), "bird": (288, 288), "butterfly": (256, 256), "head": (280, 280), "woman": (228, 344)}
    content = {}
    for name, (columns, lines) in sizes.items():
        file = io.BytesIO()
        decoding.Image.new("RGB", (columns, lines)).save(file, "BMP")
        content[f"SRCNN/Set5/{name}_GT.bmp"] = file.getvalue()
    return content


def offer(monkeypatch: pytest.MonkeyPatch, server: Server, name: str, content: bytes, closed: bool = False) -> None:
    """Let a name's row point at the server, which serves `content`."""
    server.file.write_bytes(content)
    urls = (f"http://127.0.0.1:{closed_port()}/SRCNN_v1.zip",) if closed else ()
    row = dataclasses.replace(SOURCES[name], urls=(*urls, server.url), exact=False, sha256=None)
    monkeypatch.setitem(SOURCES, name, row)


def test_fetch_unpacks_checks_records_and_asks_once(
    home: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = archive(set5())
    offer(monkeypatch, server, "Set5", content, closed=True)
    assert fetch.locate("Set5") is None and fetch.recorded("Set5") is None
    found = fetch.fetch("Set5")
    assert found == home / "super_resolution/Set5/HR" == fetch.locate("Set5")
    assert sorted(path.name for path in found.iterdir())[0] == "baby_GT.bmp"
    assert fetch.recorded("Set5") == hashlib.sha256(content).hexdigest()
    note = json.loads((found.parent / "HR.source.json").read_text())
    assert note["url"] == server.url
    assert not list((home / "archives").iterdir())
    assert fetch.fetch("Set5") == found and len(server.requests) == 1
    shown = {row["name"]: row for row in fetch.rows()}["Set5"]
    assert shown["found"] == str(found) and shown["sha256"] == note["sha256"] and shown["size"] == "about 7.6 MB"


def test_an_archive_of_two_sets_is_downloaded_once(home: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    both = archive(set5() | {f"SRCNN/Set14/{index}.bmp": b"x" for index in range(14)})
    offer(monkeypatch, server, "Set5", both)
    offer(monkeypatch, server, "Set14", both)
    fetch.fetch("Set5")
    assert len(list((home / "archives").iterdir())) == 1
    with pytest.raises(InputError, match=r"0\.bmp holds no picture"):
        fetch.fetch("Set14")
    assert len(server.requests) == 1 and not list((home / "archives").iterdir())


def test_wrong_content_says_expected_and_received(home: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, server, "Set5", archive(set5(width=500)))
    with pytest.raises(InputError, match=r"is not Set5: expected 567,456 pixels in all, received 561,312"):
        fetch.fetch("Set5")
    next((home / "super_resolution/Set5/HR").iterdir()).unlink()
    with pytest.raises(InputError, match="expected 5 files, received 4 files"):
        fetch.fetch("Set5")


def test_esc10_is_cut_from_esc50(home: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["filename,fold,target,category,esc10,src_file,take"]
    names = {}
    for index in range(500):
        lines.append(f"{index}.wav,{index % 5 + 1},0,dog,{index < 400},1,A")
        names[f"ESC-50-master/audio/{index}.wav"] = b"RIFF"
    names["ESC-50-master/meta/esc50.csv"] = "\n".join(lines).encode()
    offer(monkeypatch, server, "esc10", archive(names))
    found = fetch.fetch("esc10")
    with (found / "esc10.csv").open() as file:
        assert {line["filename"] for line in csv.DictReader(file)} == {f"{index}.wav" for index in range(400)}
    assert sorted(path.name for path in found.iterdir()) == ["audio", "esc10.csv"]
    assert len(list((found / "audio").iterdir())) == 400


def test_a_data_folder_comes_before_the_cache(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for root in (home, tmp_path / "data"):
        (root / "audio/fsdd/recordings").mkdir(parents=True)
    assert fetch.locate("fsdd") == home / "audio/fsdd/recordings"
    monkeypatch.setenv("CONVMEDIA_DATA", str(tmp_path / "data"))
    assert fetch.locate("fsdd") == tmp_path / "data/audio/fsdd/recordings"
    with pytest.raises(InputError, match="expected 3,000 files, received 0 files"):
        fetch.fetch("fsdd")


def test_mnist_that_is_another_file(home: Path) -> None:
    home.mkdir()
    (home / "mnist.npz").write_bytes(b"PK no archive")
    with pytest.raises(InputError, match="is not mnist: expected arrays x_train"):
        fetch.fetch("mnist")
    np.savez(home / "mnist.npz", x_train=np.zeros((2, 28, 28), np.uint8))
    with pytest.raises(InputError, match="is not mnist"):
        fetch.fetch("mnist")


def data_folder() -> Path:
    folder = os.environ.get("CONVMEDIA_DATA")
    if not folder:
        pytest.skip("CONVMEDIA_DATA is not set")
    return Path(folder)


def test_sets_of_the_data_folder_are_right() -> None:
    data_folder()
    here = [row.name for row in SOURCES.values() if fetch.locate(row.name)]
    assert {"mnist", "Set5", "fsdd"} <= set(here)
    for name in here:
        assert fetch.fetch(name) == fetch.locate(name)


def test_one_changed_pixel_or_label_of_mnist_is_found(tmp_path: Path) -> None:
    with np.load(data_folder() / "mnist.npz") as arrays:
        known = dict(arrays)
    for key in ("x_test", "y_train"):
        changed = known[key].copy()
        changed.flat[1000] ^= 1
        np.savez(tmp_path / "mnist.npz", **(known | {key: changed}))
        with pytest.raises(InputError, match=f"expected {key} with the SHA-256 {fetch._MNIST_IDX[key]}"):
            fetch.check("mnist", tmp_path / "mnist.npz")


def test_a_missing_clip_is_counted(tmp_path: Path) -> None:
    shutil.copytree(data_folder() / "audio/esc10", tmp_path / "esc10")
    next((tmp_path / "esc10/audio").iterdir()).unlink()
    with pytest.raises(InputError, match="expected 400 files, received 399 files"):
        fetch.check("esc10", tmp_path / "esc10")
