"""What a package index shows of README.md: its text. Its pictures and links lead to files that lie beside it."""

import re
from pathlib import Path

from setuptools import setup

LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?://)[^)]*\)")
ELSEWHERE = """
Pictures, model cards, the guide to deployment and the benchmarks come with the source distribution, in `docs/`,
`models/weights/` and `benchmarks/`; the model cards with the installed package, too.
"""


def description(text: str) -> str:
    """A text of Markdown without its pictures, and with the words alone of links that lead to no web address."""
    return LINK.sub(lambda found: "" if found[1] else found[2], text) + ELSEWHERE


setup(
    long_description=description(Path(__file__).with_name("README.md").read_text(encoding="utf-8")),
    long_description_content_type="text/markdown",
)
