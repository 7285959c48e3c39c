"""Batches from a folder, against the old generator that TensorFlow still carries."""

import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from tensorflow.keras.preprocessing.image import ImageDataGenerator

from convmedia.data.augmentation.photo_recipe import photos
from convmedia.data.augmentation.stateless_random import step_seed
from convmedia.data.folders import scan
from convmedia.data.folders.flow import Flow, flow_from_directory
from convmedia.data.storage.errors import InputError

SIZE = (20, 26)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CONVMEDIA_CACHE", str(tmp_path_factory.mktemp("cache")))


def save(path: Path, number: int, size=SIZE, mode="RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = size if mode == "L" else (*size, 3)
    pixels = np.random.default_rng(number).integers(0, 256, shape, np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    """Three unequal classes of PNG and JPEG, some deeper, some grey, among files that are not pictures."""
    for number in range(11):
        save(tmp_path / f"zoo/cat/{number}.{'png' if number % 2 else 'jpg'}", number)
    for number in range(7):
        save(
            tmp_path / f"zoo/dog/{'big/' * (number % 3)}B{number}.JPEG", 100 + number, mode="L" if number < 2 else "RGB"
        )
    for number in range(2):
        save(tmp_path / f"zoo/Ant/{number}.bmp", 200 + number)
    (tmp_path / "zoo/cat/notes.txt").write_text("none")
    (tmp_path / "zoo/labels.csv").write_text("none")
    return tmp_path / "zoo"


GENERATOR = ("rescale", "preprocessing_function", "validation_split", "dtype")


def both(folder: Path | str, **options) -> tuple[Flow, object]:
    """Ours and the old one with the same arguments."""
    options = {"target_size": SIZE, "batch_size": 4, **options}
    own = {name: options.pop(name) for name in GENERATOR if name in options}
    return flow_from_directory(folder, **options, **own), ImageDataGenerator(**own).flow_from_directory(
        folder, **options
    )


def same(ours, theirs) -> None:
    """Whether two batches are equal: arrays, or pairs of arrays."""
    if isinstance(ours, tuple):
        assert len(ours) == len(theirs) == 2
        for one, other in zip(ours, theirs, strict=True):
            same(one, other)
        return
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    assert np.array_equal(ours, theirs)


def test_folders_offers_it():
    assert scan.flow_from_directory is flow_from_directory


@pytest.mark.parametrize("written", ["{}", "{}/", "{}/../zoo"])
def test_attributes_are_the_old_ones(zoo, written):
    ours, theirs = both(written.format(zoo), color_mode="grayscale", class_mode="binary", seed=3)
    assert len(ours) == len(theirs) == 5
    counts = ["samples", "n", "num_classes", "batch_size", "batch_index", "total_batches_seen", "index_array"]
    lists = ["class_indices", "filenames", "filepaths"]
    given = ["directory", "image_shape", "target_size", "color_mode", "class_mode", "shuffle", "seed", "dtype"]
    for name in [*counts, *lists, *given]:
        assert getattr(ours, name) == getattr(theirs, name), name
    for name in ("classes", "labels"):
        same(getattr(ours, name), getattr(theirs, name))
    assert Path(ours.filepaths[-1]).is_file()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shuffle": False, "class_mode": "sparse", "rescale": 1 / 255},
        {"seed": 5, "class_mode": "binary", "batch_size": 3},
        {"seed": 6, "class_mode": None, "color_mode": "grayscale"},
        {"seed": 7, "class_mode": "input", "batch_size": 100, "color_mode": "rgba"},
        {"classes": ["dog", "cat"], "preprocessing_function": lambda picture: picture[::-1] - 7.5, "rescale": 0.5},
        {"subset": "training", "validation_split": 0.3, "seed": 8},
        {"subset": "validation", "validation_split": 0.3, "shuffle": False, "dtype": "float64"},
    ],
    ids=",".join,  # names alone: a function's text has its address
)
def test_batches_are_the_old_ones_bit_for_bit(zoo, options):
    ours, theirs = both(zoo, **options)
    np.random.seed(11)
    batches = [next(ours) for _ in range(2 * len(theirs) + 1)]
    np.random.seed(11)
    for batch in batches:
        same(batch, next(theirs))
    assert ours.total_batches_seen == theirs.total_batches_seen == 2 * len(theirs) + 1


