"""`convmedia data`: which named sets there are, fetch one, check a folder."""

from typing import Annotated

import typer

from convmedia.apps._commands import Json, application, progress, table, to_json

command = application("data", "Named data sets, and folders of one's own.")


@command.command("list")
def list_sets(as_json: Json = False) -> None:
    """List the named sets: what they are, their licence, where they were found. --json has more."""
    from convmedia.data import sources

    rows = sources.rows()
    if as_json:
        print(to_json(rows, indent=2))
        return
    header = ["name", "what", "size", "licence", "found"]
    print(table(header, [[str(row[name] or "-") for name in header] for row in rows]))


@command.command()
def fetch(name: Annotated[str, typer.Argument(help="A name that `convmedia data list` shows.")]) -> None:
    """Make a named set available: find it, or download and check it. Prints its place."""
    from convmedia.data import sources

    with progress(f"fetching {name}") as update:
        path = sources.fetch(name, update)
    print(path)


@command.command()
def check(folder: Annotated[str, typer.Argument(help="A folder of class folders.")], as_json: Json = False) -> int:
    """Scan a folder before training: classes, counts, files that would be left out. Files are never changed."""
    from pathlib import Path

    from convmedia.data import folders

    with progress("scanning") as update:
        scan = folders.scan(Path(folder), progress=update)
    bad = [{"file": str(path), "reason": reason} for path, reason in scan.bad]
    if as_json:
        print(to_json({"labels": list(scan.labels), "counts": scan.counts, "bad": bad}, indent=2))
    else:
        print(f"{len(scan.labels)} classes: {', '.join(scan.labels)}\n{scan.counts}")
        for row in bad:
            print(f"left out\t{row['file']}\t{row['reason']}")
    return int(bool(bad))
