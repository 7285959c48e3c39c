"""Which epoch a training keeps, and what it keeps where its loss is no number."""

import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from convmedia.apps.runs import opening, run_folder
from convmedia.apps.runs import record as runs_record
from convmedia.apps.training import checkpoints, trainer
from convmedia.apps.training.checkpoints import Choice
from convmedia.data.augmentation import stateless_random
from convmedia.data.storage.errors import InputError

NAN = math.nan
INPUTS = np.random.default_rng(0).normal(size=(12, 3)).astype("float32")
TARGETS = INPUTS @ np.array([[1.0], [-2.0], [0.5]], "float32")


def test_the_best_epoch_is_the_first_of_equals_unless_its_loss_is_higher():
    rows = [(0.9, 0.3), (0.95, 0.2), (0.95, 0.1), (0.95, 0.1)]
    history = [{"val_accuracy": accuracy, "val_loss": loss} for accuracy, loss in rows]
    assert checkpoints.best_epoch(history, "val_accuracy") == 2


def test_early_stopping_counts_from_the_best_epoch():
    history = [{"val_accuracy": value} for value in (0.5, 0.9, 0.8, 0.8)]
    assert not checkpoints.stopped(history, "val_accuracy", 3)
    assert checkpoints.stopped(history, "val_accuracy", 2)
    assert not checkpoints.stopped(history, "val_accuracy", None)


def test_once_epochs_have_settled_only_they_are_compared():
    history = [{"val_accuracy": value} for value in (0.9, 0.5, 0.6, 0.55)]
    assert checkpoints.best_epoch(history, "val_accuracy") == 0
    assert checkpoints.best_epoch(history, "val_accuracy", settled=1) == 2
    assert checkpoints.best_epoch(history[:1], "val_accuracy", settled=1) == 0
    assert checkpoints.best_epoch(history[:2], "val_accuracy", settled=1) == 1


@pytest.mark.parametrize("monitor", ["val_accuracy", "val_loss"])
@pytest.mark.parametrize(
    ("values", "best"), [((NAN, 0.5, 0.5), 1), ((0.5, NAN), 0), ((NAN, NAN), 0), ((0.5, NAN, NAN), 0)]
)
def test_what_is_no_number_is_worse_than_every_number(monitor, values, best):
    assert checkpoints.best_epoch([{monitor: value} for value in values], monitor) == best


def test_of_settled_epochs_without_a_number_an_earlier_one_is_the_best():
    history = [{"val_accuracy": value} for value in (0.4, 0.5, NAN)]
    assert checkpoints.best_epoch(history, "val_accuracy", settled=2) == 1


def test_what_is_kept_may_be_what_was_there_before():
    history = [{"val_accuracy": value, "val_loss": 1.0} for value in (0.67, 0.33, 0.67)]
    better, worse = ({"val_accuracy": value, "val_loss": 1.0} for value in (1.0, 0.5))
    assert Choice("val_accuracy", beat=better).kept(history) == {"epoch": 0, "monitor": "val_accuracy", "value": 1.0}
    assert Choice("val_accuracy", beat=worse).kept(history) == {"epoch": 1, "monitor": "val_accuracy", "value": 0.67}
    assert Choice("val_accuracy").kept([{"val_accuracy": NAN}]) is None


def bad_from(epoch):
    """An `example` whose inputs are NaN from an epoch on, counted from 1."""

    def example(indices, seed):
        bad = tf.where(stateless_random.epoch_of(seed) + 1 >= epoch, NAN, 0.0)
        return tf.gather(INPUTS, indices) + bad, tf.gather(TARGETS, indices)

    return example


@pytest.fixture
def train(tmp_path):
    """Trains a linear network for five epochs of three steps in the run folder; gives the network, its run, the
    history and the weights that were kept, one by one."""

    def trained(example, beat=None, validation=INPUTS):
        keras.utils.set_random_seed(1)
        network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, name="output")])
        record = runs_record.recorded(tmp_path / "run")
        run = (
            run_folder.Run(tmp_path / "run", record, False) if record else opening.new_run("test", tmp_path / "run", {})
        )
        kept: list[list[np.ndarray]] = []
        with run.begin():
            history = trainer.fit(
                network,
                run,
                len(INPUTS),
                example,
                epochs=5,
                batch_size=4,
                seed=3,
                precision="float32",
                validation=trainer.held_out(validation, TARGETS),
                keep=lambda: kept.append(network.get_weights()),
                monitor="val_loss",
                beat=beat,
                optimizer=keras.optimizers.SGD(0.05),
                loss="mean_squared_error",
            )
        return network, run, history, kept

    return trained


def recorded(tmp_path):
    return json.loads((tmp_path / "run" / "run.json").read_text())


def test_the_epoch_that_was_kept_is_recorded(train, tmp_path):
    _, _, history, kept = train(bad_from(99))
    losses = [row["val_loss"] for row in history]
    best = losses.index(min(losses)) + 1
    assert recorded(tmp_path)["kept"] == {"epoch": best, "monitor": "val_loss", "value": min(losses)}
    assert len(kept) == sum(loss == min(losses[: place + 1]) for place, loss in enumerate(losses))


