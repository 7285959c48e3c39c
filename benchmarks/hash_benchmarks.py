"""Perceptual hashes of Set5 and Set14, as data/datasets/benchmark_pictures.py has them.

python benchmarks/hash_benchmarks.py

Prints the table, and for each training picture of T91 and BSD200 that nearly equals one of them which.
"""

import numpy as np

from convmedia.data.datasets.benchmark_pictures import Benchmarks, hashed
from convmedia.data.images import decoding
from convmedia.data.sources import fetch


def main() -> None:
    for name in ("Set5", "Set14"):
        folder = fetch.locate(name)
        if folder is None:
            print(f"{name} is not on this machine (CONVMEDIA_DATA)")
            continue
        print(f'    "{name}": {{')
        for file in decoding.find([folder]):
            code = np.packbits(hashed(decoding.decode(file))).tobytes().hex()
            print(f'        "{file.stem.removesuffix("_GT")}": "{code}",')
        print("    },")
    benchmarks = Benchmarks()
    for name in ("T91", "BSD200"):
        for file in decoding.find([folder]) if (folder := fetch.locate(name)) else ():
            if like := benchmarks.like(decoding.decode(file)):
                print(f"# {name}'s {file.name} nearly equals {like}")


if __name__ == "__main__":
    main()
