"""`convmedia inspect`: what a run folder or a saved file takes and gives, its labels, figures, size and digest."""

from pathlib import Path
from typing import Annotated, Any

import typer

from convmedia.apps._commands import Json, table, to_json, use_backend


def inspect(
    source: Annotated[
        str, typer.Argument(metavar="RUN_OR_FILE", help="A run folder, a .keras file or a shipped name.")
    ],
    as_json: Json = False,
) -> None:
    """Show what a model takes and gives, its labels, figures, size and digest."""
    use_backend(None)
    from convmedia.apps._runs import recorded
    from convmedia.models import load

    facts = load(source).describe()
    run = recorded(Path(source)) or {}
    facts.update({name: run[name] for name in ("status", "metrics", "data", "arguments", "versions") if name in run})
    if as_json:
        print(to_json(facts, indent=2))
    else:
        show(facts)


def show(facts: dict[str, Any]) -> None:
    """The facts for a person: one line each, then the layers as a table."""
    shape = ", ".join("any" if size is None else str(size) for size in facts["input"]["shape"])
    lines = {
        "application": facts["app"],
        "takes": f"{facts['input']['kind']} {facts['input']['dtype']} ({shape})",
        "gives": f"{len(facts['labels'])} probabilities: {', '.join(facts['labels'])}"
        if facts["labels"]
        else "pictures",
        "made with": ", ".join(f"{name} {value}" for name, value in facts["details"].items()),
        "parameters": f"{facts['parameters']:,}",
        "size": f"{facts['bytes']:,} bytes",
        "sha256": facts["sha256"],
    }
    if "status" in facts:
        lines["status"] = facts["status"]
    lines |= {split: listed(figures) for split, figures in facts.get("metrics", {}).items()}
    lines |= {name: listed(facts[name]) for name in ("data", "versions") if name in facts}
    for name, value in lines.items():
        print(f"{name:12} {value}")
    print("\n" + table(["layer", "type", "parameters"], [list(layer.values()) for layer in facts["layers"]]))


def listed(values: dict[str, Any]) -> str:
    """`name value` pairs in one line; numbers to six digits."""
    numbers = {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in values.items()}
    return ", ".join(f"{name} {value}" for name, value in numbers.items())
