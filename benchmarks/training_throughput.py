"""Training throughput of the digits networks: as this package trains them, by Keras's defaults, and with XLA.

    python benchmarks/training_throughput.py

Prints the examples a second of each way, taken in turn, and the ratios of the medians. Counted is the time between the
first and the last step of an epoch, so neither compiling nor the input pipeline's start and end.

This package trains a twin of the network (apps/training/mixed_precision.py): where the CPU has matrix units for
bfloat16 (AMX) it multiplies in that, and batch normalisation takes TensorFlow's fused kernel. On a CPU Keras's default,
`jit_compile="auto"`, leaves XLA out (keras/src/trainers/trainer.py, `_resolve_auto_jit_compile`), with good reason: its
convolutions do without oneDNN.
"""

import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from convmedia.apps.training.mixed_precision import precision_here, twin
from convmedia.models.networks.catalogue import DIGITS

EXAMPLES, BATCH, ROUNDS = 5120, 128, 7
WAYS = (f"this package ({precision_here()})", "this package (float32)", "Keras's defaults", "XLA")


def compiled(name: str, way: str) -> keras.Model:
    keras.utils.set_random_seed(1)
    network = DIGITS[name]()
    if way.startswith("this package"):
        network = twin(network, "float32" if "float32" in way else "bfloat16")
    network.compile(
        optimizer=keras.optimizers.AdamW(1e-3),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=True if way == "XLA" else "auto",
    )
    return network


class Steps(keras.callbacks.Callback):
    """The moments at which steps end."""

    def on_train_begin(self, logs=None):
        self.moments: list[float] = []

    def on_train_batch_end(self, batch, logs=None):
        self.moments.append(time.perf_counter())


def rate(network: keras.Model, pictures: np.ndarray, targets: np.ndarray) -> float:
    """Examples a second over one epoch, from the end of its first step."""
    steps = Steps()
    network.fit(pictures, targets, batch_size=BATCH, verbose=0, callbacks=[steps])
    return (len(steps.moments) - 1) * BATCH / (steps.moments[-1] - steps.moments[0])


def main() -> None:
    rng = np.random.default_rng(1)
    pictures = rng.random((EXAMPLES, 28, 28, 1), dtype="float32")
    targets = np.eye(10, dtype="float32")[rng.integers(0, 10, EXAMPLES)]
    for name in DIGITS:
        networks = {way: compiled(name, way) for way in dict.fromkeys(WAYS)}
        for network in networks.values():
            rate(network, pictures[: 2 * BATCH], targets[: 2 * BATCH])
        rates: dict[str, list[float]] = {way: [] for way in networks}
        for _ in range(ROUNDS):
            for way, network in networks.items():
                rates[way].append(rate(network, pictures, targets))
        medians = {way: statistics.median(values) for way, values in rates.items()}
        for way, median in medians.items():
            jit, ratio = networks[way].jit_compile, median / medians["Keras's defaults"]
            print(f"{name}: {way}, jit_compile={jit}: {median:.0f} examples/s, {ratio:.2f} of Keras's", flush=True)


if __name__ == "__main__":
    main()
