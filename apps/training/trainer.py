"""The one place that calls `fit`: example order, exact resume, progress, a loss that is no number."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from convmedia.apps.console.progress import said_if_long
from convmedia.apps.console.terminal import say
from convmedia.apps.runs.run_folder import Run
from convmedia.apps.training import distributed
from convmedia.apps.training.averaging import Averages
from convmedia.apps.training.callbacks import Diverged, Divergence, EpochSeeds, Progress, between_steps
from convmedia.apps.training.checkpoints import Checkpoints, Choice, restore
from convmedia.apps.training.mixed_precision import precision_here, twin
from convmedia.data.augmentation.stateless_random import MOST_EPOCHS, MOST_STEPS, step_seed
from convmedia.data.storage.errors import InputError

Example = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def stream(
    number: int,
    batch_size: int,
    example: Example,
    *,
    seed: int,
    epochs: range,
    part: tuple[int, int] = (0, 1),
    separable: bool = False,
) -> tuple[tf.data.Dataset, int]:
    """Training batches of all epochs in a row, and how many make an epoch.

    An epoch visits each of `number` examples once, in an order that follows from (seed, epoch) alone; its last batch
    is a full one, so up to `batch_size - 1` examples wait for another epoch.

    Args:
        example: (indices, stateless seed) to (inputs, targets), run inside tf.data in parallel.
        part: index and number of the equal parts of each batch, of which one is given.
        separable: as of `fit`.

    Raises:
        InputError: more epochs or steps than `step_seed` can tell apart.
    """
    batch_size = min(batch_size, number)
    steps = number // batch_size
    if epochs.stop > MOST_EPOCHS or steps >= MOST_STEPS:
        raise InputError(
            f"at most {MOST_EPOCHS:,} epochs of {MOST_STEPS - 1:,} steps have random numbers of their own; received "
            f"{epochs.stop:,} of {steps:,}: give fewer --epochs or a larger --batch-size"
        )

    def one_epoch(epoch):
        order_seed = step_seed(seed, epoch, MOST_STEPS - 1)  # of a step that no epoch has
        order = tf.random.experimental.stateless_shuffle(tf.range(number), order_seed)
        batches = tf.data.Dataset.from_tensor_slices(order[: steps * batch_size]).batch(batch_size, drop_remainder=True)
        return batches.enumerate().map(as_it_is(lambda step, indices: (indices, step_seed(seed, epoch, step))))

    batches = tf.data.Dataset.range(epochs.start, epochs.stop).flat_map(as_it_is(one_epoch))
    example = as_it_is(distributed.part_of(example, batch_size, part, separable))
    batches = batches.map(example, num_parallel_calls=os.cpu_count() or 1, deterministic=True).prefetch(4)
    return without_autotuner(batches), steps


def as_it_is(work: Callable) -> Callable:
    """What tf.data is to trace without rewriting its source first, which takes seconds and only serves Python's own
    conditions on tensors."""
    return tf.autograph.experimental.do_not_convert(work)


def without_autotuner(batches: tf.data.Dataset) -> tf.data.Dataset:
    """The same batches, without the thread that tunes parallelism.

    It sleeps for periods that double from 10 ms, and the end of an iterator waits for it (TensorFlow 2.21): a
    validation of 1.3 s would take 2.5 s.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.with_options(options)


def held_out(inputs: np.ndarray, targets: np.ndarray, batch_size: int = 500) -> tf.data.Dataset:
    """Validation batches in order."""
    return without_autotuner(tf.data.Dataset.from_tensor_slices((inputs, targets)).batch(batch_size).prefetch(2))


