"""Real files through each application's loader: what belongs together is on one side, and what was found is said."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from sklearn.datasets import load_sample_images

from convmedia.apps import audio, cats_vs_dogs, mnist, transfer
from convmedia.apps.classification import photo_pipeline
from convmedia.apps.cli.entry import exit_code
from convmedia.apps.runs import record as runs_record
from convmedia.apps.verbs import data as verbs_data
from convmedia.data.datasets import benchmark_pictures, digits, patches, sounds
from convmedia.data.datasets.benchmark_pictures import Benchmarks, hashed
from convmedia.data.images import decoding
from convmedia.data.sources import fetch

SPLITS = ("train", "validation", "test")
PHOTOS = load_sample_images().images


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVMEDIA_CACHE", str(tmp_path_factory.mktemp("cache")))


def cut(number: int) -> Image.Image:
    """A cut of one of the two photos that scikit-learn carries; not of the ground that is out of focus alone."""
    rng = np.random.default_rng([7, number])
    photo = PHOTOS[number % 2]
    while True:
        height, width = rng.integers(80, 200, 2)
        top, left = rng.integers(0, photo.shape[0] - height), rng.integers(0, photo.shape[1] - width)
        found = photo[top : top + height, left : left + width]
        if found.mean(axis=2).std() > 10:
            return Image.fromarray(found)


def copied(photo: Image.Image, path: Path, number: int) -> None:
    """The same photo in another file: encoded anew, or resized by 0.9, or both."""
    if number % 3:
        photo = photo.resize((round(photo.width * 0.9), round(photo.height * 0.9)), Image.Resampling.BICUBIC)
    photo.save(path.with_suffix((".jpg", ".png", ".webp")[number % 3]), quality=60)


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 photos of two labels and a copy of each, under names that do not tell it."""
    folder = tmp_path_factory.mktemp("album")
    for number in range(120):
        label = folder / ("a", "b")[number // 60]
        label.mkdir(exist_ok=True)
        cut(number).save(label / f"{number}.png")
        copied(cut(number), label / f"copy-{number}", number)
    return folder


def torn(found) -> list[str]:
    """Names of the photos or sounds whose copies are in another split than they are."""
    splits: dict[str, set[str]] = {}
    for split in SPLITS:
        part = getattr(found, split)
        for path in getattr(part, "paths", None) or part.pictures.paths:
            splits.setdefault(path.stem.removeprefix("copy-"), set()).add(split)
    return [name for name, where in splits.items() if len(where) > 1]


@pytest.mark.parametrize("load", [digits.load, photo_pipeline.loaded], ids=["mnist", "photos"])
def test_no_photo_is_in_another_split_than_its_copy(album: Path, load: Callable) -> None:
    found = load(str(album))
    assert (
        sum(len(getattr(found, split)) for split in SPLITS) == 240 and min(len(found.test), len(found.validation)) > 9
    )
    assert torn(found) == []
    assert "files that nearly equal another one, and are in one split with it: 120" in found.warnings


def test_photos_for_training_that_copy_test_photos_are_left_out(tmp_path: Path) -> None:
    for number in range(24):
        for split in ("train", "test"):
            (tmp_path / split / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        cut(number).save(tmp_path / "train" / "ab"[number % 2] / f"{number}.png")
        cut(100 + number).save(tmp_path / "test" / "ab"[number % 2] / f"{100 + number}.png")
        if number < 7:
            copied(cut(100 + number), tmp_path / "train" / "ab"[number % 2] / f"copy-{100 + number}", number)
    for load in (digits.load, photo_pipeline.loaded):
        found = load(str(tmp_path))
        assert (len(found.test), len(found.train) + len(found.validation)) == (24, 24)
        assert torn(found) == []
        assert sorted(path.stem for path, _ in found.copies) == [f"copy-{n}" for n in range(100, 107)]
        assert all("nearly the same content as" in reason and "/test/" in reason for _, reason in found.copies)
        assert found.facts["near_duplicates"] == 7


def test_photos_and_digits_are_warned_of_alike(tmp_path: Path) -> None:
    for label, count in (("many", 190), ("few", 8)):
        (tmp_path / label).mkdir()
        for number in range(count):
            rng = np.random.default_rng([count, number])
            Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).save(tmp_path / label / f"{number}.png")
    lines = digits.load(str(tmp_path)).warnings
    assert lines == photo_pipeline.loaded(str(tmp_path)).warnings and len(lines) == 2
    assert "more than 10 to 1" in lines[1]


def word(seed: int, rate: int = 8_000) -> np.ndarray:
    """Bursts of noise in a rhythm of their own."""
    rng = np.random.default_rng([11, seed])
    sound = rng.normal(0, 0.2, int(rng.uniform(0.5, 1.0) * rate))
    envelope = np.repeat(rng.uniform(0, 1, 10) ** 3, -(-len(sound) // 10))[: len(sound)]
    return np.clip(sound * envelope, -0.9, 0.9).astype(np.float32)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """42 sounds of two labels in one folder for each, and 42 copies of them: 22 exact, 20 in Ogg and quieter."""
    folder = tmp_path_factory.mktemp("words")
    for number in range(42):
        label = folder / ("high", "low")[number % 2]
        label.mkdir(exist_ok=True)
        soundfile.write(label / f"{number}.wav", word(number), 8_000)
        if number < 22:
            shutil.copy(label / f"{number}.wav", label / f"copy-{number}.wav")
        else:
            soundfile.write(label / f"copy-{number}.ogg", 0.5 * word(number), 8_000)
    return folder


def lines_of(words: Path, column: Callable[[Path], str] = lambda path: "") -> list[str]:
    files = sorted(path for path in words.rglob("*") if path.suffix in (".wav", ".ogg"))
    return [f"{path.relative_to(words)},{path.parent.name}{column(path)}" for path in files]


def table(words: Path, lines: list[str], header: str = "file,labels") -> str:
    path = words / "table.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return str(path)


@pytest.mark.parametrize("kind", ["folder", "table", "tags"])
def test_no_sound_is_in_another_split_than_its_copy(words: Path, kind: str) -> None:
    tags = (
        (lambda path: ";loud" if int(path.stem.removeprefix("copy-")) % 3 else "") if kind == "tags" else lambda _: ""
    )
    found = sounds.load(str(words) if kind == "folder" else table(words, lines_of(words, tags)))
    assert found.several == (kind == "tags")
    assert torn(found) == [] and len(found.duplicates) == 22
    assert sum(len(getattr(found, split)) for split in SPLITS) == 62
    assert sum(found.counts[split] for split in SPLITS) == 62
    assert "files that nearly equal another one, and are in one split with it: 20" in found.warnings


def test_a_table_does_not_train_on_what_it_tests(words: Path) -> None:
    """42 files for test, of which 22 are trained on as exact copies and 20 nearly."""
    told = lambda path: ",train" if path.stem.startswith("copy") or int(path.stem) >= 100 else ",test"  # noqa: E731
    for number in range(100, 130):
        soundfile.write(words / ("high", "low")[number % 2] / f"{number}.wav", word(number), 8_000)
    found = sounds.load(table(words, lines_of(words, told), "file,labels,split"))
    for number in range(100, 130):
        (words / ("high", "low")[number % 2] / f"{number}.wav").unlink()
    assert len(found.test) == 42 and len(found.train) + len(found.validation) == 30
    assert {path.stem for path, _ in found.copies} == {f"copy-{n}" for n in range(42)}
    assert len(found.duplicates) == 22 and torn(found) == []


@pytest.mark.parametrize("column", ["group", "speaker", "patient", "subject", "recording"])
def test_a_column_of_a_table_names_groups(words: Path, column: str) -> None:
    who = lambda path: f",person {int(path.stem.removeprefix('copy-')) % 7}"  # noqa: E731
    found = sounds.load(table(words, lines_of(words, who), f"file,labels,{column}"))
    assert set(found.groups) == {f"person {n}" for n in range(7)}
    assert all(sum(count > 0 for count in splits.values()) == 1 for splits in found.groups.values())


def test_pictures_to_enlarge_are_held_out_with_their_copies(album: Path) -> None:
    files = decoding.find([album])
    data = patches.load(files, 48, True, lambda done, total: None, benchmarks=False)
    held = {path.stem.removeprefix("copy-") for path in data.validation_files}
    trained = {path.stem.removeprefix("copy-") for path in data.train_files}
    assert not held & trained and len(held | trained) == 120
    assert 12 <= len(data.validation) <= 13 and len(data.train) + len(data.validation) == 240


def test_a_benchmarks_picture_is_not_trained_on_whatever_its_size(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known by its hash alone, where the benchmark is not on the machine; or by the benchmark's own files."""
    files = [*decoding.find([album / "a"])[:40], album / "b" / "70.png"]
    monkeypatch.setattr(fetch, "locate", lambda name: None)
    larger = cut(70).resize((3 * cut(70).width // 2, 3 * cut(70).height // 2), Image.Resampling.BICUBIC)
    code = np.packbits(hashed(np.asarray(larger))).tobytes().hex()
    monkeypatch.setattr(benchmark_pictures, "HASHES", {"Set5": {"seventy": code}})
    data = patches.load(files, 48, True, lambda done, total: None)
    assert data.bad == [(album / "b/70.png", "nearly equals Set5's seventy, which networks are measured on")]
    assert len(data.train) + len(data.validation) == 40

    (album / "benchmark").mkdir()
    larger.convert("L").save(album / "benchmark/img_7.jpg", quality=40)
    monkeypatch.setattr(benchmark_pictures, "HASHES", {"Set5": {"none": "0f" * 32}})
    monkeypatch.setattr(fetch, "locate", lambda name: album / "benchmark" if name == "Urban100" else None)
    data = patches.load(files, 48, True, lambda done, total: None)
    shutil.rmtree(album / "benchmark")
    assert data.bad == [(album / "b/70.png", "nearly equals Urban100's img_7, which networks are measured on")]


def test_302003_of_bsd200_is_set5s_woman(convmedia_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = convmedia_data / "super_resolution"
    shipped = {name: dict(row) for name, row in benchmark_pictures.HASHES.items()}
    assert {name: len(row) for name, row in shipped.items()} == {"Set5": 5, "Set14": 14}
    files = decoding.find([folder / "T91", folder / "BSD200"])
    with monkeypatch.context() as patch:
        patch.setattr(fetch, "locate", lambda name: None)
        data = patches.load(files, 48, True, lambda done, total: None)
        known = Benchmarks()
    assert [(path.name, reason.split(",")[0]) for path, reason in data.bad] == [
        ("302003.jpg", "nearly equals Set5's woman")
    ]
    assert (len(data.train), len(data.validation)) == (275, 14)
    for name in ("Set5", "Set14"):  # the hashes that are shipped are of these pictures
        for file in decoding.find([folder / name / "HR"]):
            assert known.like(decoding.decode(file)) == f"{name}'s {file.stem.removesuffix('_GT')}"


@pytest.mark.parametrize("name", ["Set5", "Urban100"])
def test_a_benchmark_is_no_training_set(name: str, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    from convmedia.apps import super_resolution

    monkeypatch.setattr(fetch, "fetch", lambda *_: tmp_path)
    cut(3).save(tmp_path / "one.png")
    arguments = ["train", "--data", f"T91+{name}", "--out", str(tmp_path / "run")]
    assert exit_code(super_resolution.command, arguments) == 2
    assert capsys.readouterr().err == (
        f"error: --data {name}: networks are measured on it; train on T91+BSD200 or on pictures of your own\n"
    )
    assert not (tmp_path / "run").exists()


def test_copies_of_held_out_digits_are_left_out() -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (50, 8, 8), np.uint8)
    truth = rng.integers(0, 10, 50)
    clean = digits.split_by_seed("digits", pictures, truth, {"test": 10, "validation": 5})
    assert clean.warnings == () and len(clean.train) == 35
    copied_too, labels = (
        np.concatenate([pictures, clean.test.pictures[:3]]),
        np.concatenate([truth, clean.test.truth[:3]]),
    )
    test = digits.Split(pictures[:10], truth[:10])
    found = digits.split_by_seed("digits", copied_too[10:], labels[10:], {"validation": 5}, test)
    kept = {picture.tobytes() for picture in found.train.pictures}
    held = {picture.tobytes() for split in (found.test, found.validation) for picture in split.pictures}
    assert not kept & held and len(found.test) == 10


# --group and data check


def test_the_photos_of_a_group_stay_in_one_split(album: Path) -> None:
    pattern = r"(\d+)\d\.\w+$"  # tens: 0 to 11
    for load in (digits.load, photo_pipeline.loaded):
        found = load(str(album), group=pattern)
        assert set(found.groups) == {str(n) for n in range(1, 12)}
        assert all(sum(count > 0 for count in splits.values()) == 1 for splits in found.groups.values())
        assert torn(found) == []


@pytest.mark.parametrize(
    ("command", "verbs"),
    [(mnist, ("train", "evaluate")), (cats_vs_dogs, ("train", "evaluate")), (transfer, ("train",))],
)
def test_a_pattern_that_groups_nothing_is_refused_in_one_line(
    album: Path, tmp_path: Path, capsys, command, verbs
) -> None:
    for verb in verbs:
        for pattern, said in (("patient", "matches none of the 240 files"), ("(", "is no regular expression")):
            arguments = [verb, "--data", str(album), "--group", pattern]
            arguments += ["--out", str(tmp_path / "run")] if verb == "train" else []
            assert exit_code(command.command, arguments) == 2
            printed = capsys.readouterr().err
            assert said in printed and printed.count("\n") == 1 and not (tmp_path / "run").exists()


def test_sounds_are_grouped_by_pattern_too(words: Path, tmp_path: Path, capsys) -> None:
    for verb in (["train", "--out", str(tmp_path / "run")], ["evaluate"]):
        assert exit_code(audio.command, [*verb, "--data", str(words), "--group", "patient"]) == 2
        assert "matches none of the 84 files" in capsys.readouterr().err
    found = sounds.load(str(words), group=r"(\d)\.")
    assert len(found.groups) == 10
    assert all(sum(count > 0 for count in splits.values()) == 1 for splits in found.groups.values())


def test_evaluate_takes_the_groups_that_the_run_was_trained_with(tmp_path: Path) -> None:
    record = {"app": "mnist", "status": "complete", "arguments": {"data": "photos", "group": "^a"}}
    (tmp_path / "run.json").write_text(json.dumps(record))
    assert runs_record.group_of(str(tmp_path), "photos/") == "^a"
    assert runs_record.group_of(str(tmp_path / "model.keras"), "./photos") == "^a"
    assert runs_record.group_of(str(tmp_path), "others") is None and runs_record.group_of(None, "photos") is None
    del record["arguments"]["group"]  # a run from before there was the option
    (tmp_path / "run.json").write_text(json.dumps(record))
    assert runs_record.group_of(str(tmp_path), "photos") is None


def test_data_check_shows_duplicates_and_groups_of_a_folder(album: Path, capsys) -> None:
    assert exit_code(verbs_data.command, ["check", str(album), "--group", r"^(\w)/", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["counts"]["near_duplicates"] == 120 and found["counts"]["groups"] == 2
    assert {Path(row["file"]).stem.removeprefix("copy-") for row in found["near_duplicates"]} == set(
        map(str, range(120))
    )
    assert not any(row["left_out"] for row in found["near_duplicates"])
    assert exit_code(verbs_data.command, ["check", str(album)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("near duplicate\t") and line.endswith("in one split with it") for line in lines) == 120


def test_data_check_reads_tables_and_named_sets(words: Path, capsys) -> None:
    assert exit_code(verbs_data.command, ["check", table(words, lines_of(words))]) == 0
    assert "duplicates: 22, near duplicates: 20, groups: 0" in capsys.readouterr().out
    assert exit_code(verbs_data.command, ["check", "digits", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [found["counts"][split] for split in SPLITS] == [1257, 180, 360] and len(found["classes"]) == 10
    assert exit_code(verbs_data.command, ["check", "Set5"]) == 2
    assert "Set5 holds pictures without labels" in capsys.readouterr().err


def test_data_check_of_fsdd_names_speakers_as_groups(convmedia_data: Path, capsys) -> None:
    assert exit_code(verbs_data.command, ["check", "fsdd", "--group", r"^\d_(\w+)_\d+", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["groups"]) == 6 and found["counts"]["test"] == 300 and found["counts"]["near_duplicates"] == 0
    assert sum("is in train and validation and test" in line for line in found["warnings"]) == 5
