"""`convmedia super-resolution` as a user meets it, on small drawn pictures."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from PIL import Image

from convmedia.apps import super_resolution
from convmedia.apps.classification.photo_pipeline import sample_photos
from convmedia.apps.cli import entry
from convmedia.apps.tasks.super_resolution import evaluate, recipes
from convmedia.apps.tasks.super_resolution.evaluate import averaged
from convmedia.apps.tasks.super_resolution.model_choice import at_precision
from convmedia.apps.training import mixed_precision
from convmedia.data.transforms import bicubic as transforms_bicubic
from convmedia.models import load, shipped
from convmedia.models.answer import PICTURE
from convmedia.models.inference.tiling import whole_picture
from convmedia.models.networks.catalogue import SUPER_RESOLUTION
from convmedia.models.networks.super_resolution import whole
from convmedia.models.saving.assembly import assemble
from convmedia.models.saving.files import save

SEED = np.array([3, 5], np.int32)
QUICK = ["--network", "srcnn", "--epochs", "2", "--batch-size", "4", "--limit", "24", "--precision", "float32"]


def opened(path):
    with Image.open(path) as image:
        return np.array(image)


def run(capsys, *arguments):
    """Exit code, standard output and standard error of a command in this process."""
    code = entry.exit_code(super_resolution.command, [str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def drawn(height, width, seed=0):
    """Discs and bars over a slope: edges in every direction, uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    picture = np.stack([np.linspace(40, 200, width)] * height)[..., None] * rng.uniform(0.5, 1, 3)
    for _ in range(12):
        inside = (y - rng.uniform(0, height)) ** 2 + (x - rng.uniform(0, width)) ** 2 < rng.uniform(3, 15) ** 2
        picture[inside] = rng.uniform(0, 255, 3)
    return picture.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    for number in range(8):
        Image.fromarray(drawn(150, 160 + number, number)).save(root / f"{number}.png")
    (root / "cut.png").write_bytes((root / "1.png").read_bytes()[:400])
    return root


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "srcnn"
    arguments = ["train", "--data", str(folder), *QUICK, "--out", str(out)]
    assert entry.exit_code(super_resolution.command, arguments) == 0
    return out


def model_file(path, name="srcnn", scale=2):
    """An untrained network as a file; srcnn and vdsr then answer what bicubic does."""
    network = SUPER_RESOLUTION[name].build(scale)
    details = {"network": name, "scale": scale, "seed": 0}
    save(
        assemble(whole(network, scale), app="super-resolution", labels=None, input=PICTURE, details=details),
        path,
    )
    return path


@pytest.fixture(scope="module")
def bicubic(tmp_path_factory):
    return model_file(tmp_path_factory.mktemp("models") / "bicubic.keras")


def test_a_run_folder_holds_what_the_contract_names(trained, folder):
    names = {path.name for path in trained.iterdir()}
    assert {"model.keras", "checkpoint", "run.json", "history.csv", "report.html", "examples.npz"} <= names
    record = json.loads((trained / "run.json").read_text())
    assert (record["app"], record["status"], record["input"]) == ("super-resolution", "complete", PICTURE)
    assert {name: record["data"][name] for name in ("name", "train", "validation", "left_out")} == {
        "name": str(folder),
        "train": 7,
        "validation": 1,
        "left_out": 1,
    }
    held = min(sorted(folder.glob("?.png")), key=lambda path: hashlib.sha256(path.read_bytes()).hexdigest())
    luma = transforms_bicubic.modcrop(transforms_bicubic.luma(opened(held)), 2).astype(np.float64)
    enlarged = transforms_bicubic.imresize(
        transforms_bicubic.imresize(luma, 0.5, border="symmetric"), 2, border="symmetric"
    )
    error = (np.round(enlarged) - luma)[2:-2, 2:-2]
    assert record["metrics"]["x2"]["bicubic_psnr"] == pytest.approx(10 * np.log10(255**2 / np.mean(error**2)), abs=1e-3)
    assert "cut.png" in (trained / "report.html").read_text()


