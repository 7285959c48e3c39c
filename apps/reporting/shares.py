"""Shares as people should read them: with the counts behind them, the interval that they are known to, and doubts."""

from collections.abc import Sequence
from typing import Any

from convmedia.apps.console.terminal import percent
from convmedia.data.storage.text import plural

UNSURE = 0.2
"""A 95 % interval that is wider, of 100 times the share in points 20, tells too little: so it is of 18 files with 15
right answers (60.8 to 94.2 %), and of 80 with 72 it is not (81.5 to 94.8 %)."""

COUNTED = ("accuracy", "exact")
"""The shares that are so many of all examples."""

NO_SHARES = ("error", "loss", "r2")
"""How figures begin or end that are no shares."""

LISTED = 10
"""Most labels that a doubt names."""


def said(name: str, value: float) -> str:
    """A figure by its name: a share in percent, another number as it is."""
    plain = name.startswith(NO_SHARES) or name.removesuffix("_spread").endswith(NO_SHARES)
    return f"{value:.4g}" if plain else percent(value)


def counts(share: float, number: int) -> str:
    """What a share was counted from: "15 of 18"."""
    return f"{round(share * number):,} of {number:,}"


def with_counts(share: float | None, number: int) -> str:
    """ "83.33 % (15 of 18)"; a dash where there is none."""
    return "-" if share is None else f"{percent(share)} ({counts(share, number)})"


def interval(ends: Sequence[float]) -> str:
    """ "60.8 to 94.2 %"."""
    low, high = ends
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def with_interval(share: float, number: int, ends: Sequence[float]) -> str:
    """ "83.33 % (15 of 18, 95 % interval 60.8 to 94.2 %)"."""
    return f"{percent(share)} ({counts(share, number)}, 95 % interval {interval(ends)})"


def counted(share: float, number: int) -> str:
    """As `with_interval`, of a share whose interval is not known yet."""
    from convmedia.models.losses.label_metrics import wilson_interval

    return with_interval(share, number, wilson_interval(round(share * number), number))


def doubts(metrics: dict[str, dict[str, Any]]) -> list[str]:
    """What speaks against relying on the figures of splits: few examples, and one answer to all of them."""
    found = []
    for split, figures in metrics.items():
        if "only_answer" in figures:
            found.append(f"{split}: {figures['only_answer']!r} is answered to every file; nothing was learned")
        if figures.get("mean_absolute_error_interval", (0.0, 0.0))[1] >= figures.get("baseline_error", 1.0):
            baseline = f"{figures['baseline_error']:.4g}"
            found.append(f"{split}: the error may be no smaller than {baseline}, that of always answering the median")
        name = next((name for name in COUNTED if f"{name}_interval" in figures), None)
        if name is None:
            continue
        low, high = figures[f"{name}_interval"]
        if high - low > UNSURE:
            number = plural(figures["examples"], "file")
            what = "the accuracy" if name == "accuracy" else "the share that is exactly right"
            found.append(f"{split}: {number} tell too little: {what} may be {interval((low, high))}; test on more")
            continue
        few = [label for label, row in figures.get("per_label", {}).items() if _unsure(row)]
        if few:
            more = f" and {len(few) - LISTED} more" if len(few) > LISTED else ""
            names = ", ".join(few[:LISTED])
            found.append(f"{split}: too few files to tell the recall of {names}{more} within {100 * UNSURE:.0f} points")
    return found


def _unsure(row: dict[str, Any]) -> bool:
    low, high = row.get("recall_interval") or (0.0, 0.0)
    return high - low > UNSURE
