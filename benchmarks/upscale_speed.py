"""Upscaling: tiles, as `upscale` computes them, against `model.predict` on the whole picture, and the runtimes.

    python benchmarks/upscale_speed.py [--side 1000] [--scale 2] [--rounds 3] [--precision auto]

For each shipped network, both ways in turn in one run on a square picture: seconds, the ratio of the medians, and how
far their answers are apart. `upscale` multiplies in bfloat16 where the hardware does, `model.predict` in float32. Then
one tile in float32 in Keras, ONNX Runtime and LiteRT.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from sklearn.datasets import load_sample_image

from convmedia.apps.tasks.super_resolution.model_choice import at_precision
from convmedia.apps.training.mixed_precision import PRECISIONS, precision_here
from convmedia.models import shipped
from convmedia.models.formats.formats import FORMATS
from convmedia.models.formats.runtimes import RUNTIMES
from convmedia.models.inference.tiling import TILE_PX, whole_picture

NETWORKS = ("srcnn", "vdsr", "carn-m")


def timed(call) -> tuple[float, np.ndarray]:
    start = time.perf_counter()
    answer = call()
    return time.perf_counter() - start, answer


def ratio(name: str, scale: int, picture: np.ndarray, rounds: int, precision: str) -> None:
    """Both ways, in turn; the first round of each is not counted."""
    predictor = shipped(f"{name}_x{scale}")
    default = keras.saving.load_model(predictor.path, compile=False)
    quick = at_precision(predictor, scale, precision)
    batch = picture[np.newaxis].astype("float32")
    seconds: dict[str, list[float]] = {"tiles": [], "predict": []}
    for _ in range(rounds + 1):
        for way, call in (
            ("tiles", lambda: whole_picture(quick, picture, scale)),
            ("predict", lambda: default.predict(batch, verbose=0)[0]),
        ):
            taken, answer = timed(call)
            seconds[way].append(taken)
            if way == "tiles":
                tiled = answer
    apart = tiled - answer
    tiles, predict = (statistics.median(taken[1:]) for taken in seconds.values())
    print(
        f"{name} x{scale}: tiles in {precision_here(precision)} {tiles:.2f} s, predict {predict:.2f} s, "
        f"ratio {predict / tiles:.2f}, apart by {np.sqrt(np.mean(apart**2)):.2g} rms of 255, "
        f"{np.abs(apart).max():.2g} at most",
        flush=True,
    )


def runtimes(name: str, scale: int, picture: np.ndarray, rounds: int) -> None:
    """One tile in each runtime."""
    predictor = shipped(f"{name}_x{scale}")
    side = TILE_PX // scale
    tile = picture[np.newaxis, :side, :side]
    calls = {"Keras": predictor}
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("onnx", "litert"):
            FORMATS[kind].write(predictor.model, Path(folder) / FORMATS[kind].file)
            calls[kind] = RUNTIMES[FORMATS[kind].runtime](str(Path(folder) / FORMATS[kind].file))
        seconds = {way: [] for way in calls}
        for _ in range(rounds + 1):
            for way, call in calls.items():
                seconds[way].append(timed(lambda call=call: call(tile))[0])
    medians = {way: statistics.median(taken[1:]) for way, taken in seconds.items()}
    fastest = min(medians.values())
    print(f"{name} x{scale}, one tile: " + ", ".join(f"{w} {s:.2f} s ({s / fastest:.2f})" for w, s in medians.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=1000, help="px of the picture")
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", choices=PRECISIONS, default="auto")
    options = parser.parse_args()
    photo = load_sample_image("china.jpg")
    copies = -(-options.side // min(photo.shape[:2]))
    picture = np.tile(photo, (copies, copies, 1))[: options.side, : options.side]
    for name in NETWORKS:
        ratio(name, options.scale, picture, options.rounds, options.precision)
    for name in NETWORKS:
        runtimes(name, options.scale, picture, options.rounds)


if __name__ == "__main__":
    main()
