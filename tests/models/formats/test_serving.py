"""The endpoint that takes files as they lie on a disk, and what exported files say of themselves."""

import json
import shutil
import wave

import keras
import numpy as np
import pytest
import soundfile
import tensorflow as tf
from PIL import Image

from convmedia.apps.__main__ import command
from convmedia.apps.cli.entry import exit_code
from convmedia.data.images import decoding
from convmedia.data.storage.errors import InputError
from convmedia.models.answer import PICTURE
from convmedia.models.export.exporter import export
from convmedia.models.formats import metadata, picture_decoding, serving
from convmedia.models.inference import predictor
from convmedia.models.networks import sounds as network_sounds
from convmedia.models.saving import assembly

LABELS = ["dark", "light", "neither"]


def photo(seed, height=37, width=52):
    """Smooth colours, as JPEG likes them, dark or light."""
    rng = np.random.default_rng(seed)
    least = 128 * (seed % 2)
    small = Image.fromarray(rng.integers(least, least + 128, (5, 6, 3), np.uint8))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def pictures():
    """A classifier by the mean of all pixels."""
    dense = keras.layers.Dense(3, activation="softmax")
    network = keras.Sequential([keras.Input((None, None, 3)), keras.layers.GlobalAveragePooling2D(), dense])
    dense.set_weights([np.repeat([[-0.03, 0.03, 0.0]], 3, axis=0), np.array([9.0, -14.0, 0.0])])
    details = {"network": "small"}
    model = assembly.assemble(network, app="transfer", labels=LABELS, input=PICTURE, details=details)
    return predictor.Predictor(model)


