"""The page that learns: classes taught in a real browser, and their file, which answers outside as the page does."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import convmedia
from convmedia.apps.web import features, teaching_folder
from convmedia.data import samples
from convmedia.data.images.decoding import decode

PATIENCE_MS = 240_000
CLASSES, LEARNED, TRIED = ("cat", "dog", "digit"), 20, 20


@pytest.fixture(scope="module")
def page_folder(tmp_path_factory) -> Path:
    """The folder of the page."""
    folder = tmp_path_factory.mktemp("teach") / "page"
    teaching_folder.write(folder)
    return folder


@pytest.fixture(scope="module")
def few(tmp_path_factory) -> dict[str, list[Path]]:
    """Pictures of three classes, made here: bundled photographs cut, and noise and fields of colours."""
    folder, rng = tmp_path_factory.mktemp("few"), np.random.default_rng(0)
    found: dict[str, list[Path]] = {"cat": [], "digit": [], "noise": []}
    for number in range(8):
        top, left = rng.integers(0, 40, 2)
        pictures = {
            "cat": decode(samples.FOLDER / "cat.jpg")[top : top + 200, left : left + 200],
            "digit": decode(samples.FOLDER / "seven.jpg")[top // 8 :, left // 8 :],
            "noise": rng.integers(0, 256, (48 + number, 64, 3), np.uint8),
        }
        for name, picture in pictures.items():
            file = folder / f"{name}{number}.png"
            Image.fromarray(picture).save(file)
            found[name].append(file)
    return found


@pytest.fixture(scope="module")
def photos() -> dict[str, list[Path]]:
    """Photographs: for each class those to learn from, and then others."""
    root = Path(os.environ.get("CONVMEDIA_DATA", ""))
    if not (root / "cats_vs_dogs").is_dir() or not (root / "digits_in_the_wild").is_dir():
        pytest.skip("CONVMEDIA_DATA has no photographs")
    files = {
        "cat": sorted((root / "cats_vs_dogs" / "train").rglob("*cat*/*.jpg")),
        "dog": sorted((root / "cats_vs_dogs" / "train").rglob("*dog*/*.jpg")),
        "digit": sorted((root / "digits_in_the_wild").glob("?/*.*"), key=lambda file: file.name),
    }
    chosen = {name: own[: LEARNED + TRIED] for name, own in files.items()}
    assert {len(own) for own in chosen.values()} == {LEARNED + TRIED}
    return chosen


def scores(row: dict) -> dict[str, float]:
    return {entry["label"]: entry["score"] for entry in row["top"]}


def test_photographs_are_told_apart_and_the_file_answers_as_the_page(photos, opened, fill, teach, agreement, capsys):
    page = opened()
    fill(page, {name: files[:LEARNED] for name, files in photos.items()})
    lesson = teach(page)
    others = {file: name for name, files in photos.items() for file in files[LEARNED:]}
    right, apart = agreement(page, others, "transfer")
    with capsys.disabled():
        print(f"\n{lesson}\n{right} of {len(others)} others right; predict differs by {apart:.1e} at most")
        print(page.locator("#proof").inner_text())
    assert right > 0.9 * len(others)
    assert apart <= 1e-5


def test_a_small_lesson_is_kept_as_a_file_that_runs_outside(
    few, opened, tmp_path, run_command, fill, teach, tried, kept
):
    page = opened()
    fill(page, few)
    assert "24 of 24" in teach(page)
    files = [own[0] for own in few.values()]
    rows = tried(page, files)
    assert [row["label"] for row in rows] == list(few)
    model = kept(page, tmp_path / "taught.onnx")
    loaded = convmedia.load(model)
    assert (loaded.app, loaded.labels) == ("transfer", list(few))
    assert loaded.description["details"]["examples"] == {name: 8 for name in few}
    for file, row in zip(files, rows, strict=True):
        for label, score in scores(loaded.predict(file)).items():
            assert scores(row)[label] == pytest.approx(score, abs=1e-5)
    done = run_command("transfer", "predict", *files, "--model", model, "--json")
    assert [row["label"] for row in json.loads(done.stdout)] == list(few)


def test_what_is_missing_is_said_before_anything_is_learned(few, opened):
    page = opened()
    page.click("#teach")
    page.wait_for_selector("#lesson:has-text('Class 1 has no examples yet')")
    for card in range(2):
        page.locator(".class").nth(card).locator("input:not([type])").fill("same")
    page.click("#teach")
    page.wait_for_selector("#lesson:has-text('Two classes are called same')")
    page.locator(".class").nth(1).get_by_role("button", name="Remove the class").click()
    page.click("#teach")
    page.wait_for_selector("#lesson:has-text('Two classes at least are needed')")
    assert not page.is_visible("#try")


def test_equal_pictures_are_no_proof_of_what_was_learned(few, opened, fill, teach):
    page = opened()
    fill(page, {"cat": few["cat"][:1] * 6, "noise": few["noise"][:6]})
    assert "too few examples to measure" in teach(page)
    assert not page.is_visible("#figures-box")


def test_files_that_are_no_pictures_are_named_and_left_out(few, opened, tmp_path):
    page = opened()
    (tmp_path / "words.png").write_text("no picture")
    card = page.locator(".class").first
    card.locator("input[type=file]").first.set_input_files([str(few["cat"][0]), str(tmp_path / "words.png")])
    page.wait_for_selector(".count:has-text('1 example; left out: words.png')", timeout=PATIENCE_MS)


def test_pictures_come_from_the_camera_while_a_button_is_held_by_keyboard(opened):
    page = opened(permissions=["camera"])
    card = page.locator(".class").first
    card.get_by_role("button", name="Camera").click()
    hold = card.get_by_role("button", name="Hold to take pictures")
    page.wait_for_selector(".capture button:enabled")
    hold.focus()
    page.keyboard.down(" ")
    page.wait_for_timeout(900)
    page.keyboard.up(" ")
    page.wait_for_selector(".class:first-child .examples li:nth-child(3)", timeout=PATIENCE_MS)
    assert "examples" in card.locator(".count").inner_text()
    page.wait_for_selector("#told:has-text('Class 1:')", state="attached")
    before = card.locator(".examples li").count()
    card.get_by_role("button", name="Remove example 1 of").click()
    assert card.locator(".examples li").count() == before - 1


def test_the_file_is_not_proved_by_nothing(opened, teach):
    """Of the camera's pictures only the first few are kept whole; here those are removed."""
    page = opened(permissions=["camera"])
    for place in range(2):
        card = page.locator(".class").nth(place)
        card.get_by_role("button", name="Camera").click()
        page.wait_for_selector(f".class:nth-child({place + 1}) .capture button:enabled")
        card.get_by_role("button", name="Hold to take pictures").focus()
        page.keyboard.down(" ")
        page.wait_for_timeout(1500)
        page.keyboard.up(" ")
        page.wait_for_selector(f".class:nth-child({place + 1}) .examples li:nth-child(6)", timeout=PATIENCE_MS)
        known = 0
        while known != (known := card.locator(".examples li").count()):  # pictures may still wait for their turn
            page.wait_for_timeout(3000)
        for _ in range(4):
            card.get_by_role("button", name="Remove example 1 of").click()
    teach(page)
    page.click("#keep")
    page.wait_for_selector("#proof:has-text('no example is left to try it on')", timeout=PATIENCE_MS)


