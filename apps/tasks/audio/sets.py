"""The sets of sounds that options name."""

from typing import Any

from convmedia.apps.classification.evaluation import say_problems
from convmedia.apps.console.progress import progress
from convmedia.data.datasets import sounds


def loaded(options: dict[str, Any]) -> sounds.Sounds:
    """The set that `--data`, `--split`, `--fold` and `--group` name; what was left out of it is said."""
    with progress("reading sounds") as update:
        found = sounds.load(options["data"], options["split"], options["fold"], update, options.get("group"))
    say_problems(found)
    return found
