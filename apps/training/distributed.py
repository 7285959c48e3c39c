"""Training on several devices and machines: JAX processes of which each makes its part of every batch.

`KERAS_DISTRIBUTION_JOB_ADDRESSES`, `KERAS_DISTRIBUTION_NUM_PROCESSES` and `KERAS_DISTRIBUTION_PROCESS_ID` name the
processes, as for `keras.distribution.initialize`; without them there is one, with all devices of its machine. The first
process owns the run folder, the others work on a copy of it in a temporary folder.
"""

import atexit
import io
import json
import os
import socket
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from convmedia.apps.cli.entry import INTERRUPTED
from convmedia.apps.console.strict_json import to_json
from convmedia.apps.console.supervision import (  # noqa: F401  some of them have their names here, too
    ADDRESSES,
    LOST,
    MEETING_SECONDS,
    NUMBER,
    OF_LOSS,
    RANK,
    lost,
    met,
    place,
    supervised,
)
from convmedia.apps.console.terminal import say
from convmedia.apps.runs.run_folder import Run
from convmedia.data.augmentation.stateless_random import part_of_batch
from convmedia.data.storage.errors import InputError
from convmedia.models import keras_internals

SILENT_SECONDS = 20  # after which a process that is not heard of counts as ended
PARTING_SECONDS = 3600  # that the first process to finish waits for the others, which measure and report


class Devices(keras.distribution.DataParallel):
    """All devices of all processes: each has all weights and its part of each training batch, all of validation's.

    Batches of validation are as long as they come, and what all devices compute is what one would.
    """

    def __init__(self):
        super().__init__(auto_shard_dataset=False)
        self.measuring = False

    @property
    def rank(self) -> int:
        return keras_internals.process_index(self)

    def get_data_layout(self, data_shape):
        if self.measuring:
            return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)
        return super().get_data_layout(data_shape)


class Measuring(keras.callbacks.Callback):
    """Tells the devices when validation begins and ends."""

    def __init__(self, devices: Devices):
        super().__init__()
        self.devices = devices

    def on_epoch_begin(self, epoch, logs=None):
        self.devices.measuring = False

    def on_test_begin(self, logs=None):
        self.devices.measuring = True

    on_test_end = on_epoch_begin


_joined: list[Devices] = []  # at most one: what `joined` found


def processes() -> int:
    """How many processes train together."""
    return _joined[0].num_processes if _joined else 1


def rank() -> int:
    """Which of them this one is; 0 owns the run folder."""
    return _joined[0].rank if _joined else 0


@contextmanager
def joined(distribute: bool) -> Iterator[None]:
    """Train together with the other processes that the environment names; nothing without `distribute`.

    Where this process fails it ends at once, as the others do when they hear nothing of it.

    Raises:
        InputError: the environment names no place for this process, the others do not come, or one of them is lost.
    """
    if not distribute:
        yield
        return
    job = place()
    if job:
        supervised()
        meet(*job)
        met()
    devices = Devices()
    _joined.append(devices)
    say(f"training on {devices.num_model_replicas} devices, process {rank()} of {processes()}")
    try:
        with losses():
            yield
    except BaseException as error:
        atexit.register(leave, error)  # before JAX's own, which waits for processes that wait for this one
        raise
    finally:
        _joined.clear()


def meet(address: str, number: int, own: int) -> None:
    """Wait for all processes.

    `keras.distribution.initialize` does the same; it notices a lost process after 100 s, and its messages are a page.

    Raises:
        InputError: the port of the first process is in use, which would crash JAX 0.10.
    """
    import jax

    port = int(address.rsplit(":", 1)[1])
    if own == 0:
        try:
            socket.create_server(("", port)).close()
        except OSError as error:
            raise InputError(f"port {port} of this machine is in use: name another one in {ADDRESSES}") from error
    jax.distributed.initialize(
        coordinator_address=address,
        num_processes=number,
        process_id=own,
        initialization_timeout=MEETING_SECONDS,
        heartbeat_timeout_seconds=SILENT_SECONDS,
        shutdown_timeout_seconds=PARTING_SECONDS,
    )


@contextmanager
def losses() -> Iterator[None]:
    """What JAX raises where a process is lost becomes an InputError."""
    try:
        yield
    except (ValueError, RuntimeError) as error:
        if isinstance(error, InputError) or processes() == 1 or not OF_LOSS.search(str(error)):
            raise
        lost()
        raise InputError(LOST) from error


def leave(error: BaseException) -> None:
    """End this process with the exit code that `entry.exit_code` gives for an error."""
    sys.stdout.flush()
    code = INTERRUPTED if isinstance(error, KeyboardInterrupt) else 2 if isinstance(error, InputError | OSError) else 1
    os._exit(code)