@pytest.mark.parametrize("seed", [None, 9])
def test_batches_by_number_are_the_old_ones_in_every_epoch(zoo, seed):
    flows = both(zoo, seed=seed)
    seen = [epochs(flow) for flow in flows]
    for ours, theirs in zip(*seen, strict=True):
        same(ours, theirs)
    with pytest.raises(IndexError, match="5 batches; received 5"):
        flows[0][5]


def epochs(flow) -> list:
    """Three epochs' batches as Keras fetches them."""
    np.random.seed(12)
    batches = []
    for _ in range(3):
        batches += [flow[number] for number in range(len(flow))]
        flow.on_epoch_end()
    return batches


@pytest.mark.filterwarnings("ignore:Please import `affine_transform`:DeprecationWarning")
@pytest.mark.parametrize("seed", [None, 9])
@pytest.mark.parametrize(
    "ranges",
    [
        {"rotation_range": 20, "width_shift_range": 0.1, "shear_range": 3, "zoom_range": 0.2, "horizontal_flip": True},
        {"height_shift_range": 2.5, "zoom_range": (1, 1), "brightness_range": (0.5, 1), "channel_shift_range": 3},
        {"zoom_range": [0.5, 1], "vertical_flip": True},
    ],
    ids=str,
)
def test_augmentation_leaves_the_old_order_in_every_epoch(zoo, ranges, seed):
    options = {"target_size": SIZE, "batch_size": 6, "class_mode": "sparse", "classes": ["cat", "dog"], "seed": seed}
    ours = epochs(flow_from_directory(zoo, **options, **ranges))
    theirs = epochs(ImageDataGenerator(**ranges).flow_from_directory(zoo, **options))
    assert [labels.tolist() for _, labels in ours] == [labels.tolist() for _, labels in theirs]


def test_reset_begins_an_epoch(zoo):
    ours, theirs = both(zoo, shuffle=False)
    for flow in (ours, theirs):
        next(flow), next(flow)
        flow.reset()
    first = next(ours)
    same(first, next(theirs))
    same(first, ours[0])
    same(ours.next(), ours[1])


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"])
@pytest.mark.parametrize("keep", [False, True])
def test_a_named_interpolation_is_the_old_one(tmp_path, interpolation, keep):
    for number, size in enumerate([(50, 80), (90, 31), (8, 9), SIZE]):
        save(tmp_path / f"{number % 2}/{number}.png", number, size)
    ours, theirs = both(tmp_path, interpolation=interpolation, keep_aspect_ratio=keep, shuffle=False)
    same(next(ours), next(theirs))


def test_resizing_antialiases_by_default(tmp_path):
    save(tmp_path / "one/a.png", 0, (200, 260))
    with Image.open(tmp_path / "one/a.png") as image:
        expected = np.asarray(image.resize(SIZE[::-1], Image.Resampling.BILINEAR), "float32")
    given, _ = next(flow_from_directory(tmp_path, SIZE))
    assert np.array_equal(given[0], expected)
    nearest, _ = next(flow_from_directory(tmp_path, SIZE, interpolation="nearest"))
    assert given.std() < nearest.std() / 4  # noise of 100 pixels averaged, against one of them


def test_augmented_batches_are_the_recipe_and_follow_from_the_seed(zoo):
    ranges = {"rotation_range": 30, "width_shift_range": 0.2, "horizontal_flip": True}
    still = dict.fromkeys(["height_shift_range", "shear_range", "zoom_range"], 0)
    plain = flow_from_directory(zoo, SIZE, batch_size=8, seed=4)
    moved = flow_from_directory(zoo, SIZE, batch_size=8, seed=4, rescale=1 / 255, **ranges)
    recipe = photos(**still, **ranges)
    for step in range(4):
        pictures, labels = next(plain)
        given, truth = next(moved)
        assert given.dtype == np.float32 and np.array_equal(labels, truth)
        expected = recipe(pictures, step_seed(4, 0, step)).numpy() / 255
        np.testing.assert_allclose(given, expected, atol=1e-5)
        assert not np.allclose(given, pictures / 255, atol=0.1)
    again = flow_from_directory(zoo, SIZE, batch_size=8, seed=4, rescale=1 / 255, **ranges)
    batches = [next(again)[0] for _ in range(4)]
    assert np.array_equal(batches[3], given)
    assert not np.allclose(batches[0], given[: len(batches[0])])


