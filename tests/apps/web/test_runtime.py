"""What pages compute with is fetched by name, from a real server, and checked."""

import hashlib
import io
import tarfile

import pytest

from convmedia.apps.web import runtime
from convmedia.data.sources.download import Expected
from convmedia.data.storage.errors import InputError


@pytest.fixture
def registry(tmp_path, monkeypatch, served):
    """A registry with a package whose files are small; gives the folder that it serves."""
    contents = {name: f"the file {name}".encode() for name in {**runtime.FILES, **runtime.GRAPHICS}}
    place = tmp_path / "registry" / "onnxruntime-web" / "-"
    place.mkdir(parents=True)
    package = place / f"onnxruntime-web-{runtime.VERSION}.tgz"
    with tarfile.open(package, "w:gz") as archive:
        for name, content in {**contents, "ort.other.mjs": b"left out"}.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    given = package.read_bytes()
    monkeypatch.setattr(runtime, "PACKAGE", Expected(len(given), hashlib.sha256(given).hexdigest()))
    for table in ("FILES", "GRAPHICS"):
        digests = {name: hashlib.sha256(contents[name]).hexdigest() for name in getattr(runtime, table)}
        monkeypatch.setattr(runtime, table, digests)
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", served(tmp_path / "registry"))
    monkeypatch.setenv("CONVMEDIA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CONVMEDIA_WEB_RUNTIME")
    return place


def test_it_is_fetched_once_and_lies_in_pages_with_its_licence(registry, tmp_path):
    runtime.copy(tmp_path / "page")
    assert {file.name for file in (tmp_path / "page").iterdir()} == {*runtime.FILES, "LICENSE.txt"}
    assert "MIT" in (tmp_path / "page" / "LICENSE.txt").read_text(encoding="utf-8")
    next(registry.iterdir()).unlink()
    runtime.copy(tmp_path / "again", graphics=True)
    assert {file.name for file in (tmp_path / "again").iterdir()} == {*runtime.FILES, *runtime.GRAPHICS, "LICENSE.txt"}
    assert (tmp_path / "again" / "ort.wasm.min.mjs").read_bytes() == b"the file ort.wasm.min.mjs"


def test_another_package_of_that_name_is_refused(registry, tmp_path):
    package = next(registry.iterdir())
    content = bytearray(package.read_bytes())
    content[30] ^= 1
    package.write_bytes(content)
    with pytest.raises(InputError, match="has the SHA-256"):
        runtime.copy(tmp_path / "page")
    assert not runtime.place().exists()


def test_without_a_network_it_is_said_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9")
    monkeypatch.setenv("CONVMEDIA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CONVMEDIA_WEB_RUNTIME")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(InputError, match=r"cannot be reached .*convmedia\.apps\.web\.runtime FOLDER"):
        runtime.folder()


def test_an_altered_file_is_refused(monkeypatch, tmp_path):
    for name in [*runtime.FILES, *runtime.GRAPHICS]:
        (tmp_path / name).write_bytes(b"something else")
    monkeypatch.setenv("CONVMEDIA_WEB_RUNTIME", str(tmp_path))
    with pytest.raises(InputError, match="is not the file of onnxruntime-web"):
        runtime.folder()
