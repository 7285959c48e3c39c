"""Looking into a `.keras` archive before anything in it is unpacked or built.

Keras's safe mode refuses Python code; this also refuses what only an altered file holds, and says it in one line.
"""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown

CONFIG, METADATA, NUMBERS = "config.json", "metadata.json", "model.weights.h5"
JSON_LIMIT_BYTES = 4 << 20
"""The largest networks of keras.applications take 1 MB; what is built of 30 MB takes half a minute."""

SPARE_BYTES = 16 << 20
"""Of variables that a model may have beyond what its weights file holds: states of random numbers, headers."""
SWELLING = 50
"""Most times that a member may be larger than it is in the archive. Keras stores without compression; zip by hand does
not bring weights below this."""

OURS = "convmedia>"
CODE = {"Lambda", "TorchModuleWrapper", "FlaxLayer", "JaxLayer", "TFSMLayer", "__lambda__"}


def check(path: Path) -> int:
    """Refuse an archive that is not what `saving.save` writes.

    Returns:
        Bytes that the variables of its model take at most: more than its weights file holds is in no model.

    Raises:
        InputError: a member outside of the archive's folder, an unknown, doubled, missing or oversized one, a class
            that is neither Keras's nor this package's, or one that holds code.
        zipfile.BadZipFile, ValueError: damaged.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        for member in members:
            reason = wrong(member)
            if reason:
                raise InputError(f"{shown(path)} {reason}; it is not loaded.")
        names = [member.filename for member in members]
        missing = [name for name in (CONFIG, METADATA, NUMBERS) if names.count(name) != 1]
        if missing:
            raise InputError(f"{shown(path)} is no complete Keras file: it has {missing[0]} not once.")
        config = json.loads(archive.read(CONFIG))
        weights_bytes = archive.getinfo(NUMBERS).file_size
    for described in classes(config):
        reason = refused(described)
        if reason:
            raise InputError(f"{shown(path)} {reason}; it is not loaded.")
    return weights_bytes + SPARE_BYTES


def wrong(member: zipfile.ZipInfo) -> str | None:
    """What is wrong with a member of an archive, if anything is."""
    name = member.filename
    pure = PurePosixPath(name.replace("\\", "/"))
    if pure.is_absolute() or ".." in pure.parts or ":" in pure.parts[0]:
        return f"holds a path outside of its folder, {name[:100]!r}"
    if name not in (CONFIG, METADATA, NUMBERS):
        return f"holds {name[:100]!r}, which no Keras file of this program has"
    swollen = member.file_size > SWELLING * max(member.compress_size, 1)
    if swollen or (name != NUMBERS and member.file_size > JSON_LIMIT_BYTES):
        return f"holds an oversized member, {name} of {member.file_size:,} bytes"
    return None


def classes(config: Any) -> Iterator[dict[str, Any]]:
    """Every description of an object in a configuration, the outer ones first."""
    waiting = [config]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            if "class_name" in found:
                yield found
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found


def refused(described: dict[str, Any]) -> str | None:
    """Why an object is not built, if it is not."""
    name, module = described["class_name"], described.get("module")
    registered = described.get("registered_name")
    if name in CODE:
        return f"holds code, {name}"
    if isinstance(registered, str) and registered.startswith(OURS):
        return None
    if module is None or module in ("keras", "builtins") or str(module).startswith("keras."):
        return None
    return f"holds a class of neither Keras nor this program, {str(module)[:100]}.{str(name)[:100]}"