def fit(
    network: keras.Model,
    run: Run,
    number: int,
    example: Example,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    precision: str,
    validation: tf.data.Dataset | None,
    keep: Callable[[], None],
    monitor: str = "val_accuracy",
    patience: int | None = None,
    beat: dict[str, float] | None = None,
    settled: int = 0,
    separable: bool = False,
    **compiling: Any,
) -> list[dict[str, float]]:
    """Train a network to `epochs`, from the run's last complete epoch if it has one.

    A killed training that is continued ends with the weights of one that was never killed: all that is random in an
    epoch follows from (seed, epoch, step), and weights, optimizer and history are one file, renamed into place.

    What is trained is the network's twin (`mixed_precision.twin`), compiled with Keras's default, which leaves XLA out
    on a CPU, whose convolutions would do without oneDNN (benchmarks/training_throughput.py). The network has the
    twin's weights whenever `keep` is called, and the last ones at the end.

    With `ema` among the run's arguments, averages of the weights (`averaging.Averages`) are validated and kept.

    Which epoch was kept is decided here and recorded in `run.json`: "kept": {"epoch", "monitor", "value"}. At a loss
    that is NaN or infinite the training ends as it was after the last complete epoch; "diverged" in `run.json` then
    says where: {"epoch", "step", "loss"}.

    Args:
        network: uncompiled.
        number, example: as `stream` takes them.
        precision: "auto", "bfloat16" or "float32"; what it meant is recorded and stays when a run is continued.
        validation: batches of inputs and targets, evaluated after each epoch.
        keep: called when `monitor` is at its best: writes `model.keras`.
        monitor, patience, beat, settled: as of `checkpoints.Choice`.
        separable: an example of a batch is made without the others, so that of several processes each makes its own.
        compiling: optimizer, loss, metrics: what `keras.Model.compile` takes.

    Returns:
        One dict of figures per epoch, also in `history.csv`.

    Raises:
        InputError: the training diverged and there is nothing to keep.
    """
    if "precision" not in run.record:
        run.write(precision=precision_here(precision, network))
    choice = Choice(monitor, patience, beat, settled)
    digests = {name: value for name, value in run.record.items() if "digest" in name}
    with distributed.scope(min(batch_size, number), digests, compiling) as devices:
        with said_if_long("building the training"):
            network.set_weights(distributed.as_in_first(network.get_weights()))
            trained = twin(network, run.record["precision"])
            trained.compile(**compiling)
            trained.optimizer.build(trained.trainable_variables)
            decay = run.arguments.get("ema", 0.0)
            averages = Averages(trained, decay) if decay else None
            history = restore(trained, run, averages)
        if history:
            say(f"continuing after epoch {len(history)}")

        def keep_best():
            with distributed.apart():
                network.set_weights(weights_of(trained, averages))
                keep()

        if "diverged" in run.record:
            say(f"{diverged_at(run)}; it goes no further")
        elif len(history) < epochs and not choice.stopped(history):
            left = range(len(history), epochs)
            part = (distributed.rank(), distributed.processes())
            batches, steps = stream(number, batch_size, example, seed=seed, epochs=left, part=part, separable=separable)
            callbacks = [EpochSeeds(seed), *devices, Progress(epochs, steps), Divergence()]
            callbacks += [averages] if averages else []
            callbacks.append(Checkpoints(run, history, choice, keep_best, averages))
            history = train_on(trained, run, batches, history, left, steps, validation, callbacks)
    if history:
        network.set_weights(weights_of(trained, averages))
    kept = choice.kept(history)
    if kept is None:
        raise InputError(f"{diverged_at(run)}, and no epoch before was good: {AGAINST_DIVERGENCE}")
    run.write(kept=kept)
    return history


def train_on(
    network: keras.Model, run: Run, batches, history: list, left: range, steps: int, validation, callbacks: list
) -> list[dict[str, float]]:
    """Train the epochs that are left; Ctrl-C waits for the end of a step. The history of all epochs: a list that the
    callbacks continue, or where the training diverged, what the checkpoint has."""
    try:
        with between_steps() as interrupts:
            network.fit(
                batches,
                initial_epoch=left.start,
                epochs=left.stop,
                steps_per_epoch=steps,
                validation_data=validation,
                shuffle=False,
                verbose=0,
                callbacks=[*callbacks, interrupts],
            )
    except Diverged as error:
        run.write(diverged={"epoch": error.epoch, "step": error.step, "loss": str(error.loss)})
        say(f"{error}; it goes no further, and what was good before is kept")
        averages = next((one for one in callbacks if isinstance(one, Averages)), None)
        if averages:
            averages.put_back()
        return restore(network, run, averages)
    finally:
        silence(callbacks)
    return history


def weights_of(network: keras.Model, averages: Averages | None) -> list[np.ndarray]:
    """What is kept of a network: its weights, or their averages where there are some."""
    if averages:
        averages.put_in()
    return network.get_weights()


def silence(callbacks: Sequence[keras.callbacks.Callback]) -> None:
    """No more lines of progress: a training that ends by an error does not end its callbacks."""
    for callback in callbacks:
        if isinstance(callback, Progress):
            callback.begins(None)


