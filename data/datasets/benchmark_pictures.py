"""The pictures that super-resolution is measured on, recognised whatever their size or format: none is trained on.

Perceptual hashes of Set5 and Set14 stand here (benchmarks/hash_benchmarks.py prints them), so that they are recognised
on every machine; B100 and Urban100 are where they are on this one.
"""

from contextlib import suppress

import numpy as np
from PIL import Image

from convmedia.data.images import decoding
from convmedia.data.sources import fetch
from convmedia.data.storage.errors import InputError

BENCHMARKS = ("Set5", "Set14", "B100", "Urban100")

SIDE_BITS = 16
"""Hashes have so many bits a side: 256, of the low frequencies of luma (imagehash's phash)."""

MOST_BITS = 48
"""Hashes of one picture differ in fewer bits. Measured: copies of other sizes and JPEG quality 30 in at most 8; 302003
of BSD200, which is Set5's woman at 1.4 times its size, in 16; different pictures in 98 and more."""

HASHES: dict[str, dict[str, str]] = {
    "Set5": {
        "baby": "fabafda02d01f205303fead031d4cb0bc3550dbfcc1334f4b90a81d2b3ef710b",
        "bird": "b899c008c664345ecd3f418cf51b95e0b8d97323b1d3d63f0b570e5c2b876cec",
        "butterfly": "86d608567b4615937cf9de4627236f387c8e4c69e6b4c31981cdd0d1db52cd34",
        "head": "8c5672ab6b25e5396daa98b5a5da6e3484af5b9bb6a1090a9c8d234a9ad2bda1",
        "woman": "d5c2d240783d0f8b134d96bc61cbb854662b60cf9835473d1d6230bd79fd7c62",
    },
    "Set14": {
        "baboon": "df18205760857df05f07a1ca58968f075e5c5fac0a73496dfa6c29a518ed65a6",
        "barbara": "c944c9631a7674b7f05ee73449eb83d203c71f8b3e3c74f9422d98133cf4b830",
        "bridge": "f80092c0e5c0636931bbdd9ccfb4c4bd787f3d0706c0d178d89e9f9f2f80a1d8",
        "coastguard": "f5552aaa4e0cf234b335ef1dce1c3f2433226d18cc48a364b3476db94e783666",
        "comic": "9a12b0fd4ba93454a4b68d2acc5a46d5c9e98b6b33bd9dc57a1b36b6c3686282",
        "face": "8e5672eb6b25e5796daa98a5a5da6e3484af5a9bb6a1091a9c8d234a9292bda1",
        "flowers": "91f4f0c96e301684c2e3cb6ea6d1b97064de078a376aa4d6986f4e2a2d2dee35",
        "foreman": "e800859bcbec1c6d359370d2665e97899ad9f859c14a23a927dd774ddf059a0a",
        "lenna": "9900c6f956db2dad754a3356a695966d68a5abad4b396883c6cc18d98c995736",
        "man": "b267bde42d18c61f3e64e07bc9d01e19dcfb0bec784320d29f2624cb85e1b307",
        "monarch": "e9867bc16653fc0f99ef96fc110e7340639a01b51f87981f98b8706c6009ffe1",
        "pepper": "a3f6bf0c7c2b10a5c73031dbcb4bd9eac36e29588b830155c6a6a594deb16b25",
        "ppt3": "aa9a66e2192af3231b5ace561cad9d4b9b5db552b465e44cd25c18b46dac1b8c",
        "zebra": "f8b5a152950fc6b587f06bc5fc053c3a12e13940cc8d87f667528ea9295ec2bb",
    },
}


class Benchmarks:
    """The hashes of all pictures of the benchmarks that are known here.

    Attributes:
        names: set and picture of each.
    """

    def __init__(self) -> None:
        rows = [(f"{name}'s {picture}", bits_of(code)) for name, row in HASHES.items() for picture, code in row.items()]
        for name in BENCHMARKS:
            folder = fetch.locate(name)
            for file in decoding.find([folder]) if folder else ():
                with suppress(InputError):  # what cannot be read is not measured on, either
                    rows.append((f"{name}'s {file.stem}", hashed(decoding.decode(file))))
        self.names = [name for name, _ in rows]
        self.bits = np.stack([bits for _, bits in rows])

    def like(self, picture: np.ndarray) -> str | None:
        """The benchmark's picture that a picture, uint8 (height, width, 3), nearly equals; None for none."""
        distances = (self.bits != hashed(picture)).sum(axis=1)
        nearest = int(distances.argmin())
        return self.names[nearest] if distances[nearest] < MOST_BITS else None


def hashed(picture: np.ndarray) -> np.ndarray:
    """The perceptual hash of a picture, uint8 (height, width, 3): bool (256,)."""
    import imagehash

    return np.asarray(imagehash.phash(Image.fromarray(picture), hash_size=SIDE_BITS).hash).ravel()


def bits_of(code: str) -> np.ndarray:
    """A hash in 64 hexadecimal digits as bool (256,)."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(code), np.uint8)).astype(bool)
