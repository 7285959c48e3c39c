"""A page that has the modules for sounds, and what it says of files."""

import base64
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

MODULES = Path(__file__).parents[4] / "apps" / "web" / "page" / "sound"
POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; worker-src 'self' blob:; connect-src 'self'"
)
EMPTY = f'''<!doctype html><html lang="en"><meta http-equiv="Content-Security-Policy" content="{POLICY}">
<link rel="icon" href="data:,"><title>Sounds</title></html>'''

# Arrays of float32 travel as {"floats": base64}, at any depth.
TRAVEL = """
const pack = (value) => {
  if (value instanceof Float32Array || value instanceof Float64Array) {
    const bytes = new Uint8Array(Float32Array.from(value).buffer);
    let text = '';
    for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    return { floats: btoa(text) };
  }
  if (Array.isArray(value)) return value.map(pack);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, pack(one)]));
};
const unpack = (value) => {
  if (Array.isArray(value)) return value.map(unpack);
  if (value === null || typeof value !== 'object') return value;
  if ('floats' in value) {
    return new Float32Array(Uint8Array.from(atob(value.floats), (one) => one.charCodeAt(0)).buffer);
  }
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, unpack(one)]));
};
"""


def packed(value: Any) -> Any:
    """Arrays as the page takes them."""
    if isinstance(value, np.ndarray):
        return {"floats": base64.b64encode(np.ascontiguousarray(value, "<f4").tobytes()).decode()}
    if isinstance(value, list):
        return [packed(one) for one in value]
    return {key: packed(one) for key, one in value.items()} if isinstance(value, dict) else value


def unpacked(value: Any) -> Any:
    """What the page gave, with its arrays."""
    if isinstance(value, dict):
        if "floats" in value:
            return np.frombuffer(base64.b64decode(value["floats"]), "<f4")
        return {key: unpacked(one) for key, one in value.items()}
    return [unpacked(one) for one in value] if isinstance(value, list) else value


@dataclass
class SoundPage:
    """A page and the folder that it is served from.

    Attributes:
        page: of Playwright.
        folder: where files to be read are put.
    """

    page: Any
    folder: Path

    def run(self, code: str, given: Any = None) -> Any:
        """The result of the body of an asynchronous function of `given` that ends with `return`; errors are
        {"error": message}."""
        body = f"""async (text) => {{
          {TRAVEL}
          const given = unpack(JSON.parse(text));
          try {{
            return JSON.stringify(pack(await (async () => {{ {code} }})()));
          }} catch (error) {{
            if (error.constructor.name !== 'Refused') throw error;
            return JSON.stringify({{ error: error.message }});
          }}
        }}"""
        return unpacked(json.loads(self.page.evaluate(body, json.dumps(packed(given)))))

    def read(self, name: str, sample_rate: int = 8000) -> dict[str, Any]:
        """What `files.js` makes of a file in the folder."""
        code = """
          const { read } = await import('/sound/files.js');
          const blob = await (await fetch(`/${given.name}`, { cache: "no-store" })).blob();
          return read(blob, given.rate);
        """
        return self.run(code, {"name": name, "rate": sample_rate})


@pytest.fixture
def sound_page(served: Callable[[Path], str], open_page: Callable[..., Any], tmp_path: Path) -> SoundPage:
    """A page with nothing but the modules."""
    shutil.copytree(MODULES, tmp_path / "sound")
    (tmp_path / "index.html").write_text(EMPTY, encoding="utf-8")
    return SoundPage(open_page(served(tmp_path) + "/index.html"), tmp_path)
