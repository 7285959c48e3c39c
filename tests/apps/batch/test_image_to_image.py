"""Pictures made of many picture files: order, clashes, frames, the same by Ray's actors."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convmedia.apps.batch import image_to_image
from convmedia.apps.batch.image_to_image import Made, made, tasks, within
from convmedia.apps.tasks.style_transfer.apply import frames_before
from convmedia.data.images import lossless


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twenty pictures, one of them damaged, and one whose result is another one's."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for number in range(18):
        Image.fromarray(rng.integers(0, 255, (20 + number, 24, 3)).astype("uint8")).save(root / f"{number:02}.png")
    Image.fromarray(rng.integers(0, 255, (9, 9)).astype("uint8")).save(root / "03.gif")  # GIF is not written
    (root / "04.png").write_bytes((root / "05.png").read_bytes()[:200])
    return root


def as_it_is(file, stem, original):
    return Made(original, {})


def test_rows_come_in_order_and_a_clash_is_an_error(folder, tmp_path):
    pairs = [(file, tmp_path / place.stem) for file, place in within([str(folder)], tmp_path)]
    rows = list(made(pairs, as_it_is, {}))
    assert [row["file"] for row in rows] == [str(file) for file, _ in pairs]
    wrong = {Path(row["file"]).name: row["error"] for row in rows if "error" in row}
    assert wrong.keys() == {"03.png", "04.png"}
    assert "would replace" in wrong["03.png"] and "damaged" in wrong["04.png"]
    for row in rows:
        if "out" in row:
            assert row["seconds"] >= 0.0
            with Image.open(row["out"]) as result, Image.open(row["file"]) as picture:
                assert result.size == (row["width"], row["height"]) == picture.size


def test_a_picture_is_not_replaced_by_its_own_result(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    [row] = made([(tmp_path / "a.png", tmp_path / "a")], as_it_is, {})
    assert "would replace" in row["error"]


def test_files_that_are_done_are_left_out_and_their_results_stay(folder, tmp_path):
    pairs = [
        (folder / "00.png", tmp_path / "x"),
        (folder / "01.png", tmp_path / "y"),
        (folder / "02.png", tmp_path / "x"),
    ]
    done = {str(folder / "00.png"): {"file": str(folder / "00.png"), "out": str(tmp_path / "x.png")}}
    rows = list(made(pairs, as_it_is, done))
    assert [row["file"] for row in rows] == [str(folder / "01.png"), str(folder / "02.png")]
    assert "would replace" in rows[1]["error"]
    assert not (tmp_path / "x.png").exists()


def test_the_next_file_is_read_and_the_last_one_written_while_one_is_made(folder, tmp_path, monkeypatch):
    """Reading of the third file and writing of the first one are waited for while the second one is made."""
    files = [folder / f"{number:02}.png" for number in (0, 1, 2)]
    read, written = threading.Event(), threading.Event()
    reading, writing = lossless.read, lossless.write

    def seen_read(file):
        if file == files[2]:
            read.set()
        return reading(file)

    def seen_write(original, path):
        writing(original, path)
        written.set()

    monkeypatch.setattr(lossless, "read", seen_read)
    monkeypatch.setattr(lossless, "write", seen_write)

    def make(file, stem, original):
        if file == files[1]:
            assert read.wait(20) and written.wait(20)
        return Made(original, {})

    rows = list(made([(file, tmp_path / file.stem) for file in files], make, {}))
    assert ["out" in row for row in rows] == [True] * 3


def test_results_in_a_folder_below_the_pictures_are_no_pictures(folder, tmp_path):
    root = tmp_path / "photos"
    (root / "larger").mkdir(parents=True)
    for place in ("a.png", "larger/a_x2.png"):
        Image.new("RGB", (4, 4)).save(root / place)
    assert [place for _, place in within([str(root)], root / "larger")] == [Path("a.png")]
    for other in (tmp_path / "elsewhere", root, tmp_path):  # beside the pictures, among them, above them
        assert len(within([str(root)], other)) == 2


def test_what_clashes_is_in_one_task():
    pairs = [
        (Path(f"in/{name}"), Path("out") / Path(name).stem) for name in ("a.png", "b.png", "c.png", "a.gif", "d.png")
    ]
    done = {"in/c.png": {"file": "in/c.png", "out": "out/c.png"}, "in/z.png": {"file": "in/z.png", "out": "out/d.png"}}
    assert tasks(pairs, done, 1) == [([0, 3], {}), ([1], {}), ([4], {"in/z.png": done["in/z.png"]})]
    assert [places for places, _ in tasks(pairs, done, 2)] == [[0, 3, 1], [4]]


class Known:
    """Rows without pictures."""

    def rows(self, pairs, done):
        return ({"file": str(file), "out": str(stem)} for file, stem in pairs)


def test_rows_of_tasks_come_in_the_order_of_the_files(monkeypatch):
    pairs = [(Path(f"{number}"), Path(f"{number % 7}")) for number in range(40)]

    def by_ray(worker, parts, workers):
        return ([*worker.rows(*json.loads(json.dumps(part)))] for part in parts)

    monkeypatch.setattr(image_to_image.batch_worker, "by_ray", by_ray)
    monkeypatch.setattr(image_to_image, "TASK_PICTURES", 2)
    rows = list(image_to_image.made_by_actors(Known(), pairs, {"5": {"file": "5", "error": "x"}}, None))
    assert [row["file"] for row in rows] == [str(number) for number in range(40) if number != 5]


def test_a_frame_after_painted_ones_goes_on_from_the_last_of_them():
    pairs = [(Path(name), Path(f"out/{name}")) for name in "abcdef"]
    rows = {name: {"file": name, "out": f"out/{name}.png"} for name in "ab"}
    rows["d"] = {"file": "d", "error": "damaged"}
    rows["e"] = {"file": "e", "out": "out/e.png"}
    assert frames_before(pairs, rows) == {
        Path("c"): (Path("b"), Path("out/b.png")),
        Path("f"): (Path("e"), Path("out/e.png")),
    }


VERBS = {"upscale": ["super-resolution", "upscale", "--network", "srcnn"], "apply": ["style-transfer", "apply"]}


@pytest.mark.parametrize("verb", VERBS)
def test_rays_pictures_are_those_of_one_process(verb, folder, tmp_path):
    pytest.importorskip("ray")
    for engine in ("local", "ray"):
        out = ["--out", str(tmp_path / engine), "--engine", engine]
        done = subprocess.run(
            [sys.executable, "-m", "convmedia.apps", *VERBS[verb], folder.name, *out],
            cwd=folder.parent,
            timeout=300,
            check=False,
        )
        assert done.returncode == 1  # one file is damaged

    def rows(engine):
        for line in (tmp_path / engine / "results.jsonl").read_text().splitlines():
            row = json.loads(line)
            row.pop("seconds", None)
            yield json.loads(json.dumps(row).replace(str(tmp_path / engine), ""))

    assert list(rows("local")) == list(rows("ray"))
    for path in (tmp_path / "local").glob("*.png"):
        assert path.read_bytes() == (tmp_path / "ray" / path.name).read_bytes()


def test_a_long_name_is_written_where_it_fits_and_is_a_row_where_not(tmp_path):
    given, out = tmp_path / "given", tmp_path / "out"
    given.mkdir()
    for stem in ("a" * 247, "b" * 251, "c"):
        Image.new("RGB", (4, 4)).save(given / f"{stem}.png")
    pairs = [(file, out / f"{place.stem}_x2") for file, place in within([str(given)], out)]
    fits, too_long, short = made(pairs, as_it_is, {})
    assert Path(fits["out"]).is_file() and Path(short["out"]).is_file()
    assert "name of its result is too long" in too_long["error"]
    assert len(list(out.iterdir())) == 2
