"""`convmedia transfer embed`: vectors with file names, what is left out, what is refused."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import convmedia
from convmedia.apps import transfer
from convmedia.apps.cli.entry import exit_code
from convmedia.data import samples
from convmedia.models.inference.features import Pretrained, of_files


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    found = [path for path in samples.copy(folder) if path.suffix == ".jpg"]
    (folder / "bad.jpg").write_text("no picture")
    return sorted(found)


def embed(capsys, *arguments):
    code = exit_code(transfer.command, ["embed", *map(str, arguments)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_vectors_stand_beside_names_in_the_order_given(files, tmp_path, capsys):
    out = tmp_path / "features.npz"
    code, printed, _ = embed(capsys, files[1], files[0], files[1], "--out", out, "--json")
    assert code == 0
    assert json.loads(printed) == {"out": str(out), "files": 3, "size": 1280, "errors": []}
    found = np.load(out)
    assert found["files"].tolist() == [str(files[1]), str(files[0]), str(files[1])]
    assert (found["features"].shape, found["features"].dtype) == ((3, 1280), np.float32)
    np.testing.assert_array_equal(
        found["features"], of_files(Pretrained("efficientnet-lite0"), files).vectors[[1, 0, 1]]
    )


def test_damaged_files_are_named_and_left_out(files, tmp_path, capsys):
    names = tmp_path / "list.txt"
    names.write_text(f"{files[0].parent / 'bad.jpg'}\n{files[0]}\n{tmp_path / 'gone.jpg'}\n")
    code, printed, err = embed(capsys, "--files-from", names, "--out", tmp_path / "f.npz")
    assert code == 1
    assert printed == f"1 vector of 1,280 numbers in {tmp_path / 'f.npz'}, 2 left out\n"
    left_out = [line for line in err.splitlines() if line.startswith("left out: ")]
    assert ["bad.jpg" in left_out[0], "gone.jpg" in left_out[1], len(left_out)] == [True, True, 2]
    assert np.load(tmp_path / "f.npz")["files"].tolist() == [str(files[0])]


def test_those_of_a_trained_model_are_what_python_gives(files, tmp_path, capsys):
    code, _, _ = embed(capsys, *files, "--model", "mnist", "--out", tmp_path / "f.npz")
    assert code == 0
    model = convmedia.load("mnist")
    np.testing.assert_allclose(
        np.load(tmp_path / "f.npz")["features"], model.embed([str(one) for one in files]), atol=1e-5
    )


def test_a_table_has_the_same(files, tmp_path, capsys):
    if find_spec("pyarrow") is None:
        pytest.skip("pyarrow is not installed")
    import pyarrow.parquet as pq

    for name in ("f.npz", "f.parquet"):
        assert embed(capsys, *files, "--out", tmp_path / name)[0] == 0
    table = pq.read_table(tmp_path / "f.parquet")
    found = np.load(tmp_path / "f.npz")
    assert table["file"].to_pylist() == found["files"].tolist()
    np.testing.assert_array_equal(np.array(table["features"].to_pylist(), np.float32), found["features"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "f.csv"], "written as .npz or .parquet"),
        (["--out", "f.npz", "--model", "mnist", "--backbone", "vgg16"], "give --model or --backbone"),
        (["--out", "f.npz", "--backbone", "vgg17"], "no backbone is called 'vgg17'"),
        (["--out", "f.npz", "--model", "audio"], "takes a sound"),
        (["--out", "f.npz", "--model", "vdsr-x2"], "answers with a picture"),
    ],
)
def test_what_does_not_fit_is_one_line(files, capsys, arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, printed, err = embed(capsys, files[0], *arguments)
    assert (code, printed) == (2, "") and words in err
    assert not Path("f.npz").exists()
