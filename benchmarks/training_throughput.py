"""Training throughput of the digits networks: compiled as this package does, by Keras's defaults, and with XLA.

    python benchmarks/training_throughput.py

Prints examples per second of the three ways, alternating, and the ratios of the medians. On a CPU the convolutions of
XLA do without oneDNN. Whether Keras's default (`jit_compile="auto"`) means XLA is printed with its figure.
"""

import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from convmedia.apps._training import compile_for_training
from convmedia.models.digits import NETWORKS

EXAMPLES, BATCH, ROUNDS = 3840, 128, 5
ARGUMENTS = {"loss": "categorical_crossentropy", "metrics": ["accuracy"]}


def compiled(name: str, way: str) -> keras.Model:
    keras.utils.set_random_seed(1)
    network = NETWORKS[name]()
    optimizer = keras.optimizers.AdamW(1e-3)
    if way == "this package":
        compile_for_training(network, optimizer=optimizer, **ARGUMENTS)
    else:
        network.compile(optimizer=optimizer, jit_compile=True if way == "XLA" else "auto", **ARGUMENTS)
    return network


def rate(network: keras.Model, pictures: np.ndarray, targets: np.ndarray) -> float:
    """Examples a second over one epoch."""
    began = time.perf_counter()
    network.fit(pictures, targets, batch_size=BATCH, verbose=0)
    return len(pictures) / (time.perf_counter() - began)


def main() -> None:
    rng = np.random.default_rng(1)
    pictures = rng.random((EXAMPLES, 28, 28, 1), dtype="float32")
    targets = np.eye(10, dtype="float32")[rng.integers(0, 10, EXAMPLES)]
    for name in NETWORKS:
        networks = {way: compiled(name, way) for way in ("this package", "Keras's defaults", "XLA")}
        for network in networks.values():
            network.fit(pictures[: 2 * BATCH], targets[: 2 * BATCH], batch_size=BATCH, verbose=0)
        rates: dict[str, list[float]] = {way: [] for way in networks}
        for _ in range(ROUNDS):
            for way, network in networks.items():
                rates[way].append(rate(network, pictures, targets))
        medians = {way: statistics.median(values) for way, values in rates.items()}
        ours = medians["this package"]
        for way, network in networks.items():
            jit, median = network.jit_compile, medians[way]
            print(f"{name}: {way} (jit_compile={jit}) {median:.0f} examples/s, ratio {ours / median:.2f}", flush=True)


if __name__ == "__main__":
    main()
