"""The folder of a page: any static server serves it, also below a sub-path and offline.

index.html              what visitors open
page/                   its modules and its style, the same in every page
runtime/                ONNX Runtime Web
model/                  model.onnx, and model.json: what the page is told of it
examples/               files that the page answers when it is opened, and what they were answered when it was made
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convmedia.apps.web import card, examples, runtime
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown
from convmedia.models.formats import onnx_bytes, onnx_external
from convmedia.models.inference.file_predictor import MOST_PIXELS, FilePredictor
from convmedia.models.inference.sessions import onnx

PAGE = Path(__file__).with_name("page")
MARK = "model/model.json"  # what only a folder of ours has
LEVEL = 1.0  # of 255, that a page's pictures may differ by from those stored
IN_8_BITS = 0.05  # that scores of a file in 8 bits may, whose kernels processors round differently; else as exports
MANY_NODES = 500  # of which a browser takes longer to optimise the graph than it gains
TILE_PX = 768  # of the enlarged picture


@dataclass(frozen=True)
class Page:
    """What a page is made of.

    Attributes:
        title: its heading.
        about: what it does, a sentence.
        predictor: the model.
        file: its exported ONNX file, proved.
        inputs: raw inputs to choose the examples from.
        eight_bits: whether the file computes in 8 bits.
    """

    title: str
    about: str
    predictor: FilePredictor
    file: Path
    inputs: Sequence[np.ndarray]
    eight_bits: bool = False


def write(page: Page, folder: Path, progress: Callable[[int, int | None], None] | None = None) -> dict[str, Any]:
    """Write the folder anew.

    Args:
        progress: told bytes of the runtime's download, where it is not at hand.

    Returns:
        {"bytes", "examples", "runtime", "model_sha256"}.

    Raises:
        InputError: the folder is there and holds no page; the runtime cannot be had.
    """
    if folder.exists() and not (folder / MARK).is_file() and any(folder.iterdir()):
        raise InputError(f"The folder {shown(folder)} is no page; give another --out.")
    beside = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        runtime.copy(beside / "runtime", page.predictor.kind.name == "picture", progress)
        shutil.copytree(PAGE, beside / "page", ignore=shutil.ignore_patterns("*.html", "teach"))
        (beside / "model").mkdir()
        facts = _facts(page, beside)
        (beside / MARK).write_text(json.dumps(facts, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        (beside / "index.html").write_text(_html(page, facts), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        beside.replace(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return {
        "bytes": size,
        "examples": len(facts["examples"]),
        "runtime": f"onnxruntime-web {runtime.VERSION}",
        "model_sha256": page.predictor.digest,
    }


def _facts(page: Page, folder: Path) -> dict[str, Any]:
    """What `model/model.json` says; the model and the examples are written."""
    predictor, kind = page.predictor, page.predictor.kind
    content = onnx_external.whole(page.file)
    seen = None
    if kind.name == "probabilities" and predictor.input["kind"] == "image":
        seen = onnx_bytes.first_input(content, "Conv")
    given = onnx_bytes.with_output(content, seen) if seen else content
    (folder / "model" / "model.onnx").write_bytes(given)
    session = onnx(page.file)
    rate = predictor.input.get("sample_rate")
    longest = examples.LONGEST_MADE_PX if kind.name == "picture" else examples.LONGEST_PX
    chosen = examples.spread(page.inputs, longest)
    entries = examples.write(folder / "examples", chosen, session, predictor.beside, rate)
    scores = IN_8_BITS if page.eight_bits else kind.tolerance
    facts = {
        "title": page.title,
        "about": page.about,
        "app": predictor.app,
        "kind": kind.name,
        "labels": predictor.labels,
        "input": predictor.input,
        "details": predictor.details,
        "model_sha256": predictor.digest,
        "file": {"name": "model/model.onnx", "bytes": len(given), "sha256": hashlib.sha256(given).hexdigest()},
        "optimise": onnx_bytes.number_of_nodes(given) <= MANY_NODES,
        "eight_bits": page.eight_bits,
        "seen": seen,
        "beside": predictor.beside,
        "takes": str(session.takes),
        "tolerance": LEVEL if kind.name == "picture" else scores * kind.outputs[0].scale,  # type: ignore[operator]
        "examples": entries,
        "runtime": f"onnxruntime-web {runtime.VERSION}",
    }
    if predictor.input["kind"] == "sound":
        return facts | {"finds_ink": False, "hop_samples": predictor.hop_samples}
    reduces = predictor.shrinks and not kind.located
    facts |= {"finds_ink": predictor.finds_ink, "most_pixels": MOST_PIXELS if reduces else None}
    facts["webgpu"] = kind.name == "picture"
    if scale := (predictor.details.get("scale") if kind.name == "picture" else None):
        facts |= {"scale": scale, "reach": predictor.reach_px, "tile": max(TILE_PX // scale, 1)}
    return facts


def _html(page: Page, facts: dict[str, Any]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(PAGE), autoescape=True, undefined=StrictUndefined)
    known = card.html_of(page.predictor.path) if page.predictor.path else ""
    return environment.get_template("index.html").render(facts=facts, card=known)