def test_a_loss_that_is_no_number_ends_the_training_as_it_was_before(train, tmp_path, capsys):
    network, run, history, kept = train(bad_from(3))
    assert [row["epoch"] for row in history] == [1, 2]
    assert recorded(tmp_path)["diverged"] == {"epoch": 3, "step": 1, "loss": "nan"}
    assert recorded(tmp_path)["kept"]["epoch"] == len(kept) == 2
    assert "the training diverged at epoch 3, step 1: its loss is nan" in capsys.readouterr().err
    state, rows = run.load_state()
    assert rows == history
    for place, (last, best) in enumerate(zip(network.get_weights(), kept[-1], strict=True)):
        assert np.isfinite(best).all()
        np.testing.assert_array_equal(last, state[f"weight{place}"])
        np.testing.assert_array_equal(last, best)


def test_a_training_that_diverged_says_so_when_it_is_continued(train, capsys):
    first = train(bad_from(3))
    capsys.readouterr()
    second = train(lambda indices, seed: pytest.fail("it was trained again"))
    assert "diverged at epoch 3, step 1: its loss is nan; it goes no further" in capsys.readouterr().err
    assert second[2] == first[2]
    assert second[3] == []


def test_without_one_good_epoch_nothing_is_pretended(train, tmp_path):
    for _ in range(2):
        with pytest.raises(InputError, match="diverged at epoch 1, step 1: its loss is nan, and no epoch before"):
            train(bad_from(1))
        assert "kept" not in recorded(tmp_path)
        assert recorded(tmp_path)["status"] == "running"


def test_a_validation_loss_that_is_no_number_counts_too(train):
    with pytest.raises(InputError, match="diverged at epoch 1, in validation: its loss is nan"):
        train(bad_from(99), validation=INPUTS * np.float32(NAN))


def test_where_something_was_there_before_it_stays(train, tmp_path):
    network, _, history, kept = train(bad_from(1), beat={"val_loss": 0.5})
    keras.utils.set_random_seed(1)
    before = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]).get_weights()
    assert (history, kept) == ([], [])
    assert recorded(tmp_path)["kept"] == {"epoch": 0, "monitor": "val_loss", "value": 0.5}
    for one, other in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def at_once(rates, inputs=INPUTS):
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([7], rates)
    compiling = {"optimizer": keras.optimizers.SGD(rate), "loss": "mean_squared_error"}
    options = {"epochs": 5, "batch_size": 4, **compiling}
    figures = trainer.fit_at_once(network, inputs, TARGETS, None, (INPUTS, TARGETS), **options)
    return network, figures


def test_at_once_too_the_last_good_epoch_is_kept(capsys):
    network, figures = at_once([0.05, 1e30])
    assert "diverged at epoch 3" in capsys.readouterr().err
    error = np.square(np.asarray(network(INPUTS)) - TARGETS).mean()
    assert figures["val_loss"] == pytest.approx(error, rel=1e-5)
    with pytest.raises(InputError, match="diverged at epoch 1, step 1"):
        at_once([0.05, 0.05], INPUTS * np.float32(NAN))


def test_at_once_one_batch_of_all_is_trained_as_fit_trains_it():
    weights = np.linspace(0.5, 2, len(INPUTS), dtype="float32")
    ours, theirs = (keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]) for _ in range(2))
    theirs.set_weights(ours.get_weights())

    def compiling():
        rate = keras.optimizers.schedules.PiecewiseConstantDecay([7], [0.05, 0.02])
        return {"optimizer": keras.optimizers.SGD(rate, momentum=0.9), "loss": "mean_squared_error"}

    held = INPUTS[:5], TARGETS[:5]
    figures = trainer.fit_at_once(ours, INPUTS, TARGETS, weights, held, epochs=12, batch_size=64, **compiling())
    theirs.compile(**compiling())
    options = {"sample_weight": weights, "epochs": 12, "batch_size": 64, "verbose": 0, "validation_data": held}
    history = theirs.fit(INPUTS, TARGETS, **options).history
    np.testing.assert_allclose(ours.get_weights()[0], theirs.get_weights()[0], rtol=1e-5)
    assert figures == pytest.approx({name: values[-1] for name, values in history.items()}, rel=1e-4)


def test_names_that_keras_numbers_do_not_keep_a_run_from_going_on(train):
    """In another process, or after other trainings, the same network has other names: sequential_3 and so on."""
    first = train(bad_from(3))
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    assert train(bad_from(99))[2] == first[2]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda facts: facts["versions"].update(keras="2.0.0"), r"trained with keras 2\.0\.0, here is"),
        (lambda facts: facts["versions"].update(convmedia="0.0.1"), r"trained with convmedia 0\.0\.1"),
        (lambda facts: facts["variables"].reverse(), "another network or optimizer"),
        (lambda facts: facts.clear(), None),
    ],
)
def test_a_checkpoint_of_other_versions_or_variables_is_refused(train, change, said):
    _, run, history, _ = train(bad_from(3))
    state, _, facts = run.load_checkpoint()
    change(facts)
    run.save_state(state, history, facts)
    if said is None:
        assert train(bad_from(99))[2] == history
        return
    with pytest.raises(InputError, match=said):
        train(bad_from(99))


def test_a_checkpoint_of_other_shapes_is_refused(train):
    _, run, history, _ = train(bad_from(3))
    run.save_state({"weight0": np.zeros((7, 7))}, history)
    with pytest.raises(InputError, match="another network or optimizer"):
        train(bad_from(99))


def test_of_an_error_the_least_is_best():
    history = [{"val_mean_absolute_error": value, "val_loss": 1.0} for value in (3.0, 1.5, float("nan"), 2.0)]
    assert checkpoints.best_epoch(history, "val_mean_absolute_error") == 1
