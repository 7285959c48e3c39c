"""Tables of real pictures for `transfer`: several labels a picture, or a number.

    python benchmarks/tables_of_pictures.py $CONVMEDIA_DATA tables/
    convmedia transfer train --data tables/camvid.csv --out runs/camvid
    convmedia transfer train --data tables/nuclei.csv --target nuclei --out runs/nuclei
    convmedia transfer train --data tables/bccd.csv --target cells --out runs/bccd

camvid.csv: which of the 11 classes take a hundredth of a street picture or more; the set's own training
part, of which a tenth is taken for validation, and its val part as the test split.
nuclei.csv: how many nuclei a microscope picture has, and the share of it that they cover; contents decide the splits.
bccd.csv: how many cells of all kinds a picture of blood has, and which kinds; the set's own splits.
"""

import argparse
import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from PIL import Image

CAMVID = ["sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist"]
LEAST_SHARE = 0.01


def pixels(path: Path) -> np.ndarray:
    """A mask, int (height, width)."""
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


def camvid(data: Path) -> Iterable[Sequence[Any]]:
    """File, labels, split."""
    for folder, split in (("train", "train"), ("val", "test")):
        for mask in sorted((data / "camvid" / folder / "masks").iterdir()):
            numbers = pixels(mask)
            counts = np.bincount(numbers.ravel(), minlength=len(CAMVID))
            labels = [
                label for label, count in zip(CAMVID, counts, strict=False) if count >= LEAST_SHARE * numbers.size
            ]
            yield data / "camvid" / folder / "images" / f"{mask.stem}.jpg", ";".join(labels), split


def nuclei(data: Path) -> Iterable[Sequence[Any]]:
    """File, number of nuclei, share of the picture that they cover."""
    for mask in sorted((data / "nuclei" / "train" / "masks").iterdir()):
        numbers = pixels(mask)
        picture = data / "nuclei" / "train" / "images" / f"{mask.stem}.jpg"
        yield picture, len(np.unique(numbers[numbers > 0])), round(float((numbers > 0).mean()), 6)


def bccd(data: Path) -> Iterable[Sequence[Any]]:
    """File, number of cells, their kinds, split."""
    folder = data / "bccd"
    for name, split in (("train", "train"), ("val", "validation"), ("test", "test")):
        for stem in (folder / "ImageSets" / "Main" / f"{name}.txt").read_text(encoding="utf-8").split():
            found = ElementTree.parse(folder / "Annotations" / f"{stem}.xml").getroot().iter("object")
            kinds = [str(one.findtext("name")) for one in found]
            yield folder / "JPEGImages" / f"{stem}.jpg", len(kinds), ";".join(sorted(set(kinds))), split


TABLES = {
    "camvid": (camvid, ("file", "labels", "split")),
    "nuclei": (nuclei, ("file", "nuclei", "covered")),
    "bccd": (bccd, ("file", "cells", "labels", "split")),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder that CONVMEDIA_DATA names")
    parser.add_argument("out", type=Path, help="the folder of the tables")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name, (rows, columns) in TABLES.items():
        with (options.out / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(rows(options.data.absolute()))


if __name__ == "__main__":
    main()
