"""Stylizing, one pass a step with targets computed once, against three passes with fresh targets, as often published.

    CONVMEDIA_DATA=... python benchmarks/style_steps.py [--size 400] [--rounds 10] [--steps 400]

Both ways with the same extractor, pictures and losses, in turn in one run. First the seconds of a step and their
ratio. Then the loss that the other way's SGD (rate falling by 4 % every 100 steps, momentum none) reaches in so many
steps, and how long L-BFGS takes to reach it. The rate of SGD is searched for: the largest of a few that does not
diverge in 20 steps, so that the other way is at its best.
"""

import argparse
import contextlib
import math
import os
import statistics
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import tensorflow as tf

from convmedia.apps.tasks.style_transfer.minimizers import Seen, lbfgs
from convmedia.apps.tasks.style_transfer.multiscale import fitted, resized
from convmedia.data.images import decoding
from convmedia.models.losses import style_losses
from convmedia.models.losses.style_objective import Guide, Objective

CONTENT_WEIGHT, STYLE_WEIGHT = 1.0, 500.0
WEIGHTS = "backbones/vgg19_normalised_conv1_1_to_conv3_1_with_decoders.npz"


def read(path: Path, size: int) -> np.ndarray:
    picture = decoding.decode(path).astype(np.float32)
    return resized(picture, fitted(picture.shape[:2], size))


def three_passes(seen: style_losses.Extractor, content: np.ndarray, painting: np.ndarray):
    """The published way: content, style and result go through the network in every step, then the gradient."""

    @tf.function
    def step(content, painting, result):
        with tf.GradientTape() as tape:
            tape.watch(result)
            maps = seen.model(tf.concat([content, painting, result], axis=0))
            layer = seen.content_layers[0]
            number = tf.cast(tf.size(maps[layer][0]), tf.float32)
            loss = CONTENT_WEIGHT / number * style_losses.content_loss(maps[layer][2], maps[layer][0])
            for layer in seen.style_layers:
                painted, found = style_losses.mean_gram(maps[layer][1:2]), style_losses.mean_gram(maps[layer][2:])
                loss += STYLE_WEIGHT / len(seen.style_layers) * tf.reduce_sum(style_losses.gram_loss(found, painted))
        return loss, tape.gradient(loss, result)

    fixed = [tf.constant(one[np.newaxis]) for one in (content, painting)]

    def call(picture: np.ndarray) -> tuple[float, np.ndarray]:
        loss, gradient = step(*fixed, tf.constant(picture[np.newaxis]))
        return float(loss), gradient.numpy()[0]

    return call


def seconds_of(call, picture: np.ndarray) -> float:
    start = time.perf_counter()
    call(picture)
    return time.perf_counter() - start


def sgd(call, picture: np.ndarray, rate: float, steps: int) -> tuple[float, float]:
    """The least loss within `steps`, infinity where it diverges, and the seconds that they took."""
    start, least, first = time.perf_counter(), math.inf, None
    for step in range(steps):
        loss, gradient = call(picture)
        first = loss if first is None else first
        if not loss <= 10 * first:
            return math.inf, 0.0
        least = min(least, loss)
        picture = picture - rate * 0.96 ** (step / 100) * gradient
    return least, time.perf_counter() - start


def best_rate(call, picture: np.ndarray) -> float:
    """Of powers of 3, the one whose loss is least after 20 steps."""
    _, gradient = call(picture)
    unit = 1.0 / float(np.sqrt(np.mean(np.square(gradient))))  # moves a pixel by 1 of 255
    rates = [unit * 3.0**power for power in range(-2, 6)]
    return min(rates, key=lambda rate: sgd(call, picture, rate, 20)[0])


class Reached(Exception):
    pass


def seconds_to(goal: Objective, picture: np.ndarray, wanted: float) -> tuple[float, int]:
    """How long L-BFGS takes to a loss, and in how many evaluations."""
    count = [0]

    def after(losses, _) -> None:
        count[0] += 1
        if losses.total <= wanted:
            raise Reached

    start = time.perf_counter()
    with contextlib.suppress(Reached):
        lbfgs(Seen(goal, 2000, after), picture)
    return time.perf_counter() - start, count[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=400, help="longer side, px")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=400, help="of SGD")
    options = parser.parse_args()
    data = Path(os.environ["CONVMEDIA_DATA"])
    content = read(data / "style/content/golden_gate.jpg", options.size)
    painting = resized(read(data / "style/style/starry_night.jpg", options.size), content.shape[:2])
    seen = style_losses.extractor(data / WEIGHTS)
    weights = {"content_weight": CONTENT_WEIGHT, "style_weight": STYLE_WEIGHT}
    ways = {"one": Objective(seen, content, [Guide([(painting, 1.0)])], **weights)}
    ways["three"] = three_passes(seen, content, painting)
    one, three = ways["one"](content + 5)[0].total, ways["three"](content + 5)[0]
    print(f"losses {one:.6g} and {three:.6g}: the same to {abs(one - three) / three:.1e}")
    seconds = {way: [] for way in ways}
    for _ in range(options.rounds):
        for way, call in ways.items():
            seconds[way].append(seconds_of(call, content))
    medians = {way: statistics.median(taken) for way, taken in seconds.items()}
    ratio = medians["three"] / medians["one"]
    print(f"a step at {options.size} px: {medians['three']:.3f} s and {medians['one']:.3f} s, ratio {ratio:.2f}")
    rate = best_rate(ways["three"], content)
    loss, taken = sgd(ways["three"], content, rate, options.steps)
    ours, evaluations = seconds_to(ways["one"], content, loss)
    print(
        f"loss {loss:.4g}: SGD {options.steps} steps, {taken:.1f} s; L-BFGS {evaluations} evaluations, {ours:.1f} s; "
        f"a share of {ours / taken:.3f}"
    )


if __name__ == "__main__":
    main()
