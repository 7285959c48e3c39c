"""What a stylizing leaves behind: the picture at each step, losses, an animation, the report."""

import csv
import io
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from convmedia.apps.console.progress import LASTING_SECONDS, LIVE_SECONDS, clock
from convmedia.apps.console.strict_json import to_json
from convmedia.apps.console.terminal import say
from convmedia.apps.runs.record import is_ours
from convmedia.apps.runs.run_folder import versions, write_text
from convmedia.apps.tasks.style_transfer.multiscale import Moment, Wanted
from convmedia.apps.tasks.style_transfer.pictures import as_original
from convmedia.data.images import decoding, lossless
from convmedia.data.storage.errors import InputError
from convmedia.data.storage.files import replacing, shown

FRAME_PX = 640  # longer side of an animation
FRAME_MS, LAST_FRAME_MS = 250, 2000
SHOWN_STEPS = 24


class Album:
    """Keeps the result so far under its final name and every picture on the way in a folder beside it.

    Args:
        out: the result's file; `STEM_steps/` beside it holds the rest.
        every: evaluations between two pictures.
        arguments: of the command, for `run.json`.

    Raises:
        InputError: the folder beside is there and not of this program.
    """

    def __init__(self, out: Path, wanted: Wanted, every: int, steps: int, arguments: dict[str, Any]):
        self.out, self.wanted, self.every, self.steps = out, wanted, every, steps
        self.folder = out.with_name(f"{out.stem}_steps")
        if self.folder.exists() and not is_ours(self.folder):
            raise InputError(f"{shown(self.folder)} is there and not of an earlier run; give another --out")
        self.record: dict[str, Any] = {"app": "style-transfer", "status": "running", "arguments": arguments}
        self.rows: list[dict[str, float]] = []
        self.began = self.last = time.perf_counter()
        self.told = self.began

    def begin(self) -> None:
        """Make the folder; pictures of an earlier run in it go."""
        self._note()
        for path in self.folder.iterdir():
            if re.fullmatch(r"\d{5}\.jpg", path.name):
                path.unlink()

    def __call__(self, moment: Moment) -> None:
        """Note one evaluation; keep the picture at each multiple of `every`."""
        now = time.perf_counter()
        self.pace, self.last = (now - self.last) / (moment.size[0] * moment.size[1]), now
        names = ("loss", "content", "style", "variation")
        losses = dict(zip(names, moment.losses, strict=True))
        seconds = round(now - self.began, 3)
        self.rows.append({"step": moment.step, "height": moment.size[0], **losses, "seconds": seconds})
        kept = moment.step % self.every == 0
        if kept:
            self._keep(moment.step, moment.picture())
        self._tell(moment, lasting=kept)

    def _tell(self, moment: Moment, lasting: bool) -> None:
        live = sys.stderr.isatty()
        now = time.perf_counter()
        if not lasting and now - self.told <= (LIVE_SECONDS if live else LASTING_SECONDS):
            return
        self.told = now
        height, width = moment.size
        line = (
            f"step {moment.step}/{self.steps}  {width}x{height}  loss {moment.losses[0]:.4g}  "
            f"{clock(self.pace * moment.left)} left"
        )
        print(f"\r{line}\x1b[K" if live else line, end="\n" if lasting or not live else "", file=sys.stderr, flush=True)

    def _keep(self, step: int, picture: np.ndarray) -> None:
        decoding.encode(np.clip(np.round(picture), 0, 255).astype(np.uint8), self.folder / f"{step:05d}.jpg")
        lossless.write(as_original(self.wanted.original, picture), self.out)
        self._write_history()

    def _write_history(self) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.folder / "history.csv", text.getvalue())

    def _note(self, **changes: Any) -> None:
        self.record |= changes
        write_text(self.folder / "run.json", to_json({**self.record, "versions": versions()}, indent=2) + "\n")

    def finish(self, picture: np.ndarray, well: bool, animation: Path | None) -> dict[str, Any]:
        """Write the result, the animation and the report: the row for `--json`."""
        if not well:
            step = len(self.rows) + 1
            say(f"the loss of step {step} is no number: stopped, the last good picture is kept; lower the weights")
        lossless.write(as_original(self.wanted.original, picture), self.out)
        if self.rows:
            self._write_history()
        if animation is not None:
            self._animate(animation, picture)
        height, width = picture.shape[:2]
        row = {"out": str(self.out), "width": width, "height": height, "steps": len(self.rows)}
        row |= {"loss": self.rows[-1]["loss"] if self.rows else None, "stopped": None if well else "nan"}
        row |= {"seconds": round(time.perf_counter() - self.began, 2)}
        self._note(status="complete" if well else "stopped", result=row)
        self._report(picture)
        return row

    def _steps(self) -> list[Path]:
        return sorted(path for path in self.folder.iterdir() if re.fullmatch(r"\d{5}\.jpg", path.name))

    def _animate(self, path: Path, last: np.ndarray) -> None:
        pictures = [decoding.decode(file) for file in self._steps()] + [last]
        frames = [Image.fromarray(np.clip(np.round(one), 0, 255).astype(np.uint8)) for one in pictures]
        for frame in frames:
            frame.thumbnail((FRAME_PX, FRAME_PX))
        times = [FRAME_MS] * (len(frames) - 1) + [LAST_FRAME_MS]
        with replacing(path) as beside:
            frames[0].save(beside, save_all=True, append_images=frames[1:], duration=times, loop=0)

    def _report(self, picture: np.ndarray) -> None:
        from convmedia.apps.reporting.html import Report

        arguments = self.record["arguments"]
        report = Report("Style transfer", f"{arguments['content']} as {', '.join(map(str, arguments['styles']))}")
        row = self.record["result"]
        report.headline({"loss": row["loss"], "steps": row["steps"], "seconds": row["seconds"]})
        given = [(self.wanted.content, "content"), *((one, "style") for one in self.wanted.paintings)]
        items = [(np.clip(np.round(one), 0, 255).astype(np.uint8), name) for one, name in [*given, (picture, "result")]]
        report.pictures("Pictures", items, side_px=320)
        if self.rows:
            report.figure("Losses", descent(self.rows), "A jump is a change of scale: the next one is twice as large.")
        files = self._steps()
        chosen = files[:: -(-len(files) // SHOWN_STEPS)] if files else []
        report.pictures("Steps", [(decoding.decode(file), f"step {int(file.stem)}") for file in chosen])
        report.facts("Arguments", arguments)
        report.facts("Versions", versions())
        report.write(self.folder / "report.html")


def descent(rows: list[dict[str, float]]):
    """Losses over evaluations, on a logarithmic axis: a Matplotlib figure."""
    from matplotlib.figure import Figure

    from convmedia.apps.reporting.charts import BLUE, INK, ORANGE, bare_axes

    figure = Figure(figsize=(9.0, 4.0), layout="constrained")
    axes = bare_axes(figure.add_subplot(), grid=True)
    steps = [row["step"] for row in rows]
    looks = (("loss", INK, "-"), ("style", BLUE, "--"), ("content", ORANGE, "--"))
    for name, ink, line in looks:
        axes.semilogy(steps, [max(row[name], 1e-12) for row in rows], line, color=ink, label=name)
    axes.set(xlabel="step", ylabel="loss", ylim=(min(row["loss"] for row in rows) / 20 + 1e-12, None))
    axes.legend(frameon=False, labelcolor=INK)
    return figure