def test_without_a_seed_numpys_global_one_decides_and_is_only_used_for_the_order(zoo):
    def order_and_pictures(**ranges):
        np.random.seed(2)
        flow = flow_from_directory(zoo, SIZE, batch_size=19, **ranges)
        pictures = next(flow)[0]
        return flow.index_array, pictures

    moved = [order_and_pictures(rotation_range=90) for _ in range(2)]
    assert np.array_equal(moved[0][0], order_and_pictures()[0])
    assert np.array_equal(moved[0][1], moved[1][1])
    np.random.seed(2)
    assert np.array_equal(moved[0][0], np.random.permutation(20))


def test_a_batch_of_one_channel_is_augmented_too(zoo):
    ranges = {"horizontal_flip": True, "brightness_range": (2, 2)}
    given = flow_from_directory(zoo, SIZE, "grayscale", batch_size=20, shuffle=False, seed=0, **ranges)[0][0]
    plain = flow_from_directory(zoo, SIZE, "grayscale", batch_size=20, shuffle=False)[0][0]
    bright = np.minimum(2 * plain, 255)
    mirrored = [np.array_equal(one, other[:, ::-1]) for one, other in zip(given, bright, strict=True)]
    assert 0 < sum(mirrored) < 20
    assert np.array_equal(given[np.array(mirrored) == 0], bright[np.array(mirrored) == 0])


def test_bad_files_are_left_out_named_and_move_no_other(zoo):
    whole = flow_from_directory(zoo, SIZE, subset="validation", validation_split=0.5, shuffle=False)
    (zoo / "cat/0.jpg").write_bytes((zoo / "cat/0.jpg").read_bytes()[:200])
    (zoo / "dog/B0.JPEG").write_bytes(b"")
    with pytest.warns(UserWarning, match="left out: ") as given:
        rest = flow_from_directory(zoo, SIZE, subset="validation", validation_split=0.5, shuffle=False)
    assert [str(one.message).count("\n") for one in given] == [0, 0]
    assert "0.jpg" in str(given[0].message) and "B0.JPEG is empty" in str(given[1].message)
    assert given[0].filename == __file__
    expected = [name for name in whole.filenames if name not in ("cat/0.jpg", "dog/B0.JPEG")]
    assert rest.filenames == expected and rest.samples == len(expected) == whole.samples - 2
    batch, labels = rest[0]
    assert np.array_equal(labels.argmax(1), rest.classes) and len(batch) == len(expected)


def test_both_subsets_are_looked_through_once(zoo, monkeypatch):
    looked = []
    for subset in ("training", "validation", "training"):
        flow_from_directory(zoo, SIZE, subset=subset, validation_split=0.4)
        monkeypatch.setattr("convmedia.data.folders.file_checks.examine", lambda path, *_: looked.append(path))
    assert looked == []


