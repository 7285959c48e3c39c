"""The folder of a page that learns classes from examples in the visitor's browser.

index.html              what visitors open
page/                   its modules and its style
runtime/                ONNX Runtime Web
features/               features.onnx, and features.json: what the page is told of it
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from convmedia.apps.web import features, runtime
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown
from convmedia.models.backbones.rows import row_of
from convmedia.models.inference.file_predictor import MOST_PIXELS
from convmedia.models.saving.archive import Archive

PAGE = Path(__file__).with_name("page")
MARK = "features/features.json"  # what only a folder of ours has


def write(
    folder: Path, kind: str = "image", progress: Callable[[int, int | None], None] | None = None
) -> dict[str, Any]:
    """Write the folder anew, with the page as its index.html.

    Args:
        kind: of the examples: "image" or "sound".
        progress: told bytes of the runtime's download, where it is not at hand.

    Returns:
        {"bytes", "runtime", "network"}.

    Raises:
        InputError: the folder is there and holds no such page; the runtime cannot be had, or as
            `features.pictures` and `features.sounds`.
    """
    if folder.exists() and not (folder / MARK).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"The folder {shown(folder)} is no page; give another --out.")
    network = features.pictures() if kind == "image" else features.sounds()
    beside = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        runtime.copy(beside / "runtime", False, progress)
        shutil.copytree(PAGE, beside / "page", ignore=shutil.ignore_patterns("*.html"))
        facts = _add(beside, kind, network)
        shutil.rmtree(folder, ignore_errors=True)
        beside.replace(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return {"bytes": size, "runtime": f"onnxruntime-web {runtime.VERSION}", "network": facts["network"]}


def _add(folder: Path, kind: str, network: Path) -> dict[str, Any]:
    """Put features and page into a folder that has `page/` and `runtime/`; gives what `features/features.json` says."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    content = network.read_bytes()
    facts = {
        **(_of_pictures() if kind == "image" else _of_sounds()),
        "file": {"name": "features/features.onnx", "sha256": hashlib.sha256(content).hexdigest()},
        "runtime": f"onnxruntime-web {runtime.VERSION}",
    }
    (folder / MARK).parent.mkdir(exist_ok=True)
    (folder / "features" / "features.onnx").write_bytes(content)
    (folder / MARK).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    environment = Environment(loader=FileSystemLoader(PAGE / "teach"), autoescape=True, undefined=StrictUndefined)
    html = environment.get_template("teach.html").render(sound=kind == "sound")
    (folder / "index.html").write_text(html, encoding="utf-8")
    return facts


def _of_pictures() -> dict[str, Any]:
    return {
        "network": features.NETWORK,
        "side": row_of(features.NETWORK).side,
        "input": {"kind": "image", "dtype": "float32", "shape": [None, None, 3]},
        "most_pixels": MOST_PIXELS,
    }


def _of_sounds() -> dict[str, Any]:
    archive = Archive(features.SOUNDS)
    return {
        "network": archive.answer.details["network"],
        "input": archive.answer.input_description,
        "hop_samples": archive.hop_samples,
    }
