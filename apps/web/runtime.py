"""ONNX Runtime Web, which computes in browsers: fetched once from npm by name, checked by digest, kept in the cache.

The package is 33 MB to download; of it a page takes 14.3 MB, the WebAssembly of the CPU (3.7 MB where the server
compresses), and one that makes pictures 27 MB more, which browsers with a graphics processor load. It comes under the
MIT licence, which lies beside it in every page's folder.

    python -m convmedia.apps.web.runtime FOLDER     # for a machine without a network: CONVMEDIA_WEB_RUNTIME=FOLDER
"""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from convmedia.data.sources.download import Expected, Unreachable, download, unpack
from convmedia.data.storage.cache import cache
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import digest, shown

VERSION = "1.30.0"
PACKAGE = Expected(33_106_585, "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71")
FILES = {
    "ort.wasm.min.mjs": "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
    "ort-wasm-simd-threaded.mjs": "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
"""What a page needs of the package, with SHA-256."""

GRAPHICS = {
    "ort.webgpu.min.mjs": "3dffff71811bc13a3a3d9591c57ca5ee5735b8f5f3eaf789510b02bb040ae3a0",
    "ort-wasm-simd-threaded.asyncify.mjs": "3d1c85995364bb643302fc6fd877a0c3ba5ae72401815e0f24828a53d9191e28",
    "ort-wasm-simd-threaded.asyncify.wasm": "39f9f0894d478800487ed9f7dbe92618498db320cf55c8e3d89adff8dce658da",
}
"""What it needs beside them to compute with WebGPU."""

REGISTRY = "https://registry.npmjs.org"
LICENCE = Path(__file__).with_name("onnxruntime-web.LICENSE.txt")

Progress = Callable[[int, int | None], None]


def address() -> str:
    """Where the package lies: on npm's registry, or the one that NPM_CONFIG_REGISTRY names, as for npm."""
    registry = os.environ.get("NPM_CONFIG_REGISTRY", REGISTRY).rstrip("/")
    return f"{registry}/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"


def place() -> Path:
    """The folder that holds the files, or will: the one that CONVMEDIA_WEB_RUNTIME names, or in the cache."""
    given = os.environ.get("CONVMEDIA_WEB_RUNTIME")
    return Path(given) if given else cache() / f"onnxruntime-web-{VERSION}"


def folder(progress: Progress | None = None) -> Path:
    """As `place`, its files checked; fetched into the cache where they are not there yet.

    Raises:
        InputError: no network, or a file that is not what was published.
    """
    kept = place()
    if not kept.is_dir() and "CONVMEDIA_WEB_RUNTIME" not in os.environ:
        fetch(kept, progress)
    for name, sha256 in {**FILES, **GRAPHICS}.items():
        file = kept / name
        if not file.is_file() or digest(file) != sha256:
            raise InputError(
                f"{shown(file)} is not the file of onnxruntime-web {VERSION}; remove {shown(kept)} and try again"
            )
    return kept


def fetch(target: Path, progress: Progress | None = None) -> None:
    """Download the package and unpack what is needed of it to a folder that is not there yet.

    Raises:
        InputError: no network, or the package is not what was published.
    """
    archive = target.with_name(f"{target.name}.tgz")
    try:
        download(address(), archive, PACKAGE, progress)
    except Unreachable as error:
        raise InputError(
            f"pages need onnxruntime-web {VERSION}, and {address()} cannot be reached ({error}); on a machine with a "
            "network run python -m convmedia.apps.web.runtime FOLDER, and set CONVMEDIA_WEB_RUNTIME to it here"
        ) from error
    try:
        unpack(archive, target, [(rf"package/dist/({'|'.join([*FILES, *GRAPHICS])})", r"\1")])
    finally:
        archive.unlink(missing_ok=True)


def copy(target: Path, graphics: bool = False, progress: Progress | None = None) -> None:
    """Put the files and their licence into a folder, which is made.

    Args:
        graphics: whether those for WebGPU, too.

    Raises:
        InputError: as `folder`.
    """
    source = folder(progress)
    target.mkdir(parents=True, exist_ok=True)
    for name in [*FILES, *(GRAPHICS if graphics else ())]:
        shutil.copyfile(source / name, target / name)
    shutil.copyfile(LICENCE, target / "LICENSE.txt")


if __name__ == "__main__":
    if not Path(sys.argv[1]).is_dir():
        fetch(Path(sys.argv[1]))