def test_pictures_are_upright_and_transparency_is_composited_unless_wanted(tmp_path):
    (tmp_path / "one").mkdir()
    pixels = np.zeros((*SIZE, 4), np.uint8)
    pixels[:, :9] = [200, 0, 0, 255]
    Image.fromarray(pixels).save(tmp_path / "one/a.png")
    turned = Image.fromarray(np.full((SIZE[1], SIZE[0], 3), np.arange(SIZE[0])[None, :, None] * 10, np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "one/b.png", exif=exif)
    for mode, clear in (("rgb", [255, 255, 255]), ("rgba", [0, 0, 0, 0]), ("grayscale", [255])):
        first, second = flow_from_directory(tmp_path, SIZE, mode, shuffle=False)[0][0]
        assert first[0, 20].tolist() == clear
        assert second[:, 5, 0].tolist() == (np.arange(SIZE[0]) * 10).tolist()


@pytest.mark.filterwarnings("error")
def test_linked_folders_are_read_where_asked_and_loops_end(zoo, tmp_path):
    save(tmp_path / "elsewhere/x.png", 300)
    (zoo / "cat/linked").symlink_to(tmp_path / "elsewhere")
    (zoo / "cat/loop").symlink_to(zoo)
    assert flow_from_directory(zoo, SIZE).samples == 20
    ours = flow_from_directory(zoo, SIZE, follow_links=True)
    assert ours.samples == 21 and "cat/linked/x.png" in ours.filenames


def test_what_was_yielded_is_written(zoo, tmp_path):
    (tmp_path / "seen").mkdir()
    flow = flow_from_directory(zoo, SIZE, save_to_dir=tmp_path / "seen", save_prefix="aug", shuffle=False, batch_size=2)
    batch, _ = next(flow)
    names = sorted(path.name for path in (tmp_path / "seen").iterdir())
    assert [name.split("_")[:2] for name in names] == [["aug", "0"], ["aug", "1"]]
    with Image.open(tmp_path / "seen" / names[0]) as image:
        stretched = (batch[0] - batch[0].min()) * 255 / (batch[0].max() - batch[0].min())
        np.testing.assert_allclose(np.asarray(image), stretched, atol=1)


def test_keras_trains_evaluates_and_predicts_on_it(tmp_path):
    for number in range(24):
        light = np.full((*SIZE, 3), 200 if number % 2 else 40, np.uint8)
        path = tmp_path / f"{'light' if number % 2 else 'dark'}/{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(light).save(path)
    train = flow_from_directory(
        tmp_path,
        SIZE,
        class_mode="binary",
        batch_size=10,
        seed=0,
        rescale=1 / 255,
        zoom_range=0.2,
        horizontal_flip=True,
    )
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1, "sigmoid")])
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    model.optimizer.learning_rate = 3.0
    history = model.fit(train, epochs=15, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] and history["accuracy"][-1] == 1
    plain = flow_from_directory(tmp_path, SIZE, class_mode="binary", batch_size=10, shuffle=False, rescale=1 / 255)
    assert model.evaluate(plain, verbose=0)[1] == 1
    assert np.array_equal(model.predict(plain, verbose=0)[:, 0] > 0.5, plain.labels)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"directory": "nowhere"}, "nowhere is no folder"),
        ({"classes": ["cat", "cow"]}, "cow is no folder"),
        ({"color_mode": "cmyk"}, "'rgb', 'rgba', 'grayscale'; received 'cmyk'"),
        ({"class_mode": "other"}, "received 'other'"),
        ({"interpolation": "area"}, "received 'area'"),
        ({"subset": "test"}, "received 'test'"),
        ({"subset": "training"}, "validation_split .* received 0.0 and 'training'"),
        ({"validation_split": 1.0}, "validation_split"),
        ({"target_size": (0, 5)}, r"received \(0, 5\)"),
        ({"batch_size": 0}, "received .* and 0"),
        ({"fill_mode": "mirror"}, "received 'mirror'"),
        ({"color_mode": "grayscale", "colour_jitter": 0.2}, "colour_jitter needs color_mode 'rgb'"),
        ({"subset": "validation", "validation_split": 0.01}, "no usable picture .* for validation"),
    ],
    ids=str,
)
def test_mistakes_are_told(zoo, options, message):
    with warnings.catch_warnings(), pytest.raises(InputError, match=message):
        flow_from_directory(**{"directory": zoo, "target_size": SIZE, **options})
    with pytest.raises(TypeError, match="featurewise_center"):
        flow_from_directory(zoo, SIZE, featurewise_center=True)


def test_hidden_and_systems_folders_are_no_classes_and_splits_are_refused(tmp_path):
    for name in (
        "cat/0.png",
        "dog/0.png",
        ".ipynb_checkpoints/0.png",
        "__MACOSX/0.png",
        "cat/.ipynb_checkpoints/1.png",
    ):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (len(name), 9, 9)).save(tmp_path / "photos" / name)
    flow = flow_from_directory(tmp_path / "photos", target_size=(8, 8))
    assert flow.class_indices == {"cat": 0, "dog": 1} and sorted(flow.filenames) == ["cat/0.png", "dog/0.png"]
    for split in ("Train", "Test"):
        (tmp_path / "set" / split / "cat").mkdir(parents=True)
    with pytest.raises(InputError, match="Test, Train, which tell splits"):
        flow_from_directory(tmp_path / "set")
