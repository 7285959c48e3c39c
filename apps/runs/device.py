"""What a training computes on, and whether a GPU of the machine is left idle for want of its libraries."""

import os
from functools import cache
from pathlib import Path

from convmedia.apps.console.terminal import say
from convmedia.data.storage import extras

EXTRA = {"tensorflow": "cuda", "jax": "jax-cuda"}  # that brings the libraries of a GPU; PyTorch has them of itself
NVIDIA = ("/dev/nvidia[0-9]*", "/proc/driver/nvidia/gpus/*")  # of the driver, whatever Python has


def device_of(runtime: str) -> str:
    """What a `FilePredictor.runtime` computes on, as `device` says it of Keras; exported files are run on the CPU."""
    return device() if runtime == "keras" else "CPU"


@cache
def device() -> str:
    """What the backend computes on: "CPU", or the GPU's name, with how many there are of several."""
    import keras

    found = {"tensorflow": with_tensorflow, "jax": with_jax, "torch": with_torch}[keras.backend.backend()]()
    return "CPU" if not found else found[0] if len(found) == 1 else f"{len(found)} x {found[0]}"


def with_tensorflow() -> list[str]:
    import tensorflow as tf

    gpus = tf.config.get_visible_devices("GPU")
    return [str(tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")) for gpu in gpus]


def with_jax() -> list[str]:
    import jax

    return [str(one.device_kind) for one in jax.devices() if one.platform != "cpu"]


def with_torch() -> list[str]:
    import torch

    if torch.backends.mps.is_available():
        return ["Apple GPU"]
    return [torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count())]


def idle_gpu(root: Path = Path("/")) -> bool:
    """Whether there is an NVIDIA GPU that the backend does not see and that nobody hid from it.

    Args:
        root: of the file system.
    """
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1", "NoDevFiles")
    return device() == "CPU" and not hidden and any(any(root.glob(pattern[1:])) for pattern in NVIDIA)


@cache
def announce() -> None:
    """Say once what a training computes on, and how to use a GPU that is idle."""
    import keras

    say(f"training on {device()} with {keras.backend.backend()}")
    if idle_gpu():
        extra = EXTRA.get(keras.backend.backend())
        remedy = extras.command(extra) if extra else "install a PyTorch for its driver, as https://pytorch.org says"
        say(f"note: this machine has an NVIDIA GPU that {keras.backend.backend()} cannot use; run: {remedy}")
