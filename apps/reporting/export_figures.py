"""The figures of exported files for a person."""

from pathlib import Path
from typing import Any

from convmedia.apps.console.terminal import percent, table, tell
from convmedia.apps.reporting.shares import with_interval


def print_parity(parity: dict[str, Any], out: Path) -> None:
    """The verified files and their figures as tables; refusals with their reason."""
    kept = {name: figures for name, figures in parity.items() if "refused" not in figures}
    good = {name: figures for name, figures in kept.items() if "max_abs_diff" in figures}
    if good:
        header = ["format", "max difference", "same top label", "bytes", "ms each", "in a batch", "MB at most"]
        rows = [
            [
                name,
                f"{f['max_abs_diff']:.1e}",
                "-" if f["same_top1"] is None else share(f, "same_top1"),
                f["bytes"],
                *(f"{1e3 * seconds:.2f}" if seconds is not None else "-" for seconds in each_seconds(f)),
                round(f.get("peak_bytes", 0) / 1e6),
            ]
            for name, f in good.items()
        ]
        tell(table(header, rows))
        for name, f in good.items():
            if "metric" in f:
                tell(f"{name}: {worth(f)}")
    for name, figures in kept.items():
        if "runtime" in figures:
            inside = f"{figures['examples']} examples" if "examples" in figures else figures["network"]
            tell(f"{name}: {figures['bytes'] / 1e6:.1f} MB, {inside}, {figures['runtime']}")
    if kept:
        tell(f"written to {out}")
    for name, figures in parity.items():
        if "refused" in figures:
            tell(f"{name} refused: {figures['refused']}")


def each_seconds(figures: dict[str, Any]) -> tuple[float | None, float | None]:
    """Seconds for each example alone and in a batch, of 32 or, where the size is fixed, of eight."""
    return figures.get("seconds_at_1"), figures.get("seconds_at_32", figures.get("seconds_at_8"))


def worth(figures: dict[str, Any]) -> str:
    """What a quantised file is worth, before and after."""

    def written(name: str) -> str:
        if "psnr" in figures["metric"]:
            return f"{figures[name]:.2f} dB"
        return f"{figures[name]:.4g}" if figures["metric"].endswith("error") else share(figures, name)

    before = "" if figures["before"] is None else f"{written('before')} before, "
    metric = figures["metric"].replace("_", " ")
    return f"{metric} {before}{written('after')} after ({figures['measured_on']})"


def share(figures: dict[str, Any], name: str) -> str:
    """A share with its counts and interval; alone in a `parity.json` from before it had them."""
    if f"{name}_interval" not in figures:
        return percent(figures[name])
    return with_interval(figures[name], figures[f"{name}_examples"], figures[f"{name}_interval"])
