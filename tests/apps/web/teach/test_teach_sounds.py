"""The page that learns sounds: classes taught in a real browser, and their file, which answers outside as the page."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import soundfile

import convmedia
from convmedia.apps.web import features, teaching_folder
from convmedia.models.export import open_head
from convmedia.models.saving.places import WEIGHTS

PATIENCE_MS, RATE = 240_000, 8000
CLASSES, LEARNED, TRIED = ("clock_tick", "dog", "rain"), 10, 20


@pytest.fixture(scope="module")
def page_folder(tmp_path_factory) -> Path:
    """The folder of the page."""
    folder = tmp_path_factory.mktemp("teach-sounds") / "page"
    teaching_folder.write(folder, "sound")
    return folder


@pytest.fixture(scope="module")
def few(tmp_path_factory) -> dict[str, list[Path]]:
    """Sounds of three classes, made here, of 0.6 to 2.4 s: a falling tone, clicks, and hiss that swells."""
    folder, rng = tmp_path_factory.mktemp("few-sounds"), np.random.default_rng(0)
    found: dict[str, list[Path]] = {"falling": [], "clicks": [], "hiss": []}
    for number in range(6):
        time = np.arange(int(RATE * (0.6 + 0.36 * number))) / RATE
        falling = 0.4 * np.sin(2 * np.pi * (1800 + 60 * number - 400 * time) * time)
        clicks = 0.6 * (rng.random(len(time)) < 0.002 + 0.0002 * number) * rng.choice([-1, 1], len(time))
        hiss = 0.2 * rng.normal(size=len(time)) * np.sin(np.pi * time / time[-1]) ** 2
        for name, sound in (("falling", falling), ("clicks", clicks), ("hiss", hiss)):
            file = folder / f"{name}{number}.wav"
            soundfile.write(file, sound, RATE, subtype="PCM_16")
            found[name].append(file)
    return found


@pytest.fixture(scope="module")
def recorded() -> dict[str, list[Path]]:
    """Recordings of the world: for each class those to learn from, and then others."""
    root = Path(os.environ.get("CONVMEDIA_DATA", "")) / "audio" / "esc10"
    if not root.is_dir():
        pytest.skip("CONVMEDIA_DATA has no recordings")
    rows = list(csv.DictReader((root / "esc10.csv").read_text(encoding="utf-8").splitlines()))
    own = {name: [root / "audio" / row["filename"] for row in rows if row["category"] == name] for name in CLASSES}
    return {name: files[: LEARNED + TRIED] for name, files in own.items()}


def scores(row: dict) -> dict[str, float]:
    return {entry["label"]: entry["score"] for entry in row["top"]}


def test_recordings_are_told_apart_and_the_file_answers_as_the_page(recorded, opened, fill, teach, agreement, capsys):
    page = opened()
    fill(page, {name: files[:LEARNED] for name, files in recorded.items()})
    lesson = teach(page)
    others = {file: name for name, files in recorded.items() for file in files[LEARNED:]}
    right, apart = agreement(page, others, "audio")
    with capsys.disabled():
        print(f"\n{lesson}\n{right} of {len(others)} others right; predict differs by {apart:.1e} at most")
        print(page.locator("#proof").inner_text())
    assert right > 0.9 * len(others)
    assert apart <= 1e-3  # files of 44.1 kHz, which a browser resamples otherwise than soxr


def test_a_small_lesson_is_kept_as_a_file_that_runs_outside(few, opened, tmp_path, fill, teach, tried, kept):
    page = opened()
    fill(page, few)
    assert "windows of 1 s that were left out of learning are named right" in teach(page)
    files = [own[-1] for own in few.values()]
    rows = tried(page, files)
    assert [row["label"] for row in rows] == list(few)
    model = kept(page, tmp_path / "taught.onnx")
    loaded = convmedia.load(model)
    assert (loaded.app, loaded.labels) == ("audio", list(few))
    assert loaded.description["details"]["examples"] == {name: 6 for name in few}
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    for file, row in zip(files, rows, strict=True):
        for label, score in scores(loaded.predict(file)).items():
            assert scores(row)[label] == pytest.approx(score, abs=1e-5)
        sound = soundfile.read(file, dtype="float32")[0]
        answer = session.run(["output_0"], {session.get_inputs()[0].name: sound[None]})[0][0]
        assert [scores(row)[label] for label in few] == pytest.approx(answer.tolist(), abs=1e-5)


def test_silence_is_no_example(opened, tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    page = opened()
    page.locator(".class").first.locator("input[type=file]").first.set_input_files(str(tmp_path / "silent.wav"))
    page.wait_for_selector(".count:has-text('left out: silent.wav: nothing is to be heard')", timeout=PATIENCE_MS)


def test_a_class_is_recorded_while_a_button_is_held_by_keyboard(opened):
    page = opened(permissions=["microphone"])
    card = page.locator(".class").first
    card.get_by_role("button", name="Microphone").click()
    page.wait_for_selector(".capture button:enabled")
    card.get_by_role("button", name="Hold to record").focus()
    for number in (1, 2):
        page.keyboard.down(" ")
        page.wait_for_timeout(1500)
        page.keyboard.up(" ")
        page.wait_for_selector(f".class:first-child .examples li:nth-child({number})", timeout=PATIENCE_MS)
    assert "2 examples" in card.locator(".count").inner_text()
    card.get_by_role("button", name="Microphone").click()
    assert not page.is_visible(".capture")


def test_what_is_recorded_and_heard_now_is_answered(few, opened, fill, teach):
    page = opened(permissions=["microphone"])
    fill(page, {"falling": few["falling"], "hiss": few["hiss"]})
    teach(page)
    page.click("#record")
    page.wait_for_selector("#record:has-text('Stop and answer')")
    page.wait_for_timeout(1200)
    page.click("#record")
    page.wait_for_selector("#shown figcaption:has-text('recording, answered in')", timeout=PATIENCE_MS)
    page.click("#live")
    page.wait_for_selector("#shown figcaption:has-text('What is heard now')", timeout=PATIENCE_MS)
    page.click("#live")


def test_the_page_is_used_by_keyboard_alone(few, opened, tab_to):
    page = opened()
    given = iter([few["falling"], few["hiss"], few["falling"][:1]])
    page.on("filechooser", lambda chooser: chooser.set_files([str(file) for file in next(given)]))
    for place, name in enumerate(("falling", "hiss"), 1):
        tab_to(page, f"#name-{place}")
        page.keyboard.type(name)
        tab_to(page, f".class:nth-child({place}) button")
        page.keyboard.press("Enter")
        page.wait_for_selector(f".class:nth-child({place}) .count:has-text('6 ex')", timeout=PATIENCE_MS)
    tab_to(page, "#teach")
    page.keyboard.press("Enter")
    page.wait_for_selector("html[data-taught]", timeout=PATIENCE_MS)
    tab_to(page, "#choose")
    page.keyboard.press("Enter")
    page.wait_for_selector("#said:has-text('falling, ')", timeout=PATIENCE_MS)
    tab_to(page, "#keep")
    with page.expect_download(timeout=PATIENCE_MS) as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "taught.onnx"


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (768, "light"), (1440, "dark")])
def test_nothing_stands_in_the_way_of_a_screen_reader(
    width, scheme, few, opened, fill, teach, tried, faults_for_readers
):
    page = opened(viewport={"width": width, "height": 900}, color_scheme=scheme, permissions=["microphone"])
    fill(page, few)
    teach(page)
    tried(page, [few["falling"][-1]])
    page.locator(".class").first.get_by_role("button", name="Microphone").click()
    page.wait_for_selector(".capture button:enabled")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shots = os.environ.get("CONVMEDIA_SHOTS")
    if shots:
        page.screenshot(path=f"{shots}/teach-sounds-{width}-{scheme}.png", full_page=True)
    assert faults_for_readers(page) == []


def test_the_command_writes_the_page(tmp_path, run_command):
    done = run_command("audio", "export", "--format", "web", "--teach", "--out", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads((tmp_path / "out" / "web" / teaching_folder.MARK).read_text(encoding="utf-8"))
    assert (facts["input"]["kind"], facts["hop_samples"]) == ("sound", 4000)
    done = run_command("audio", "export", "--format", "onnx", "--teach", "--out", tmp_path / "other")
    assert (done.returncode, "--teach is for --format web alone" in done.stderr) == (2, True)


def test_an_open_head_takes_any_number_of_labels(tmp_path):
    """Answers with other heads are the mean over windows of softmax, each counted as the first head's."""
    spoken = np.tile(soundfile.read(convmedia.data.samples.FOLDER / "seven.wav", dtype="float32")[0], 4)[None]
    model = onnx.load(features.sounds())
    kept = [one for one in model.graph.initializer if one.name not in open_head.HEAD]
    weights = np.zeros((160, 3), "float32")
    weights[7] = [-1, 0, 2]
    bias = np.array([0.5, 0, -0.5], "float32")
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(array, name) for array, name in zip((weights, bias), open_head.HEAD, strict=True)
    )
    onnx.save(model, tmp_path / "other.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "other.onnx"), providers=["CPUExecutionProvider"])
    answer, rows = session.run(["output_0", "features"], {session.get_inputs()[0].name: spoken})
    each = np.exp(rows @ weights + bias)
    each /= each.sum(1, keepdims=True)
    assert answer.shape == (1, 3)
    assert answer.sum() == pytest.approx(1, abs=1e-5)
    assert (each.min(0) - 1e-5 <= answer[0]).all()
    assert (answer[0] <= each.max(0) + 1e-5).all()


def test_a_file_without_a_mean_over_windows_is_refused(tmp_path):
    with pytest.raises(ValueError, match="does not end in a"):
        open_head.write(WEIGHTS / "cats-vs-dogs.onnx", tmp_path / "open.onnx", [])
