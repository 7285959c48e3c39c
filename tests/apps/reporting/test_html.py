"""The report's page, read back: what is inside must be what was put in, and nothing may point outside."""

import base64
import io
import math
import os
import re
import wave
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from convmedia.apps.reporting import charts, confusion_matrix
from convmedia.apps.reporting.classification import classification
from convmedia.apps.reporting.html import Report

VOID = {"meta", "img", "br", "link"}
NOISE = np.random.default_rng(0)


class Page(HTMLParser):
    """Elements as (tag, attributes, text inside); asserts that every element is closed where it was opened."""

    def __init__(self, markup):
        super().__init__()
        self.elements: list[list[Any]] = []
        self.open: list[list[Any]] = []
        self.feed(markup)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        element = [tag, dict(attrs), ""]
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        for element in self.open:
            element[2] += data

    def all(self, tag):
        return [(attributes, text) for name, attributes, text in self.elements if name == tag]

    def texts(self, tag):
        return [text for _, text in self.all(tag)]


def read(report, folder):
    report.write(folder / "report.html")
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def content(source, kind):
    head, _, body = source.partition(";base64,")
    assert head == f"data:{kind}"
    return base64.b64decode(body)


def png(attributes):
    return np.asarray(Image.open(io.BytesIO(content(attributes["src"], "image/png"))))


def noise(height, width, *channels):
    return NOISE.integers(0, 256, (height, width, *channels), dtype=np.uint8)


def full_report():
    probabilities = NOISE.dirichlet(np.ones(3), 40)
    report = Report("Title", "subtitle").headline({"accuracy": "99.6 %"}).text("A paragraph.")
    report.figure("Curves", charts.curves({"loss": [1.0, 0.5]}), "caption").facts("Run", {"seed": 0})
    classification(report, probabilities, NOISE.integers(0, 3, 40), list("abc"), pictures=lambda i: (noise(8, 8), "f"))
    return report.sounds("Sounds", [(np.zeros(8), "silence")], 8000).problems("Left out", [("a.png", "empty")])


def test_nothing_points_outside_and_nothing_runs(tmp_path):
    page = read(full_report(), tmp_path)
    tags = {tag for tag, _, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "object", "embed", "form"}
    for tag, attributes, _ in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        assert attributes.get("src", "data:").startswith("data:"), tag
        assert attributes.get("href", "#").startswith("#"), tag
    assert "url(" not in page.texts("style")[0] and "@import" not in page.texts("style")[0]
    policy = next(each["content"] for each, _ in page.all("meta") if "http-equiv" in each)
    assert policy.startswith("default-src 'none';")


def test_the_page_is_accessible(tmp_path):
    page = read(full_report(), tmp_path)
    assert page.all("html")[0][0]["lang"] == "en"
    assert len(page.all("h1")) == 1
    assert all(attributes["alt"].strip() for attributes, _ in page.all("img"))
    assert all(attributes["scope"] in ("col", "row") for attributes, _ in page.all("th"))
    targets = {attributes["id"] for attributes, _ in page.all("h2")}
    assert {attributes["href"].removeprefix("#") for attributes, _ in page.all("a")} == targets


def luminance(colour):
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def test_text_contrast_is_at_least_that_of_wcag_aa_in_both_modes(tmp_path):
    style = read(Report("x"), tmp_path).texts("style")[0]
    modes = re.findall(r"--paper:#.*?}", style)[:2]
    assert len(modes) == 2
    for mode in modes:
        colours = dict(re.findall(r"--(\w+):(#\w+)", mode))
        colours = {name: value if len(value) == 7 else "#" + 2 * value[1:] for name, value in colours.items()}
        for text in ("ink", "soft", "accent"):
            for ground in ("paper", "card"):
                low, high = sorted((luminance(colours[text]), luminance(colours[ground])))
                assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)


def test_what_a_user_gives_is_escaped(tmp_path):
    evil = '<script>alert("1")</script>&amp;'
    report = Report(evil, evil).headline({evil: evil}).text(evil, title=evil).table(evil, [evil], [[evil]], note=evil)
    report.facts(evil, {evil: evil}).problems(evil, [(evil, evil)]).sounds(evil, [(np.zeros(4), evil)], 8000)
    report.figure(evil, Figure(), evil, alt=evil).pictures(evil, [(noise(4, 4), evil)])
    page = read(report, tmp_path)
    assert page.all("script") == []
    assert page.texts("h1") == page.texts("title") == page.texts("p")[1:2] == [evil]
    assert page.texts("h2") == [evil] * 7
    assert {attributes["alt"] for attributes, _ in page.all("img")} == {evil}


