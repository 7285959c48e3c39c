"""Pages of all applications in a real browser: they prove themselves, and answer files as the commands do."""

import io
import json
import re
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from convmedia.apps.web import pages
from convmedia.data import samples
from convmedia.data.images import decoding
from convmedia.models.answer import PICTURE
from convmedia.models.networks.stylization import painter
from convmedia.models.saving.assembly import assemble
from convmedia.models.saving.files import save

CLASSIFIERS = {"mnist": ("seven.jpg", "two.jpg", "five.jpg", "four.png"), "cats-vs-dogs": ("cat.jpg",)}
PICTURES = {
    "super-resolution": ("upscale", "--scale", 2, "--network", "srcnn"),
    "style-transfer": ("apply",),
}
EVERY = [*CLASSIFIERS, *PICTURES, "audio"]
PATIENCE_MS = 120_000


def proved(page) -> str:
    """What the page says of itself when it has checked its examples."""
    page.wait_for_selector("html[data-proof]", timeout=PATIENCE_MS)
    return page.locator("#verdict").inner_text()


def answered(page, files: list) -> list[dict]:
    """The rows of files that are given to the page, as its JSON has them."""
    page.set_input_files("#files", files)
    page.wait_for_selector(f"#table tbody tr:nth-child({len(files)})", timeout=PATIENCE_MS)
    with page.expect_download() as download:
        page.click("#as-json")
    return json.loads(Path(download.value.path()).read_text(encoding="utf-8"))


@pytest.mark.parametrize("app", EVERY)
def test_a_page_proves_itself_on_the_visitors_device(app, page_of, served, open_page):
    page = open_page(f"{served(page_of(app))}/")
    said = proved(page)
    assert page.evaluate("document.documentElement.dataset.proof") == "good", said
    apart = float(re.search(r"greatest difference ([\d.e+-]+)", said)[1])
    assert apart <= (1.0 if app in PICTURES else 1e-5)
    assert "12 of 12" in said
    assert page.locator("#proof-table tbody tr").count() == 12


@pytest.mark.parametrize("app", CLASSIFIERS)
def test_files_are_answered_as_predict_answers_them(app, page_of, served, open_page, run_command, tmp_path):
    files = [samples.FOLDER / name for name in CLASSIFIERS[app]]
    large = tmp_path / "large.jpg"
    Image.open(files[0]).resize((5000, 3700)).save(large, quality=90)  # more than 16 megapixels: averaged before
    turned = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(files[0]).save(turned, exif=exif, quality=95)
    files += [large, turned]
    page = open_page(f"{served(page_of(app))}/")
    proved(page)
    rows = answered(page, [str(file) for file in files])
    done = run_command(app, "predict", *files, "--json", "--engine-runtime", "onnx")
    for row, wanted in zip(rows, json.loads(done.stdout), strict=True):
        assert row["file"] == Path(wanted["file"]).name
        assert row["label"] == wanted["label"]
        scores = {one["label"]: one["score"] for one in wanted["top"]}
        assert {one["label"]: one["score"] for one in row["top"]} == pytest.approx(scores, abs=1e-5)


@pytest.mark.parametrize("app", PICTURES)
def test_pictures_are_made_as_the_command_makes_them(app, page_of, served, open_page, run_command, tmp_path):
    photo = tmp_path / "photo.png"
    decoding.encode(decoding.decode(samples.FOLDER / "cat.jpg")[:150, :201], photo)
    page = open_page(f"{served(page_of(app))}/")
    proved(page)
    page.set_input_files("#files", str(photo))
    page.wait_for_selector("#shown button", timeout=PATIENCE_MS)
    with page.expect_download() as download:
        page.click("#shown button")
    found = np.asarray(Image.open(download.value.path()).convert("RGB")).astype(int)
    done = run_command(app, *PICTURES[app], photo, "--out", tmp_path / "made", "--engine-runtime", "onnx")
    assert done.returncode == 0, done.stderr
    (made,) = (tmp_path / "made").glob("photo*.png")
    assert np.abs(found - decoding.decode(made)).max() <= 1


@pytest.mark.slow
def test_a_large_picture_is_enlarged_in_tiles_without_seams(page_of, served, open_page, run_command, tmp_path):
    photo = tmp_path / "photo.png"
    whole = decoding.decode(samples.FOLDER / "cat.jpg")
    decoding.encode(np.tile(whole, (2, 2, 1))[:500, :430], photo)  # tiles of 384 px go in
    page = open_page(f"{served(page_of('super-resolution'))}/")
    proved(page)
    page.set_input_files("#files", str(photo))
    page.wait_for_selector("#shown button", timeout=PATIENCE_MS)
    with page.expect_download() as download:
        page.click("#shown button")
    found = decoding.decode(Path(download.value.path()).read_bytes()).astype(int)
    run_command("super-resolution", *PICTURES["super-resolution"], photo, "--out", tmp_path / "made")
    (made,) = (tmp_path / "made").glob("photo*.png")
    assert np.abs(found - decoding.decode(made)).max() <= 1