def test_several_scales_are_several_files(folder, tmp_path, capsys):
    arguments = ("--network", "vdsr", "--epochs", 1, "--batch-size", 2, "--limit", 2)
    scales = ("--scale", 2, "--scale", 4)
    code, out, err = run(capsys, "train", "--data", folder, *arguments, *scales, "--out", tmp_path / "run")
    assert code == 0, err
    assert [line.split()[0] for line in out.splitlines()[:2]] == ["x2", "x4"]
    models = [load(tmp_path / "run" / f"model_x{scale}.keras") for scale in (2, 4)]
    assert [model.details["scale"] for model in models] == [2, 4]
    for one, other in zip(models[0].model.weights, models[1].model.weights, strict=True):
        np.testing.assert_array_equal(one, other)  # one network for both
    code, _, err = run(capsys, "evaluate", "--data", folder, "--model", tmp_path / "run", "--scale", 3)
    assert code == 2
    assert "no model of scale 3, only of 2, 4" in err


def test_networks_of_one_scale_are_trained_one_after_the_other(folder, tmp_path, capsys):
    short = (*QUICK, "--epochs", 1, "--limit", 4, "--scale", 2, "--scale", 3)
    code, out, err = run(capsys, "train", "--data", folder, *short, "--out", tmp_path / "run")
    assert code == 0, err
    assert {"model_x2.keras", "model_x3.keras", "x2", "x3"} <= {path.name for path in (tmp_path / "run").iterdir()}
    assert set(json.loads((tmp_path / "run" / "run.json").read_text())["metrics"]) == {"x2", "x3"}
    assert "x3  PSNR" in out


def test_what_small_luma_learns_from_validates_and_is_measured_on_is_one_thing():
    """All three are luma that was shrunk and not rounded, here of a ramp, which shrinking leaves a ramp."""
    ramp = np.linspace(20, 220, 300)[np.newaxis, :, np.newaxis].repeat(300, 0)
    picture = np.floor(ramp).astype(np.uint8)
    wanted = transforms_bicubic.imresize(picture[..., 0].astype(np.float64), 1 / 3, border="symmetric")
    validated, target = recipes.pair(picture, "small-luma", 3)
    assert (validated.shape, target.shape) == ((48, 48, 1), (144, 144, 1))
    np.testing.assert_allclose(validated[..., 0], wanted[26:74, 26:74], atol=1e-9)
    asked = evaluate.shrunk(picture, "small-luma", 3)
    np.testing.assert_allclose(transforms_bicubic.luma(asked), wanted, atol=1e-9)
    learned, _ = recipes.recipe(recipes.TRAININGS["espcn"], "small-luma", 3)(picture[np.newaxis, :156, :156], SEED)
    assert learned.shape == (1, 48, 48, 1)
    assert np.mean(np.abs(learned * 255 - np.round(learned * 255)) > 0.01) > 0.5


def test_a_network_of_small_luma_is_trained_measured_and_enlarges(folder, tmp_path, capsys):
    """From scale 2 to 3 it keeps what it has learned: all convolutions but the one whose channels become pixels."""
    short = ("--network", "espcn", "--epochs", 1, "--batch-size", 4, "--limit", 8, "--ema", 0.9)
    code, _, err = run(capsys, "train", "--data", folder, *short, "--scale", 2, "--scale", 3, "--out", tmp_path / "run")
    assert code == 0, err
    assert f"starting from {tmp_path / 'run' / 'x2' / 'model.keras'}: 9 layers" in err
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    for scale in (2, 3):
        figures = record["metrics"][f"x{scale}"]
        assert figures["psnr"] == pytest.approx(figures["bicubic_psnr"], abs=0.5)  # where it starts
    Image.fromarray(drawn(23, 31)).save(tmp_path / "a.png")
    arguments = (tmp_path / "a.png", "--model", tmp_path / "run", "--scale", 3, "--out", tmp_path / "out")
    whole_one = opened(upscaled(capsys, *arguments)[1][0]["out"])
    tiled = opened(upscaled(capsys, *arguments, "--tile", 30)[1][0]["out"])
    assert whole_one.shape == (69, 93, 3)
    np.testing.assert_array_equal(whole_one, tiled)


@pytest.mark.slow
def test_a_killed_training_ends_with_the_same_weights(folder, trained, tmp_path):
    command = [sys.executable, "-m", "convmedia.apps", "super-resolution", "train", "--data", str(folder), *QUICK]
    command += ["--out", str(tmp_path / "run")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (tmp_path / "run" / "history.csv").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=300)
    subprocess.run([*command, "--resume"], stderr=subprocess.DEVNULL, timeout=300, check=True)
    for one, other in zip(load(trained).model.weights, load(tmp_path / "run").model.weights, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other))