def test_headline_and_facts_keep_names_and_values_together(tmp_path):
    numbers = {"accuracy": "99.6 %", "loss": 0.0123456, "examples": 60000, "missing": None, "lost": math.nan}
    facts = {"arguments": {"epochs": 12, "invert": True}, "labels": ["a", "b"], "seconds": np.float32(12345.6)}
    page = read(Report("x").headline(numbers).facts("Run", facts), tmp_path)
    assert page.texts("dt") == [*numbers, *facts]
    dash = "\N{EN DASH}"
    assert page.texts("dd") == ["99.6 %", "0.01235", "60000", dash, dash, "epochs 12, invert yes", "a, b", "12346"]


def test_tables_have_headings_and_set_numbers_to_the_right(tmp_path):
    rows = [["cat", 3, 0.5, "96.0 %", "n1"], ["dog", 4, None, "4.0 %", "n2"]]
    page = read(Report("x").table("T", ["label", "n", "loss", "share", "note"], rows), tmp_path)
    heads = [(attributes["scope"], text) for attributes, text in page.all("th")]
    assert heads[:2] == [("col", "label"), ("col", "n")] and heads[5:] == [("row", "cat"), ("row", "dog")]
    right = [text for attributes, text in page.all("td") if attributes.get("class") == "number"]
    assert right == ["3", "0.5", "96.0 %", "4", "4.0 %"]
    read(Report("x").table("empty", ["label", "n"], []), tmp_path)


def test_figures_are_drawings_whose_ink_follows_the_mode(tmp_path):
    labels = ["猫", "a<b", "$1"]  # the font that measures has no glyph for the first: no warning, the text stays
    page = read(
        Report("x").figure("C", confusion_matrix.confusion(np.eye(3, dtype=int), labels), alt="three right"), tmp_path
    )
    (attributes, _), drawing = page.all("img")[0], content(page.all("img")[0][0]["src"], "image/svg+xml")
    assert attributes["alt"] == "three right"
    texts = [each.text for each in ElementTree.fromstring(drawing).iter("{http://www.w3.org/2000/svg}text")]
    assert set(labels) <= set(texts)
    assert b"currentColor" in drawing and b"prefers-color-scheme:dark" in drawing
    assert drawing.count(charts.INK.encode()) == 1  # in the style alone


def test_the_same_figure_gives_the_same_page(tmp_path):
    pages = []
    for name in ("a.html", "b.html"):
        Report("x").figure("C", charts.curves({"loss": [1.0, 0.5]})).write(tmp_path / name)
        pages.append((tmp_path / name).read_bytes())
    assert pages[0] == pages[1]


@pytest.mark.parametrize("shape", [(28, 28), (28, 20, 1), (64, 64, 3), (5, 7, 4), (1, 1, 3)])
def test_small_pictures_are_kept_to_the_pixel_and_enlarged(tmp_path, shape):
    picture = noise(*shape)
    attributes, _ = read(Report("x").pictures("P", [(picture, "one")]), tmp_path).all("img")[0]
    np.testing.assert_array_equal(png(attributes), picture[..., 0] if shape[2:] == (1,) else picture)
    zoom = 128 // max(shape[:2])
    assert (int(attributes["width"]), int(attributes["height"])) == (shape[1] * zoom, shape[0] * zoom)
    assert attributes["class"] == "exact"


def test_large_pictures_become_thumbnails_unless_a_zoom_is_given(tmp_path):
    ramp = np.repeat(np.linspace(0, 255, 300).astype(np.uint8)[None, :, None], 3, axis=2).repeat(200, axis=0)
    report = Report("x").pictures("P", [(ramp, "one")], side_px=150).pictures("Q", [(ramp, "one")], zoom=1)
    (small, _), (exact, _) = read(report, tmp_path).all("img")
    shown = np.asarray(Image.open(io.BytesIO(content(small["src"], "image/jpeg"))))
    assert shown.shape == (100, 150, 3)
    assert np.abs(shown.astype(int) - ramp[::2, ::2]).max() <= 3
    np.testing.assert_array_equal(png(exact), ramp)


@pytest.mark.parametrize("picture", [noise(4, 4) / 255, noise(4, 4, 2), noise(4, 4)[0], np.zeros((0, 4), np.uint8)])
def test_what_is_no_picture_is_refused(picture):
    with pytest.raises(ValueError, match="must be uint8"):
        Report("x").pictures("P", [(picture, "one")])


