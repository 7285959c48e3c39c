"""A lesson on the page that learns: what a visitor does, step by step."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

PATIENCE_MS = 240_000


@pytest.fixture
def fill() -> Callable[..., None]:
    """Make a card for each class, with its files."""

    def step(page, classes: dict[str, list[Path]]) -> None:
        """Make a card for each class, with its files."""
        for place, (name, files) in enumerate(classes.items()):
            if place >= page.locator(".class").count():
                page.click("#create")
            card = page.locator(".class").nth(place)
            card.locator("input:not([type])").fill(name)
            card.locator("input[type=file]").first.set_input_files([str(file) for file in files])
        for place, files in enumerate(classes.values()):
            page.wait_for_selector(
                f".class:nth-child({place + 1}) .count:has-text('{len(files)} ex')", timeout=PATIENCE_MS
            )

    return step


@pytest.fixture
def teach() -> Callable[..., str]:
    """Teach, and what the page says then."""

    def step(page) -> str:
        """Teach, and what the page says then."""
        before = page.evaluate("document.documentElement.dataset.taught ?? '0'")
        page.click("#teach")
        page.wait_for_selector(f"html[data-taught='{int(before) + 1}']", timeout=PATIENCE_MS)
        return page.locator("#lesson").inner_text()

    return step


@pytest.fixture
def tried() -> Callable[..., list[dict]]:
    """The page's answers to files."""

    def step(page, files: list[Path]) -> list[dict]:
        """The page's answers to files."""
        page.set_input_files("#files", [str(file) for file in files])
        page.wait_for_selector(f"#table tbody tr:nth-child({len(files)})", timeout=PATIENCE_MS)
        with page.expect_download() as download:
            page.click("#as-json")
        return json.loads(Path(download.value.path()).read_text(encoding="utf-8"))

    return step


@pytest.fixture
def kept() -> Callable[..., Path]:
    """The file that the page gives, proved."""

    def step(page, out: Path) -> Path:
        """The file that the page gives, proved."""
        with page.expect_download(timeout=PATIENCE_MS) as download:
            page.click("#keep")
        assert page.locator("#proof").inner_text().startswith("✓ Proved")
        shutil.copyfile(download.value.path(), out)
        return out

    return step


@pytest.fixture
def tab_to() -> Callable[..., None]:
    """Press Tab until an element has the focus."""

    def step(page, selector: str, most: int = 80) -> None:
        """Press Tab until an element has the focus."""
        for _ in range(most):
            page.keyboard.press("Tab")
            if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
                return
        pytest.fail(f"{selector} cannot be reached by the keyboard")

    return step