@pytest.fixture(scope="module")
def exported(pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    parity = export(pictures, ["saved-model", "onnx", "litert"], folder, [photo(seed) for seed in range(8)])
    assert not [name for name, entry in parity.items() if "refused" in entry], parity
    return folder


@pytest.fixture(scope="module")
def serve_bytes(exported):
    return tf.saved_model.load(str(exported / "saved_model")).signatures["serve_bytes"]


def contents(paths):
    return tf.constant([path.read_bytes() for path in paths])


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_files_get_the_answers_of_predict(pictures, serve_bytes, tmp_path, suffix, mode):
    paths = [tmp_path / f"{number}.{suffix}" for number in range(12)]
    for number, path in enumerate(paths):
        picture = Image.fromarray(photo(100 + number, 20 + 3 * number, 61 - 2 * number)).convert(mode)
        picture.save(path, **({"quality": 70 + number} if suffix == "jpg" else {}))
    answers = serve_bytes(file_bytes=contents(paths))
    rows = pictures.predict_files(paths, top=3)
    scores, labels = answers["scores"].numpy(), answers["labels"].numpy()
    assert labels.shape == scores.shape == (12, 3)
    assert len({row["label"] for row in rows}) > 1
    for row, these, names in zip(rows, scores, labels, strict=True):
        found = dict(zip((name.decode() for name in names), these, strict=True))
        assert max(found, key=found.get) == row["label"]
        assert {best["label"]: best["score"] for best in row["top"]} == pytest.approx(found, abs=1e-4)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_jpegs_are_decoded_to_the_same_pixels(tmp_path, mode, subsampling):
    options = {"subsampling": subsampling} if mode == "RGB" else {}
    Image.fromarray(photo(3, 61, 83)).convert(mode).save(tmp_path / "a.jpg", quality=85, **options)
    found = serving.decoded_picture(tf.constant((tmp_path / "a.jpg").read_bytes())).numpy()
    np.testing.assert_array_equal(found, decoding.decode(tmp_path / "a.jpg"))


def drawing(mode):
    """A dark ring on a transparent ground that hides other colours, or a white one."""
    rows, columns = np.indices((40, 33))
    alpha = np.where(abs(np.hypot(rows - 20, columns - 16) - 9) < 4, 200 + rows, 0).astype(np.uint8)
    value = 250 if mode == "white" else 30
    colour = np.where(alpha[..., None] > 0, value, (0, 200, 90)).astype(np.uint8)
    return Image.fromarray(np.dstack([colour, alpha]))


@pytest.mark.parametrize("mode", ["dark", "white", "LA", "P", "key", "grey key"])
def test_transparency_is_composited_as_predict_does(tmp_path, mode):
    picture, options = drawing(mode), {}
    if mode == "LA":
        picture = picture.convert("LA")
    elif mode == "P":
        picture = picture.quantize(16)
    elif mode == "key":
        picture, options = picture.convert("RGB"), {"transparency": (0, 200, 90)}
    elif mode == "grey key":
        picture, options = picture.convert("L"), {"transparency": picture.convert("L").getpixel((0, 0))}
    picture.save(tmp_path / "a.png", **options)
    expected = decoding.decode(tmp_path / "a.png")
    assert expected[0, 0].tolist() == ([0, 0, 0] if mode == "white" else [255, 255, 255])
    found = serving.decoded_picture(tf.constant((tmp_path / "a.png").read_bytes())).numpy()
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_pictures_are_turned_by_their_exif_orientation(tmp_path, suffix, turn):
    exif = Image.Exif()
    exif.endian = "<" if turn % 2 else ">"
    exif[0x010F], exif[0x0112] = "a maker's name", turn
    Image.fromarray(photo(5, 20, 31)).save(tmp_path / f"a.{suffix}", exif=exif, icc_profile=b"x" * 70_000)
    found = serving.decoded_picture(tf.constant((tmp_path / f"a.{suffix}").read_bytes())).numpy()
    assert found.shape[:2] == ((31, 20) if turn >= 5 else (20, 31))
    np.testing.assert_array_equal(found, decoding.decode(tmp_path / f"a.{suffix}"))


def test_damaged_exif_turns_nothing_and_ends(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    for suffix in ("jpg", "png"):
        Image.fromarray(photo(5, 20, 31)).save(tmp_path / f"a.{suffix}", exif=exif)
        content = (tmp_path / f"a.{suffix}").read_bytes()
        start = content.index(b"MM\0*")
        for offset, value in ((0, b"XX"), (4, b"\xff\xff\xff\xff"), (4, b"\x7f\xff\xff\xf0"), (16, b"\0\x63")):
            broken = content[: start + offset] + value + content[start + offset + len(value) :]
            if suffix == "jpg":
                assert serving.decoded_picture(tf.constant(broken)).shape[:2] in ((20, 31), (31, 20))
            else:
                turn = picture_decoding.orientation(tf.constant(broken), tf.constant(False))
                assert turn.numpy() in (1, 6)


def test_what_is_not_read_as_predict_reads_it_is_refused_by_name(serve_bytes, tmp_path):
    Image.fromarray(np.full((9, 9), 4000, np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(photo(1)).save(tmp_path / "a.gif")
    Image.fromarray(photo(1)).save(tmp_path / "a.bmp")
    for name, words in (("deep.png", "8 bits a channel"), ("a.gif", "JPEG and PNG"), ("a.bmp", "JPEG and PNG")):
        with pytest.raises(tf.errors.InvalidArgumentError, match=words):
            serve_bytes(file_bytes=contents([tmp_path / name]))


def test_what_is_no_picture_is_an_error_of_the_runtime(serve_bytes):
    with pytest.raises(tf.errors.InvalidArgumentError):
        serve_bytes(file_bytes=tf.constant([b"GIF89a no picture"]))


def test_parity_has_the_difference_of_encoded_files(exported):
    parity = json.loads((exported / "parity.json").read_text())
    assert parity["saved-model"]["max_abs_diff_bytes"] <= 1e-4
    assert "max_abs_diff_bytes" not in parity["onnx"]


@pytest.fixture(scope="module")
def sounds():
    """A sound network with random weights."""
    keras.utils.set_random_seed(0)
    spectrum, size = network_sounds.heard_as("compact", 8000, 1.0)
    network = network_sounds.compact(spectrum.frames(size), spectrum.bands, 3)
    moments = np.full(spectrum.bands, -40, "float32"), np.full(spectrum.bands, 15, "float32")
    model = network_sounds.whole(network, spectrum, size, *moments, app="audio", labels=LABELS, details={})
    return predictor.Predictor(model)


def test_sounds_get_the_answers_of_predict_and_another_rate_is_refused(sounds, tmp_path):
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{number}.wav" for number in range(8)]
    for number, path in enumerate(paths):
        channels = 1 + number % 2
        noise = rng.normal(0, 0.1, (300 + 2500 * number, channels)) * np.linspace(0, 1, channels + 1)[1:]
        soundfile.write(path, noise, 8000, subtype="PCM_16")
    serving.write(sounds.model, tmp_path / "saved", [keras.InputSpec(shape=(None, None), dtype="float32")])
    serve = tf.saved_model.load(str(tmp_path / "saved")).signatures["serve_bytes"]
    scores = serve(file_bytes=contents(paths))["scores"].numpy()
    for row, found in zip(sounds.predict_files(paths, top=3), scores, strict=True):
        expected = {best["label"]: best["score"] for best in row["top"]}
        assert dict(zip(LABELS, found, strict=True)) == pytest.approx(expected, abs=1e-4)
    soundfile.write(tmp_path / "other.wav", np.zeros(1600), 16_000, subtype="PCM_16")
    with pytest.raises(tf.errors.InvalidArgumentError, match=serving.RATE_REFUSED[:20]):
        serve(file_bytes=contents([tmp_path / "other.wav"]))


def test_networks_that_give_pictures_give_png(tmp_path):
    raw = keras.Input((None, None, 3))
    darker = keras.Model(raw, keras.layers.Rescaling(-1.5, offset=300.0)(raw))
    model = assembly.assemble(darker, app="super-resolution", labels=None, input=PICTURE, details={})
    serving.write(model, tmp_path / "saved", [keras.InputSpec(shape=(None, None, None, 3), dtype="uint8")])
    serve = tf.saved_model.load(str(tmp_path / "saved")).signatures["serve_bytes"]
    pixels = [photo(1), photo(2, 9, 8)]
    sent = [serving.encoded(one, None)[0] for one in pixels]
    for one, answer in zip(pixels, serve(file_bytes=tf.constant(sent))["picture_bytes"].numpy(), strict=True):
        np.testing.assert_array_equal(decoding.decode(answer), np.clip(np.round(300 - 1.5 * one), 0, 255))


def test_encoded_sounds_are_read_by_the_standard_library(tmp_path):
    content, samples = serving.encoded(np.array([0, 0.5, 1, -1, 2**-16], np.float32), 8000)
    (tmp_path / "a.wav").write_bytes(content)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        read = np.frombuffer(file.readframes(9), "<i2")
    np.testing.assert_array_equal(read, [0, 16384, 32767, -32768, 0])
    np.testing.assert_array_equal(samples, read / np.float32(32768))


SAID = {
    "app": "transfer",
    "kind": "probabilities",
    "labels": LABELS,
    "input": PICTURE,
    "details": {"network": "small"},
    "model_sha256": None,
}


def test_every_format_says_what_it_is_to_its_own_runtime(exported):
    import onnxruntime
    from tensorflow.lite.tools import flatbuffer_utils

    properties = onnxruntime.InferenceSession(exported / "model.onnx").get_modelmeta().custom_metadata_map
    assert json.loads(properties["convmedia"]) == SAID
    assert json.loads((exported / "saved_model" / "assets.extra" / "convmedia.json").read_text()) == SAID
    litert = flatbuffer_utils.read_model(str(exported / "model.tflite"))
    [buffer] = [entry.buffer for entry in litert.metadata if entry.name == b"convmedia"]
    assert json.loads(bytes(litert.buffers[buffer].data)) == SAID


@pytest.mark.parametrize(
    ("file", "kind", "operators"),
    [
        ("saved_model", "saved-model", {"Mean", "MatMul", "DecodeJpeg", "DecodePng"}),
        ("model.onnx", "onnx", {"ReduceMean", "MatMul", "Softmax"}),
        ("model.tflite", "litert", {"MEAN", "FULLY_CONNECTED", "SOFTMAX"}),
    ],
)
def test_inspect_shows_operators_and_what_the_file_says(exported, capsys, file, kind, operators):
    assert exit_code(command, ["inspect", str(exported / file), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["format"], facts["description"]) == (kind, SAID)
    assert operators <= facts["operators"].keys()
    assert exit_code(command, ["inspect", str(exported / file)]) == 0
    printed = capsys.readouterr().out
    assert "3 probabilities: dark, light, neither" in printed
    assert f"{facts['bytes']:,} bytes" in printed


@pytest.mark.parametrize("file", ["model.onnx", "model.tflite", "saved_model/saved_model.pb"])
def test_a_damaged_export_is_one_line(exported, tmp_path, file):
    target = tmp_path / file
    target.parent.mkdir(exist_ok=True)
    content = (exported / file).read_bytes()
    target.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="cannot be read as") as caught:
        metadata.exported(target if target.parent == tmp_path else target.parent)
    assert "\n" not in str(caught.value)


def test_an_export_of_others_says_nothing_of_itself(exported, tmp_path, capsys):
    shutil.copytree(exported / "saved_model", tmp_path / "theirs")
    shutil.rmtree(tmp_path / "theirs" / "assets.extra")
    assert exit_code(command, ["inspect", str(tmp_path / "theirs")]) == 0
    assert "no file of this program" in capsys.readouterr().out
    assert metadata.exported(tmp_path / "nothing.onnx") is None
