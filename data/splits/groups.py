"""Groups of files that belong together, such as those of a speaker or a patient, as their paths name them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from convmedia.data.splits.splitting import Example
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import shown


def group_pattern(pattern: str) -> re.Pattern[str]:
    """The value of `--group`. Raises InputError: no regular expression."""
    try:
        return re.compile(pattern)
    except re.error as error:
        raise InputError(
            f"--group {pattern!r} is no regular expression ({error}); give one such as '^([^_]+)_'"
        ) from error


def group_names(root: Path, files: Sequence[Path], pattern: str) -> dict[Path, str]:
    """The group of each file that a regular expression names: the first parenthesised part of its match in the path
    below `root`, or the whole match. Files without a match are left out.

    Raises:
        InputError: no regular expression, or no file matches.
    """
    found = group_pattern(pattern)
    names = {}
    for file in files:
        match = found.search(_below_root(root, file))
        name = match[1 if found.groups else 0] if match else None
        if name:
            names[file] = name
    if files and not names:
        received = f"the {len(files):,} files, such as {shown(_below_root(root, files[0]))}"
        raise InputError(f"--group {pattern!r} matches none of {received}; give one that matches a part of their paths")
    return names


def _below_root(root: Path, file: Path) -> str:
    return (file.relative_to(root) if root in file.parents else file).as_posix()


def with_groups(examples: Sequence[Example], names: Mapping[Path, str]) -> list[Example]:
    """The same examples with these groups in place of their own."""
    return [replace(example, group=names.get(example.path, "")) for example in examples]
