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

from convmedia.apps.web import page_folder, teaching_folder

PAGES: dict[str, tuple[str, ...]] = {
    "mnist": ("mnist",),
    "cats-vs-dogs": ("cats-vs-dogs",),
    "teach-pictures": ("transfer", "--teach"),
    "audio": ("audio",),
    "teach-sounds": ("audio", "--teach"),
    "super-resolution": ("super-resolution", "--network", "espcn", "--scale", "2"),
    "style-transfer": ("style-transfer",),
}
"""By folder, the application and further options of its export."""


def page(folder: Path, app: str, *options: str) -> dict[str, str]:
    """Write a page to a folder; gives what the overview says of it."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as out:
        command = [sys.executable, "-m", "convmedia.apps", app, "export", "--format", "web", "--out", out, *options]
        subprocess.run(command, check=True)
        shutil.rmtree(folder, ignore_errors=True)
        (Path(out) / "web").rename(folder)
    if not (folder / page_folder.MARK).is_file():
        facts = json.loads((folder / teaching_folder.MARK).read_text(encoding="utf-8"))
        what = {"image": "pictures", "sound": "sounds"}[facts["input"]["kind"]]
        title, about = f"Teach a classifier of {what}", f"Learns classes from {what} of each, in the page."
        return {"folder": folder.name, "title": title, "about": about}
    facts = json.loads((folder / page_folder.MARK).read_text(encoding="utf-8"))
    return {"folder": folder.name, "title": facts["title"], "about": facts["about"]}


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    pages = [page(out / folder, *given) for folder, given in PAGES.items()]
    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    (out / "index.html").write_text(templates.get_template("gallery.html").render(pages=pages), encoding="utf-8")
    shutil.copyfile(page_folder.PAGE / "style.css", out / "style.css")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
