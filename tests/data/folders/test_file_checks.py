"""Reading files once: trees with links, cut files, and what is remembered between scans."""

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convmedia.data.folders import file_checks
from convmedia.data.images import decoding
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import tree


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("CONVMEDIA_CACHE", str(folder))
    return folder


def photo(seed: int, kind: str = "JPEG", **options: object) -> bytes:
    """A picture of 40x56 as a file's content."""
    y, x = np.mgrid[:40, :56]
    values = 128 + 60 * np.sin(x / (3 + seed % 7) + y / 5)[..., None] * [1, 0.5, -0.7]
    values += np.random.default_rng(seed).normal(0, 20, values.shape)
    content = io.BytesIO()
    Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(content, kind, **options)
    return content.getvalue()


def examine(path: Path) -> file_checks.Content:
    return file_checks.examine(path, decoding.decode, decoding.EXTENSIONS)


# Trees


def test_a_tree_is_read_once_and_its_loops_are_told(tmp_path: Path) -> None:
    for name in ("a/1.jpg", "a/deep/er/2.jpg", "a/.hidden/3.jpg", "a/.4.jpg", "elsewhere/5.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a/deep/up").symlink_to(tmp_path / "a")
    (tmp_path / "a/deep/above").symlink_to(tmp_path)
    (tmp_path / "a/here").symlink_to(".")
    (tmp_path / "a/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "a/twice").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "a/self.jpg").symlink_to("self.jpg")
    files, odd = tree(tmp_path / "a")
    assert [str(path.relative_to(tmp_path / "a")) for path in files] == [
        *("1.jpg", "deep/er/2.jpg", "linked/5.jpg", "self.jpg"),
    ]
    assert [str(path.relative_to(tmp_path / "a")) for path, _ in odd] == [
        *("deep/above", "deep/up", "here", "linked/back"),
    ]
    assert all(str(path) in reason and "loop is not followed" in reason for path, reason in odd)
    with pytest.raises(InputError, match=r"self\.jpg cannot be opened \(Too many levels of symbolic links\)"):
        examine(tmp_path / "a/self.jpg")


def test_folders_and_files_that_may_not_be_read_are_named(tmp_path: Path) -> None:
    for name in ("cat/1.jpg", "cat/locked.jpg", "cat/shut/2.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(photo(1))
    (tmp_path / "cat/locked.jpg").chmod(0)
    (tmp_path / "cat/shut").chmod(0)
    script = (
        "import email.parser, os, sys\nfrom importlib import metadata\n"  # while they may be read
        "from pathlib import Path\nfrom PIL import Image\n"
        "from convmedia.data.images import decoding as images\n"
        "from convmedia.data.folders import file_checks as scanning\n"
        "from convmedia.data.storage.files import tree\nImage.init()\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "folder = Path(sys.argv[1])\n"
        "files, odd = tree(folder)\n"
        "read = scanning.read(folder, files, images.decode, images.EXTENSIONS)\n"
        "print(*[str(path) for path in files], *[reason for _, reason in odd], *read, sep='\\n')"
    )
    for folder in (tmp_path, *tmp_path.parents[:3]):
        if folder.stat().st_uid == os.getuid() and folder != Path(tempfile.gettempdir()):
            folder.chmod(0o755)  # for the child that is no longer root
    run = [sys.executable, "-c", script, str(tmp_path / "cat")]
    environment = {**os.environ, "CONVMEDIA_CACHE": "/nowhere"}
    done = subprocess.run(run, check=False, capture_output=True, text=True, env=environment)
    (tmp_path / "cat/shut").chmod(0o755)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == [f"{tmp_path}/cat/1.jpg", f"{tmp_path}/cat/locked.jpg"]
    assert lines[2] == f"{tmp_path}/cat/shut cannot be read (Permission denied); check its permissions"
    assert lines[3].startswith("Content(digest=") and "locked.jpg cannot be opened (Permission denied)" in lines[4]


# Complete files


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"restart_marker_blocks": 4}),
        ("PNG", {}),
        ("WEBP", {}),
        ("TIFF", {}),
        ("BMP", {}),
    ],
)
def test_a_file_that_lacks_any_of_its_last_bytes_is_named(tmp_path: Path, kind: str, options: dict) -> None:
    path = tmp_path / f"a.{kind.lower()}"
    for seed in range(30):
        whole = photo(seed, kind, **options)
        path.write_bytes(whole)
        assert examine(path).format == kind
        for lacking in (1, 2, 3, 5, 9, 16, 40):
            path.write_bytes(whole[:-lacking])
            with pytest.raises(InputError, match=r"a\.\w+ (is cut|holds no picture)"):
                examine(path)


