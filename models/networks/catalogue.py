"""Every network that is trained from scratch, a row each. A new one is a function and a row: commands and tests read
these tables, and Keras is loaded when a network is built.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from convmedia.data.storage.deferred import Deferred

HERE = "convmedia.models.networks"


class Network(Deferred):
    """Called as its function is, it gives an uncompiled inner network."""


@dataclass(frozen=True)
class PhotoNetwork(Network):
    """A network of photos, built with the number of labels.

    Attributes:
        side_px: of the square that it is given in the file.
        any_size: whether it learns from pictures of other sizes, too.
    """

    side_px: int = 150
    any_size: bool = False


@dataclass(frozen=True)
class EnlargingNetwork(Network):
    """A network that enlarges pictures.

    Attributes:
        kind: "luma", enlarged before; or enlarged by the network: "rgb", built with the scales, or "small-luma", built
            with one.
        every_scale: one network answers all scales.
    """

    kind: Literal["luma", "small-luma", "rgb"] = "luma"
    every_scale: bool = False

    def build(self, scale: int):
        """The network for a scale of 2, 3 or 4, untrained."""
        if self.kind == "luma":
            return self()
        return self(scale) if self.kind == "small-luma" else self((scale,))


DIGITS: dict[str, Network] = {
    "convnet": Network(f"{HERE}.digits:convnet"),
    "lenet5": Network(f"{HERE}.digits:lenet5"),
}
PHOTOS: dict[str, PhotoNetwork] = {
    "resnet": PhotoNetwork(f"{HERE}.photos:resnet", side_px=144, any_size=True),
    "small": PhotoNetwork(f"{HERE}.photos:small", side_px=150),
}
SOUNDS: dict[str, Network] = {
    "compact": Network(f"{HERE}.sounds:compact"),
    "piczak": Network(f"{HERE}.sounds:piczak"),
    "speech": Network(f"{HERE}.sounds:speech"),
    "tagger": Network(f"{HERE}.sounds:tagger"),
}
SUPER_RESOLUTION: dict[str, EnlargingNetwork] = {
    "srcnn": EnlargingNetwork(f"{HERE}.super_resolution:srcnn"),
    "srcnn-9-1-5": EnlargingNetwork(f"{HERE}.super_resolution:srcnn", {"kernels": (9, 1, 5)}),
    "espcn": EnlargingNetwork(f"{HERE}.super_resolution:espcn", kind="small-luma"),
    "vdsr": EnlargingNetwork(f"{HERE}.super_resolution:vdsr", every_scale=True),
    "carn": EnlargingNetwork(f"{HERE}.super_resolution:carn", kind="rgb"),
    "carn-m": EnlargingNetwork(f"{HERE}.super_resolution:carn_m", kind="rgb"),
}

NETWORKS: Mapping[str, Mapping[str, Network]] = {
    "mnist": DIGITS,
    "cats-vs-dogs": PHOTOS,
    "audio": SOUNDS,
    "super-resolution": SUPER_RESOLUTION,
}
"""By application and name."""
