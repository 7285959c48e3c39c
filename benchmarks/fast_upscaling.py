"""What enlarging costs with ESPCN, beside SRCNN and CARN-M.

    python benchmarks/fast_upscaling.py [--rounds 5]

CPU seconds, of all threads together, that `upscale` spends in the network for a result of 1000x1000 px, with Keras and
with ONNX Runtime in float32, the networks in turn; SRCNN's over each. Then seconds of 640x480 px by two with one thread
of ONNX Runtime.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import onnxruntime
from sklearn.datasets import load_sample_image

from convmedia.models import shipped
from convmedia.models.inference.tiling import whole_picture
from convmedia.models.networks.super_resolution import SCALES
from convmedia.models.saving import engines
from convmedia.models.saving.places import WEIGHTS

NETWORKS = ("srcnn", "espcn", "carn-m")
RESULT_PX = 1000
RUNTIMES = {
    "Keras": shipped,
    "ONNX Runtime": lambda name: engines.exported(WEIGHTS / f"{name}.keras", runtime="onnx"),
}


def medians(calls: dict, rounds: int, clock) -> dict[str, float]:
    """Seconds of each of several calls, made in turn; the first round is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            start = clock()
            call()
            seconds[name].append(clock() - start)
    return {name: statistics.median(taken[1:]) for name, taken in seconds.items()}


def beside_srcnn(runtime: str, scale: int, photo: np.ndarray, rounds: int) -> None:
    """CPU seconds of each network for one result."""
    side = RESULT_PX // scale
    copies = -(-side // min(photo.shape[:2]))
    picture = np.tile(photo, (copies, copies, 1))[:side, :side]

    def enlarging(name: str):
        predictor = RUNTIMES[runtime](f"{name}_x{scale}")
        return lambda: whole_picture(predictor, picture, scale)

    taken = medians({name: enlarging(name) for name in NETWORKS}, rounds, time.process_time)
    ratios = [f"{name} {seconds:.2f} s ({taken['srcnn'] / seconds:.1f})" for name, seconds in taken.items()]
    print(f"{runtime}, x{scale}, CPU seconds (SRCNN's over them): {', '.join(ratios)}", flush=True)


def in_one_thread(photo: np.ndarray, rounds: int) -> None:
    """640x480 px by two."""
    picture = np.tile(photo, (2, 1, 1))[np.newaxis, :480, :640].astype("float32")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1

    def enlarging(name: str):
        file = WEIGHTS / f"{name}_x2.onnx"
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        [given] = session.get_inputs()
        return lambda: session.run(None, {given.name: picture})

    taken = medians({name: enlarging(name) for name in NETWORKS}, rounds, time.perf_counter)
    print(f"640x480 px by two, one thread: {', '.join(f'{name} {s:.2f} s' for name, s in taken.items())}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    photo = load_sample_image("china.jpg")
    for scale in SCALES:
        for runtime in RUNTIMES:
            beside_srcnn(runtime, scale, photo, options.rounds)
    in_one_thread(photo, options.rounds)


if __name__ == "__main__":
    main()
