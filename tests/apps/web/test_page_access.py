"""Pages for everybody: by keyboard alone, by screen reader, on phones and desktops, in light and dark."""

import json
from pathlib import Path

import pytest

from convmedia.data import samples

PATIENCE_MS = 120_000


def test_a_page_is_used_by_keyboard_alone(page_of, served, open_page, tab_to):
    page = open_page(f"{served(page_of('mnist'))}/")
    page.on("filechooser", lambda chooser: chooser.set_files(str(samples.FOLDER / "two.jpg")))
    page.wait_for_selector("html[data-proof]", timeout=PATIENCE_MS)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the input"
    page.keyboard.press("Enter")
    tab_to(page, "#choose")
    page.keyboard.press("Enter")
    page.wait_for_selector("#table tbody tr", timeout=PATIENCE_MS)
    assert page.locator("#said").inner_text().startswith("2,")
    tab_to(page, "#draw")
    page.keyboard.press("Enter")  # the pad opens and has the focus
    page.keyboard.down(" ")
    for _ in range(16):  # a 1
        page.keyboard.press("ArrowDown")
    page.keyboard.up(" ")
    page.wait_for_selector("#said:has-text('1,')", timeout=PATIENCE_MS)
    tab_to(page, "#examples button")
    page.keyboard.press("Enter")
    page.wait_for_selector("#table tbody tr:nth-child(2)", timeout=PATIENCE_MS)
    tab_to(page, "#as-json")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert len(json.loads(Path(download.value.path()).read_text(encoding="utf-8"))) == 2


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (768, "light"), (1440, "dark")])
@pytest.mark.parametrize(
    ("app", "file"), [("mnist", "seven.jpg"), ("audio", "seven.wav"), ("super-resolution", "four.png")]
)
def test_nothing_stands_in_the_way_of_a_screen_reader(
    app, file, width, scheme, page_of, served, open_page, faults_for_readers
):
    address = f"{served(page_of(app))}/"
    page = open_page(address, viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True)
    page.wait_for_selector("html[data-proof]", timeout=PATIENCE_MS)
    page.set_input_files("#files", str(samples.FOLDER / file))
    page.wait_for_selector("#table tbody tr", timeout=PATIENCE_MS)
    if app == "mnist":
        page.click("#draw")
    page.click("details summary")
    page.wait_for_timeout(400)  # bars grow to their lengths
    assert faults_for_readers(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_an_answer_is_said_aloud(page_of, served, open_page):
    page = open_page(f"{served(page_of('mnist'))}/")
    page.wait_for_selector("html[data-proof]", timeout=PATIENCE_MS)
    assert page.get_by_role("status").first.inner_text().startswith("✓ Proved")
    page.set_input_files("#files", str(samples.FOLDER / "seven.jpg"))
    page.wait_for_selector("#table tbody tr", timeout=PATIENCE_MS)
    assert "7" in [one.inner_text()[:1] for one in page.get_by_role("status").all() if one.is_visible()]
