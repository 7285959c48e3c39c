"""Writing so that no kill leaves a half file."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import digest, locked, replacing, shown


def test_a_file_appears_whole_and_alone(tmp_path: Path) -> None:
    target = tmp_path / "new" / "deep" / "a.txt"
    with replacing(target) as beside:
        beside.write_text("one")
        assert beside.suffix == ".txt" and beside.parent == target.parent and not target.exists()
    assert target.read_text() == "one"
    assert [path.name for path in target.parent.iterdir()] == ["a.txt"]


def test_failure_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(target) as beside:
        beside.write_text("half")
        raise ZeroDivisionError
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_kill_while_writing_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    script = (
        "import sys, time\nfrom convmedia.data.storage.files import replacing\n"
        "with replacing(sys.argv[1]) as beside:\n"
        " beside.write_text('half'); print('writing', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(target)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline() == b"writing\n"
        child.send_signal(signal.SIGKILL)
    assert target.read_text() == "old"


def test_two_threads_never_share_a_partial_file(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    meet = threading.Barrier(2)

    def write(sign: bytes) -> None:
        with replacing(target) as beside:
            with beside.open("wb") as file:
                meet.wait(10)
                file.write(sign * 100_000)
            meet.wait(10)

    threads = [threading.Thread(target=write, args=(sign,)) for sign in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() in (b"a" * 100_000, b"b" * 100_000)
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_digest_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert digest(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_names_are_shown_on_one_line_of_utf8() -> None:
    assert shown("plain name é.png") == "plain name é.png"
    assert shown(os.fsdecode(b"caf\xe9.png")) == r"caf\xe9.png"
    assert shown("two\nlines\x1b[31m") == r"two\nlines\x1b[31m"
    assert shown("half a pair \ud800") == r"half a pair \xed\xa0\x80"


@pytest.mark.parametrize("name", ["a" * 251 + ".png", "a." + "b" * 253, "\u00e9" * 127])
def test_every_name_that_a_folder_takes_can_be_written(tmp_path: Path, name: str) -> None:
    with replacing(tmp_path / name) as beside:
        beside.write_text("one")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "one")]


def test_a_lock_is_for_one_and_leaves_nothing(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / ("a" * 255)):
        with locked(path, "busy"):
            for _ in range(2):
                with pytest.raises(InputError, match="busy"), locked(path, "busy"):
                    pass
        assert list(tmp_path.iterdir()) == []


def test_of_many_writers_one_at_a_time_holds_a_lock(tmp_path: Path) -> None:
    inside, most, entered = [], [], []

    def write() -> None:
        for _ in range(200):
            try:
                with locked(tmp_path / "rows", "busy"):
                    inside.append(1)
                    most.append(len(inside))
                    entered.append(1)
                    inside.pop()
            except InputError:
                continue

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1 and len(entered) >= 200
    assert list(tmp_path.iterdir()) == []
