"""What all tests share: an environment of their own, no network, real data where there is some, the command."""

import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if "PYTEST_XDIST_WORKER" in os.environ and hasattr(os, "sched_setaffinity"):
    # Each worker on processors of its own: runtimes whose threads wait for each other busily would be slower together.
    worker, workers = int(os.environ["PYTEST_XDIST_WORKER"][2:]), int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, processors[worker::workers] or [processors[worker % len(processors)]])

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")  # whatever ~/.keras/keras.json says
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # what a test compiles runs a few times

ROOT = Path(__file__).parents[1]
NOWHERE = "http://127.0.0.1:9"  # the discard port: a connection is refused at once


def on_this_machine(host: Any) -> bool:
    """Whether a host of a socket address is the loopback interface (or, as in `bind`, no host at all)."""
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def hold(host: Any) -> None:
    if not on_this_machine(host):
        pytest.fail(f"the tests run offline, and one of them asked for {host!r}")


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests and their child processes keep for later runs does not go to the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVMEDIA_CACHE", str(tmp_path_factory.mktemp("cache")))
        # What one process compiles with JAX the next one finds.
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("compiled")))
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
        yield


@pytest.fixture(autouse=True)
def unhurried(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remarks on steps that take more than two seconds stay away: which ones do depends on the machine."""
    if request.path.name != "test_progress.py":
        monkeypatch.setattr("convmedia.apps.console.progress.FIRST_SECONDS", 1e6)


@pytest.fixture(autouse=True, scope="session")
def offline() -> Iterator[None]:
    """Fails a test that looks up or connects to another machine. Its child processes only reach this one."""
    look_up, connect = socket.getaddrinfo, socket.socket.connect

    def held_look_up(host, *arguments, **options):
        hold(host)
        return look_up(host, *arguments, **options)

    def held_connect(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            hold(address[0])
        return connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", held_look_up)
        patch.setattr(socket.socket, "connect", held_connect)
        yield


@pytest.fixture(scope="session")
def convmedia_data() -> Path:
    """The folder of real data that CONVMEDIA_DATA names; the test is skipped where there is none."""
    folder = os.environ.get("CONVMEDIA_DATA")
    if not folder:
        pytest.skip("CONVMEDIA_DATA is not set")
    return Path(folder)


@pytest.fixture(scope="session")
def small_vgg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file of style transfer with few filters, random, up to block2_conv2, with its own preparation."""
    rng = np.random.default_rng(0)
    widths = {"block1_conv1": (3, 4), "block1_conv2": (4, 5), "block2_conv1": (5, 6), "block2_conv2": (6, 7)}
    arrays = {"preprocess_1x1/kernel": 2.0 * np.eye(3)[None, None, ::-1], "preprocess_1x1/bias": -np.ones(3)}
    for name, (before, after) in widths.items():
        arrays[f"{name}/kernel"] = rng.normal(0, 0.3, (3, 3, before, after))
        arrays[f"{name}/bias"] = rng.normal(0, 0.1, after)
    path = tmp_path_factory.mktemp("weights") / "small.npz"
    np.savez(path, **{name: array.astype("float32") for name, array in arrays.items()})
    return path


@pytest.fixture(scope="session")
def run_command(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `convmedia ARGUMENTS...` in a process of its own, offline; gives its exit code and what it printed.

    It works in an empty folder unless `cwd` names another; `env` adds variables, `timeout` is in seconds.
    """
    empty = tmp_path_factory.mktemp("command")

    def run(*arguments: object, env: dict[str, str] | None = None, timeout: float = 300, **options: Any):
        without_network = {"http_proxy": NOWHERE, "https_proxy": NOWHERE, "no_proxy": "localhost,127.0.0.1"}
        return subprocess.run(
            [sys.executable, "-m", "convmedia.apps", *map(str, arguments)],
            env={**os.environ, **without_network, **(env or {})},
            check=False,
            **{"cwd": empty, "stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "timeout": timeout}
            | options,
        )

    return run


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


@pytest.fixture(scope="module")
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts child processes of one thread each; `place` is (address, number of processes, rank). None outlives the
    tests of a file.
    """
    names = [f"KERAS_DISTRIBUTION_{name}" for name in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID")]
    inherited = {name: value for name, value in os.environ.items() if name not in (*names, "KERAS_BACKEND")}
    one_thread = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    started = []

    def child(code: str, *arguments: object, place: tuple[str, int, int] | None = None, **variables: str):
        placed = dict(zip(names, map(str, place), strict=True)) if place else {}
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            env={**inherited, **one_thread, **placed, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - shells ignore it in jobs
        )
        started.append(process)
        return process

    yield child
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def start_pair(start) -> Callable[..., list[subprocess.Popen[str]]]:
    """Starts two processes that train together."""

    def pair(code: str, arguments_of: Callable[[int], tuple] = lambda rank: (), **variables: str):
        address = f"127.0.0.1:{free_port()}"
        return [start(code, *arguments_of(rank), place=(address, 2, rank), **variables) for rank in (0, 1)]

    return pair


@pytest.fixture(scope="session")
def pip() -> Callable[..., None]:
    """Runs pip without an index: what is asked of it needs none."""
    alone = ["--no-deps", "--no-index", "--disable-pip-version-check"]

    def run(*arguments: object) -> None:
        command = [sys.executable, "-m", "pip", *map(str, arguments), *alone]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr

    return run


@pytest.fixture(scope="session")
def wheel(pip: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the tree as it is, built from a copy so that the tree stays as it is."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for room in ("apps", "data", "models"):
        shutil.copytree(ROOT / room, tree / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    pip("wheel", "--no-build-isolation", "--wheel-dir", out, tree)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def site(pip: Callable[..., None], wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the wheel is installed to, away from the checkout."""
    folder = tmp_path_factory.mktemp("site")
    pip("install", "--target", folder, wheel)
    return folder
