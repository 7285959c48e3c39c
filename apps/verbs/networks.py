"""`convmedia networks`: every network of the package, what it costs, where its weights are."""

from typing import Any

from convmedia.apps.cli.application import application
from convmedia.apps.cli.options import Json
from convmedia.apps.console.strict_json import to_json
from convmedia.apps.console.terminal import table, tell

command = application("networks", "List every network with its size, cost, source and where its weights are.")
HEADER = ["application", "network", "parameters", "multiply-adds", "input", "field", "weights", "MB", "source"]


@command.command()
def networks(as_json: Json = False) -> None:
    """List every network: parameters, multiply-adds for its usual input, receptive field, source and weights.

    Input and field are in pixels, of sounds in frames and bands.

    Networks of transfer are counted without a classifier. Weights come with the package, or are in Keras's cache, or
    missing there, where a training downloads them; or there are none, and a training starts from random ones.
    """
    from convmedia.models.saving import network_facts

    rows = network_facts.rows()
    tell(to_json(rows, indent=2) if as_json else table(HEADER, [shown_row(row) for row in rows]))


def shown_row(row: dict[str, Any]) -> list[Any]:
    """A row for a person; JSON has the licence and the files, too."""
    return [
        row["application"],
        row["name"],
        f"{row['parameters']:,}".rjust(11),
        amount(row["multiply_adds"]).rjust(7),
        "x".join(map(str, row["input"])),
        "x".join(map(str, row["receptive_field"])),
        row["weights"],
        "-" if row["bytes"] is None else f"{row['bytes'] / 1e6:.1f}",
        row["source"],
    ]


def amount(number: int) -> str:
    """417 k, 26.5 M, 3.86 G: three digits."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)
