"""`convmedia inspect`: what a run folder or a saved file takes and gives, its labels, figures, size and digest."""

from typing import Annotated

import typer

from convmedia.apps._commands import Json, to_json, use_backend


def inspect(
    source: Annotated[
        str, typer.Argument(metavar="RUN_OR_FILE", help="A run folder, a .keras file or a shipped name.")
    ],
    as_json: Json = False,
) -> None:
    """Show what a model takes and gives, its labels, figures, size and digest."""
    use_backend(None)
    from pathlib import Path

    from convmedia.apps._runs import recorded
    from convmedia.models import load

    facts = load(source).describe()
    run = recorded(Path(source)) or {}
    facts.update({name: run[name] for name in ("status", "metrics", "data", "arguments", "versions") if name in run})
    if as_json:
        print(to_json(facts, indent=2))
        return
    for name, value in facts.items():
        print(f"{name:12} {value if isinstance(value, str | int | float) else to_json(value)}")