def test_decoding_alone_takes_some_cut_files(tmp_path: Path) -> None:
    """Why there is a check of its own; where decoders become stricter it can go."""
    (tmp_path / "a.png").write_bytes(photo(1, "PNG")[:-12])
    assert decoding.decode(tmp_path / "a.png").shape == (40, 56, 3)
    half = photo(1)
    (tmp_path / "b.jpg").write_bytes(half[: len(half) // 2] + bytes(len(half) // 2 + 4000))
    assert decoding.decode(tmp_path / "b.jpg").shape == (40, 56, 3)
    with pytest.raises(InputError, match="without the end marker of JPEG"):
        examine(tmp_path / "b.jpg")


def test_what_follows_the_end_is_no_fault(tmp_path: Path) -> None:
    for kind, name in (("JPEG", "a.jpg"), ("PNG", "a.png")):
        (tmp_path / name).write_bytes(photo(1, kind) + b"\0" * 50 + b"a phone's film")
        assert examine(tmp_path / name).format == kind


def test_the_end_of_an_embedded_small_picture_is_not_the_end(tmp_path: Path) -> None:
    small = photo(2)
    segment = b"\xff\xe1" + (len(small) + 2).to_bytes(2, "big") + small
    whole = photo(1)
    with_small = whole[:2] + segment + whole[2:]
    (tmp_path / "a.jpg").write_bytes(with_small)
    assert examine(tmp_path / "a.jpg").format == "JPEG"
    # Zeros instead of the end: decoders fill up with grey and are content.
    (tmp_path / "a.jpg").write_bytes(with_small[:-400] + bytes(4400))
    with pytest.raises(InputError, match="is cut"):
        examine(tmp_path / "a.jpg")


def test_the_end_marker_of_real_photos(convmedia_data: Path) -> None:
    for path in decoding.find([convmedia_data / "cats_vs_dogs/train/cat"])[:200]:
        assert file_checks._complete(path, "JPEG")


# What is remembered


def looked_at(folder: Path, judged: list[Path]) -> list:
    """What a scan says of the files of a folder; which it decoded is appended to `judged`."""

    def decode(path: Path) -> None:
        judged.append(path)
        decoding.decode(path)

    decode.__qualname__ = "decode"  # as of a module's own function
    return list(file_checks.read(folder, tree(folder)[0], decode, decoding.EXTENSIONS))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for seed in range(5):
        (tmp_path / f"photos/{seed}.jpg").write_bytes(photo(seed))
    return tmp_path / "photos"


def test_unchanged_files_are_not_read_again_and_changed_ones_are(photos: Path) -> None:
    first: list[Path] = []
    found = looked_at(photos, first)
    assert sorted(first) == sorted(photos.iterdir())
    again: list[Path] = []
    assert looked_at(photos, again) == found and again == []

    same_size = bytearray((photos / "0.jpg").read_bytes())
    same_size[-5] ^= 1
    before = (photos / "0.jpg").stat()
    (photos / "0.jpg").write_bytes(same_size)
    os.utime(photos / "0.jpg", ns=(before.st_atime_ns, before.st_mtime_ns))  # as some copying programs do
    os.utime(photos / "1.jpg")
    (photos / "2.jpg").rename(photos / "9.jpg")
    (photos / "3.jpg").chmod(0o600)
    assert looked_at(photos, again)[0] != found[0]
    assert sorted(path.name for path in again) == ["0.jpg", "1.jpg", "3.jpg", "9.jpg"]


def test_bad_files_are_looked_at_every_time(photos: Path) -> None:
    (photos / "bad.jpg").write_bytes(b"no")
    looked_at(photos, [])
    again: list[Path] = []
    assert isinstance(looked_at(photos, again)[-1], str) and [path.name for path in again] == ["bad.jpg"]


def test_names_that_are_not_utf8_are_remembered(photos: Path) -> None:
    (photos / "0.jpg").rename(Path(os.fsdecode(os.fsencode(photos) + b"/\xff\n.jpg")))
    again: list[Path] = []
    assert looked_at(photos, []) == looked_at(photos, again) and again == []


@pytest.mark.parametrize("damage", ["", "rubbish", "{}", "cut", "changed", "\xff\xfe"])
def test_a_damaged_memory_counts_as_none_and_is_written_anew(photos: Path, cache: Path, damage: str) -> None:
    found = looked_at(photos, [])
    (memory,) = cache.rglob("*.json")
    whole = memory.read_text()
    rotten = {"cut": whole[:-20], "changed": whole.replace(found[0].digest[:8], "00000000")}.get(damage, damage)
    memory.write_bytes(rotten.encode("latin-1"))
    again: list[Path] = []
    assert looked_at(photos, again) == found and len(again) == 5
    assert memory.read_text() == whole


def test_another_place_decoder_or_choice_of_suffixes_has_its_own_memory(photos: Path, cache: Path) -> None:
    looked_at(photos, [])
    files = tree(photos)[0]
    for reason in file_checks.read(photos, files, decoding.size, {".png"}):
        assert isinstance(reason, str) and reason.endswith("has the suffix '.jpg', which is not read")
    for decode in (decoding.size, lambda path: None):
        assert len(list(file_checks.read(photos, files, decode, decoding.EXTENSIONS))) == 5
    assert len(list(cache.rglob("*.json"))) == 2  # a lambda cannot be told from others
    again: list[Path] = []
    moved = photos.rename(photos.parent / "moved")
    looked_at(moved, again)
    assert len(again) == 5


def test_an_interrupted_scan_goes_on_where_it_stopped(photos: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    files = tree(photos)[0]
    with pytest.raises(KeyboardInterrupt):
        list(file_checks.read(photos, files, decoding.decode, decoding.EXTENSIONS, stop))
    memory = file_checks.Memory(photos, decoding.decode, decoding.EXTENSIONS)
    assert len(memory.known) == 3


def test_a_cache_that_cannot_be_written_costs_only_time(photos: Path, cache: Path) -> None:
    (cache / "scans").write_text("a file where a folder should be")
    assert len(looked_at(photos, [])) == 5