@contextmanager
def everywhere(open_run: Callable[[], Run]) -> Iterator[Run]:
    """The run that the first process opens; for the others a copy of it in a temporary folder."""
    if processes() == 1:
        yield open_run()
    elif rank() == 0:
        run = open_run()
        from_first(packed(run))
        yield run
    else:
        with tempfile.TemporaryDirectory(prefix="convmedia-") as folder:
            yield unpacked(from_first(b""), Path(folder) / "run")


def packed(run: Run) -> bytes:
    """What another process needs to continue a run: its record, and its files if it has been begun."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for path in sorted(run.folder.rglob("*")) if not run.fresh else ():
            name = path.relative_to(run.folder)
            if path.is_file() and path.name not in ("report.html", ".lock") and "export" not in name.parts:
                archive.add(path, name)
    record = to_json({"record": run.record, "fresh": run.fresh}).encode()
    return record + b"\n" + content.getvalue()


def unpacked(content: bytes, folder: Path) -> Run:
    """The run of `packed`, in `folder`."""
    record, files = content.split(b"\n", 1)
    folder.mkdir()
    with tarfile.open(fileobj=io.BytesIO(files)) as archive:
        archive.extractall(folder, filter="data")
    return Run(folder, **json.loads(record))


def from_first(content: bytes) -> bytes:
    """What the first process gives, on all of them."""
    from jax.experimental.multihost_utils import broadcast_one_to_all

    size = int(broadcast_one_to_all(np.int32(len(content))))
    values = np.frombuffer(content, np.uint8) if rank() == 0 else np.zeros(size, np.uint8)
    return np.asarray(broadcast_one_to_all(values)).astype(np.uint8).tobytes()


def as_in_first(arrays: list[np.ndarray]) -> list[np.ndarray]:
    """The first process's arrays, on all of them; each gives some of the same shapes and dtypes."""
    if processes() == 1:
        return arrays
    content = io.BytesIO(from_first(b"".join(array.tobytes() for array in arrays)))  # one program and not one for each
    return [np.frombuffer(content.read(array.nbytes), array.dtype).reshape(array.shape) for array in arrays]


def shared_out(number: int, work: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """`work(places)` of the places 0..number - 1, float32 (number, ...), of which each process does a part."""
    if processes() == 1:
        return work(np.arange(number))
    from jax.experimental.multihost_utils import process_allgather

    size = -(-number // processes())
    rows = work(np.arange(number)[rank() * size : (rank() + 1) * size])
    filled = np.zeros((size, *rows.shape[1:]), np.float32)
    filled[: len(rows)] = rows
    return np.asarray(process_allgather(filled)).reshape(-1, *rows.shape[1:])[:number]


def everyone(answer: bool) -> bool:
    """Whether every process says so."""
    return bool(shared_out(processes(), lambda _: np.array([answer], np.float32)).all())


@contextmanager
def scope(
    batch_size: int, digests: dict[str, Any], compiling: dict[str, Any]
) -> Iterator[list[keras.callbacks.Callback]]:
    """Within, networks are made and trained on all devices; nothing without `--distribute`.

    Args:
        batch_size: of all devices together.
        digests: of what the training reads, the same in all processes.
        compiling: optimizer and metrics that were made before; they move to all devices.

    Yields:
        The callbacks that the training needs.

    Raises:
        InputError: a batch that the devices cannot share evenly; other data than the first process has.
    """
    if not _joined:
        yield []
        return
    devices = _joined[0]
    if batch_size % devices.num_model_replicas:
        raise InputError(
            f"--batch-size {batch_size} is not shared evenly by {devices.num_model_replicas} devices: give a multiple"
        )
    for name, digest in digests.items():
        content = to_json(digest).encode()
        if processes() > 1 and from_first(content) != content:
            raise InputError(
                f"the {name.replace('_', ' ')} is not that of the first process: give each machine the same files"
            )
    with devices.scope():
        for one in (compiling["optimizer"], *compiling.get("metrics", ())):
            for variable in one.variables:
                keras_internals.lay_out(variable, devices.get_variable_layout(variable))
        yield [Measuring(devices)]


@contextmanager
def apart() -> Iterator[None]:
    """Within a `scope`, what is made is this process's own."""
    together = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(together)


def part_of(example: Callable, batch_size: int, part: tuple[int, int], separable: bool) -> Callable:
    """What gives one part of the batches that `example` gives, as `trainer.stream` takes them; without making the
    other parts where it is `separable`.
    """
    index, parts = part
    if parts == 1:
        return example
    rows = slice(index * batch_size // parts, (index + 1) * batch_size // parts)

    def cut_before(indices, seed):
        with part_of_batch(index, parts):
            return example(indices[rows], seed)

    def cut_after(indices, seed):
        return keras.tree.map_structure(lambda tensor: tensor[rows], example(indices, seed))

    return cut_before if separable else cut_after
