"""`convmedia data`: which named sets there are, fetch one, look one or a folder through."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from convmedia.apps.cli.application import application
from convmedia.apps.cli.options import Group, Json, Target
from convmedia.apps.cli.row_formats import is_special
from convmedia.apps.console.progress import progress
from convmedia.apps.console.strict_json import to_json
from convmedia.apps.console.terminal import table, tell
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown

if TYPE_CHECKING:
    from convmedia.data.folders.labelled import Labelled
    from convmedia.data.folders.scan import Scan

EXAMPLES = {
    "check": ("my-digits/", "photos/ --near --out near.html", "photos/ --group '^(\\w+)_' --json"),
    "list": ("", "--json"),
    "fetch": ("mnist", "fsdd"),
}
command = application("data", "Named data sets, and folders of one's own.", EXAMPLES)


def page_given(path: Path | None) -> Path | None:
    """The page that `check --out` names. Raises InputError: it cannot be one, or there is a folder of that name."""
    if path is None or is_special(path):
        return path  # what is no file has a message of its own
    if path.suffix.lower() not in (".html", ".htm") or path.is_dir():
        raise InputError(f"--out {shown(path)}: what is found is written as a page; give a file that ends in .html")
    return path


@command.command("list")
def list_sets(as_json: Json = False) -> None:
    """List the named sets: what they are, their licence, where they were found. --json has more."""
    from convmedia.data.sources import fetch as sources_fetch

    rows = sources_fetch.rows()
    if as_json:
        tell(to_json(rows, indent=2))
        return
    header = ["name", "what", "size", "licence", "found"]
    tell(table(header, [[str(row[name] or "-") for name in header] for row in rows]))


@command.command()
def fetch(name: Annotated[str, typer.Argument(help="A name that `convmedia data list` shows.")]) -> None:
    """Make a named set available: find it, or download and check it. Prints its place."""
    from convmedia.data.sources import fetch as sources_fetch

    with progress(f"fetching {name}") as update:
        path = sources_fetch.fetch(name, update)
    tell(str(path))


@command.command()
def check(
    data: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER_OR_SET",
            help="A folder of class folders, of pictures or sounds; a CSV of files and labels; or a named set.",
        ),
    ],
    group: Group = None,
    target: Target = None,
    near: Annotated[
        bool,
        typer.Option(
            "--near",
            help="Of pictures, also altered copies (cut, mirrored, turned ...) and labels that are probably "
            "wrong, by a network that was trained on ImageNet.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="PAGE", callback=page_given, help="With --near: a page (.html) that shows them."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Look through a set before training: counts, warnings, duplicates, what would be left out. No file is changed.

    What most files of a folder are called tells whether it is read as pictures or as sounds.

    Exit code 1 tells that some files cannot be used.
    """
    from convmedia.apps.verbs import near as near_verb

    if out is not None and not near:
        raise InputError(f"--out {shown(out)}: the page shows what --near finds; give --near, too")
    if near and target is not None:
        raise InputError("--near looks for wrong labels, and --target reads numbers: leave one of them out")
    with progress("scanning") as update:
        found = looked_through(data, group, update, target)
    odd = near_verb.looked_closely(data, found) if near else None
    if odd is not None and out is not None:
        near_verb.page(data, odd, out)
    if as_json:
        tell(to_json(document(data, found) | ({} if odd is None else {"near": odd.document}), indent=2))
    else:
        tell("\n".join([text(found), *([] if odd is None else near_verb.lines(odd))]))
    return int(bool(found.bad))


def looked_through(data: str, group: str | None, update, target: str | None = None) -> "Scan | Labelled":
    """What a folder, a table or a named set holds, as a training would take it."""
    from convmedia.data.audio import decoding
    from convmedia.data.datasets import digits, sounds
    from convmedia.data.folders import csv_tables, scan, tabled
    from convmedia.data.images import decoding as images_decoding
    from convmedia.data.sources import fetch as sources_fetch

    kind = sources_fetch.SOURCES[data].kind if data in sources_fetch.SOURCES else None
    if kind == "pictures":
        raise InputError(
            f"{data} holds pictures without labels, which super-resolution looks through when it trains: give a folder "
            "of class folders, a CSV of files and labels, or a named set of digits, photos or sounds"
        )
    if kind == "digits":
        return digits.load(data, update, group)
    if kind == "photos":
        return scan.scan(sources_fetch.fetch(data, update), update, group=group)
    if target is not None:
        return tabled.pictures(Path(data), update, group, target=target)
    table = csv_tables.is_table(data) and kind is None and not Path(data).is_dir()
    files = [row.path for row in csv_tables.read(Path(data))[0]] if table else Path(data).rglob("*")
    endings = [path.suffix.lower() for path in files]
    named = decoding.EXTENSIONS | decoding.TO_CONVERT
    seen = images_decoding.EXTENSIONS | images_decoding.TO_CONVERT
    heard, shown = sum(end in named for end in endings), sum(end in seen for end in endings)
    if kind == "sounds" or heard > shown or (table and heard == shown):
        return sounds.scan(data, progress=update, group=group)
    return tabled.pictures(Path(data), update, group, several=True)


def document(name: str, found: "Scan | Labelled") -> dict[str, Any]:
    """What was found, for --json."""
    return {
        "folder": name,
        "labels": list(found.labels),
        "counts": found.counts,
        "classes": found.classes,
        "splits_given": found.given,
        "digest": found.digest,
        "warnings": list(found.warnings),
        "bad": [{"file": path, "reason": reason} for path, reason in found.bad],
        "duplicates": [{"file": path, "same_as": kept} for path, kept in found.duplicates],
        "near_duplicates": [{"file": one.path, "like": one.like, "left_out": one.left_out} for one in found.near],
        "groups": found.groups,
    }


def text(found: "Scan | Labelled") -> str:
    """What was found, for people: a table of counts, then one line for each thing to know."""
    from convmedia.data.splits.layouts import SPLITS

    counts = found.counts
    rows = [[label, *(numbers[split] for split in SPLITS)] for label, numbers in found.classes.items()]
    rows.append(["all", *(counts[split] for split in SPLITS)])
    told = "as the folder tells" if found.given else "by content"
    summary = (
        f"{sum(counts[split] for split in SPLITS):,} files in {len(found.labels)} classes, splits {told}; "
        f"left out: {len(found.bad):,}, duplicates: {len(found.duplicates):,}, near duplicates: {len(found.near):,}, "
        f"groups: {len(found.groups):,}"
    )
    lines = [table(["class", *SPLITS], rows), summary]
    lines += [f"warning\t{warning}" for warning in found.warnings]
    lines += [f"left out\t{shown(path)}\t{reason.removeprefix(f'{shown(path)} ')}" for path, reason in found.bad]
    lines += [f"duplicate\t{shown(path)}\tof {shown(kept)}" for path, kept in found.duplicates]
    for one in found.near:
        what = "left out" if one.left_out else "in one split with it"
        lines.append(f"near duplicate\t{shown(one.path)}\tof {shown(one.like)}; {what}")
    return "\n".join(lines)
