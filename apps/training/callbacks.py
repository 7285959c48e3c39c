"""What watches a training step by step: Ctrl-C, seeds of each epoch, a loss that is no number, the line of progress."""

import hashlib
import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np

from convmedia.apps.console.progress import Line, Long, clock, listening, tell_listener


class Interrupts(keras.callbacks.Callback):
    """Raises KeyboardInterrupt after a step in which it was asked to."""

    asked = False

    def on_train_batch_end(self, batch, logs=None):
        if self.asked:
            raise KeyboardInterrupt

    def on_test_batch_end(self, batch, logs=None):
        if self.asked:
            raise KeyboardInterrupt


@contextmanager
def between_steps() -> Iterator[Interrupts]:
    """Ctrl-C waits for the end of a step: raised inside of TensorFlow, it can crash the process. A second one does not
    wait.
    """
    interrupts = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return
    before = signal.getsignal(signal.SIGINT) or signal.default_int_handler  # None: set by an extension

    def ask(*_) -> None:
        interrupts.asked = True
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, ask)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)


class EpochSeeds(keras.callbacks.Callback):
    """Set the state of every seed generator of the network (dropout) at the start of each epoch, from (seed, epoch,
    place of the generator among the network's); saved files do not keep it.

    Keras draws with both words of a state as key and adds 1 to the second word at each use, so two streams only meet
    where the first words are equal and the second ones nearer than an epoch's uses. Both words come from a hash: for
    100,000 streams of 10,000 steps each the chance that any two meet is below 1 in 10,000.

    With PyTorch, Keras gives dropout without a seed of its own to PyTorch's generator. It is seeded here too, and one
    layer after the other draws from it.
    """

    def __init__(self, seed: int):
        super().__init__()
        self.seed = seed

    def on_epoch_begin(self, epoch, logs=None):
        states = [variable for variable in self.model.variables if variable.name == "seed_generator_state"]
        for place, state in enumerate(states):
            state.assign(stream_start(self.seed, epoch, place).astype(state.dtype))
        if keras.backend.backend() == "torch":
            import torch

            torch.manual_seed(int(stream_start(self.seed, epoch, len(states))[0]))


def stream_start(seed: int, epoch: int, place: int) -> np.ndarray:
    """The state that a seed generator starts an epoch with: int64 (2,), hashed, both in 0 .. 2**31 - 3.

    Every backend holds such words as they are: PyTorch's states are int32, and TensorFlow takes remainders by
    2**31 - 2.
    """
    hashed = hashlib.blake2b(f"{seed} {epoch} {place}".encode(), digest_size=16).digest()
    return np.array([int.from_bytes(half, "little") % (2**31 - 2) for half in (hashed[:8], hashed[8:])])


class Diverged(Exception):
    """A training's loss is NaN or infinite.

    Attributes:
        epoch: counted from 1.
        step: counted from 1; None where it was seen in validation, after the epoch's last step.
        loss: what it was.
    """

    def __init__(self, epoch: int, step: int | None, loss: float):
        place = f"epoch {epoch}, step {step}" if step else f"epoch {epoch}, in validation"
        super().__init__(f"the training diverged at {place}: its loss is {loss}")
        self.epoch, self.step, self.loss = epoch, step, loss


class Divergence(keras.callbacks.Callback):
    """Raises `Diverged` at the first loss that is NaN or infinite, before the callbacks after it keep anything."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch + 1

    def on_train_batch_end(self, batch, logs=None):
        self.look(batch + 1, (logs or {}).get("loss", 0.0))

    def on_epoch_end(self, epoch, logs=None):
        self.look(None, (logs or {}).get("val_loss", 0.0))

    def look(self, step: int | None, loss: float) -> None:
        if not math.isfinite(loss):
            _ = self.model  # with JAX: gives the network its variables back
            raise Diverged(self.epoch, step, float(loss))


class Progress(keras.callbacks.Callback):
    """One line on standard error: epoch, share done, figures, time left; a line stays for each complete epoch.

    Args:
        epochs, steps: how many there are, and how many make an epoch.
        lasting: False for trainings of seconds: nothing stays.
    """

    def __init__(self, epochs: int, steps: int, lasting: bool = True):
        super().__init__()
        self.epochs, self.steps, self.lasting = epochs, steps, lasting
        self.epoch = 0
        self.step: Long | None = None

    def on_train_begin(self, logs=None):
        self.shown, self.seen = Line(), 0
        self.begins("the first step is prepared")

    def begins(self, label: str | None) -> None:
        """A step that may take long because it is the first of its kind begins; None ends it."""
        if self.step:
            self.step.end()
        self.step = Long(label) if label else None

    def on_train_end(self, logs=None):
        self.begins(None)
        if not self.lasting:
            self.shown.clear()

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self.seen += 1
        if self.seen == 1:
            self.begins(f"epoch {self.epoch + 1}/{self.epochs}, {self.steps} steps" if self.lasting else None)
        if not self.told(batch + 1, logs) and self.shown.due():
            self.begins(None)
            done = batch + 1
            share = f"[{'#' * (20 * done // self.steps):<20}]" if self.shown.live else f"step {done}/{self.steps}"
            first, figures, last = self.parts(done, logs)
            self.shown.show(first, [share, *figures], last)

    def on_test_begin(self, logs=None):
        self.begins(f"epoch {self.epoch + 1}/{self.epochs}, validating")

    def on_test_end(self, logs=None):
        self.begins(None)

    def on_test_batch_end(self, batch, logs=None):
        if self.shown.due() and not self.shown.live and not listening():
            self.begins(None)
            self.shown.show(f"epoch {self.epoch + 1}/{self.epochs}", [f"validating, batch {batch + 1}"])

    def on_epoch_end(self, epoch, logs=None):
        if self.told(self.steps, logs):
            return
        if self.lasting:
            self.shown.keep(*self.parts(self.steps, logs))
        else:
            self.shown.clear()

    def told(self, done: int, logs) -> bool:
        """Whether somebody listens, who is told instead."""
        figures = {name: float(value) for name, value in (logs or {}).items()}
        return tell_listener(f"epoch {self.epoch + 1}/{self.epochs}", done, self.steps, figures)

    def parts(self, done: int, logs) -> tuple[str, list[str], str]:
        """Epoch, figures and time left after `done` steps of the current epoch."""
        left = (self.epochs - self.epoch) * self.steps - done
        seconds = left * (time.perf_counter() - self.shown.began) / max(self.seen, 1)
        figures = [f"{name} {value:.4f}" for name, value in (logs or {}).items()]
        return f"epoch {self.epoch + 1}/{self.epochs}", figures, f"{clock(seconds)} left"