def test_a_folder_of_folders_makes_a_class_of_each_and_a_picture_in_two_is_told(few, opened, tmp_path, teach):
    for name in ("noise", "paper"):
        (tmp_path / "all" / name).mkdir(parents=True)
        for file in few["noise" if name == "noise" else "digit"][:6]:
            shutil.copy(file, tmp_path / "all" / name)
    shutil.copy(few["noise"][0], tmp_path / "all" / "paper")
    page = opened()
    page.set_input_files("#all-folders", str(tmp_path / "all"))
    page.wait_for_selector(".class:nth-child(2) .count:has-text('7 ex')", timeout=PATIENCE_MS)
    names = [page.locator(".class input:not([type])").nth(place).input_value() for place in range(2)]
    assert names == ["noise", "paper"]
    assert "one picture is in two classes" in teach(page)


def test_the_page_is_used_by_keyboard_alone(few, opened, tab_to):
    page = opened()
    given = iter([few["cat"], few["noise"], few["cat"][:1]])
    page.on("filechooser", lambda chooser: chooser.set_files([str(file) for file in next(given)]))
    tab_to(page, "#name-1")
    page.keyboard.type("cat")
    tab_to(page, ".class:first-child button")
    page.keyboard.press("Enter")
    page.wait_for_selector(".class:first-child .count:has-text('8 ex')", timeout=PATIENCE_MS)
    tab_to(page, "#name-2")
    page.keyboard.type("noise")
    tab_to(page, ".class:nth-child(2) button")
    page.keyboard.press("Enter")
    page.wait_for_selector("#told:has-text('noise: 8 examples')", state="attached", timeout=PATIENCE_MS)
    tab_to(page, "#teach")
    page.keyboard.press("Enter")
    page.wait_for_selector("html[data-taught]", timeout=PATIENCE_MS)
    tab_to(page, "#choose")
    page.keyboard.press("Enter")
    page.wait_for_selector("#said:has-text('cat, ')", timeout=PATIENCE_MS)
    tab_to(page, "#keep")
    with page.expect_download(timeout=PATIENCE_MS) as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "taught.onnx"


def test_the_command_writes_the_page(tmp_path, run_command, served, open_page):
    done = run_command("transfer", "export", "--format", "web", "--out", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["web"]["network"] == features.NETWORK
    page = open_page(f"{served(tmp_path / 'out' / 'web')}/")
    page.wait_for_selector("html[data-ready]", timeout=PATIENCE_MS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1440])
def test_nothing_stands_in_the_way_of_a_screen_reader(
    width, scheme, few, opened, fill, teach, tried, faults_for_readers
):
    page = opened(viewport={"width": width, "height": 900}, color_scheme=scheme)
    fill(page, few)
    teach(page)
    tried(page, [few["cat"][0]])
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shots = os.environ.get("CONVMEDIA_SHOTS")
    if shots:
        page.screenshot(path=f"{shots}/teach-{width}-{scheme}.png", full_page=True)
    assert faults_for_readers(page) == []


def test_a_folder_of_something_else_is_not_written_over(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(convmedia.InputError, match="is no page; give another --out"):
        teaching_folder.write(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_the_network_of_features_is_written_once():
    first = features.pictures()
    age = first.stat().st_ino
    assert features.pictures() == first
    assert first.stat().st_ino == age
