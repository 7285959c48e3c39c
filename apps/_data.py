"""`convmedia data`: which named sets there are, fetch one, check a folder."""

from typing import Annotated, Any

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
def check(
    folder: Annotated[str, typer.Argument(help="A folder of class folders, of pictures or sounds.")],
    as_json: Json = False,
) -> int:
    """Scan a folder before training: counts, warnings, files that would be left out. Files are never changed.

    What most of its files are called tells whether it is read as pictures or as sounds.

    Exit code 1 tells that some cannot be used.
    """
    from pathlib import Path

    from convmedia.data import clips, folders, images

    endings = [path.suffix.lower() for path in Path(folder).rglob("*")]
    sounds = sum(end in clips.EXTENSIONS for end in endings) > sum(end in images.EXTENSIONS for end in endings)
    decode, extensions = (clips.check, clips.EXTENSIONS) if sounds else (images.decode, images.EXTENSIONS)
    with progress("scanning") as update:
        scan = folders.scan(Path(folder), update, decode=decode, extensions=extensions)
    print(to_json(document(scan), indent=2) if as_json else text(scan))
    return int(bool(scan.bad))


def document(scan) -> dict[str, Any]:
    """What a scan found, for --json."""
    return {
        "folder": scan.folder,
        "labels": list(scan.labels),
        "counts": scan.counts,
        "classes": scan.classes,
        "splits_given": scan.given,
        "digest": scan.digest,
        "warnings": list(scan.warnings),
        "bad": [{"file": path, "reason": reason} for path, reason in scan.bad],
        "duplicates": [{"file": path, "same_as": kept} for path, kept in scan.duplicates],
    }


def text(scan) -> str:
    """What a scan found, for people: a table of counts, then one line for each thing to know."""
    from convmedia.data.files import shown

    splits = ("train", "validation", "test")
    rows = [[label, *(counts[split] for split in splits)] for label, counts in scan.classes.items()]
    rows.append(["all", *(scan.counts[split] for split in splits)])
    told = "as the folder tells" if scan.given else "by content"
    lines = [
        table(["class", *splits], rows),
        f"{len(scan.examples):,} files in {len(scan.labels)} classes, splits {told}; "
        f"left out: {len(scan.bad):,}, duplicates: {len(scan.duplicates):,}",
    ]
    lines += [f"warning\t{warning}" for warning in scan.warnings]
    lines += [f"left out\t{shown(path)}\t{reason.removeprefix(f'{shown(path)} ')}" for path, reason in scan.bad]
    lines += [f"duplicate\t{shown(path)}\tof {shown(kept)}" for path, kept in scan.duplicates]
    return "\n".join(lines)