def test_evaluate_measures_bicubic_where_the_network_is_the_identity(folder, bicubic, capsys):
    code, out, err = run(capsys, "evaluate", "--data", folder, "--model", bicubic, "--json")
    assert code == 1, err  # one file is cut
    found = json.loads(out)
    assert (found["network"], found["scale"]) == ("srcnn", 2)
    mean = found["metrics"][str(folder)]
    assert mean["psnr"] == pytest.approx(mean["bicubic_psnr"], abs=0.05)  # borders differ: repeated, mirrored
    good = [row for row in found["images"] if "error" not in row]
    assert (len(good), len(found["images"])) == (8, 9)
    assert mean["psnr"] == pytest.approx(np.mean([row["psnr"] for row in good]))


def test_the_ensemble_is_the_mean_of_eight():
    """What a network adds from left to right is, over all flips and turns, the same everywhere."""

    def leaning(picture):
        larger = picture.repeat(2, 0).repeat(2, 1).astype(np.float64)
        return larger + np.arange(larger.shape[1])[:, None]

    square = drawn(9, 9)
    np.testing.assert_allclose(averaged(leaning)(square), square.repeat(2, 0).repeat(2, 1) + 17 / 2, atol=1e-9)
    oblong = drawn(4, 7)  # four of the eight lean along its height
    assert averaged(leaning)(oblong).mean() == pytest.approx(oblong.mean() + (13 + 7) / 4)


def test_evaluate_says_that_it_was_the_ensemble(folder, trained, capsys):
    code, out, _ = run(capsys, "evaluate", "--data", folder, "--model", trained, "--ensemble")
    assert code == 1  # one file is cut
    assert out.startswith(f"{folder}, srcnn x2, ensemble\n")


@pytest.mark.parametrize("name", ["Set5", pytest.param("Set14", marks=pytest.mark.slow)])
def test_bicubic_rows_are_the_published_ones(name, bicubic, capsys):
    if "CONVMEDIA_DATA" not in os.environ:
        pytest.skip("needs the benchmark pictures")
    found = json.loads(run(capsys, "evaluate", "--data", name, "--model", bicubic, "--json")[1])
    assert found["metrics"][name]["bicubic_psnr"] == pytest.approx({"Set5": 33.661, "Set14": 30.232}[name], abs=0.01)


def upscaled(capsys, *arguments, precision="float32"):
    code, out, err = run(capsys, "upscale", *arguments, "--precision", precision, "--json")
    return code, json.loads(out) if out else None, err


def test_an_identity_enlarges_as_imresize_does(bicubic, tmp_path, capsys):
    picture = drawn(23, 31)
    Image.fromarray(picture).save(tmp_path / "a.png")
    code, rows, _ = upscaled(capsys, tmp_path / "a.png", "--model", bicubic, "--out", tmp_path / "out", "--tile", 16)
    assert code == 0
    assert rows[0] == {"file": str(tmp_path / "a.png"), "out": str(tmp_path / "out" / "a_x2.png")} | {
        "width": 62,
        "height": 46,
        "precision": "float32",
        "runtime": "keras",
        "seconds": rows[0]["seconds"],
    }
    expected = np.clip(np.round(transforms_bicubic.imresize(picture.astype(np.float64), 2)), 0, 255)
    answer = opened(rows[0]["out"]).astype(float)
    assert np.mean(np.abs(answer - expected) > 0) < 0.01  # halves may be rounded either way
    assert np.abs(answer - expected).max() <= 1


