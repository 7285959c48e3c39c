"""What watches a training step by step: Ctrl-C, seeds of each epoch, the line of progress."""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np

from convmedia.apps._commands import say
from convmedia.models import keras_internals


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
    """Set every seed generator of the network (dropout) from (seed, epoch); saved files do not keep their state."""

    def __init__(self, seed: int):
        super().__init__()
        self.seed = seed

    def on_epoch_begin(self, epoch, logs=None):
        for number, generator in enumerate(keras_internals.seed_generators(self.model)):
            generator.state.assign(np.array([self.seed, (epoch << 12) + number], dtype="uint32"))


class Progress(keras.callbacks.Callback):
    """One line on standard error: epoch, share done, figures, time left; a line stays for each complete epoch.

    Args:
        lasting: False for trainings of seconds: nothing stays.
    """

    def __init__(self, epochs: int, steps: int, lasting: bool = True):
        super().__init__()
        self.epochs, self.steps, self.lasting = epochs, steps, lasting
        self.live = sys.stderr.isatty()

    def on_train_begin(self, logs=None):
        self.began, self.seen, self.shown = time.perf_counter(), 0, 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self.seen += 1
        now = time.perf_counter()
        if self.live and now - self.shown > 0.2:
            self.shown = now
            bar = "#" * (20 * (batch + 1) // self.steps)
            print(f"\r{self.line(batch + 1, logs)}  [{bar:<20}]\x1b[K", end="", file=sys.stderr, flush=True)

    def on_epoch_end(self, epoch, logs=None):
        start, end = ("\r", "\x1b[K") if self.live else ("", "")
        if not self.lasting:
            print(f"{start}{end}", end="", file=sys.stderr, flush=True)
            return
        say(f"{start}{self.line(self.steps, logs)}{end}")

    def line(self, done: int, logs) -> str:
        """Epoch, figures and time left after `done` steps of the current epoch."""
        left = (self.epochs - self.epoch) * self.steps - done
        seconds = left * (time.perf_counter() - self.began) / max(self.seen, 1)
        figures = "  ".join(f"{name} {value:.4f}" for name, value in (logs or {}).items())
        return f"epoch {self.epoch + 1}/{self.epochs}  {figures}  {clock(seconds)} left"


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
