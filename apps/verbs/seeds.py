"""`train --seeds N`: the same training from several seeds, in run folders below the run's: mean and interval."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from convmedia.apps.console.terminal import say

if TYPE_CHECKING:
    from convmedia.apps.runs.run_folder import Run


def wanted(options: Mapping[str, Any]) -> bool:
    """Whether a run's arguments ask for several seeds; those of before there was the option do not."""
    return options.get("seeds", 1) > 1


def each(run: "Run", train: "Callable[[Run], dict[str, Any]]") -> dict[str, Any]:
    """Train from each seed, `--seed` first; complete ones are kept when a run is continued: the run's record.

    Args:
        train: from a run to its record.
    """
    from convmedia.apps.runs.opening import open_part

    options = run.arguments
    seeds = range(options["seed"], options["seed"] + options["seeds"])
    with run.begin(of_seeds=list(seeds)):
        records = {}
        for number, seed in enumerate(seeds, start=1):
            part = open_part(run, f"seed-{seed}", {**options, "seed": seed, "seeds": 1})
            if not part.complete:
                say(f"seed {seed}, {number} of {len(seeds)}")
                train(part)
            records[seed] = part.record
        first = records[seeds.start]
        found = [record["metrics"] for record in records.values()]
        metrics = {split: summary([one[split] for one in found]) for split in first["metrics"]}
        write_report(run, {f"seed {seed}": record["metrics"] for seed, record in records.items()}, metrics)
        run.finish(metrics=metrics, **{name: first[name] for name in ("labels", "input", "data") if name in first})
    return run.record


def summary(figures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of each figure that is a number: its mean, and the 95 % interval of that mean by Student's t over the seeds."""
    import numpy as np
    from scipy import stats

    found: dict[str, Any] = {"seeds": len(figures)}
    for name, value in figures[0].items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        values = np.array([one[name] for one in figures], float)
        if name == "examples":
            found[name] = value
            continue
        half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
        found[name] = float(values.mean())
        found[f"{name}_between_seeds"] = [float(values.mean() - half), float(values.mean() + half)]
    return found


def line(_: str, figures: Mapping[str, Any]) -> str:
    """The figures of one split for a person: "accuracy 0.9917 (0.9893 to 0.9941)"."""
    names = [name for name in figures if f"{name}_between_seeds" in figures]
    return f"mean of {figures['seeds']} seeds: " + ", ".join(
        f"{name.replace('_', ' ')} {cell(figures, name)}" for name in names
    )


def cell(figures: Mapping[str, Any], name: str) -> str:
    """A mean and its interval."""
    low, high = figures[f"{name}_between_seeds"]
    return f"{figures[name]:.4g} ({low:.4g} to {high:.4g})"


def write_report(run: "Run", of_seeds: Mapping[str, Mapping[str, Any]], metrics: Mapping[str, Any]) -> None:
    """`report.html` of all seeds; each seed's own lies in its folder."""
    from convmedia.apps.reporting.html import Report

    options = run.arguments
    network = options.get("network") or options.get("backbone") or run.record["app"]
    report = Report("Seed by seed", f"{network} trained on {options['data']} from {len(of_seeds)} seeds")
    for split, figures in metrics.items():
        names = [name for name in figures if f"{name}_between_seeds" in figures]
        rows = [[seed, *(one[split][name] for name in names)] for seed, one in of_seeds.items()]
        rows.append(["mean, 95 % interval", *(cell(figures, name) for name in names)])
        note = "The interval is of the mean over seeds; that of few examples is in each seed's report, in its folder."
        report.table(split, ["trained from", *(name.replace("_", " ") for name in names)], rows, note)
    report.facts("Arguments", options)
    report.facts("Versions", run.record["versions"])
    report.write(run.folder / "report.html")
