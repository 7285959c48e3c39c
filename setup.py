"""What pyproject.toml cannot say: the packages of each floor, and what a package index shows of README.md.

Of README.md that is its text: its pictures and links lead to files that lie beside it.
"""

import re
from pathlib import Path

from setuptools import find_namespace_packages, setup

LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?://)[^)]*\)")
FLOORS = ("apps", "data", "models")
DATA = ["*.jpg", "*.png", "*.wav", "*.md"]
PAGES = ["*.txt", "page/*", "page/*/*"]
WEIGHTS = ["*.keras", "*.npz", "*.tflite", "*.onnx", "*.json", "*.md", "*.txt"]
ELSEWHERE = """
Pictures, model cards, the guide to deployment and the benchmarks come with the source distribution, in `docs/`,
`models/weights/` and `benchmarks/`; the model cards with the installed package, too.
"""


def description(text: str) -> str:
    """A text of Markdown without its pictures, and with the words alone of links that lead to no web address."""
    return LINK.sub(lambda found: "" if found[1] else found[2], text) + ELSEWHERE


def packages() -> dict[str, str]:
    """Names of all packages, and their folders: `convmedia` itself, and every folder with modules of the floors."""
    found = {"convmedia": "apps/public"}
    for floor in FLOORS:
        inner = [name for name in find_namespace_packages(floor) if name not in ("public", "__pycache__")]
        folders = {floor: floor, **{f"{floor}.{name}": f"{floor}/{name.replace('.', '/')}" for name in inner}}
        found |= {f"convmedia.{name}": folder for name, folder in folders.items() if list(Path(folder).glob("*.py"))}
    return found


setup(
    packages=list(packages()),
    package_dir=packages(),
    package_data={
        "convmedia": ["py.typed"],
        "convmedia.apps.web": PAGES,
        "convmedia.data.samples": DATA,
        "convmedia.models.weights": WEIGHTS,
    },
    long_description=description(Path(__file__).with_name("README.md").read_text(encoding="utf-8")),
    long_description_content_type="text/markdown",
)
