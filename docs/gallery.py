"""Pages of all applications with their shipped weights, and one that leads to them: any static server serves them.

    python docs/gallery.py build/gallery
    python -m http.server --directory build/gallery

Each page is written as `convmedia APPLICATION export --format web` writes it.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from convmedia.apps.web import page_folder

PAGES: dict[str, tuple[str, ...]] = {
    "mnist": (),
    "cats-vs-dogs": (),
    "transfer": (),
    "audio": (),
    "super-resolution": ("--network", "espcn", "--scale", "2"),
    "style-transfer": (),
}
"""By application, further options of its export."""

TEACHING = {"title": "Teach a classifier of pictures", "about": "Learns classes from pictures of each, in the page."}


def page(app: str, options: tuple[str, ...], folder: Path) -> dict[str, str]:
    """Write a page to a folder; gives what the overview says of it."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as out:
        command = [sys.executable, "-m", "convmedia.apps", app, "export", "--format", "web", "--out", out, *options]
        subprocess.run(command, check=True)
        shutil.rmtree(folder, ignore_errors=True)
        (Path(out) / "web").rename(folder)
    if not (folder / page_folder.MARK).is_file():
        return {"folder": folder.name, **TEACHING}
    facts = json.loads((folder / page_folder.MARK).read_text(encoding="utf-8"))
    return {"folder": folder.name, "title": facts["title"], "about": facts["about"]}


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    pages = [page(app, options, out / app) for app, options in PAGES.items()]
    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    (out / "index.html").write_text(templates.get_template("gallery.html").render(pages=pages), encoding="utf-8")
    shutil.copyfile(page_folder.PAGE / "style.css", out / "style.css")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
