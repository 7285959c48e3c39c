"""Rows of many files: half rows, other content, Parquet, folders of results, a killed process, Ray."""

import contextlib
import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from convmedia.apps import audio, cats_vs_dogs, mnist, super_resolution, transfer
from convmedia.apps.batch import results as batch_results
from convmedia.apps.cli import backend, entry
from convmedia.data.storage.errors import InputError

SCORED = {"label": "7", "score": 0.75, "top": [{"label": "7", "score": 0.75}, {"label": "1", "score": 0.1}]}
ROWS = [
    {"file": "a.png", **SCORED},
    {"file": "b.png", "error": "damaged"},
    {"file": "c.wav", **SCORED, "windows": [{"start": 0.0, "end": 1.0, "label": "7", "score": 0.5}]},
    {"file": "d.wav", "labels": [], "top": SCORED["top"]},
]


def run(capsys, command, *arguments):
    code = entry.exit_code(command, [str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A folder of 70 pictures, of which one is damaged."""
    folder = tmp_path_factory.mktemp("digits")
    for place, digit in enumerate((load_digits().images[:70] * 15.9).astype(np.uint8)):
        Image.fromarray(digit).resize((40 + 8 * (place // 30), 48)).save(folder / f"{place:02}.png")
    (folder / "05.png").write_bytes(b"damaged")
    return folder


def test_of_a_row_that_could_not_be_written_nothing_stays(tmp_path, monkeypatch):
    class Full(io.FileIO):
        """Takes 3 bytes of the second row."""

        def write(self, content):
            if b"b.png" in content:
                super().write(content[:3])
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(content[:20])

    rows = tmp_path / "rows.jsonl"
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(batch_results.Path, "open", lambda path, mode, buffering: Full(path, mode))
        with batch_results.appending(rows) as append:
            for row in ROWS:
                append(row)
    assert rows.read_bytes() == (json.dumps(ROWS[0]) + "\n").encode()


def test_half_a_row_is_cut_off_and_the_complete_ones_are_kept(tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_bytes(b'{"file": "a.png", "label": "1"}\n{"file": "b.png", "error": "x"}\n{"file": "c.p')
    assert batch_results.finished(rows) == {"a.png": False, "b.png": True}
    assert rows.read_bytes().endswith(b'"x"}\n')


@pytest.mark.parametrize(
    "theirs", ["notes\nof mine\n", "notes without an end", "[1, 2]\n", '{"file": "a"}\nnotes', '{"file": [1]}\n']
)
def test_a_file_that_holds_something_else_is_left_as_it_is(tmp_path, theirs):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(theirs)
    with pytest.raises(InputError, match="something else"):
        batch_results.finished(rows)
    assert rows.read_text() == theirs


def test_rows_are_added_once_and_counted(tmp_path, capsys):
    out, asked = tmp_path / "deep" / "rows.jsonl", []

    def rows_of(files):
        asked.extend(files)
        return [row for row in ROWS if row["file"] in files]

    names = [row["file"] for row in ROWS]
    assert batch_results.to_file(rows_of, names[:2], True, out) == 1
    assert batch_results.to_file(rows_of, names, True, out) == 1
    assert asked == names
    assert lines(out) == ROWS
    summaries = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["files"], one["skipped"], one["errors"]) for one in summaries] == [(2, 0, 1), (4, 2, 1)]


HOLD = """
import sys, time
from convmedia.data.storage.files import locked
with locked(sys.argv[1], "busy"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder():
    """Gives what lets another process hold a path that it writes to."""
    started = []

    def hold(path):
        process = subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet"])
def test_a_second_process_does_not_write_the_same_rows_and_a_killed_one_blocks_nobody(tmp_path, holder, name):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    out, asked = tmp_path / name, []

    def rows_of(files):
        asked.extend(files)
        return ({"file": file, **SCORED} for file in files)

    process = holder(out)
    (tmp_path / "link").symlink_to(tmp_path)
    for spelling in (out, tmp_path / "link" / name):
        with pytest.raises(InputError, match=r"in use by another process.*another --out"):
            batch_results.to_file(rows_of, ["a.png"], True, spelling)
    assert asked == []
    process.kill()
    process.wait()
    for _ in range(2):
        assert batch_results.to_file(rows_of, ["a.png"], True, out) == 0
    assert asked == ["a.png"]
    assert {path.name for path in tmp_path.iterdir()} == {name, "link"}


def test_rows_are_locked_while_they_are_written_and_not_afterwards(tmp_path):
    out = tmp_path / "rows.jsonl"

    def rows_of(files):
        with pytest.raises(InputError, match="in use"):
            batch_results.to_file(rows_of, files, True, out)
        yield {"file": files[0], **SCORED}

    assert batch_results.to_file(rows_of, ["a.png"], True, out) == 0
    assert len(lines(out)) == 1


@pytest.mark.parametrize("application", ["super-resolution", "style-transfer"])
def test_folders_of_results_and_exports_are_one_processes_at_a_time(digits, tmp_path, capsys, holder, application):
    from convmedia.apps import style_transfer

    command = {"super-resolution": super_resolution, "style-transfer": style_transfer}[application].command
    verb = {"super-resolution": "upscale", "style-transfer": "apply"}[application]
    made, exported = tmp_path / "made", tmp_path / "export"
    for folder in (made, exported):
        folder.mkdir()
        holder(folder)
    options = ["--network", "srcnn"] if application == "super-resolution" else []
    for arguments in ((verb, digits / "00.png", "--out", made), ("export", "--format", "litert", "--out", exported)):
        code, _, err = run(capsys, command, *arguments, *options)
        assert (code, err.count("in use by another")) == (2, 1), err
        assert [path.name for path in Path(arguments[-1]).iterdir()] == [".lock"]


def test_parquet_without_pyarrow_says_to_install_it_and_no_more(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"needs pyarrow, not installed here; run: pip install 'pyarrow>=\d+'$"):
        batch_results.to_file(lambda files: [], [], True, tmp_path / "rows.parquet")


def test_parquet_holds_the_same_rows_and_is_continued(tmp_path, monkeypatch):
    pq = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(batch_results, "PARQUET_ROWS", 3)
    out = tmp_path / "rows.parquet"

    def rows_of(files):
        return [row for row in ROWS if row["file"] in files]

    for number in (3, 4):
        batch_results.to_file(rows_of, [row["file"] for row in ROWS[:number]], False, out)
        table = pq.read_table(out)
        assert [batch_results._without_null(row) for row in table.to_pylist()] == ROWS[:number]
    assert table.column("score").to_pylist() == [0.75, None, 0.75, None]
    assert [file.name for file in tmp_path.iterdir()] == ["rows.parquet"]


FLAT = """file,label,score,error,label_2,score_2,labels,windows
a.png,7,0.75,,1,0.1,,
b.png,,,damaged,,,,
c.wav,7,0.75,,1,0.1,,"[{""start"": 0.0, ""end"": 1.0, ""label"": ""7"", ""score"": 0.5}]"
d.wav,7,0.75,,1,0.1,,
Kätzchen.wav,7,0.75,,1,0.1,7;1,
"""


def test_csv_holds_the_same_rows_and_is_continued(tmp_path):
    out = tmp_path / "rows.CSV"
    rows = [*ROWS, {"file": "Kätzchen.wav", "labels": SCORED["top"], "top": SCORED["top"]}]
    for number in (2, 5, 5):
        files = [row["file"] for row in rows[:number]]
        batch_results.to_file(lambda files: [row for row in rows if row["file"] in files], files, False, out)
    assert out.read_text(encoding="utf-8") == FLAT
    assert [file.name for file in tmp_path.iterdir()] == ["rows.CSV"]


def test_csv_that_was_cut_short_is_continued(tmp_path):
    out = tmp_path / "rows.csv"

    def killed(files):
        yield ROWS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        batch_results.to_file(killed, ["a.png", "b.png"], False, out)
    assert not out.exists()
    asked = []
    batch_results.to_file(lambda files: asked.append(files) or [ROWS[1]], ["a.png", "b.png"], False, out)
    assert asked == [["b.png"]]
    assert out.read_text().splitlines()[1:] == ["a.png,7,0.75,,1,0.1", "b.png,,,damaged,,"]


@pytest.mark.parametrize("theirs", ["name,price\na,1\n", "file,label,score,error\na,b,c,d,e\n", "\xe9\n"])
def test_other_csv_is_left_as_it_is(tmp_path, theirs):
    out = tmp_path / "theirs.csv"
    out.write_bytes(theirs.encode("latin-1"))
    with pytest.raises(InputError, match="something else"):
        batch_results.to_file(lambda files: [], ["a"], False, out)
    assert out.read_bytes() == theirs.encode("latin-1")


@pytest.mark.parametrize("command", [mnist.command, audio.command, transfer.command, cats_vs_dogs.command])
@pytest.mark.parametrize("name", ["rows.txt", "rows", "rows.xlsx"])
def test_rows_are_refused_another_suffix_before_any_work(capsys, tmp_path, monkeypatch, command, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(backend, "use_backend", lambda *_: pytest.fail("work was begun"))
    code, out, err = run(capsys, command, "predict", "nowhere", "--out", name)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"--out {name}: rows are written as" in err
    assert not list(tmp_path.iterdir())


def test_names_that_parquet_cannot_hold_are_not_repeated(tmp_path, capsys):
    pytest.importorskip("pyarrow")
    out, odd = tmp_path / "rows.parquet", os.fsdecode(b"\xe9.png")
    for skipped in (0, 1):
        batch_results.to_file(lambda files: [{"file": file, **SCORED} for file in files], [odd], True, out)
        assert json.loads(capsys.readouterr().out)["skipped"] == skipped


def test_other_parquet_is_left_as_it_is(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    out = tmp_path / "theirs.parquet"
    parquet.write_table(pa.table({"mine": [1, 2]}), out)
    for content, said in ((out.read_bytes(), "something else"), (b"text", "no Parquet")):
        out.write_bytes(content)
        with pytest.raises(InputError, match=said):
            batch_results.to_file(lambda files: [], ["a"], False, out)
        assert out.read_bytes() == content


def results(folder, settings, rows):
    """What is kept of a call that makes pictures, and the files that it was asked for."""
    kept = batch_results.Results(folder, settings)
    made = []
    with contextlib.closing(kept.kept(row for row in rows if row["file"] not in kept.rows)) as left:
        for row in left:
            made.append(row["file"])
            if row.get("error") == "stop":
                break
    return made


def made_rows(folder, names):
    for name in names:
        (folder / f"{name}_x2").touch()
    return [{"file": name, "out": str(folder / f"{name}_x2")} for name in names]


def test_a_call_that_was_cut_short_goes_on(tmp_path):
    rows = made_rows(tmp_path, "abc")
    assert results(tmp_path, {"scale": 2}, [rows[0], {"file": "x", "error": "stop"}, *rows[1:]]) == ["a", "x"]
    with (tmp_path / "results.jsonl").open("a") as stream:
        stream.write('{"file": "b", "o')
    assert results(tmp_path, {"scale": 2}, [rows[0], {"file": "x", "error": "stop"}, *rows[1:]]) == ["b", "c"]
    assert [row["file"] for row in lines(tmp_path / "results.jsonl")] == ["a", "x", "b", "c"]


@pytest.mark.parametrize("change", ["complete", "settings", "gone"])
def test_what_does_not_hold_any_more_is_made_anew(tmp_path, change):
    rows = made_rows(tmp_path, "ab")
    stop = [] if change == "complete" else [{"file": "x", "error": "stop"}]
    results(tmp_path, {"scale": 2}, [*rows, *stop])
    if change == "gone":
        (tmp_path / "a_x2").unlink()
        assert results(tmp_path, {"scale": 2}, rows) == ["a"]
    else:
        scale = 3 if change == "settings" else 2
        assert results(tmp_path, {"scale": scale}, rows) == ["a", "b"]
    assert sorted(row["file"] for row in lines(tmp_path / "results.jsonl") if "out" in row) == ["a", "b"]


def test_upscale_killed_goes_on_where_it_stopped(digits, tmp_path, capsys):
    out = tmp_path / "larger"
    options = ["upscale", str(digits), "--network", "srcnn", "--out", str(out), "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "convmedia.apps", "super-resolution", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and not ((out / "results.jsonl").exists() and len(lines_so_far(out)) > 10):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = len(lines_so_far(out))
    if before == 70:
        pytest.skip("it was done before it could be killed")
    code, printed, said = run(capsys, super_resolution.command, *options)
    assert code == 1
    assert f"{before} files" in said
    assert len(json.loads(printed)) == 70 - before
    names = [row["file"] for row in lines(out / "results.jsonl")]
    assert sorted(names) == sorted(map(str, digits.iterdir())) and len(set(names)) == 70
    assert run(capsys, super_resolution.command, *options)[1].count('"file"') == 70  # complete: from the start


def lines_so_far(out):
    return (out / "results.jsonl").read_text().split("\n")[:-1]


def test_files_are_named_by_a_list(digits, tmp_path, capsys):
    listed = tmp_path / "list.txt"
    listed.write_bytes(b"\n".join(os.fsencode(digits / name) for name in ("01.png", "02.png")) + b"\n\n")
    code, printed, _ = run(capsys, mnist.command, "predict", digits / "00.png", "--files-from", listed, "--json")
    assert code == 0
    assert [row["file"][-6:] for row in json.loads(printed)] == ["00.png", "01.png", "02.png"]
    for arguments, said in ((("predict",), "no file is named"), (("predict", "--files-from", "no"), "No such file")):
        code, _, err = run(capsys, mnist.command, *arguments)
        assert code == 2
        assert said in err


def test_parts_of_a_list_are_answered_as_the_list(digits):
    from convmedia.models import shipped

    predictor, files = shipped("mnist"), sorted(digits.iterdir())
    together = predictor.predict_files(files)
    assert [*predictor.predict_files(files[:32]), *predictor.predict_files(files[32:])] == together


def test_rays_rows_are_those_of_one_process(digits, tmp_path):
    pytest.importorskip("ray")
    for engine in ("local", "ray"):
        arguments = ["mnist", "predict", str(digits), "--out", str(tmp_path / f"{engine}.jsonl"), "--engine", engine]
        done = subprocess.run([sys.executable, "-m", "convmedia.apps", *arguments], timeout=300, check=False)
        assert done.returncode == 1  # one file is damaged
    assert lines(tmp_path / "ray.jsonl") == lines(tmp_path / "local.jsonl")


def test_without_ray_one_line_says_what_to_install(digits, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    code, _, err = run(capsys, mnist.command, "predict", digits, "--engine", "ray")
    assert code == 2
    assert "needs ray" in err and "pip install " in err and "'ray[data]>=" in err and err.count("\n") == 1