def test_bfloat16_differs_by_a_level_or_two_and_sixteen_bits_stay_exact(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    Image.fromarray(drawn(40, 50)).save(tmp_path / "in" / "eight.png")
    Image.fromarray(drawn(40, 50)[..., 0].astype(np.uint16) * 257).save(tmp_path / "in" / "sixteen.png")
    answers = {}
    for precision in ("float32", "bfloat16"):
        code, rows, _ = upscaled(capsys, tmp_path / "in", "--out", tmp_path / precision, precision=precision)
        assert code == 0
        assert [row["precision"] for row in rows] == [precision, "float32"]
        answers[precision] = [opened(row["out"]).astype(int) for row in rows]
    (exact, fine), (quick, as_fine) = answers["float32"], answers["bfloat16"]
    assert np.abs(exact - quick).max() <= 4
    assert 0 < np.sqrt(np.mean((exact - quick) ** 2)) < 0.75
    np.testing.assert_array_equal(fine, as_fine)


@pytest.mark.parametrize("network", ["srcnn", "vdsr", "carn-m"])
def test_in_bfloat16_tiles_are_the_whole_picture_too(network):
    predictor = at_precision(shipped(f"{network}_x2"), 2, "bfloat16")
    picture = drawn(70, 83)
    whole_one, tiled = whole_picture(predictor, picture, 2), whole_picture(predictor, picture, 2, 48)
    assert np.abs(whole_one - tiled).max() / 255 <= 1e-5


def test_evaluate_says_what_it_computed_in(folder, trained, capsys):
    arguments = ["evaluate", "--data", folder, "--model", trained]
    exact, quick = (run(capsys, *arguments, "--precision", name, "--json")[1] for name in ("float32", "bfloat16"))
    (exact, quick) = json.loads(exact), json.loads(quick)
    assert (exact["precision"], quick["precision"]) == ("float32", "bfloat16")
    assert 0 < abs(exact["metrics"][str(folder)]["psnr"] - quick["metrics"][str(folder)]["psnr"]) < 0.5
    assert run(capsys, *arguments, "--precision", "bfloat16")[1].startswith(f"{folder}, srcnn x2, bfloat16\n")


def test_what_is_measured_is_what_is_made(tmp_path, capsys, monkeypatch):
    """On a processor that multiplies bfloat16 too: `evaluate` and `upscale` without options compute alike."""
    monkeypatch.setattr(mixed_precision, "cpu_multiplies_bfloat16", lambda: True)
    original = sample_photos()[2][:48, :64]
    (tmp_path / "in").mkdir()
    Image.fromarray(original).save(tmp_path / "in" / "one.png")
    Image.fromarray(transforms_bicubic.imresize(original, 1 / 2, border="symmetric")).save(tmp_path / "small.png")
    measured = json.loads(run(capsys, "evaluate", "--data", tmp_path / "in", "--json")[1])
    code, out, _ = run(capsys, "upscale", tmp_path / "small.png", "--out", tmp_path / "out", "--json")
    [row] = json.loads(out)
    assert (code, measured["precision"], row["precision"]) == (0, "float32", "float32")
    found, wanted = (transforms_bicubic.luma(picture).astype(float) for picture in (opened(row["out"]), original))
    psnr = 20 * np.log10(255 / np.sqrt(np.mean((found - wanted)[2:-2, 2:-2] ** 2)))
    assert psnr == pytest.approx(measured["images"][0]["psnr"], abs=0.05)  # the file's colours are whole numbers


def test_alpha_grey_depth_profile_and_exif_are_kept(bicubic, tmp_path, capsys):
    from PIL import ImageCms

    colour = drawn(20, 24)
    alpha = np.linspace(0, 255, 20 * 24).reshape(20, 24, 1).astype(np.uint8)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x013B] = "Ada"
    Image.fromarray(np.concatenate([colour, alpha], 2)).save(tmp_path / "rgba.png", icc_profile=profile, exif=exif)
    Image.fromarray(colour[..., 0]).save(tmp_path / "grey.jpg", exif=exif)
    Image.fromarray(colour[..., 0].astype(np.uint16) * 257).save(tmp_path / "deep.png")
    code, rows, err = upscaled(capsys, tmp_path, "--model", bicubic, "--out", tmp_path / "out")
    assert code == 0, err
    made = {row["file"].rpartition("/")[2]: row["out"] for row in rows}
    with Image.open(made["rgba.png"]) as rgba, Image.open(made["grey.jpg"]) as grey:
        assert (rgba.mode, rgba.size, rgba.info["icc_profile"]) == ("RGBA", (48, 40), profile)
        np.testing.assert_array_equal(np.asarray(rgba)[..., 3], transforms_bicubic.imresize(alpha[..., 0], 2))
        assert (rgba.getexif()[0x013B], grey.getexif()[0x013B]) == ("Ada", "Ada")
        assert (grey.mode, grey.format) == ("L", "JPEG")
    deep = opened(made["deep.png"]).astype(float)
    expected = transforms_bicubic.imresize(colour[..., 0].astype(np.float64) * 257, 2)
    np.testing.assert_allclose(deep, np.clip(expected, 0, 65535), atol=1.0)


def test_compare_puts_bicubic_beside(bicubic, tmp_path, capsys):
    Image.fromarray(drawn(20, 24)).save(tmp_path / "a.png")
    assert upscaled(capsys, tmp_path / "a.png", "--model", bicubic, "--compare", "--out", tmp_path / "out")[0] == 0
    pair = opened(tmp_path / "out" / "a_x2_compare.png").astype(int)
    assert pair.shape == (40, 48 + 8 + 48, 3)
    assert np.abs(pair[:, :48] - pair[:, 56:]).max() <= 2  # the same here, but MATLAB rounds after rows, too


