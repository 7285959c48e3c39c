"""Perceptual hashes of Set5 and Set14, as data/benchmark_pictures.py has them.

python benchmarks/hash_benchmarks.py

Prints the table, and for each training picture of T91 and BSD200 that nearly equals one of them which.
"""

import numpy as np

from convmedia.data import images, sources
from convmedia.data.benchmark_pictures import Benchmarks, hashed


def main() -> None:
    for name in ("Set5", "Set14"):
        folder = sources.locate(name)
        if folder is None:
            print(f"{name} is not on this machine (CONVMEDIA_DATA)")
            continue
        print(f'    "{name}": {{')
        for file in images.find([folder]):
            code = np.packbits(hashed(images.decode(file))).tobytes().hex()
            print(f'        "{file.stem.removesuffix("_GT")}": "{code}",')
        print("    },")
    benchmarks = Benchmarks()
    for name in ("T91", "BSD200"):
        for file in images.find([folder]) if (folder := sources.locate(name)) else ():
            if like := benchmarks.like(images.decode(file)):
                print(f"# {name}'s {file.name} nearly equals {like}")


if __name__ == "__main__":
    main()
