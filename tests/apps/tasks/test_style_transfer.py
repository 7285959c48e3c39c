"""`convmedia style-transfer` as a user meets it, on small drawn pictures."""

import csv
import json
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from PIL import Image

from convmedia.apps import style_transfer
from convmedia.apps.cli import entry
from convmedia.apps.tasks.style_transfer import multiscale
from convmedia.apps.tasks.style_transfer import options as style_transfer_options
from convmedia.apps.tasks.style_transfer.apply import Steady
from convmedia.data.images import decoding
from convmedia.data.transforms import colour_transfer
from convmedia.models import load
from convmedia.models.losses import style_losses, style_objective

RNG = np.random.default_rng(0)
STARRY = "style/starry_night.jpg"


def run(capsys, *arguments):
    """Exit code, standard output and standard error of a command in this process."""
    code = entry.exit_code(style_transfer.command, [str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def opened(path):
    with Image.open(path) as image:
        return np.array(image).astype(int)


def drawn(height, width, seed):
    """Discs over a slope, uint8 (height, width, 3)."""
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
    Image.fromarray(drawn(48, 64, 1)).save(root / "photo.png")
    Image.fromarray(drawn(50, 40, 2)).save(root / "painting.png")
    Image.fromarray(drawn(44, 60, 3)).save(root / "other.png")
    mask = np.zeros((48, 64), np.uint8)
    mask[:, :24] = 255
    Image.fromarray(mask).save(root / "mask.png")
    (root / "cut.png").write_bytes((root / "painting.png").read_bytes()[:300])
    return root


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    for number in range(5):
        Image.fromarray(drawn(70, 80, 10 + number)).save(root / f"{number}.png")
    return root


@pytest.fixture
def stylize(capsys, folder, small_vgg, tmp_path):
    def command(*options, content="photo.png", styles=("painting.png",), out="out.png"):
        pictures = [folder / content, *(folder / style_losses for style_losses in styles)]
        given = ("--out", tmp_path / out, "--weights", small_vgg, "--steps", 12, "--scales", 2, "--every", 5)
        return run(capsys, "stylize", *pictures, *given, *options)

    return command


def test_the_loss_falls_and_everything_is_kept(stylize, tmp_path):
    code, out, err = stylize("--json", "--animation", tmp_path / "steps.gif")
    assert code == 0, err
    row = json.loads(out)
    assert (row["width"], row["height"], row["steps"], row["stopped"]) == (64, 48, 12, None)
    assert opened(row["out"]).shape == (48, 64, 3)
    steps = tmp_path / "out_steps"
    names = {path.name for path in steps.iterdir()}
    assert names == {"00005.jpg", "00010.jpg", "history.csv", "report.html", "run.json"}
    with (steps / "history.csv").open() as file:
        history = list(csv.DictReader(file))
    assert [int(line["step"]) for line in history] == list(range(1, 13))
    assert float(history[-1]["loss"]) < 0.5 * float(history[6]["loss"])
    assert json.loads((steps / "run.json").read_text())["status"] == "complete"
    with Image.open(tmp_path / "steps.gif") as animation:
        assert (animation.n_frames, animation.size) == (3, (64, 48))


def test_an_animation_of_fewer_steps_than_every_has_frames_on_the_way(stylize, tmp_path):
    code, _, err = stylize("--steps", 4, "--every", 50, "--animation", tmp_path / "steps.webp")
    assert code == 0, err
    with Image.open(tmp_path / "steps.webp") as animation:
        assert animation.n_frames > 3


def test_the_same_seed_gives_the_same_picture(stylize, tmp_path):
    for name, seed in (("a.png", 1), ("b.png", 1), ("c.png", 2)):
        assert stylize("--start", "noise", "--seed", seed, out=name)[0] == 0
    one, again, other = (opened(tmp_path / name) for name in ("a.png", "b.png", "c.png"))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 10


def test_luminance_leaves_chroma(stylize, folder, tmp_path):
    assert stylize("--colour", "luminance")[0] == 0
    photo, result = opened(folder / "photo.png"), opened(tmp_path / "out.png")
    change = result - photo
    assert np.abs(change).max() > 10
    luma = change @ [0.299, 0.587, 0.114]
    assert np.abs(0.564 * (change[..., 2] - luma)).max() <= 1
    assert np.abs(0.713 * (change[..., 0] - luma)).max() <= 1


@pytest.mark.parametrize("colour", ["covariance", "histogram"])
def test_colours_are_matched_to_the_photos(colour, folder):
    files = [folder / "photo.png", [folder / "painting.png"], []]
    wanted = multiscale.read(*files, start="content", blend=[1.0], size=64)
    painting = multiscale.Scene(wanted, (48, 64), 1.0, colour).paintings[0]
    recoloured = {"covariance": colour_transfer.with_covariance_of, "histogram": colour_transfer.with_histogram_of}[
        colour
    ]
    np.testing.assert_array_equal(painting, recoloured(wanted.paintings[0], wanted.content))


def test_what_a_mask_leaves_out_stays(stylize, folder, tmp_path):
    assert stylize("--mask", folder / "mask.png")[0] == 0
    change = np.abs(opened(tmp_path / "out.png") - opened(folder / "photo.png"))
    assert change[:, 24:].max() <= 2
    assert change[:, :24].max() > 10


def test_each_style_has_its_mask(stylize, folder, tmp_path):
    Image.fromarray(255 - opened(folder / "mask.png").astype(np.uint8)).save(tmp_path / "rest.png")
    masks = ("--mask", folder / "mask.png", "--mask", tmp_path / "rest.png")
    code, _, err = stylize(*masks, "--blend", "0.4,0.6", styles=("painting.png", "other.png"))
    assert code == 0, err


@pytest.mark.parametrize("other", ["out.png", "out.jpg"])
def test_two_processes_do_not_paint_into_one_file(stylize, tmp_path, other):
    lines = []

    class Meanwhile(Exception):
        pass

    def second(*_, **__):
        lines.append(stylize(out=other))
        raise Meanwhile

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multiscale, "stylized", second)
        with pytest.raises(Meanwhile):
            stylize()
    [(code, _, err)] = lines
    assert (code, f"{tmp_path / other} is in use by another process" in err, err.count("\n")) == (2, True, 1)
    assert stylize()[0] == 0  # nothing blocks it now
    assert not list(tmp_path.glob(".*.lock"))


def test_tiles_paint_the_same_picture(stylize, tmp_path, folder):
    Image.fromarray(drawn(80, 150, 4)).save(folder / "large.png")
    for name, tile in (("whole.png", 512), ("tiles.png", 64)):
        arguments = ("--tile", tile, "--steps", 4, "--scales", 1)
        assert stylize(*arguments, content="large.png", out=name)[0] == 0
    whole, tiled = opened(tmp_path / "whole.png"), opened(tmp_path / "tiles.png")
    # No seam: what differs by rounding differs no more at the borders of tiles than elsewhere.
    difference = np.abs(whole - tiled)
    assert difference.max() <= 3
    border = difference[:, [62, 63, 64, 65, 126, 127, 128, 129]].mean()
    assert border <= difference.mean() + 0.05


def test_alpha_and_depth_are_kept(stylize, folder, tmp_path):
    alpha = np.linspace(0, 255, 48 * 64).reshape(48, 64, 1).astype(np.uint8)
    Image.fromarray(np.concatenate([drawn(48, 64, 1), alpha], 2)).save(folder / "rgba.png")
    assert stylize(content="rgba.png")[0] == 0
    np.testing.assert_array_equal(opened(tmp_path / "out.png")[..., 3], alpha[..., 0])
    code, _, err = stylize(content="rgba.png", out="out.jpg")
    assert (code, "cannot hold" in err, (tmp_path / "out.jpg").exists()) == (2, True, False)


def test_a_kill_leaves_the_last_kept_picture(folder, small_vgg, tmp_path):
    command = [sys.executable, "-m", "convmedia.apps", "style-transfer", "stylize", folder / "photo.png"]
    command += [folder / "painting.png", "--out", tmp_path / "out.png", "--weights", small_vgg]
    command += ["--steps", "100000", "--every", "3", "--scales", "1"]
    process = subprocess.Popen([str(part) for part in command], stderr=subprocess.DEVNULL)
    while process.poll() is None and not (tmp_path / "out_steps" / "00006.jpg").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    assert opened(tmp_path / "out.png").shape == (48, 64, 3)
    assert json.loads((tmp_path / "out_steps" / "run.json").read_text())["status"] == "running"


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_picture(stylize, tmp_path, monkeypatch):
    true, calls = multiscale.Objective.__call__, []

    def broken(self, picture):
        calls.append(picture)
        losses, gradient = true(self, picture)
        return (losses._replace(total=float("nan")) if len(calls) == 9 else losses), gradient

    monkeypatch.setattr(multiscale.Objective, "__call__", broken)
    code, out, err = stylize("--json")
    row = json.loads(out)
    assert (code, row["stopped"], row["steps"]) == (1, "nan", 8)
    assert "the loss of step 9 is no number" in err
    best = calls[6:8]
    assert min(np.abs(opened(tmp_path / "out.png") - one).max() for one in best) <= 1


@pytest.mark.parametrize(
    ("options", "names", "said"),
    [
        ((), {"styles": ("cut.png",)}, "cut.png is cut or damaged"),
        ((), {"styles": ("absent.png",)}, "absent.png"),
        ((), {"content": "dot.png"}, "the content of 1x1 px is too small"),
        ((), {"styles": ("dot.png",)}, "a style picture of 1x1 px is too small"),
        (("--mask", "{folder}/other.png"), {}, "other.png is 60x44 px"),
        (("--blend", "1,2"), {}, "--blend 1,2: give 1 numbers"),
        (("--blend", "nan"), {}, "--blend nan"),
        (("--content-layer", "conv4_2"), {}, "lacks block3_conv1"),
        (("--weights", "{folder}/absent.npz"), {}, "there is no weights file"),
        (("--start", "{folder}/cut.png"), {}, "cut.png is cut or damaged"),
        (("--animation", "{folder}/a.mp4"), {}, "end it in .gif or .webp"),
        ((), {"out": "out.psd"}, "cannot hold"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(options, names, said, stylize, folder, tmp_path):
    Image.fromarray(drawn(1, 1, 0)).save(folder / "dot.png")
    code, _, err = stylize(*(str(option).format(folder=folder) for option in options), **names)
    assert (code, err.count("\n")) == (2, 1)
    assert said in err
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_was_given_is_not_replaced(capsys, folder, small_vgg):
    before = (folder / "photo.png").read_bytes()
    arguments = (folder / "photo.png", folder / "painting.png", "--out", folder / "photo.png", "--weights", small_vgg)
    code, _, err = run(capsys, "stylize", *arguments)
    assert (code, "is a picture that was given" in err) == (2, True)
    assert (folder / "photo.png").read_bytes() == before


def test_without_weights_and_network_the_place_for_the_file_is_said(run_command, folder, tmp_path):
    arguments = (folder / "photo.png", folder / "painting.png", "--out", tmp_path / "out.png")
    done = run_command("style-transfer", "stylize", *arguments, env={"KERAS_HOME": str(tmp_path / "keras")})
    assert (done.returncode, done.stderr.count("error")) == (2, 1)  # beside what Keras says of its download
    assert "put vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5 into" in done.stderr
    assert "none to start" not in done.stderr


TRAINING = ["--filters", "2", "--side", "32", "--epochs", "2", "--limit", "8", "--batch-size", "4"]


def train(photos, folder, weights, out, *options, styles=("painting.png",)):
    arguments = [
        "train",
        *(folder / style_losses for style_losses in styles),
        "--data",
        photos,
        "--weights",
        weights,
        "--out",
        out,
    ]
    return entry.exit_code(style_transfer.command, [str(part) for part in [*arguments, *TRAINING, *options]])


@pytest.fixture(scope="module")
def trained(photos, folder, small_vgg, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "one"
    assert train(photos, folder, small_vgg, out) == 0
    return out


@pytest.fixture(scope="module")
def trained_on_two(photos, folder, small_vgg, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "two"
    assert train(photos, folder, small_vgg, out, styles=("painting.png", "other.png")) == 0
    return out


def test_a_run_folder_holds_what_the_contract_names(trained):
    names = {path.name for path in trained.iterdir()}
    assert {"model.keras", "checkpoint", "run.json", "history.csv", "report.html", "examples.npz"} <= names
    record = json.loads((trained / "run.json").read_text())
    assert (record["app"], record["status"], record["data"]["train"]) == ("style-transfer", "complete", 4)
    assert load(trained).details["styles"] == ["painting"]


@pytest.mark.slow
def test_a_killed_training_ends_with_the_same_weights(photos, folder, small_vgg, trained, tmp_path):
    arguments = [folder / "painting.png", "--data", photos, "--weights", small_vgg, "--out", tmp_path / "run"]
    command = [sys.executable, "-m", "convmedia.apps", "style-transfer", "train", *map(str, arguments), *TRAINING]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while process.poll() is None and not (tmp_path / "run" / "history.csv").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=300)
    subprocess.run([*command, "--resume"], capture_output=True, timeout=300, check=True)
    for one, other in zip(load(trained).model.weights, load(tmp_path / "run").model.weights, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other))


def applied(capsys, *arguments):
    code, out, err = run(capsys, "apply", *arguments, "--json")
    return code, json.loads(out) if out else None, err


def test_apply_paints_every_file_and_keeps_alpha(trained, folder, tmp_path, capsys):
    alpha = np.linspace(0, 255, 30 * 41).reshape(30, 41, 1).astype(np.uint8)
    Image.fromarray(np.concatenate([drawn(30, 41, 1), alpha], 2)).save(tmp_path / "rgba.png")
    Image.fromarray(drawn(1, 1, 1)).save(tmp_path / "dot.png")
    Image.fromarray(drawn(9, 17, 1)[..., 0].astype(np.uint16) * 257).save(tmp_path / "deep.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    code, rows, err = applied(capsys, tmp_path, "--out", tmp_path / "out", "--model", trained)
    assert code == 1, err
    assert [row["file"].rpartition("/")[2] for row in rows if "error" in row] == ["bad.png"]
    result = opened(tmp_path / "out" / "rgba.png")
    np.testing.assert_array_equal(result[..., 3], alpha[..., 0])
    expected = load(trained)(drawn(30, 41, 1)[np.newaxis])[0]
    np.testing.assert_allclose(result[..., :3], np.round(expected), atol=1)
    assert opened(tmp_path / "out" / "dot.png").shape == (1, 1, 3)
    assert opened(tmp_path / "out" / "deep.png").shape == (9, 17, 3)


def test_a_blend_is_of_the_models_styles(trained_on_two, folder, tmp_path, capsys):
    photo = folder / "photo.png"
    for name, blend in (("one", "1,0"), ("two", "0,1"), ("half", "2,2")):
        arguments = (photo, "--out", tmp_path / name, "--model", trained_on_two, "--blend", blend)
        assert applied(capsys, *arguments)[0] == 0
    assert applied(capsys, photo, "--out", tmp_path / "plain", "--model", trained_on_two)[0] == 0
    np.testing.assert_array_equal(opened(tmp_path / "plain" / "photo.png"), opened(tmp_path / "half" / "photo.png"))
    code, _, err = applied(capsys, photo, "--out", tmp_path, "--model", trained_on_two, "--blend", "1")
    assert (code, "the model's styles are painting, other" in err) == (2, True)


def test_files_are_not_painted_over(trained, folder, tmp_path, capsys):
    Image.fromarray(drawn(20, 20, 1)).save(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    code, rows, _ = applied(capsys, tmp_path / "a.png", "--out", tmp_path, "--model", trained)
    assert (code, "would replace" in rows[0]["error"]) == (1, True)
    assert (tmp_path / "a.png").read_bytes() == before


def test_export_is_verified(trained_on_two, capsys, tmp_path):
    arguments = ("--model", trained_on_two, "--format", "onnx", "--out", tmp_path / "out", "--json")
    code, out, err = run(capsys, "export", *arguments)
    assert code == 0, err
    assert json.loads(out)["onnx"]["max_abs_diff"] < 1e-3


def test_stills_of_a_video_are_kept_steady():
    photo = RNG.uniform(0, 255, (4, 5, 3)).astype("float32")
    first, second = (RNG.uniform(0, 255, photo.shape).astype("float32") for _ in range(2))
    steady = Steady(0.75)
    np.testing.assert_array_equal(steady(photo, first), first)
    np.testing.assert_allclose(steady(photo, second), 0.75 * first + 0.25 * second, rtol=1e-5)
    np.testing.assert_array_equal(steady(photo + 40, first), first)  # another scene
    np.testing.assert_array_equal(steady(photo[:2], second[:2]), second[:2])


def test_shares_add_to_1():
    assert style_transfer_options.shares(None, 4) == [0.25] * 4
    assert style_transfer_options.shares("3,1", 2) == [0.75, 0.25]


def test_sizes_fit():
    assert multiscale.fitted((3000, 2000), 600) == (600, 400)
    assert multiscale.fitted((300, 200), 600) == (300, 200)
    assert multiscale.fitted((300, 1), 30) == (30, 1)
    assert multiscale.shares(200, 3) == [66, 66, 68]


def test_the_bridge_is_painted_as_a_starry_night(convmedia_data, tmp_path, capsys):
    files = convmedia_data / "style/content/golden_gate.jpg", convmedia_data / "style/style/starry_night.jpg"
    weights = convmedia_data / "backbones/vgg19_normalised_conv1_1_to_conv3_1_with_decoders.npz"
    options = ("--size", 96, "--scales", 1, "--steps", 60)
    assert run(capsys, "stylize", *files, "--weights", weights, *options, "--out", tmp_path / "out.png")[0] == 0
    with (tmp_path / "out_steps" / "history.csv").open() as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert min(losses) < 0.05 * losses[0]


def test_the_included_network_paints_as_a_starry_night(convmedia_data, tmp_path, capsys):
    photo, painting = (decoding.decode(convmedia_data / "style" / name) for name in ("content/golden_gate.jpg", STARRY))
    Image.fromarray(photo[100:340, 200:520]).save(tmp_path / "bridge.png")
    code, printed, err = run(capsys, "apply", tmp_path / "bridge.png", "--out", tmp_path / "out", "--json")
    assert code == 0, err
    assert json.loads(printed)[0]["width"] == 320
    seen = style_losses.extractor(convmedia_data / "backbones/vgg19_normalised_conv1_1_to_conv3_1_with_decoders.npz")
    painting = multiscale.resized(painting.astype(np.float32), multiscale.fitted(painting.shape[:2], 320))
    wanted = style_objective.grams_of(seen, painting)

    def loss(picture):
        return float(
            keras.ops.sum(style_losses.style_loss(style_objective.grams_of(seen, picture.astype(np.float32)), wanted))
        )

    assert loss(opened(tmp_path / "out" / "bridge.png")) < 0.2 * loss(photo[100:340, 200:520])