AGAINST_DIVERGENCE = "start anew with another --seed, --precision float32 or a smaller --rate, where there is one"


def diverged_at(run: Run) -> str:
    """Where a training diverged, for people."""
    at = run.record.get("diverged", {})
    return str(Diverged(at.get("epoch", 1), at.get("step"), float(at.get("loss", "nan"))))


def fit_at_once(
    network: keras.Model, inputs, targets, weights, validation, *, epochs: int, batch_size: int, **compiling
) -> dict[str, float]:
    """Train a small network, such as a head on cached features, on arrays in memory, in seconds and not resumable.

    Args:
        weights: float32 (n,), of each example in the loss; None where all count the same.
        validation: inputs and targets.

    Returns:
        The last epoch's figures; where the loss became NaN or infinite, those of the last good epoch, whose weights
        the network then has.

    Raises:
        InputError: the training diverged in its first epoch.
    """
    network.compile(**compiling)
    steps = -(-len(inputs) // batch_size)
    last = LastGood()
    callbacks = [HeldOut(*validation), Progress(epochs, steps, lasting=False), Divergence(), last]
    try:
        if steps == 1:
            _fit_whole(network, (inputs, targets, weights), epochs, callbacks)
        else:
            network.fit(
                inputs,
                targets,
                sample_weight=weights,
                epochs=epochs,
                batch_size=batch_size,
                verbose=0,
                callbacks=callbacks,
            )
    except Diverged as error:
        if not last.figures:
            raise InputError(f"{error}: look at the pictures and the --weights, or give another --seed") from error
        network.set_weights(last.weights)
        say(f"{error}; the epoch before is kept")
    finally:
        silence(callbacks)
    return last.figures


def _fit_whole(network: keras.Model, batch: tuple, epochs: int, callbacks: Sequence[keras.callbacks.Callback]) -> None:
    """As `fit` on one batch that holds every example: what `fit` sets up for an epoch takes longer than such a step."""
    told = keras.callbacks.CallbackList(list(callbacks), model=network, epochs=epochs, steps=1)
    told.on_train_begin()
    for epoch in range(epochs):
        network.reset_metrics()
        told.on_epoch_begin(epoch)
        told.on_train_batch_begin(0)
        logs = network.train_on_batch(*batch, return_dict=True)
        told.on_train_batch_end(0, logs)
        told.on_epoch_end(epoch, logs)
    told.on_train_end()


class HeldOut(keras.callbacks.Callback):
    """Adds the figures on held-out examples to an epoch's, in one call: epochs on features take milliseconds, and what
    `evaluate` sets up takes longer."""

    def __init__(self, inputs, targets):
        super().__init__()
        self.inputs, self.targets = inputs, targets

    def on_epoch_end(self, epoch, logs=None):
        self.model.reset_metrics()
        held = self.model.test_on_batch(self.inputs, self.targets, return_dict=True)
        (logs if logs is not None else {}).update({f"val_{name}": float(value) for name, value in held.items()})


class LastGood(keras.callbacks.Callback):
    """Weights and figures of the last complete epoch."""

    figures: dict[str, float] = {}  # noqa: RUF012  replaced, never changed

    def on_epoch_end(self, epoch, logs=None):
        self.figures = {name: float(value) for name, value in (logs or {}).items()}
        self.weights = self.model.get_weights()


def losses_of(
    network: keras.Model, number: int, example: Example, *, steps: int, batch_size: int, seed: int, **compiling: Any
) -> list[float]:
    """The loss of each of `steps` training steps; they end where it is no number or twenty times the first one."""
    network.compile(**compiling)
    network.optimizer.build(network.trainable_variables)
    losses: list[float] = []

    class Alone(keras.callbacks.Callback):
        """Keras gives means since the epoch's start; forgotten after each step, they are this step's."""

        def on_train_batch_end(self, batch, logs=None):
            losses.append(float((logs or {})["loss"]))
            self.model.reset_metrics()
            if not losses[-1] < 20 * losses[0]:
                self.model.stop_training = True

    batches, _ = stream(number, batch_size, example, seed=seed, epochs=range(steps))
    callbacks = [EpochSeeds(seed), Alone(), Progress(1, steps, lasting=False)]
    network.fit(batches.take(steps), shuffle=False, verbose=0, callbacks=callbacks)
    return losses