def test_sounds_play_as_they_were(tmp_path):
    samples = np.array([0.0, 0.5, -1.0, 1.0, 2.0])
    attributes, _ = read(Report("x").sounds("S", [(samples, "beep")], 8000), tmp_path).all("audio")[0]
    with wave.open(io.BytesIO(content(attributes["src"], "audio/wav"))) as file:
        assert (file.getframerate(), file.getnchannels()) == (8000, 1)
        found = np.frombuffer(file.readframes(5), "<i2")
    np.testing.assert_array_equal(found, [0, 16384, -32767, 32767, 32767])


def test_problems_are_folded_counted_and_cut(tmp_path):
    page = read(Report("x").problems("Left out", [(Path(f"{i}.png"), "empty") for i in range(502)]), tmp_path)
    assert page.texts("summary") == ["502 files"]
    assert len(page.all("td")) == 500 and "and 2 more" in page.texts("details")[0]
    assert read(Report("x").problems("Left out", []), tmp_path).all("section") == []


def test_a_file_name_that_is_no_text_is_written_as_escapes(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    assert read(Report("x").problems("P", [(name, "empty")]), tmp_path).texts("th")[2] == r"caf\udce9.png"


def test_a_page_that_cannot_be_put_in_place_leaves_nothing_behind(tmp_path):
    (tmp_path / "report.html").mkdir()
    with pytest.raises(OSError):
        Report("x").write(tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == [tmp_path / "report.html"]


def test_two_hundred_small_pictures_stay_small(tmp_path):
    Report("x").pictures("P", [(noise(28, 28), f"digits/{i}.png") for i in range(200)]).write(tmp_path / "r.html")
    assert (tmp_path / "r.html").stat().st_size < 500_000


@pytest.mark.skipif("CONVMEDIA_DATA" not in os.environ, reason="CONVMEDIA_DATA is not set: no photographs")
def test_two_hundred_photographs_stay_below_two_megabytes(tmp_path):
    files = sorted(Path(os.environ["CONVMEDIA_DATA"], "cats_vs_dogs", "test").rglob("*.jpg"))[:600:3]
    items = [(np.asarray(Image.open(file).convert("RGB")), file.name) for file in files]
    Report("x").pictures("P", items).write(tmp_path / "r.html")
    assert len(items) == 200 and (tmp_path / "r.html").stat().st_size < 2_000_000


TRUTH = np.array([0, 0, 0, 1, 1, 2])
PROBABILITIES = np.array(
    [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.05, 0.9, 0.05], [0.1, 0.6, 0.3], [0.5, 0.4, 0.1], [0.3, 0.5, 0.2]]
)


def test_classification_shows_figures_per_label(tmp_path):
    page = read(classification(Report("x"), PROBABILITIES, TRUTH, ["a", "b", "c"]), tmp_path)
    cells = page.texts("td")[-12:]
    dash = "\N{EN DASH}"
    assert cells[:4] == ["50.0 % (1 of 2)", "33.3 % (1 of 3)", "40.0 %", "3"]
    assert cells[4:8] == ["25.0 % (1 of 4)", "50.0 % (1 of 2)", "33.3 %", "2"]
    assert cells[8:] == [dash, "0.0 % (0 of 1)", "0.0 %", "1"]  # c was never answered: no precision
    assert page.all("img")[0][0]["alt"] == "2 of 6 answers are right."


def test_classification_lists_the_pairs_most_often_confused(tmp_path):
    page = read(classification(Report("x"), PROBABILITIES, TRUTH, ["a", "b", "c"]), tmp_path)
    pairs = page.all("table")[0][1]
    assert pairs == "truthanswertimes" + "ab2" + "ba1" + "cb1"


def test_worst_mistakes_are_wrong_answers_the_most_confident_first(tmp_path):
    asked = []

    def picture(index):
        asked.append(index)
        return noise(8, 8), f"file {index}"

    report = classification(Report("x"), PROBABILITIES, TRUTH, ["a", "b", "c"], pictures=picture, mistakes=3)
    assert asked == [2, 1, 4]
    captions = read(report, tmp_path).texts("figcaption")[-3:]
    assert captions[0] == "a, read as b\n90.0 % sure\nfile 2"
    assert captions[2] == "b, read as a\n50.0 % sure\nfile 4"


def test_a_classifier_without_mistakes_shows_none(tmp_path):
    report = classification(Report("x"), np.eye(2)[[0, 1]], np.array([0, 1]), ["a", "b"], pictures=lambda i: 1 / 0)
    assert read(report, tmp_path).texts("h2") == ["Confusion matrix", "Labels", "Calibration"]
