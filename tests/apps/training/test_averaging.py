"""Averages of the weights: against the formula, what is kept of them, and that a killed training ends the same."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from convmedia.apps.runs import opening, record, run_folder
from convmedia.apps.training import averaging, trainer

EXAMPLES, BATCH, EPOCHS, DECAY = 60, 4, 3, 0.9
INPUTS = np.random.default_rng(0).normal(size=(EXAMPLES, 3)).astype("float32")
TARGETS = INPUTS @ np.array([[1.0], [-2.0], [0.5]], "float32")


class Recorder(keras.callbacks.Callback):
    """The weights after every step, and as they are when they are validated."""

    def __init__(self):
        super().__init__()
        self.steps, self.validated = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(self.model.get_weights())

    def on_test_batch_end(self, batch, logs=None):
        self.validated.append(self.model.get_weights())


class Killed(Exception):
    pass


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Trains a network with batch normalisation; gives it, what was kept, the history and what was recorded."""

    def trained(folder="run", run=None, kill_after=None, ema=DECAY):
        keras.utils.set_random_seed(1)
        network = keras.Sequential(
            [keras.Input((3,)), keras.layers.BatchNormalization(), keras.layers.Dense(1, name="output")]
        )
        run = run or opening.new_run("test", tmp_path / folder, {"ema": ema})
        kept, recorder = [], Recorder()
        monkeypatch.setattr(trainer, "Divergence", lambda: recorder)

        def keep():
            kept.append(network.get_weights())

        save = run.save_state

        def saved(state, history, facts):
            save(state, history, facts)
            if len(history) == kill_after:
                raise Killed

        monkeypatch.setattr(run, "save_state", saved)
        with run.begin():
            history = trainer.fit(
                network,
                run,
                EXAMPLES,
                lambda indices, seed: (tf.gather(INPUTS, indices), tf.gather(TARGETS, indices)),
                epochs=EPOCHS,
                batch_size=BATCH,
                seed=3,
                precision="float32",
                validation=trainer.held_out(INPUTS, TARGETS),
                keep=keep,
                monitor="val_loss",
                optimizer=keras.optimizers.SGD(0.05),
                loss="mean_squared_error",
            )
        return network, kept, history, recorder

    return trained


def averages_of(steps, start):
    """The formula, in 64 bits: after every `EVERY` steps each average moves towards its weight."""
    found = [np.array(value, float) for value in start]
    for seen, weights in enumerate(steps, start=1):
        if seen % averaging.EVERY == 0:
            keep = min(DECAY**averaging.EVERY, seen / (9 * averaging.EVERY + seen))
            found = [keep * one + (1 - keep) * other for one, other in zip(found, weights, strict=True)]
    return found


def same(one, other, **options):
    for first, second in zip(one, other, strict=True):
        np.testing.assert_allclose(first, second, **{"rtol": 1e-5, "atol": 1e-6, **options})


def test_averages_of_the_formula_are_validated_and_kept(train):
    keras.utils.set_random_seed(1)
    start = keras.Sequential(
        [keras.Input((3,)), keras.layers.BatchNormalization(), keras.layers.Dense(1)]
    ).get_weights()
    network, kept, history, recorder = train()
    expected = averages_of(recorder.steps, start)
    assert len(recorder.steps) == EPOCHS * EXAMPLES // BATCH
    same(network.get_weights(), expected)
    same(recorder.validated[-1], expected)
    same(kept[-1], expected)  # the last epoch is the best one here
    assert not np.allclose(expected[-2], recorder.steps[-1][-2], atol=1e-4)
    network.compile(loss="mean_squared_error")
    assert history[-1]["val_loss"] == pytest.approx(network.evaluate(INPUTS, TARGETS, verbose=0), rel=1e-5)


def test_training_itself_is_the_same_as_without(train):
    *_, with_averages = train("with")
    *_, without = train("without", ema=0.0)
    for one, other in zip(with_averages.steps, without.steps, strict=True):
        same(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_killed_training_ends_with_the_same_averages(train, tmp_path, epoch):
    whole, *_ = train("whole")
    with pytest.raises(Killed):
        train("killed", kill_after=epoch)
    run = run_folder.Run(tmp_path / "killed", record.recorded(tmp_path / "killed"), False)
    continued, _, history, _ = train(run=run)
    assert [row["epoch"] for row in history] == [1, 2, 3]
    same(continued.get_weights(), whole.get_weights(), rtol=0, atol=0)
