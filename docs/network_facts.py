"""Measure what `convmedia networks` shows: every network is built once, its parameters and operations are counted.

python docs/network_facts.py                    # writes models/weights/networks.json; minutes, 3 GB of memory
python docs/network_facts.py transfer/vgg16     # measures some anew
"""

import json
import os
import sys
from typing import Any

import keras

from convmedia.data.storage.files import replacing
from convmedia.models.analysis.costs import multiply_adds, receptive_field
from convmedia.models.backbones.catalogue import BACKBONES, backbone
from convmedia.models.networks import stylization
from convmedia.models.networks.catalogue import NETWORKS, EnlargingNetwork
from convmedia.models.saving.network_facts import FACTS

SOUNDS = {"compact": (81, 40), "piczak": (101, 60), "speech": (101, 40), "tagger": (216, 64)}
"""Frames and bands of a window of a second at 8 kHz, or as the network's paper has them."""

LABELS = 10
PAINTED_PX = 256
ENLARGED_TO = (720, 1280)
"""Height and width of an answer, px, that papers on super-resolution count operations for; twice the input's."""

SOURCES = {
    "mnist/convnet": "this package; batch normalisation: Ioffe and Szegedy 2015",
    "mnist/lenet5": "LeCun, Bottou, Bengio, Haffner 1998",
    "cats-vs-dogs/resnet": "He et al. 2015, thinner; ResNet-D: He, T. et al. 2018",
    "cats-vs-dogs/small": "Chollet, Keras blog 2016",
    "audio/compact": "this package",
    "audio/piczak": "Piczak 2015",
    "audio/speech": "this package",
    "audio/tagger": "this package",
    "super-resolution/srcnn": "Dong et al. 2016, 9-5-5",
    "super-resolution/srcnn-9-1-5": "Dong et al. 2014, 9-1-5",
    "super-resolution/espcn": "Shi et al. 2016; deeper and thinner",
    "super-resolution/vdsr": "Kim et al. 2016",
    "super-resolution/carn": "Ahn et al. 2018",
    "super-resolution/carn-m": "Ahn et al. 2018",
    "style-transfer/painter": "Johnson et al. 2016; Odena et al. 2016",
}
OF_BACKBONES = {
    "efficientnet-lite": ("Liu 2020; Tan and Le 2019", "Apache-2.0"),
    "mobilenet-v2": ("Sandler et al. 2018, weights of torchvision", "BSD-3-Clause"),
    "vgg": ("Simonyan and Zisserman 2014", "CC BY 4.0"),
    "squeezenet": ("Iandola et al. 2016, version 1.1", "MIT"),
    "resnet50-v2": ("He et al. 2016", None),
    "resnet101-v2": ("He et al. 2016", None),
    "resnet152-v2": ("He et al. 2016", None),
    "resnet": ("He et al. 2015", "MIT"),
    "densenet": ("Huang et al. 2016", "BSD-3-Clause"),
    "inception-v3": ("Szegedy et al. 2015", "Apache-2.0"),
    "inception-resnet-v2": ("Szegedy et al. 2016", "Apache-2.0"),
    "xception": ("Chollet 2016", "MIT"),
    "mobilenet-v3": ("Howard et al. 2019", "Apache-2.0"),
    "keras-mobilenet-v2": ("Sandler et al. 2018", "Apache-2.0"),
    "mobilenet": ("Howard et al. 2017", "Apache-2.0"),
    "nasnet": ("Zoph et al. 2017", "Apache-2.0"),
    "efficientnet-v2": ("Tan and Le 2021", "Apache-2.0"),
    "efficientnet-b": ("Tan and Le 2019", "Apache-2.0"),
    "convnext": ("Liu et al. 2022", "MIT"),
}
"""By the beginning of the name, first that fits: paper, and licence of the weights where it is known."""


def names() -> list[str]:
    """Every network as "application/name"."""
    ours = [f"{app}/{name}" for app, table in NETWORKS.items() for name in table]
    return [*ours, "style-transfer/painter", *(f"transfer/{name}" for name in BACKBONES)]


def measured(name: str) -> dict[str, Any]:
    """The facts of a network."""
    network, shape = built(name)
    app, short = name.split("/")
    source, licence = SOURCES.get(name), "Apache-2.0"
    if app == "transfer":
        source, licence = next(found for start, found in OF_BACKBONES.items() if short.startswith(start))
    return {
        "input": list(shape),
        "parameters": network.count_params(),
        "multiply_adds": multiply_adds(network, *shape),
        "receptive_field": list(receptive_field(network)),
        "source": source,
        "licence": licence,
    }


def built(name: str) -> tuple[keras.Model, tuple[int, ...]]:
    """A network with random weights, and the shape of its usual input without the batch."""
    app, short = name.split("/")
    if app == "transfer":
        side = BACKBONES[short].side
        return backbone(short, "none"), (side, side, 3)
    if app == "style-transfer":
        return stylization.painter(), (PAINTED_PX, PAINTED_PX, 3)
    row = NETWORKS[app][short]
    if app == "audio":
        frames, bands = SOUNDS[short]
        return row(frames=frames, bands=bands, labels=LABELS), (frames, bands, 2)
    if isinstance(row, EnlargingNetwork):
        network, (height, width) = row.build(2), ENLARGED_TO
        channels = network.input_shape[-1]
        return network, (height, width, 1) if row.kind == "luma" else (height // 2, width // 2, channels)
    network = row()
    side = getattr(row, "side_px", None)
    return network, (side, side, 3) if side else tuple(network.input_shape[1:])


def main() -> None:
    chosen = sys.argv[1:] or names()
    facts = json.loads(FACTS.read_text("utf-8")) if FACTS.exists() else {}
    for name in chosen:
        facts[name] = measured(name)
        print(name, facts[name], flush=True)
        keras.backend.clear_session()
        with replacing(FACTS) as beside:
            rows = ",\n".join(f" {json.dumps(one)}: {json.dumps(facts[one])}" for one in names() if one in facts)
            beside.write_text("{\n" + rows + "\n}\n", "utf-8")


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