def test_odd_pictures_are_enlarged(bicubic, tmp_path, capsys):
    Image.fromarray(drawn(1, 1)).save(tmp_path / "dot.png")
    Image.fromarray(drawn(2000, 3)).save(tmp_path / "line.png")
    Image.fromarray(drawn(20, 20)).quantize(8).save(tmp_path / "palette.png")
    Image.fromarray(drawn(20, 20)).convert("CMYK").save(tmp_path / "cmyk.jpg")
    Image.fromarray(drawn(20, 20)).save(tmp_path / "first.gif")
    code, rows, err = upscaled(capsys, tmp_path, "--model", bicubic, "--out", tmp_path / "out")
    assert code == 0, err
    sizes = {row["file"].rpartition("/")[2]: opened(row["out"]).shape[1::-1] for row in rows}
    assert sizes == {
        "cmyk.jpg": (40, 40),
        "dot.png": (2, 2),
        "first.gif": (40, 40),
        "line.png": (6, 4000),
        "palette.png": (40, 40),
    }


def test_one_bad_file_among_ten_is_one_error_row(bicubic, tmp_path, capsys):
    for number in range(10):
        Image.fromarray(drawn(20, 20, number)).save(tmp_path / f"{number}.png")
    (tmp_path / "4.png").write_bytes(b"no picture")
    code, rows, _ = upscaled(capsys, tmp_path, "--model", bicubic, "--out", tmp_path / "out")
    assert code == 1
    assert [index for index, row in enumerate(rows) if "error" in row] == [4]
    assert "no picture of a known format" in rows[4]["error"]
    assert len(list((tmp_path / "out").glob("*.png"))) == 9
    assert [json.loads(row) for row in (tmp_path / "out" / "results.jsonl").read_text().splitlines()] == rows


def test_folders_keep_their_structure_and_nothing_is_replaced_twice(bicubic, tmp_path, capsys):
    for place in ("in/a/x.png", "in/b/x.png", "other/x.png", "again/x.png"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawn(8, 8)).save(tmp_path / place)
    inputs = (tmp_path / "in", tmp_path / "other" / "x.png", tmp_path / "again" / "x.png")
    code, rows, _ = upscaled(capsys, *inputs, "--model", bicubic, "--out", tmp_path / "out")
    assert code == 1
    made = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.png"))
    assert made == ["a/x_x2.png", "b/x_x2.png", "x_x2.png"]
    assert "would replace" in rows[3]["error"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scale", "5"], "--scale 5: is not one of '2', '3', '4'"),
        (["--scale", "3"], "is of scale 2; leave it out"),
        (["--network", "vdsr"], "is of network srcnn; leave it out"),
        (["--tile", "0"], "--tile 0: give 16 or more"),
    ],
    ids=str,
)
def test_options_that_do_not_fit_are_refused(arguments, said, bicubic, tmp_path, capsys):
    Image.fromarray(drawn(8, 8)).save(tmp_path / "a.png")
    code, _, err = run(capsys, "upscale", tmp_path / "a.png", "--model", bicubic, "--out", tmp_path / "o", *arguments)
    assert code == 2
    assert said in err
    assert len(err.strip().splitlines()) == 1


def test_an_output_folder_that_is_a_file_is_refused(bicubic, tmp_path, capsys):
    Image.fromarray(drawn(8, 8)).save(tmp_path / "a.png")
    code, _, err = run(capsys, "upscale", tmp_path / "a.png", "--model", bicubic, "--out", tmp_path / "a.png")
    assert code == 2
    assert str(tmp_path / "a.png") in err


def test_a_full_disk_leaves_nothing_half_written(bicubic, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    script = (
        "import resource, signal, sys\n"
        "from convmedia.apps.__main__ import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "main()\n"
    )
    arguments = ["super-resolution", "upscale", tmp_path / "a.png", "--model", bicubic, "--out", tmp_path / "out"]
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 2, done.stderr
    assert "File too large" in done.stderr
    left = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert left.keys() == {"results.jsonl", ".unfinished.json"}  # the next call goes on
    assert left["results.jsonl"] == ""


def test_exports_of_a_run_are_verified(trained, tmp_path, capsys):
    code, out, err = run(capsys, "export", "--model", trained, "--format", "onnx", "--out", tmp_path, "--json")
    assert code == 0, err
    assert json.loads(out)["onnx"]["max_abs_diff"] <= 1e-4
