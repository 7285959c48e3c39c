"""An empty page beside the modules of pictures, and what they make of files, in a window or in a worker."""

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convmedia.apps import web
from convmedia.data.samples import __file__ as samples

PAGE = Path(web.__file__).parent / "page"

WORKER = """
import * as decoding from '/picture/decoding.js';
import * as encoding from '/picture/encoding.js';
import * as pages from '/picture/pages.js';
const CHUNK = 32768;
const text = (data) => {
  let found = '';
  for (let at = 0; at < data.length; at += CHUNK) found += String.fromCharCode(...data.subarray(at, at + CHUNK));
  return btoa(found);
};
const answers = {
  decoded: (picture) => ({ ...picture, data: text(picture.data) }),
  inside: (picture) => {
    const cut = pages.inside(picture);
    return { ...cut, data: text(cut.data), blank: pages.isBlank(picture) };
  },
  png: async (picture) => ({ file: text(new Uint8Array(await (await encoding.pngOf(picture)).arrayBuffer())) }),
  shown: (picture, { side }) => {
    const canvas = side ? encoding.thumbnail(picture, side) : encoding.canvasOf(picture);
    const { width, height } = canvas;
    const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
    return { width, height, data: text(data.filter((_, at) => at % 4 < 3)) };
  },
};
export async function answer(kind, address, options) {
  const blob = await (await fetch(address)).blob();
  try {
    return await answers[kind](await decoding.decode(blob, options), options);
  } catch (error) {
    return { error: error.name === 'PictureError' ? error.message : `${error.name}: ${error.stack}` };
  }
}
if (typeof window === 'undefined') onmessage = async ({ data }) => postMessage(await answer(...data));
"""

ASK = """async ([kind, addresses, options, inWorker]) => {
  const module = await import('/answering.js');
  const worker = inWorker && new Worker('/answering.js', { type: 'module' });
  const found = [];
  for (const address of addresses) {
    const asked = [kind, address, { ...options, name: address.slice(1) }];
    found.push(worker
      ? await new Promise((done) => { worker.onmessage = ({ data }) => done(data); worker.postMessage(asked); })
      : await module.answer(...asked));
  }
  return JSON.stringify(found);
}"""


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with the page, its modules and the worker of these tests; pictures are laid beside them."""
    for modules in ("picture", "picture_files"):
        shutil.copytree(PAGE / modules, tmp_path / modules)
    (tmp_path / "index.html").write_text('<!doctype html><link rel="icon" href="data:,"><title>pictures</title>')
    (tmp_path / "answering.js").write_text(WORKER)
    return tmp_path


@pytest.fixture
def asked(folder, served, open_page) -> Callable[..., list[dict]]:
    """Gives what the modules answer for files of the folder: `data` is uint8 (height, width, 3), or `error` a line."""
    page = open_page(f"{served(folder)}/index.html")

    def ask(kind: str, names: list[str], in_worker: bool = False, **options) -> list[dict]:
        found = json.loads(page.evaluate(ASK, [kind, [f"/{name}" for name in names], options, in_worker]))
        for answer in found:
            if "data" in answer:
                pixels = np.frombuffer(base64.b64decode(answer["data"]), np.uint8)
                answer["data"] = pixels.reshape(answer["height"], answer["width"], 3)
        return found

    return ask


@pytest.fixture
def cat() -> Image.Image:
    """203x131: no multiple of the blocks of a JPEG, nor of the squares of an average."""
    with Image.open(Path(samples).with_name("cat.jpg")) as image:
        return image.convert("RGB").resize((203, 131))
