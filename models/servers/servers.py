"""The servers that a folder can be exported for, a row each: what they load, and how they are started."""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convmedia.data.storage.deferred import Deferred
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown
from convmedia.models.formats.formats import FORMATS

if TYPE_CHECKING:
    import numpy as np

    from convmedia.models.inference.predictor import Predictor

HERE = "convmedia.models.servers"


@dataclass(frozen=True)
class Server:
    """One kind of server.

    Attributes:
        format: of `FORMATS`, which it loads.
        write: writes what it loads into an empty folder, from a `served.Served`.
        mark: a file that such a folder has, by which ours is known.
        start: the command that starts it on such a folder, or that tells a cluster of it.
    """

    format: str
    write: Callable[[Path, Any], None]
    mark: str
    start: Callable[[Path], str]


def _server(format: str, module: str, mark: str) -> Server:
    return Server(format, Deferred(f"{HERE}.{module}:write"), mark, Deferred(f"{HERE}.{module}:start"))


SERVERS: dict[str, Server] = {
    "tf-serving": _server("saved-model", "tf_serving", "models.config"),
    "triton": _server("onnx", "triton", "*/config.pbtxt"),
    "kserve": _server("onnx", "kserve", "inference-service.yaml"),
}


def formats_of(servers: Iterable[str]) -> list[str]:
    """The formats that servers load.

    Raises:
        InputError: no such server.
    """
    unknown = [one for one in servers if one not in SERVERS]
    if unknown:
        raise InputError(f"there is no server {unknown[0]!r} to export for; give one of {', '.join(SERVERS)}")
    return [SERVERS[one].format for one in servers]


def require_ours(server: str, out: Path) -> None:
    """Raises InputError: the folder of a server, in a folder of exports, is somebody's own."""
    folder = out / server
    if folder.exists() and not (folder.is_dir() and (not any(folder.iterdir()) or _ours(server, folder))):
        raise InputError(f"{shown(folder)} was not exported for {server}; give another --out")


def _ours(server: str, folder: Path) -> bool:
    return any(folder.glob(SERVERS[server].mark))


def write(
    server: str, out: Path, predictor: "Predictor", examples: "Sequence[np.ndarray]", size: tuple[int, ...] | None
) -> None:
    """Write the folder of a server beside the exports of a model, in place of an older one. Of a refused export there
    is none.

    Args:
        out: the folder of exports.
        examples: raw inputs; the first one goes into requests.
        size: of raw inputs, where it is fixed.

    Raises:
        OSError: no space left, no permission.
    """
    from convmedia.models.servers.served import served

    row, folder = SERVERS[server], out / server
    file = out / FORMATS[row.format].file
    with tempfile.TemporaryDirectory(prefix=f".{server}-", dir=out) as beside:
        if file.exists():
            row.write(Path(beside) / server, served(file, predictor, examples[0], size))
        if folder.exists():
            shutil.rmtree(folder)
        if file.exists():
            (Path(beside) / server).rename(folder)
