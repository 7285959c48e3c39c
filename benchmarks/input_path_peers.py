"""The same pictures and transforms through albumentations with OpenCV's decoder, as a process of its own.

    python benchmarks/input_path_peers.py FOLDER HEIGHT WIDTH BATCH EPOCHS

A `DataLoader` of PyTorch with two workers that stay over the epochs; each picture is decoded with `cv2.imread`, resized
to HEIGHT x WIDTH px, then turned by up to 40 degrees, shifted, sheared and zoomed by up to 0.2, and mirrored, edges
repeated. Prints a line of JSON: pictures of an epoch, and for each epoch seconds of the clock and of all processors.
"""

import json
import resource
import sys
import time
from importlib import import_module
from pathlib import Path

import cv2
import numpy as np
import torch

WORKERS = 2


class Photos(torch.utils.data.Dataset):
    """The JPEGs below a folder, decoded anew each time."""

    def __init__(self, folder: Path, size: tuple[int, int]):
        self.files = [str(file) for file in sorted(folder.rglob("*.jpg"))]
        albumentations = import_module("albumentations")  # this package names it nowhere else
        self.change = albumentations.Compose(
            [
                albumentations.Resize(*size),
                albumentations.Affine(
                    rotate=(-40, 40),
                    translate_percent=(-0.2, 0.2),
                    shear=(-0.2, 0.2),
                    scale=(0.8, 1.2),
                    border_mode=cv2.BORDER_REPLICATE,
                    p=1.0,
                ),
                albumentations.HorizontalFlip(p=0.5),
            ]
        )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> np.ndarray:
        picture = cv2.cvtColor(cv2.imread(self.files[index]), cv2.COLOR_BGR2RGB)
        return self.change(image=picture)["image"].astype(np.float32)


def single(_: int) -> None:
    """A worker computes in one thread."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def seconds_of_processors() -> float:
    """Of this process and of its workers that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def passed(photos: Photos, batch: int, epochs: int) -> tuple[list[float], float]:
    """Seconds of the clock of each epoch, and of the processors of all of them."""
    before = seconds_of_processors()
    loader = torch.utils.data.DataLoader(
        photos,
        batch,
        shuffle=True,
        drop_last=True,
        num_workers=WORKERS,
        worker_init_fn=single,
        persistent_workers=True,
    )
    moments = [time.perf_counter()]
    for _ in range(epochs):
        for _pictures in loader:
            pass
        moments.append(time.perf_counter())
    del loader  # ends its workers, so that their seconds are counted
    return np.diff(moments).tolist(), seconds_of_processors() - before


def main() -> None:
    folder, *numbers = sys.argv[1:]
    height, width, batch, epochs = map(int, numbers)
    photos = Photos(Path(folder), (height, width))
    clock, _ = passed(photos, batch, 1)  # nothing is started for the first time in what counts
    clock, processors = passed(photos, batch, epochs)
    pictures = len(photos) // batch * batch
    print(json.dumps({"pictures": pictures, "clock": clock, "processors": processors / epochs}))


if __name__ == "__main__":
    main()
