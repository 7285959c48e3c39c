"""How much memory this process may still take: what would end it is found out before; and memory that is used again."""

import ctypes
import os
import resource
import sys
from functools import cache
from pathlib import Path

from convmedia.data.storage.errors import NoMemory

_KIB = 1024

KEPT_BYTES = 32 << 20
"""Memory that was freed and that the C library keeps, at the end of each thread's; larger pieces are given back."""

_TRIM_THRESHOLD, _MAPPED_FROM = -1, -3  # glibc, malloc.h: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD


def reused_by_tensorflow() -> None:
    """Have TensorFlow keep the memory of maps on CPUs for the next ones; to be called before it computes anything.

    Else it gives it back after each operation, from 32 MB on always, and the system clears the pages of each new map:
    up to half of a convolution's time. A user's own `TF_CPU_ALLOCATOR_USE_BFC` stays as it is.
    """
    os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")


@cache
def reused_by_malloc() -> None:
    """Have the C library keep the memory of decoded pictures for the next ones, where it is glibc.

    Else it gives a picture's memory back to the system when it is freed, which clears every page for the next one: a
    third of the time of decoding. Arrays above 32 MB are still given back. Settings of a user's own
    (`MALLOC_TRIM_THRESHOLD_`, `GLIBC_TUNABLES`) stay as they are.
    """
    if not sys.platform.startswith("linux") or {"MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"} & os.environ.keys():
        return
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_TRIM_THRESHOLD, KEPT_BYTES)
        set_option(_MAPPED_FROM, KEPT_BYTES)


def require(needed: int, what: str, mapped: int = 0) -> None:
    """Look before a step that takes much: libraries end the process where they get no memory, or the system does.

    Args:
        needed: bytes that the step will fill.
        what: takes them, such as "photo.png at 9000x9000 px".
        mapped: bytes that it asks for, where those are more.

    Raises:
        NoMemory: there is less.
    """
    for amount, left in ((needed, _free()), (max(needed, mapped), _own_limit())):
        if left is not None and amount > left:
            raise NoMemory(
                f"{what} needs more memory than there is (about {amount / 1e9:.1f} GB, {max(left, 0) / 1e9:.1f} GB are "
                "free); make it smaller first"
            )


def _free() -> int | None:
    """The lesser of what the machine and what the process's control group have left; None where it is not told."""
    known = [amount for amount in (_machine(), *_control_groups()) if amount is not None]
    return min(known) if known else None


def _machine() -> int | None:
    return _kilobytes(Path("/proc/meminfo"), "MemAvailable:")


def _own_limit() -> int | None:
    """What the process may still map (ulimit -v); None for no limit."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    taken = _kilobytes(Path("/proc/self/status"), "VmSize:")
    return None if limit == resource.RLIM_INFINITY or taken is None else limit - taken


def _control_groups() -> list[int]:
    """What the control group of a container, as it is mounted inside of it, has left; of version 2 and of version 1.

    Cached files count as free: they go when memory is needed.
    """
    kinds = (
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
    )
    found = []
    for *names, cached in kinds:
        try:
            most, taken, rows = ((Path("/sys/fs/cgroup") / name).read_text(encoding="utf-8") for name in names)
        except OSError:
            continue
        inactive = dict(row.split() for row in rows.splitlines()).get(cached, "0")
        if most.strip().isdigit() and taken.strip().isdigit():  # no limit is the word "max"
            found.append(int(most) - int(taken) + int(inactive))
    return found


def _kilobytes(file: Path, name: str) -> int | None:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) * _KIB for line in lines if line.startswith(name)]
    return found[0] if found else None