def altered(folder: Path, target: Path, also_digest: bool) -> Path:
    """A copy of a page whose model has other weights."""
    import hashlib

    import onnx
    from onnx import numpy_helper

    shutil.copytree(folder, target)
    file = target / "model" / "model.onnx"
    model = onnx.load(file)
    tensor = max(model.graph.initializer, key=lambda one: numpy_helper.to_array(one).size)
    tensor.CopyFrom(numpy_helper.from_array((numpy_helper.to_array(tensor) * np.float32(1.01)), tensor.name))
    file.write_bytes(model.SerializeToString())
    if also_digest:
        facts = json.loads((target / "model" / "model.json").read_text(encoding="utf-8"))
        facts["file"]["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
        (target / "model" / "model.json").write_text(json.dumps(facts), encoding="utf-8")
    return target


@pytest.mark.parametrize(("also_digest", "said"), [(False, "not the one"), (True, "are answered otherwise")])
def test_a_page_with_a_wrong_model_shows_red(also_digest, said, page_of, served, open_page, tmp_path):
    page = open_page(f"{served(altered(page_of('cats-vs-dogs'), tmp_path / 'web', also_digest))}/")
    assert said in proved(page)
    assert page.evaluate("document.documentElement.dataset.proof") == "bad"
    assert "bad" in page.locator("#verdict").get_attribute("class")


def test_a_bad_file_among_good_ones_is_named_and_the_others_are_answered(page_of, served, open_page, tmp_path):
    cut = tmp_path / "cut.jpg"
    cut.write_bytes((samples.FOLDER / "seven.jpg").read_bytes()[:900])
    blank = tmp_path / "=blank.png"
    Image.new("RGB", (200, 200), "white").save(blank)
    page = open_page(f"{served(page_of('mnist'))}/")
    proved(page)
    rows = answered(page, [str(cut), str(samples.FOLDER / "seven.jpg"), str(blank)])
    assert [("error" in row) for row in rows] == [True, False, True]
    assert "no digit" in rows[2]["error"]
    with page.expect_download() as download:
        page.click("#as-csv")
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("file,")
    assert lines[3].startswith("'=blank.png,")  # no formula


def test_a_page_works_below_a_path_and_offline(page_of, served, open_page):
    folder = page_of("mnist")
    page = open_page(f"{served(folder.parent)}/web/")
    proved(page)
    page.context.set_offline(True)
    assert answered(page, [str(samples.FOLDER / "seven.jpg")])[0]["label"] == "7"


def test_the_first_digit_is_answered_within_a_second_and_the_page_says_how(page_of, served, open_page):
    page = open_page(f"{served(page_of('mnist'))}/")
    proved(page)
    began = time.perf_counter()
    assert answered(page, [str(samples.FOLDER / "seven.jpg")])[0]["label"] == "7"
    page.wait_for_selector("#shown .small canvas")
    seen = page.evaluate("[...document.querySelectorAll('#shown .small canvas')].map((c) => [c.width, c.height])")
    assert seen == [[28, 28]]  # the digit that the network saw
    assert time.perf_counter() - began < 20


def test_what_speaks_for_a_label_is_drawn(page_of, served, open_page):
    page = open_page(f"{served(page_of('cats-vs-dogs'))}/")
    proved(page)
    page.set_input_files("#files", str(samples.FOLDER / "cat.jpg"))
    page.get_by_role("button", name=re.compile("What speaks for cat")).click(timeout=PATIENCE_MS)
    page.wait_for_selector("text=less sure of cat", timeout=PATIENCE_MS)
    drawn = page.evaluate("document.querySelectorAll('#shown canvas').length")
    assert drawn >= 2
    shot = np.asarray(Image.open(io.BytesIO(page.locator("#shown").screenshot())).convert("RGB")).astype(int)
    assert ((shot[..., 0] - shot[..., 2]) > 60).mean() > 0.005  # red lies over some of it


def test_the_cameras_frames_are_answered_until_it_is_stopped(page_of, served, open_page):
    address = served(page_of("cats-vs-dogs"))
    page = open_page(f"{address}/", permissions=["camera"])
    proved(page)
    page.click("#camera")
    page.wait_for_selector("#shown .bars li", timeout=PATIENCE_MS)
    assert page.locator("#camera").get_attribute("aria-pressed") == "true"
    page.click("#camera")
    assert page.locator("#camera").get_attribute("aria-pressed") == "false"
    assert page.evaluate("document.getElementById('video').srcObject === null")


def test_a_second_press_while_people_are_asked_opens_no_second_camera(page_of, served, open_page):
    page = open_page(f"{served(page_of('cats-vs-dogs'))}/", permissions=["camera"])
    proved(page)
    page.evaluate("""() => {
      const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
      window.streams = [];
      navigator.mediaDevices.getUserMedia = async (asked) => {
        await new Promise((resolve) => setTimeout(resolve, 300));
        window.streams.push(await open(asked));
        return window.streams.at(-1);
      };
      document.getElementById("camera").click();
      document.getElementById("camera").click();
    }""")
    page.wait_for_selector("#camera[aria-pressed=true]:enabled", timeout=PATIENCE_MS)
    page.click("#camera")
    page.wait_for_timeout(500)
    states = page.evaluate("window.streams.map((stream) => stream.getTracks().map((track) => track.readyState))")
    assert states == [["ended"]]


def test_a_page_of_two_styles_proves_itself_whatever_the_sliders_say(tmp_path, run_command, served, open_page):
    network, rng = painter(4, blocks=1, styles=2), np.random.default_rng(0)
    network.set_weights([one + rng.normal(0, 0.3, one.shape) for one in network.get_weights()])
    details = {"styles": ["one", "two"]}
    model = assemble(network, app="style-transfer", labels=None, input=PICTURE, details=details, beside={"style": 2})
    save(model, tmp_path / "two.keras")
    made = ("--model", tmp_path / "two.keras", "--format", "web", "--out", tmp_path / "out")
    done = run_command("style-transfer", "export", *made)
    assert done.returncode == 0, done.stderr
    page = open_page(f"{served(tmp_path / 'out' / 'web')}/")
    assert proved(page).startswith("✓ Proved")


@pytest.mark.slow
def test_two_questions_at_once_are_answered_by_a_graphics_processor(page_of, served, with_graphics):
    page = with_graphics.new_page()
    page.goto(f"{served(page_of('super-resolution'))}/")
    page.wait_for_selector("html[data-engine]", timeout=5 * PATIENCE_MS)
    sizes = page.evaluate("""async () => {
      const { Asker } = await import("./page/asker.js");
      const facts = await (await fetch("model/model.json")).json();
      const asker = new Asker(facts.file.name, null, "webgpu");
      const { outputs } = await asker.ready();
      const one = () =>
        asker.run([{ type: facts.takes, data: new Float32Array(3 * 32 * 32), dims: [1, 32, 32, 3] }], outputs);
      const late = new Promise((resolve) => setTimeout(() => resolve([]), 60000));
      const found = await Promise.race([Promise.all([one(), one()]), late]);
      return found.map((answer) => answer.outputs[outputs[0]].data.length);
    }""")
    assert sizes == [3 * 64 * 64] * 2
    page.close()


@pytest.mark.parametrize(
    ("labels", "title"), [(["CT scan", "MRI"], "CT scan or MRI?"), (["cat", "dog", "iPad"], "Cat, dog or iPad?")]
)
def test_a_title_keeps_labels_as_they_are_written(labels, title):
    asked = SimpleNamespace(labels=labels, kind=SimpleNamespace(name="probabilities"))
    assert pages.title_of(SimpleNamespace(title="", name="transfer"), asked) == title


@pytest.mark.slow
def test_a_graphics_processor_that_answers_otherwise_is_not_used(page_of, served, with_graphics):
    """SRCNN on Chromium's software WebGPU is far off: the page goes on with the CPU, and its answers are right."""
    page = with_graphics.new_page()
    page.goto(f"{served(page_of('super-resolution'))}/")
    assert page.evaluate("navigator.gpu.requestAdapter().then((adapter) => adapter !== null)")
    page.wait_for_selector("html[data-engine]", timeout=5 * PATIENCE_MS)
    assert page.evaluate("({...document.documentElement.dataset})")["engine"] == "wasm"
    assert page.evaluate("document.documentElement.dataset.proof") == "good"
    page.close()


@pytest.mark.parametrize(
    ("found", "used"),
    [
        ([(0.1, 90), (0.2, 5)], True),
        ([(0.1, 90), (0.2, 50)], False),  # slower than the CPU's 40 ms
        ([(0.1, 9), (1.2, 5)], False),  # too far apart
        ([], False),
    ],
)
def test_a_graphics_processor_is_used_where_it_agrees_and_is_quicker(found, used, page_of, served, open_page):
    page = open_page(f"{served(page_of('style-transfer'))}/")
    rows = [{"apart": apart, "ms": ms} for apart, ms in found]
    script = "async (rows) => (await import('./page/gpu.js')).better(rows, 1.0, 40)"
    assert page.evaluate(script, rows) is used
