"""Train VDSR, CARN and the others where there is no TensorFlow: a GPU machine with JAX or PyTorch.

Needs this package (`pip install --no-deps .`), Keras and the backend. Pictures come as arrays in one file:

    python benchmarks/train_super_resolution.py pack T91+BSD200 pictures.npz        # here
    python benchmarks/train_super_resolution.py train pictures.npz \\
        --network vdsr --scale 2 --scale 3 --scale 4 --epochs 80 --out vdsr         # there

Writes `OUT/model_x2.keras` and so on, the best by validation, and `OUT/history.json`; run again, it goes on after the
last complete epoch. Arguments are read with the standard library, because Typer may not be there.
"""

import argparse
import json
import os
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", next(name for name in ("jax", "torch", "tensorflow") if find_spec(name)))

import keras
import numpy as np

from convmedia.apps.tasks.super_resolution.recipes import TRAININGS, recipe, validation
from convmedia.apps.training.mixed_precision import precision_here, twin
from convmedia.data.datasets.patches import HighResolution, Patches
from convmedia.models.answer import PICTURE
from convmedia.models.networks.catalogue import SUPER_RESOLUTION
from convmedia.models.networks.super_resolution import whole
from convmedia.models.saving.assembly import assemble
from convmedia.models.saving.files import save


