"""The picture of a page in README.md: python docs/page_picture.py docs/pictures/page.png

Writes the page of `mnist`, opens it in Chromium, gives it two files and photographs what is seen first.
"""

import shutil
import subprocess
import sys
import tempfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from convmedia.data import samples

WIDTH, HEIGHT = 1000, 1130  # px


def main(picture: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "convmedia.apps", "mnist", "export", "--format", "web", "--out", folder]
        subprocess.run(command, check=True)
        handler = partial(SimpleHTTPRequestHandler, directory=f"{folder}/web")
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
            page.goto(f"http://127.0.0.1:{server.server_port}/")
            page.wait_for_selector("html[data-proof=good]")
            page.set_input_files("#files", str(samples.FOLDER / "seven.jpg"))
            page.get_by_role("button", name="What speaks for 7?").click()
            page.wait_for_selector("text=less sure of 7")
            page.screenshot(path=picture)
            browser.close()
        server.shutdown()
    Image.open(picture).convert("P", palette=Image.Palette.ADAPTIVE, colors=128).save(picture, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
