"""What a page says of its model: the card of shipped weights, or the record of a run."""

import json
import re
from pathlib import Path
from typing import Any

from convmedia.models.saving.places import WEIGHTS

VERSIONS = ("convmedia", "keras", "python")  # of a run's that a page names
_NO_HEADING = re.compile(r"<thead>\s*<tr>\s*(<th></th>\s*)+</tr>\s*</thead>")  # of tables that begin with `| | |`
_LINK = re.compile(r"\[([^\]]*)\]\((?!https?://)[^)]*\)")


def html_of(model: Path) -> str:
    """HTML of headings, paragraphs and tables, from what lies beside a model file; empty where nothing does.

    Args:
        model: the `.keras` file: of shipped weights, whose card is taken, or of a run folder, whose record is.
    """
    from markdown_it import MarkdownIt

    text = _of_weights(model) if model.parent == WEIGHTS else _of_run(model.parent)
    found: str = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    found = _NO_HEADING.sub("", found).replace("<th></th>", "<td></td>")
    # Wide tables scroll by themselves; what scrolls can be reached by the keyboard.
    return found.replace("<table>", '<div class="scroll" tabindex="0" role="group"><table>').replace(
        "</table>", "</table></div>"
    )


def _of_weights(model: Path) -> str:
    """The card, without its title and with headings one level lower; links to files of the project become words."""
    card = next((one for name in (model.stem, model.stem.rsplit("_", 1)[0]) if (one := _card(name)).is_file()), None)
    if card is None:
        return ""
    lines = card.read_text(encoding="utf-8").splitlines()[1:]
    return _LINK.sub(r"\1", "\n".join(f"#{line}" if line.startswith("## ") else line for line in lines))


def _card(name: str) -> Path:
    return WEIGHTS / f"{name}.md"


def _of_run(folder: Path) -> str:
    try:
        record: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    rows = [
        f"| {_cell(split)} | {_cell(name.replace('_', ' '))} | {value:.4g} |"
        for split, figures in record.get("metrics", {}).items()
        if isinstance(figures, dict)
        for name, value in figures.items()
        if isinstance(value, int | float)
    ]
    data = record.get("data", {})
    name = data.get("name")
    facts = {"trained on": name and Path(name).name, "examples to learn from": data.get("train")}
    facts |= {name: record.get("versions", {}).get(name) for name in VERSIONS}
    said = [f"| {_cell(name)} | {_cell(value)} |" for name, value in facts.items() if value is not None]
    parts = ["### Figures", "", "| on | figure | value |", "| --- | --- | --- |", *rows] if rows else []
    return "\n".join([*parts, "", "### Where it comes from", "", "| | |", "| --- | --- |", *said])


def _cell(value: Any) -> str:
    """A value in a row of a table of Markdown, as it is: names come from users."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|<>~])", r"\\\1", str(value).replace("\n", " "))
