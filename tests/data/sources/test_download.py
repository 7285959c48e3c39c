"""Downloads from a real server that fails in real ways, and archives of every bad kind."""

import hashlib
import io
import signal
import stat
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convmedia.data.sources import download
from convmedia.data.sources.download import Expected, Unreachable, unpack
from convmedia.data.storage.errors import InputError

CONTENT = np.random.default_rng(0).bytes(1_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `content` at every path, with ranges; `cuts` says after how many bytes an answer breaks off."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.cuts: list[int] = []
        self.codes: list[int] = []
        self.version = '"1"'
        self.chunk_pause = 0.0
        self.requests: list[tuple[str, str | None]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/files/a.bin"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed or gave up is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers.get("Range")
        server.requests.append((self.path, wanted))
        if server.codes:
            return self.send_error(server.codes.pop(0))
        start = int(wanted[6:-1]) if wanted and self.headers.get("If-Range", server.version) == server.version else 0
        if start >= len(server.content) > 0:
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        self.send_header("Content-Length", str(len(server.content) - start))
        self.send_header("ETag", server.version)
        self.end_headers()
        self.send(server.content[start:], server.cuts.pop(0) if server.cuts else None)

    def send(self, content: bytes, cut: int | None) -> None:
        for at in range(0, len(content[:cut]), 10_000):
            self.wfile.write(content[:cut][at : at + 10_000])
            time.sleep(self.server.chunk_pause)
        self.close_connection = cut is not None


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def get(server: Server, path: Path, expected: Expected = Expected(len(CONTENT), SHA256), **options: Any) -> str:
    return download.download(server.url, path, expected, pause_seconds=0, **options)


def test_download_gives_content_digest_and_progress(server: Server, tmp_path: Path) -> None:
    calls: list[tuple[int, int | None]] = []
    assert get(server, tmp_path / "a.bin", progress=lambda done, total: calls.append((done, total))) == SHA256
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert calls[-1] == (len(CONTENT), len(CONTENT)) and [done for done, _ in calls] == sorted({d for d, _ in calls})
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("expected", [Expected(len(CONTENT), SHA256), Expected()])
def test_cut_connections_are_resumed(server: Server, tmp_path: Path, expected: Expected) -> None:
    server.cuts = [300_000, 1, 200_000]
    assert get(server, tmp_path / "a.bin", expected) == SHA256
    assert [wanted for _, wanted in server.requests] == [None, "bytes=300000-", "bytes=300001-", "bytes=500001-"]


def test_a_new_version_is_never_joined_to_half_of_the_old(server: Server, tmp_path: Path) -> None:
    server.cuts = [400_000] + [0] * download.ATTEMPTS
    with pytest.raises(Unreachable, match="5 times in a row"):
        get(server, tmp_path / "a.bin", Expected())
    assert (tmp_path / "a.bin.part").stat().st_size == 400_000
    server.content, server.version = CONTENT[::-1], '"2"'
    assert get(server, tmp_path / "a.bin", Expected()) == hashlib.sha256(CONTENT[::-1]).hexdigest()


def test_what_is_longer_than_the_file_is_dropped(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(CONTENT + b"more")
    assert get(server, tmp_path / "a.bin", Expected(sha256=SHA256)) == SHA256


def test_passing_errors_are_tried_again_and_refusals_are_not(server: Server, tmp_path: Path) -> None:
    server.codes = [503, 500, 429]
    assert get(server, tmp_path / "a.bin") == SHA256
    server.requests.clear()
    server.codes = [404]
    with pytest.raises(Unreachable, match="answered 404"):
        get(server, tmp_path / "b.bin")
    assert len(server.requests) == 1 and not (tmp_path / "b.bin").exists()


def test_wrong_size_and_wrong_checksum_are_refused_and_forgotten(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has 1,000,000 bytes, expected 999,999"):
        get(server, tmp_path / "a.bin", Expected(999_999, SHA256))
    server.content = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    received = hashlib.sha256(server.content).hexdigest()
    with pytest.raises(InputError, match=f"SHA-256 {received}, expected {SHA256}"):
        get(server, tmp_path / "a.bin")
    with pytest.raises(InputError, match="MD5"):
        get(server, tmp_path / "a.bin", Expected(md5="0" * 32))
    server.content = CONTENT
    assert get(server, tmp_path / "a.bin", Expected(md5=hashlib.md5(CONTENT).hexdigest())) == SHA256


def test_kill_in_the_middle_then_resume(server: Server, tmp_path: Path) -> None:
    server.chunk_pause = 0.02
    script = (
        "import sys\nfrom pathlib import Path\nfrom convmedia.data.sources.download import *\n"
        "download(sys.argv[1], Path(sys.argv[2]), Expected(), lambda done, total: print(done, flush=True))"
    )
    run = [sys.executable, "-c", script, server.url, str(tmp_path / "a.bin")]
    with subprocess.Popen(run, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        while int(child.stdout.readline()) < 200_000:
            pass
        with pytest.raises(InputError, match="another process is downloading"):
            get(server, tmp_path / "a.bin")
        child.send_signal(signal.SIGKILL)
    assert not (tmp_path / "a.bin").exists()
    kept = (tmp_path / "a.bin.part").stat().st_size
    assert 0 < kept < len(CONTENT)
    server.chunk_pause = 0
    assert get(server, tmp_path / "a.bin") == SHA256
    assert server.requests[-1][1] == f"bytes={kept}-"


def test_no_space_is_not_taken_for_a_broken_connection(server: Server, tmp_path: Path) -> None:
    script = (
        "import resource, signal, sys\nfrom pathlib import Path\nfrom convmedia.data.sources.download import *\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nresource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "download(sys.argv[1], Path(sys.argv[2]), Expected())"
    )
    run = [sys.executable, "-c", script, server.url, str(tmp_path / "a.bin")]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert "File too large" in done.stderr.splitlines()[-1] and len(server.requests) == 1


def archive(names: dict[str, bytes], kind: str = "zip") -> bytes:
    content = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(content, "w") as container:
            for name, data in names.items():
                container.writestr(name, data)
    else:
        with tarfile.open(fileobj=content, mode="w:gz") as tar:
            for name, data in names.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return content.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_unpack_takes_what_is_wanted(tmp_path: Path, kind: str) -> None:
    names = {"top/Set5/a.bmp": b"a", "top/Set5/b.txt": b"b", "__MACOSX/top/Set5/._a.bmp": b"c", "Set14/a.bmp": b"d"}
    (tmp_path / "x").write_bytes(archive(names, kind))
    unpack(tmp_path / "x", tmp_path / "deep/Set5", [(r"(?:.*/)?Set5/([^/]+\.bmp)", r"\1")])
    assert {path.name: path.read_bytes() for path in (tmp_path / "deep/Set5").iterdir()} == {"a.bmp": b"a"}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["Set5"]


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("name", ["../out.bmp", "/tmp/out.bmp", "a/../../out.bmp", "..\\out.bmp"])
def test_names_that_lead_out_are_refused(tmp_path: Path, kind: str, name: str) -> None:
    (tmp_path / "x").write_bytes(archive({"good.bmp": b"a", name: b"b"}, kind))
    with pytest.raises(InputError, match="leads out"):
        unpack(tmp_path / "x", tmp_path / "in" / "set", [("(.*)", r"\1")])
    assert not any((tmp_path / "in").iterdir())


def test_links_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x", "w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            info = tarfile.TarInfo("a.bmp")
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
    link = zipfile.ZipInfo("a.bmp")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "y", "w") as container:
        container.writestr(link, "/etc/passwd")
    for file in ("x", "y"):
        with pytest.raises(InputError, match="link or device"):
            unpack(tmp_path / file, tmp_path / "set", [("(.*)", r"\1")])
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_damaged_archives_are_refused_whole(tmp_path: Path, kind: str) -> None:
    whole = archive({f"{index}.bmp": CONTENT[:50_000] for index in range(4)}, kind)
    half = bytearray(whole)
    half[len(half) // 2] ^= 255
    for content in (bytes(half), whole[: len(whole) // 2], b"no archive"):
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(InputError, match="damaged archive"):
            unpack(tmp_path / "x", tmp_path / "set", [("(.*)", r"\1")])
        assert [path.name for path in tmp_path.iterdir()] == ["x"]


def zipped(path: Path, change: Callable[[bytes], bytes] = lambda content: content, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    path.write_bytes(change(path.read_bytes()))
    return path


def with_field(content: bytes, offset: int, value: bytes) -> bytes:
    """A zip of one member with another value in a field of both its headers, 2 bytes later in the second one."""
    second = content.index(b"PK\x01\x02") + 2
    for start in (0, second):
        content = content[: start + offset] + value + content[start + offset + len(value) :]
    return content


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: with_field(content, 6, b"\x01"), "encrypted"),
        (lambda content: with_field(content, 8, b"\x63"), "compression"),
        (lambda content: content[: len(content) // 2], "damaged"),
        (lambda content: content[:60] + b"\xff" * 9 + content[69:], "damaged"),
    ],
    ids=["encrypted", "unknown method", "cut", "altered"],
)
def test_what_cannot_be_unpacked_is_one_line(tmp_path: Path, change: Callable[[bytes], bytes], said: str) -> None:
    path = zipped(tmp_path / "a.zip", change, **{"set/a.bmp": bytes(range(256)) * 8})
    with pytest.raises(InputError, match=said) as error:
        unpack(path, tmp_path / "out", [(r"set/(.*)", r"\1")])
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.zip"]


def test_an_archive_that_swells_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", **{"set/a.bmp": bytes(3_000_000)})
    with pytest.raises(InputError, match="more than 100 times its size"):
        unpack(path, tmp_path / "out", [(r"set/(.*)", r"\1")])
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.zip"]
