"""Near duplicates: copies in another format, size, rate or loudness are found, different pictures and takes are not."""

import io

import numpy as np
import pytest
import soundfile
import soxr
from PIL import Image
from sklearn.datasets import load_sample_images

from convmedia.data.audio import decoding
from convmedia.data.audio import fingerprints as audio_fingerprints
from convmedia.data.images import decoding as images_decoding
from convmedia.data.images import fingerprints
from convmedia.data.splits import near_duplicates
from convmedia.data.splits.near_duplicates import PICTURES, SOUNDS, candidates


def photos(count: int = 40) -> list[np.ndarray]:
    """Cuts of the two photos that scikit-learn carries, of many sizes."""
    rng = np.random.default_rng(1)
    cuts = []
    for photo in load_sample_images().images * (count // 2):
        height, width = rng.integers(90, 300, 2)
        top, left = rng.integers(0, photo.shape[0] - height), rng.integers(0, photo.shape[1] - width)
        cuts.append(photo[top : top + height, left : left + width])
    return cuts


def encoded(picture: np.ndarray, kind: str, **options) -> np.ndarray:
    content = io.BytesIO()
    Image.fromarray(picture).save(content, kind, **options)
    return images_decoding.decode(content.getvalue())


def scaled(picture: np.ndarray, factor: float) -> np.ndarray:
    height, width = (round(side * factor) for side in picture.shape[:2])
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))


COPIES = {
    **{f"JPEG {q}": lambda picture, q=q: encoded(picture, "JPEG", quality=q) for q in (30, 50, 75, 95)},
    "PNG": lambda picture: encoded(picture, "PNG"),
    "WebP": lambda picture: encoded(picture, "WEBP", quality=60),
    **{f"{f} times": lambda picture, f=f: encoded(scaled(picture, f), "JPEG", quality=85) for f in (0.5, 0.9, 1.4)},
    "square": lambda picture: np.asarray(Image.fromarray(picture).resize((224, 224), Image.Resampling.BILINEAR)),
    "grey": lambda picture: np.asarray(Image.fromarray(picture).convert("L").convert("RGB")),
    "as it is": lambda picture: picture,
}


def alike(pictures: list[np.ndarray]) -> set[tuple[int, int]]:
    """The pairs of near duplicates among pictures in memory."""
    close = [near_duplicates.closely(picture) for picture in pictures]
    marks = [fingerprints.thumbnail(picture) for picture in pictures]
    return {(i, j) for i, j in candidates(PICTURES, marks) if PICTURES.same(close[i], close[j])}


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_of_each_photo_is_found_and_nothing_else(copy: str) -> None:
    originals = photos()
    pairs = alike(originals + [COPIES[copy](picture) for picture in originals])
    assert pairs == {(i, i + len(originals)) for i in range(len(originals))}


