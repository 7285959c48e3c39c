"""A lesson on the page that learns: what a visitor does, step by step."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import onnx
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
def opened(page_folder, served, open_page) -> Callable[..., object]:
    """Opens the page, and waits until it is ready."""

    def ready(**options):
        page = open_page(f"{served(page_folder)}/", **options)
        page.wait_for_selector("html[data-ready]", timeout=PATIENCE_MS)
        return page

    return ready


@pytest.fixture
def agreement(tried, kept, run_command, tmp_path) -> Callable[..., tuple[int, float]]:
    """Of other files, {file: class}: how many a taught page answers right, and the greatest difference of a score to
    what the command answers with the file that the page gives."""

    def scores(row: dict) -> dict[str, float]:
        return {entry["label"]: entry["score"] for entry in row["top"]}

    def measured(page, others: dict[Path, str], app: str) -> tuple[int, float]:
        rows = tried(page, list(others))
        model = kept(page, tmp_path / "taught.onnx")
        onnx.checker.check_model(onnx.load(model), full_check=True)
        done = run_command(app, "predict", *others, "--model", model, "--top", 3, "--json")
        assert done.returncode == 0, done.stderr
        pairs = zip(map(scores, rows), map(scores, json.loads(done.stdout)), strict=True)
        apart = max(abs(one[name] - other[name]) for one, other in pairs for name in set(others.values()))
        return sum(row["label"] == name for row, name in zip(rows, others.values(), strict=True)), apart

    return measured
