"""The page of sounds in a real browser: files as `predict` answers them, and a microphone."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from convmedia.data import samples

PATIENCE_MS = 120_000


def test_sounds_are_answered_as_predict_answers_them(page_of, served, open_page, run_command, tmp_path):
    spoken, rate = soundfile.read(samples.FOLDER / "seven.wav", dtype="float32")
    soundfile.write(tmp_path / "long.flac", np.tile(spoken, 7), rate)
    soundfile.write(tmp_path / "stereo.wav", np.stack([spoken, 0.5 * spoken], 1), rate, subtype="PCM_24")
    soundfile.write(tmp_path / "silent.wav", np.zeros(rate), rate)
    shutil.copyfile(samples.FOLDER / "seven.wav", tmp_path / "seven.wav")
    (tmp_path / "cut.wav").write_bytes((samples.FOLDER / "seven.wav").read_bytes()[:30])
    files = [tmp_path / name for name in ("seven.wav", "long.flac", "stereo.wav", "silent.wav", "cut.wav")]
    page = open_page(f"{served(page_of('audio'))}/")
    page.wait_for_selector("html[data-proof=good]", timeout=PATIENCE_MS)
    page.set_input_files("#files", [str(file) for file in files])
    page.wait_for_selector("#table tbody tr:nth-child(5)", timeout=PATIENCE_MS)
    with page.expect_download() as download:
        page.click("#as-json")
    rows = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    done = run_command("audio", "predict", *files, "--json", "--engine-runtime", "onnx")
    for row, wanted in zip(rows, json.loads(done.stdout), strict=True):
        assert ("error" in row) == ("error" in wanted), row
        if "error" not in row:
            scores = {one["label"]: one["score"] for one in wanted["top"]}
            assert {one["label"]: one["score"] for one in row["top"]} == pytest.approx(scores, abs=1e-5)
    assert [("error" in row) for row in rows] == [False, False, False, True, True]
    assert "silent" in rows[3]["error"]


def test_another_rate_is_brought_to_the_models(page_of, served, open_page, run_command, tmp_path):
    import soxr

    spoken, rate = soundfile.read(samples.FOLDER / "seven.wav", dtype="float32")
    soundfile.write(tmp_path / "fine.wav", soxr.resample(spoken, rate, 44_100), 44_100)
    page = open_page(f"{served(page_of('audio'))}/")
    page.wait_for_selector("html[data-proof=good]", timeout=PATIENCE_MS)
    page.set_input_files("#files", str(tmp_path / "fine.wav"))
    page.wait_for_selector("#table tbody tr", timeout=PATIENCE_MS)
    assert "recorded at 44,100 Hz" in page.locator("#shown figcaption").inner_text()
    with page.expect_download() as download:
        page.click("#as-json")
    (row,) = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    (wanted,) = json.loads(run_command("audio", "predict", tmp_path / "fine.wav", "--json").stdout)
    scores = {one["label"]: one["score"] for one in wanted["top"]}
    assert {one["label"]: one["score"] for one in row["top"]} == pytest.approx(scores, abs=1e-3)  # soxr is not ours


def test_a_recording_is_answered_drawn_and_listed(page_of, served, open_page):
    page = open_page(f"{served(page_of('audio'))}/", permissions=["microphone"])
    page.wait_for_selector("html[data-proof=good]", timeout=PATIENCE_MS)
    page.click("#record")
    page.wait_for_selector("#record[aria-pressed=true]:not(:disabled)", timeout=PATIENCE_MS)
    page.wait_for_timeout(1500)  # the fake microphone beeps once a second
    page.click("#record")
    page.wait_for_selector("#table tbody tr", timeout=PATIENCE_MS)
    assert page.locator("#table tbody tr td").first.inner_text() == "recording 1"
    assert page.locator("#shown canvas").get_attribute("aria-label")
    assert float(page.locator("#shown figcaption").inner_text().split(" s")[0]) > 1.0
    assert page.locator("#record").get_attribute("aria-pressed") == "false"


def test_what_the_microphone_hears_is_answered_live(page_of, served, open_page):
    page = open_page(f"{served(page_of('audio'))}/", permissions=["microphone"])
    page.wait_for_selector("html[data-proof=good]", timeout=PATIENCE_MS)
    page.click("#live")
    page.wait_for_selector("#shown .bars li", timeout=PATIENCE_MS)
    page.click("#live")
    page.wait_for_selector("#live[aria-pressed=false]:not(:disabled)", timeout=PATIENCE_MS)
    assert page.locator("#rows").is_hidden()  # live answers are no rows


def test_in_silence_no_label_is_named(page_of, served, open_page):
    silent = (
        "navigator.mediaDevices.getUserMedia = async () => new AudioContext().createMediaStreamDestination().stream"
    )
    page = open_page(f"{served(page_of('audio'))}/")
    page.wait_for_selector("html[data-proof=good]", timeout=PATIENCE_MS)
    page.evaluate(f"navigator.mediaDevices.getUserMedia = {silent}")
    page.click("#live")
    page.wait_for_selector("#said:has-text('Nothing is to be heard.')", timeout=PATIENCE_MS)
    assert page.locator("#shown .bars li").count() == 0
    page.click("#live")
