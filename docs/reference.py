"""The reference of the Python interface as pages, from its docstrings: python docs/reference.py [FOLDER]"""

import sys
from pathlib import Path

import pdoc

import convmedia

MODULES = ("convmedia", "convmedia.data.images", "convmedia.models.outputs")


def build(folder: Path) -> None:
    """Write `index.html` and a page for each module."""
    for name in convmedia.__all__:  # loaded when they are used; pdoc looks without using them
        setattr(convmedia, name, getattr(convmedia, name))
    pdoc.render.configure(docformat="google", show_source=False, footer_text=f"convmedia {convmedia.__version__}")
    pdoc.pdoc(*MODULES, output_directory=folder)


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "build/reference")
    build(target)
    print(target / "index.html")