class Batches(keras.utils.PyDataset):
    """One epoch of patches; everything random in it follows from (seed, epoch, step)."""

    def __init__(self, bank: Patches, batch_size: int, seed: int, epoch: int):
        super().__init__(workers=2, use_multiprocessing=False, max_queue_size=8)
        self.bank, self.batch_size, self.seed, self.epoch = bank, batch_size, seed, epoch
        self.order = np.random.default_rng([seed, epoch]).permutation(len(bank))

    def __len__(self) -> int:
        return max(len(self.bank) // self.batch_size, 1)

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        indices = self.order[step * self.batch_size : (step + 1) * self.batch_size]
        words = np.array([self.seed, (self.epoch << 20) + step]) & 0xFFFFFFFF
        return self.bank(indices, words.astype(np.uint32).view(np.int32))


def pack(data: str, path: Path) -> None:
    """Write the pictures of a set or folder to one file, RGB, those held out for validation by themselves."""
    from convmedia.apps.batch.picture_sets import picture_sets
    from convmedia.data.datasets import patches

    files = [file for found in picture_sets(data).values() for file in found]
    read = patches.load(files, 48, False, lambda done, total: None)
    arrays = {f"{split}{n}": picture for split in ("train", "held") for n, picture in enumerate(pictures(read, split))}
    np.savez_compressed(path, allow_pickle=False, digest=np.array(read.digest), **arrays)
    print(f"{len(read.train)} + {len(read.validation)} pictures in {path}, {path.stat().st_size / 1e6:.0f} MB")


def pictures(read: HighResolution, split: str) -> list[np.ndarray]:
    return read.train if split == "train" else read.validation


def unpacked(path: Path, grey: bool) -> HighResolution:
    """What `pack` wrote, as luma where `grey`."""
    from convmedia.data.transforms.bicubic import luma

    with np.load(path) as file:
        found = {name: file[name] for name in file.files}
    digest = str(found.pop("digest"))
    planes = {name: luma(picture)[..., np.newaxis] if grey else picture for name, picture in found.items()}
    train, held = ([planes[f"{split}{n}"] for n in range(count(planes, split))] for split in ("train", "held"))
    return HighResolution(train, held, [], [], digest, [])


def count(arrays: dict, split: str) -> int:
    return sum(name.startswith(split) for name in arrays)


def train(options: argparse.Namespace) -> None:
    """Train to `--epochs`, from the last complete epoch if there is one."""
    row, training = SUPER_RESOLUTION[options.network], TRAININGS[options.network]
    if options.rate:
        training = replace(training, rate=options.rate)
    scales = options.scale or [2]
    if len(scales) > 1 and not row.every_scale:
        raise SystemExit(f"{options.network} is trained for one --scale at a time")
    data = unpacked(options.arrays, grey=row.kind != "rgb")
    keras.utils.set_random_seed(options.seed)
    network = row.build(scales[0])
    if options.weights:
        network.load_weights(options.weights, skip_mismatch=True)
    bank = Patches(data.train, [recipe(training, row.kind, scale) for scale in scales])
    steps = max(len(bank) // options.batch_size, 1)
    trained = twin(network, precision_here(options.precision))
    trained.compile(**training.compiling(options.epochs, steps))
    trained.optimizer.build(trained.trainable_variables)
    history = restored(trained, options.out)
    held = validation(data, row.kind, scales)
    for epoch in range(len(history), options.epochs):
        began = time.perf_counter()
        trained.fit(Batches(bank, options.batch_size, options.seed, epoch), verbose=0)
        figures = trained.evaluate(*held, batch_size=8, verbose=0, return_dict=True)
        best = all(figures["psnr"] > row["psnr"] for row in history)
        history.append({**figures, "seconds": time.perf_counter() - began})
        print(
            f"epoch {epoch + 1}/{options.epochs}  " + "  ".join(f"{k} {v:.4f}" for k, v in history[-1].items()),
            flush=True,
        )
        if best:
            network.set_weights(trained.get_weights())
            write_files(network, options, scales)
        write_state(trained, options.out, history)


def write_files(network: keras.Model, options: argparse.Namespace, scales: list[int]) -> None:
    """The file of each scale, and the inner network's weights to start others from."""
    for scale in scales:
        details = {"network": options.network, "scale": scale, "seed": options.seed}
        model = assemble(whole(network, scale), app="super-resolution", labels=None, input=PICTURE, details=details)
        save(model, options.out / f"model_x{scale}.keras")
    network.save_weights(options.out / "network.weights.h5")


def variables(network: keras.Model) -> list:
    return [*network.weights, *network.optimizer.variables]


def write_state(network: keras.Model, out: Path, history: list[dict]) -> None:
    """All that the next epoch depends on in one file, beside and renamed."""
    from convmedia.data.storage.files import replacing

    arrays = {f"{n}": keras.ops.convert_to_numpy(variable) for n, variable in enumerate(variables(network))}
    with replacing(out / "state.npz") as beside, beside.open("wb") as file:
        np.savez(file, allow_pickle=False, history=np.array(json.dumps(history)), **arrays)
    (out / "history.json").write_text(json.dumps(history, indent=1) + "\n")


def restored(network: keras.Model, out: Path) -> list[dict]:
    """Set the last complete epoch's state; its history, empty where there is none."""
    if not (out / "state.npz").exists():
        return []
    with np.load(out / "state.npz") as file:
        for n, variable in enumerate(variables(network)):
            variable.assign(file[str(n)])
        return json.loads(str(file["history"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    packing = verbs.add_parser("pack", help="write pictures to one file")
    packing.add_argument("data", help="a named set, several joined by +, or a folder")
    packing.add_argument("arrays", type=Path)
    training = verbs.add_parser("train", help="train from such a file")
    training.add_argument("arrays", type=Path)
    training.add_argument("--network", choices=list(SUPER_RESOLUTION), default="vdsr")
    training.add_argument("--scale", type=int, choices=(2, 3, 4), action="append")
    training.add_argument("--epochs", type=int, default=80)
    training.add_argument("--batch-size", type=int, default=64)
    training.add_argument("--rate", type=float, help="greatest learning rate; default: the network's")
    training.add_argument("--precision", choices=("auto", "bfloat16", "float32"), default="auto")
    training.add_argument("--weights", type=Path, help="network.weights.h5 of another training, such as of scale 2")
    training.add_argument("--seed", type=int, default=1)
    training.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.verb == "pack":
        pack(options.data, options.arrays)
    else:
        options.out.mkdir(parents=True, exist_ok=True)
        train(options)


if __name__ == "__main__":
    main()
