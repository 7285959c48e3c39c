"""A real browser: Chromium, opened on folders that a plain static server on this machine gives it."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from convmedia.apps.web import runtime

OPTIONS = {"super-resolution": ("--network", "srcnn", "--scale", 2)}
ROOT = Path(__file__).parents[3]
FAULTS, NO_GPU = ("error", "warning"), "No available adapters."  # which Chromium says of a machine without WebGPU
FAKE_DEVICES = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")


class Quiet(SimpleHTTPRequestHandler):
    """What `python -m http.server` answers, without a line for each request."""

    def log_message(self, format, *arguments):
        pass


@pytest.fixture(scope="session", autouse=True)
def web_runtime(cache) -> Iterator[None]:
    """What pages compute with, as `make` fetched it; without it tests are skipped."""
    kept = os.environ.get("CONVMEDIA_WEB_RUNTIME", str(ROOT / "build" / f"onnxruntime-web-{runtime.VERSION}"))
    if not Path(kept).is_dir():
        pytest.skip(f"{kept} is missing; with a network, make fetches it")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVMEDIA_WEB_RUNTIME", kept)
        yield


def chromium() -> str | None:
    """Where Chromium is; None where it is not."""
    return os.environ.get("CONVMEDIA_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="session")
def browser():
    """Chromium, the one that CONVMEDIA_CHROMIUM names or that is on the path; without it tests are skipped."""
    sync_api = pytest.importorskip("playwright.sync_api")
    path = chromium()
    if path is None:
        pytest.skip("no Chromium is installed")
    with sync_api.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=path, args=["--no-sandbox", *FAKE_DEVICES])
        yield running
        running.close()


@pytest.fixture(scope="module")
def with_graphics(browser):
    """Another Chromium, whose WebGPU computes in software."""
    graphics = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan")
    running = browser.browser_type.launch(executable_path=chromium(), args=["--no-sandbox", *graphics])
    yield running
    running.close()


@pytest.fixture(scope="module")
def served() -> Iterator[Callable[[Path], str]]:
    """Serves a folder on 127.0.0.1 as `python -m http.server` does; gives its address, without a slash at its end."""
    servers = []

    def serve(folder: Path) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def page_of(tmp_path_factory, run_command) -> Callable[[str], Path]:
    """The folder of an application's page with the shipped weights, written by the command once."""
    made: dict[str, Path] = {}

    def folder(app: str) -> Path:
        if app not in made:
            out = tmp_path_factory.mktemp(app)
            done = run_command(app, "export", "--format", "web", "--out", out, *OPTIONS.get(app, ()))
            assert done.returncode == 0, done.stderr
            made[app] = out / "web"
        return made[app]

    return folder


@dataclass
class Watched:
    """A page, and what went wrong on it: errors of its console, requests to other places than its own."""

    page: object
    faults: list[str] = field(default_factory=list)


@pytest.fixture
def open_page(browser) -> Iterator[Callable[..., object]]:
    """Opens an address in a context of its own; at the end nothing may stand on its console as an error or warning,
    and nothing may have been asked of another origin."""
    opened: list[Watched] = []

    def open_at(address: str, **options):
        context = browser.new_context(**{"accept_downloads": True, **options})
        watched = Watched(context.new_page())
        origin = "/".join(address.split("/")[:3])

        def asked(request):
            if not request.url.startswith((f"{origin}/", "blob:", "data:")):
                watched.faults.append(f"asked {request.url}")

        context.on("request", asked)
        context.on("weberror", lambda error: watched.faults.append(str(error.error)))
        context.on(
            "console",
            lambda said: watched.faults.append(said.text) if said.type in FAULTS and said.text != NO_GPU else None,
        )
        watched.page.goto(address)
        opened.append(watched)
        return watched.page

    yield open_at
    for watched in opened:
        watched.page.context.close()
    assert [fault for watched in opened for fault in watched.faults] == []


@pytest.fixture
def faults_for_readers() -> Callable[..., list[tuple[str, str]]]:
    """What axe finds on a page that a screen reader stumbles over: rule, and the first element."""
    from axe_playwright_python.sync_playwright import Axe

    axe = Axe()

    def found(page) -> list[tuple[str, str]]:
        return [(one["id"], one["nodes"][0]["html"]) for one in axe.run(page).response["violations"]]

    return found


@pytest.fixture
def tab_to() -> Callable[..., None]:
    """Press Tab until an element has the focus, and say where it cannot be reached."""

    def press(page, selector: str, most: int = 80) -> None:
        for _ in range(most):
            page.keyboard.press("Tab")
            if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
                return
        pytest.fail(f"{selector} cannot be reached by the keyboard")

    return press
