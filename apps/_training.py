"""The one place that calls `fit`: example order, exact resume, checkpoints, progress, early stopping."""

import os
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from convmedia.apps import _distributed
from convmedia.apps._callbacks import EpochSeeds, Progress, between_steps
from convmedia.apps._commands import say
from convmedia.apps._runs import Run
from convmedia.apps._twin import precision_here, twin
from convmedia.data.augmentation import step_seed
from convmedia.data.errors import InputError
from convmedia.models.predicting import Predictor, every_layer

Example = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def start_from(network: keras.Model, predictor: Predictor) -> None:
    """Copy a trained model's weights into every layer of `network` that has its name and shapes.

    The last layer of a network for other labels does not fit and keeps its random weights.

    Raises:
        InputError: no layer fits.
    """
    given = {layer.name: layer.get_weights() for layer in every_layer(predictor.model)}
    fitting = [
        layer
        for layer in network.layers
        if layer.weights and [w.shape for w in layer.get_weights()] == [w.shape for w in given.get(layer.name, [])]
    ]
    if not fitting:
        raise InputError(f"--weights: no layer of {predictor.path} fits {network.name}; choose its --network")
    for layer in fitting:
        layer.set_weights(given[layer.name])
    say(f"starting from {predictor.path}: {len(fitting)} layers")


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
    """
    batch_size = min(batch_size, number)
    steps = number // batch_size

    def one_epoch(epoch):
        order_seed = tf.stack([tf.constant(seed, tf.int32), tf.cast(epoch, tf.int32)])
        order = tf.random.experimental.stateless_shuffle(tf.range(number), order_seed)
        batches = tf.data.Dataset.from_tensor_slices(order[: steps * batch_size]).batch(batch_size, drop_remainder=True)
        return batches.enumerate().map(as_it_is(lambda step, indices: (indices, step_seed(seed, epoch, step))))

    batches = tf.data.Dataset.range(epochs.start, epochs.stop).flat_map(as_it_is(one_epoch))
    example = as_it_is(_distributed.part_of(example, batch_size, part, separable))
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

    What is trained is the network's twin (`_twin.twin`), compiled with Keras's default, which leaves XLA out on a CPU,
    whose convolutions would do without oneDNN (benchmarks/training_throughput.py). The network has the twin's
    weights whenever `keep` is called, and the last ones at the end.

    Args:
        network: uncompiled.
        number, example: as `stream` takes them.
        precision: "auto", "bfloat16" or "float32"; what it meant is recorded and stays when a run is continued.
        validation: batches of inputs and targets, evaluated after each epoch.
        keep: called when `monitor` (greater is better) is at its best: writes `model.keras`.
        patience: stop after this many epochs without a better one.
        beat: figures of what was there before: an epoch that is not better is not kept.
        settled: after so many epochs only later ones are compared: with few validation examples, one of the first
            looks best by chance.
        separable: an example of a batch is made without the others, so that of several processes each makes its own.
        compiling: optimizer, loss, metrics: what `keras.Model.compile` takes.

    Returns:
        One dict of figures per epoch, also in `history.csv`.
    """
    if "precision" not in run.record:
        run.write(precision=precision_here(precision))
    digests = {name: value for name, value in run.record.items() if "digest" in name}
    with _distributed.scope(min(batch_size, number), digests, compiling) as devices:
        network.set_weights(_distributed.as_in_first(network.get_weights()))
        trained = twin(network, run.record["precision"])
        trained.compile(**compiling)
        trained.optimizer.build(trained.trainable_variables)
        history = restore(trained, run)
        if len(history) < epochs and not stopped(history, monitor, patience):
            batches, steps = stream(
                number,
                batch_size,
                example,
                seed=seed,
                epochs=range(len(history), epochs),
                part=(_distributed.rank(), _distributed.processes()),
                separable=separable,
            )

            def keep_best():
                with _distributed.apart():
                    network.set_weights(trained.get_weights())
                    keep()

            with between_steps() as interrupts:
                trained.fit(
                    batches,
                    initial_epoch=len(history),
                    epochs=epochs,
                    steps_per_epoch=steps,
                    validation_data=validation,
                    shuffle=False,
                    verbose=0,
                    callbacks=[
                        EpochSeeds(seed),
                        *devices,
                        Progress(epochs, steps),
                        Checkpoints(run, history, monitor, patience, keep_best, beat, settled),
                        interrupts,
                    ],
                )
    network.set_weights(trained.get_weights())
    return history


