"""How well `transfer train --epochs 0` does with few pictures: the accuracy of several draws of a training set.

    CONVMEDIA_DATA=... python benchmarks/few_pictures.py --data $CONVMEDIA_DATA/cats_vs_dogs [--each 20] [--draws 10]

Each draw is a folder of its own, with so many training pictures of each label, drawn by the draw's number, and all test
pictures. Prints a line for each draw, then the mean accuracy with its 95 % interval by Student's t over the draws, the
lowest of them, and the median time from cold of one training with its report.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy import stats


def drawn(data: Path, folder: Path, each: int, seed: int) -> None:
    """Link a draw into `folder`."""
    random = np.random.default_rng(seed)
    for label in sorted((data / "train").iterdir()):
        files = sorted(label.iterdir())
        chosen = {"train": random.choice(len(files), each, replace=False), "test": None}
        for split, places in chosen.items():
            taken = [files[place] for place in places] if places is not None else (data / split / label.name).iterdir()
            (folder / split / label.name).mkdir(parents=True)
            for file in taken:
                (folder / split / label.name / file.name).symlink_to(file.resolve())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder with train/LABEL/ and test/LABEL/")
    parser.add_argument("--each", type=int, default=20)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--backbone", default="efficientnet-lite0")
    arguments = parser.parse_args()
    accuracies, seconds = [], []
    with tempfile.TemporaryDirectory() as temporary:
        for seed in range(1, arguments.draws + 1):
            folder, out = Path(temporary, f"draw-{seed}"), Path(temporary, f"run-{seed}")
            drawn(arguments.data, folder, arguments.each, seed)
            command = [sys.executable, "-m", "convmedia.apps", "transfer", "train", "--data", folder, "--epochs", "0"]
            began = time.perf_counter()
            subprocess.run([*command, "--backbone", arguments.backbone, "--out", out], check=True, capture_output=True)
            seconds.append(time.perf_counter() - began)
            figures = json.loads((out / "run.json").read_text(encoding="utf-8"))["metrics"]["test"]
            accuracies.append(figures["accuracy"])
            print(
                f"draw {seed}: {100 * figures['accuracy']:.2f} % of {figures['examples']}, {seconds[-1]:.1f} s",
                flush=True,
            )
    half = stats.t.ppf(0.975, len(accuracies) - 1) * stats.sem(accuracies)
    mean = float(np.mean(accuracies))
    print(
        f"{arguments.each} pictures of each label, {arguments.draws} draws: mean {100 * mean:.2f} % "
        f"({100 * (mean - half):.2f} to {100 * (mean + half):.2f} %), lowest {100 * min(accuracies):.2f} %; "
        f"median {statistics.median(seconds):.1f} s"
    )


if __name__ == "__main__":
    main()