def test_mirrored_turned_inverted_and_cut_ones_are_other_pictures() -> None:
    for picture in photos(6):
        height, width = picture.shape[:2]
        others = [picture[:, ::-1], np.rot90(picture), 255 - picture, picture[: height * 2 // 3, : width * 2 // 3]]
        assert not {pair for pair in alike([picture, *map(np.ascontiguousarray, others)]) if 0 in pair}


def test_the_same_drawing_in_other_colours_is_another_picture() -> None:
    """Luma 0.299, 0.587, 0.114 (ITU-R BT.601): both colours have 84 +- 1, so only their chroma differs."""
    shape = np.zeros((60, 80), bool)
    shape[10:40, 20:50] = shape[30:55, 60:70] = True
    red, blue = (np.where(shape[..., None], colour, 255).astype(np.uint8) for colour in ((220, 20, 60), (40, 80, 220)))
    assert alike([red, red.copy()]) == {(0, 1)}
    assert alike([red, blue]) == set()


@pytest.mark.parametrize("shading", [0, 40])
def test_blank_sheets_of_one_scanner_are_no_copies_of_each_other(shading: int) -> None:
    ground = 235 + shading * np.linspace(-0.5, 0.5, 200)[:, None, None] * np.ones((200, 150, 3))
    sheets = [ground + np.random.default_rng(seed).normal(0, 2, ground.shape) for seed in range(6)]
    assert alike([encoded(sheet.clip(0, 255).astype(np.uint8), "JPEG") for sheet in sheets]) == set()


def test_two_thousand_digits_of_mnist_are_two_thousand_pictures(convmedia_data) -> None:
    with np.load(convmedia_data / "mnist.npz") as file:
        digits = np.repeat(file["x_train"][:2000, ..., None], 3, -1)
    assert alike(list(digits)) == set()
    some = list(digits[:100])
    smaller = alike(some + [encoded(digit, "JPEG", quality=75) for digit in some])
    assert smaller == {(i, i + 100) for i in range(100)}


def test_fingerprints_of_files_and_of_pictures_in_memory_are_the_same(tmp_path) -> None:
    for number, picture in enumerate([*photos(4), scaled(photos(2)[0], 12)]):
        for suffix in (".png", ".webp", ".jpg"):
            path = tmp_path / f"{number}{suffix}"
            images_decoding.encode(picture, path)
            found, right = fingerprints.of_picture(path), fingerprints.thumbnail(images_decoding.decode(path))
            difference = np.frombuffer(found, np.uint8).astype(int) - np.frombuffer(right, np.uint8)
            assert np.abs(difference).max() <= 1
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Image.fromarray(photos(2)[0]).save(tmp_path / "turned.png", exif=exif)
    turned = images_decoding.decode(tmp_path / "turned.png")
    assert turned.shape[0] == photos(2)[0].shape[1]
    assert fingerprints.of_picture(tmp_path / "turned.png") == fingerprints.thumbnail(turned)
    Image.new("RGB", (50, 50), (9, 99, 200)).save(tmp_path / "plain.png")
    assert fingerprints.of_picture(tmp_path / "plain.png") == b""


def test_pairs_are_those_of_all_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sorted along an axis and cut into blocks, the search finds what a full matrix product finds."""
    rng = np.random.default_rng(0)
    centres = rng.integers(20, 236, (60, 256))
    marks = [(c + rng.normal(0, 3, 256)).clip(0, 255).astype(np.uint8).tobytes() for c in centres for _ in range(5)]
    marks[7] = b""
    monkeypatch.setattr(near_duplicates, "_ROWS", 13)
    monkeypatch.setattr(near_duplicates, "_COLUMNS", 17)
    values = np.array([np.frombuffer(mark, np.uint8) if mark else np.zeros(256) for mark in marks], float)
    correlation = np.corrcoef(values[[i for i in range(300) if i != 7]])
    places = [i for i in range(300) if i != 7]
    right = {(places[i], places[j]) for i, j in zip(*np.nonzero(np.triu(correlation, 1) > 0.99**0.5), strict=True)}
    found = list(candidates(PICTURES, marks))
    assert len(found) == len(set(found)) and len(right) > 100
    assert right <= set(found) and len(set(found) - right) < 0.2 * len(right)  # encoder noise is allowed for


def spoken(seed: int, rate: int = 16_000) -> np.ndarray:
    """Something like a word: tones that glide, in some bursts, over noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(rng.uniform(0.4, 1.5) * rate)) / rate
    sound = rng.normal(0, 0.003, len(time))
    for _ in range(rng.integers(3, 6)):
        start, length = rng.uniform(0, time[-1] * 0.8), rng.uniform(0.08, 0.3)
        envelope = np.exp(-(((time - start - length) / length * 2) ** 2))
        pitch = 2 * np.pi * np.cumsum(rng.uniform(100, 250) + rng.uniform(-60, 60) * time) / rate
        sound += 0.1 * envelope * sum(rng.uniform(0, 1) * np.sin(k * pitch + rng.uniform(0, 6)) for k in range(1, 14))
    return (0.8 * sound / np.abs(sound).max()).astype(np.float32)


def stored(path, samples: np.ndarray, rate: int = 16_000, gain: float = 1.0):
    soundfile.write(path, gain * samples, rate)
    return path


SOUND_COPIES = {
    "copy.flac": stored,
    "copy.ogg": stored,
    "copy.mp3": stored,
    "quiet.wav": lambda path, sound: stored(path, sound, gain=0.1),
    "slower.wav": lambda path, sound: stored(path, soxr.resample(sound, 16_000, 8_000), 8_000),
    "faster.wav": lambda path, sound: stored(path, soxr.resample(sound, 16_000, 44_100), 44_100),
    "padded.wav": lambda path, sound: stored(path, np.pad(sound, (500, 900))),
}


@pytest.mark.parametrize("copy", SOUND_COPIES)
def test_a_copy_of_each_sound_is_found_and_nothing_else(tmp_path, copy: str) -> None:
    files = [stored(tmp_path / f"{seed}.wav", spoken(seed)) for seed in range(24)]
    files += [SOUND_COPIES[copy](tmp_path / f"{seed}-{copy}", spoken(seed)) for seed in range(24)]
    marks = [decoding.check(file) for file in files]
    found = {(i, j) for i, j in candidates(SOUNDS, marks) if SOUNDS.same(*(SOUNDS.detail(files[k]) for k in (i, j)))}
    assert found == {(seed, seed + 24) for seed in range(24)}


def test_steady_tones_and_silence_have_no_fingerprint() -> None:
    tone = np.sin(np.arange(8_000) * 0.4).astype(np.float32)
    assert audio_fingerprints.of_sound([tone]) == b""
    assert audio_fingerprints.of_sound([np.zeros(8_000, np.float32)]) == b""


@pytest.mark.parametrize(("whose", "number"), [("theo", 500), pytest.param("*", 3000, marks=pytest.mark.slow)])
def test_takes_of_one_speaker_are_different_sounds(convmedia_data, whose: str, number: int) -> None:
    files = sorted((convmedia_data / "audio/fsdd/recordings").glob(f"*_{whose}_*.wav"))
    marks = [decoding.check(file) for file in files]
    pairs = [pair for pair in candidates(SOUNDS, marks) if SOUNDS.same(*(SOUNDS.detail(files[k]) for k in pair))]
    assert len(files) == number and pairs == []
