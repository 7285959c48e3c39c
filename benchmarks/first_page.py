"""How long from the command to a page that answers, and from an opened page to its first answer.

    python benchmarks/first_page.py            # every application with shipped weights

Each page is written by `convmedia APPLICATION export --format web`, served by `python -m http.server` and opened in
Chromium, without its cache. Prints seconds of the command, until the page is opened, until it has proved itself, and
from its load event until a first file is answered: one of its examples, pressed as soon as the page takes files.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

APPS = {
    "mnist": (),
    "cats-vs-dogs": (),
    "audio": (),
    "super-resolution": ("--network", "espcn"),
    "style-transfer": (),
}
"""By application, further options of its export."""
PORT = 8765
PRESS = """
new MutationObserver(() => {
  const { dataset } = document.documentElement;
  if (dataset.ready && !dataset.pressed) {
    dataset.pressed = "yes";
    document.querySelector("#examples button").click();
  }
  const said = document.getElementById("said")?.textContent;
  if (said && !dataset.answered) dataset.answered = performance.now();
}).observe(document, { subtree: true, childList: true, attributes: true });
"""


def opened(page: Page) -> None:
    """Open the page as soon as the server answers."""
    while True:
        try:
            page.goto(f"http://127.0.0.1:{PORT}/", wait_until="load")
            return
        except Exception:  # noqa: BLE001  the server is not there yet
            time.sleep(0.05)


def measured(app: str, browser, folder: Path) -> tuple[float, float, float, float]:
    """Seconds of the command, until opened, until proved, and from the load event to the first answer."""
    began = time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "convmedia.apps",
        app,
        "export",
        "--format",
        "web",
        "--out",
        str(folder),
        *APPS[app],
    ]
    subprocess.run(command, check=True, capture_output=True)
    exported = time.perf_counter() - began
    server = subprocess.Popen(
        [sys.executable, "-m", "http.server", str(PORT), "--bind", "127.0.0.1", "--directory", str(folder / "web")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        page = browser.new_context().new_page()
        page.add_init_script(PRESS)
        opened(page)
        loaded = time.perf_counter()
        page.wait_for_selector("html[data-proof=good][data-answered]", timeout=120_000)
        proved = time.perf_counter() - began
        load = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
        answered = page.evaluate("Number(document.documentElement.dataset.answered)")
        return exported, loaded - began, proved, (answered - load) / 1000
    finally:
        page.context.close()
        server.terminate()
        server.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("apps", nargs="*", default=list(APPS))
    chromium = shutil.which("chromium")
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as folder:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        print("application         command, s   opened, s   proved, s   load to first answer, s")
        for app in parser.parse_args().apps:
            print(
                f"{app:18} " + "".join(f"{one:12.2f}" for one in measured(app, browser, Path(folder) / app)), flush=True
            )
        browser.close()


if __name__ == "__main__":
    main()
