"""One training for each fold, in run folders below the run's: mean and spread."""

from collections.abc import Callable
from typing import Any

import numpy as np

from convmedia.apps.console.terminal import say
from convmedia.apps.reporting.shares import COUNTED, said, with_interval
from convmedia.apps.runs.opening import open_part
from convmedia.apps.runs.run_folder import Run


def wanted(options: dict[str, Any]) -> bool:
    """Whether a run's arguments ask for a training of each fold; those of before there were folds do not."""
    return bool(options.get("folds")) and options.get("fold") is None


def on_pictures(run: Run, train: Callable[[Run], dict[str, Any]]) -> dict[str, Any]:
    """From the arguments of a run on labelled pictures to its complete folder: one training, or one for each fold."""
    from convmedia.data.datasets import photos

    if wanted(run.arguments):
        names = photos.folds(run.arguments["data"], run.arguments.get("target"))
        return each(run, names, train, "picture")
    return train(run)


def each(run: Run, names: list[str], train: Callable[[Run], dict[str, Any]], noun: str) -> dict[str, Any]:
    """Train and test on each fold; complete ones are kept when a run is continued.

    Args:
        names: the folds, of which each is tested on once.
        train: from a run to its record.
        noun: what an example is, such as "sound".
    """
    with run.begin(folds=names):
        records = []
        for number, name in enumerate(names, start=1):
            part = open_part(run, f"fold-{number}", {**run.arguments, "fold": name, "folds": False})
            if not part.complete:
                say(f"fold {number} of {len(names)}: tested on {name}")
                train(part)
            records.append(part.record)
        splits = records[0]["metrics"]
        metrics = {split: summary([record["metrics"][split] for record in records]) for split in splits}
        metrics |= {name: record["metrics"]["test"] for name, record in zip(names, records, strict=True)}
        facts = ("labels", "input", "data")
        write_report(run, names, metrics, noun)
        run.finish(metrics=metrics, **{name: records[0][name] for name in facts if name in records[0]})
    return run.record


def summary(figures: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and spread (standard deviation over the folds, n - 1) of each figure that is a number; examples in all."""
    found: dict[str, Any] = {}
    for name in numbers(figures[0]):
        values = [one[name] for one in figures]
        if name == "examples":
            found[name] = sum(values)
            continue
        found[name] = float(np.mean(values))
        found[f"{name}_spread"] = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return found


def numbers(figures: dict[str, Any]) -> list[str]:
    """The names of the figures that are numbers, without intervals and what is told of each label."""
    return [name for name, value in figures.items() if isinstance(value, int | float)]


def cell(figures: dict[str, Any], name: str) -> Any:
    """A figure; a share that was counted with its counts and interval."""
    ends = figures.get(f"{name}_interval") if name in COUNTED else None
    return with_interval(figures[name], figures["examples"], ends) if ends else figures[name]


def write_report(run: Run, names: list[str], metrics: dict[str, Any], noun: str) -> None:
    """`report.html` of all folds; each fold's own lies in its folder."""
    from convmedia.apps.reporting.html import Report

    main = next(iter(metrics["test"]))
    number = f"{metrics['test']['examples']:,} {noun}s"
    network = run.arguments.get("network") or run.arguments["backbone"]
    report = Report(f"{noun.capitalize()}s, fold by fold", f"{network} trained on {run.arguments['data']}")
    report.headline(
        {
            f"mean {main.replace('_', ' ')}": f"{said(main, metrics['test'][main])} ({number})",
            "spread": said(main, metrics["test"][f"{main}_spread"]),
            "folds": len(names),
        }
    )
    columns = [name for name in numbers(metrics[names[0]]) if name != "examples"]
    rows = [[name, *(cell(metrics[name], column) for column in columns), metrics[name]["examples"]] for name in names]
    note = "Each fold's own report lies in its folder: fold-1/report.html and so on."
    report.table("Folds", ["tested on", *(name.replace("_", " ") for name in columns), f"{noun}s"], rows, note)
    report.facts("Arguments", run.arguments)
    report.facts("Versions", run.record["versions"])
    report.write(run.folder / "report.html")