def fit_at_once(
    network: keras.Model, inputs, targets, weights, validation, *, epochs: int, batch_size: int, **compiling
) -> dict[str, float]:
    """Train a small network, such as a head on cached features, on arrays in memory, in seconds and not resumable.

    Args:
        weights: float32 (n,), of each example in the loss.
        validation: inputs and targets.

    Returns:
        The last epoch's figures.
    """
    network.compile(**compiling)
    steps = -(-len(inputs) // batch_size)
    history = network.fit(
        inputs,
        targets,
        sample_weight=weights,
        epochs=epochs,
        batch_size=batch_size,
        validation_data=held_out(*validation),
        verbose=0,
        callbacks=[Progress(epochs, steps, lasting=False)],
    )
    return {name: float(values[-1]) for name, values in history.history.items()}


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


def best_epoch(history: list[dict[str, float]], monitor: str, settled: int = 0) -> int:
    """Index of the best epoch: the greatest `monitor`, of a loss the least; of equals the lower validation loss.

    Args:
        settled: as of `fit`.
    """
    first = settled if len(history) > settled else 0
    sign = -1.0 if monitor.endswith("loss") else 1.0
    order = [(sign * row[monitor], -row.get("val_loss", 0.0), -place) for place, row in enumerate(history)]
    return max(range(first, len(history)), key=order.__getitem__)


def stopped(history: list[dict[str, float]], monitor: str, patience: int | None) -> bool:
    """Whether early stopping ended this training."""
    return bool(patience and history and len(history) - 1 - best_epoch(history, monitor) >= patience)


def restore(network: keras.Model, run: Run) -> list[dict[str, float]]:
    """Set weights and optimizer to the last complete epoch; its history, empty before the first."""
    state, history = run.load_state()
    for name, variable in state_variables(network).items() if state else ():
        variable.assign(state[name])
    if history:
        run.write_history(history)  # a kill may have come between the state and the table
        say(f"continuing after epoch {len(history)}")
    return history


def state_variables(network: keras.Model) -> dict[str, Any]:
    """Every variable that the next epoch depends on. Seed generators are set anew at each epoch's start."""
    return {
        **{f"weight{i}": variable for i, variable in enumerate(network.weights)},
        **{f"optimizer{i}": variable for i, variable in enumerate(network.optimizer.variables)},
    }


class Checkpoints(keras.callbacks.Callback):
    """After each epoch: the best model, then the state to continue from; then whether to stop."""

    def __init__(self, run: Run, history: list, monitor: str, patience: int | None, keep, beat=None, settled=0):
        super().__init__()
        self.settled = settled
        self.run, self.history, self.monitor, self.patience, self.keep = run, history, monitor, patience, keep
        self.before = [beat] if beat else []

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        figures = {name: float(value) for name, value in (logs or {}).items()}
        seconds = round(time.perf_counter() - self.began, 3)
        self.history.append({"epoch": epoch + 1, **figures, "learning_rate": rate, "seconds": seconds})
        rows = self.before + self.history
        if best_epoch(rows, self.monitor, self.settled) == len(rows) - 1:
            self.keep()  # first: a kill between the two repeats this epoch and writes the same file again
        state = {name: keras.ops.convert_to_numpy(value) for name, value in state_variables(self.model).items()}
        self.run.save_state(state, self.history)
        if stopped(self.history, self.monitor, self.patience):
            say(f"stopping early: no better {self.monitor} for {self.patience} epochs")
            self.model.stop_training = True
