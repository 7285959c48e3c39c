"""Exact resume, example order, early stopping: numbers, not shapes."""

import json
import random
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from convmedia.apps.training import callbacks, trainer
from convmedia.data.augmentation import digit_recipe, mixing, photo_recipe, sound_recipes
from convmedia.data.augmentation.stateless_random import generator
from convmedia.data.storage.errors import InputError


def indices_of_epochs(number, batch_size, epochs, seed=3):
    batches, steps = trainer.stream(
        number, batch_size, lambda indices, step_seed: (indices, step_seed), seed=seed, epochs=epochs
    )
    rows = [(indices.numpy(), step_seed.numpy()) for indices, step_seed in batches]
    return steps, rows


def test_an_epoch_visits_each_example_once():
    steps, rows = indices_of_epochs(20, 5, range(2))
    assert steps == 4
    for epoch in (rows[:4], rows[4:]):
        assert sorted(np.concatenate([indices for indices, _ in epoch])) == list(range(20))
    assert not np.array_equal(rows[0][0], rows[4][0])


def test_epochs_that_start_late_are_those_of_the_whole_run():
    steps, whole = indices_of_epochs(23, 4, range(4))
    _, late = indices_of_epochs(23, 4, range(2, 4))
    for (a, seed_a), (b, seed_b) in zip(whole[2 * steps :], late, strict=True):
        assert np.array_equal(a, b)
        assert np.array_equal(seed_a, seed_b)


def test_every_step_has_a_seed_of_its_own():
    _, rows = indices_of_epochs(20, 5, range(3))
    assert len({tuple(seed) for _, seed in rows}) == len(rows)


def test_the_uses_of_a_seed_have_numbers_of_their_own():
    """Also where one seed with a use's number beside it reads as another seed."""
    seeds = [(1, 1), (1, 0), (0, 1), (2, 1), (1, 2), (-1, 1)]
    drawn = [generator(np.array(seed, "int32"), *use).random() for seed in seeds for use in ((), (1,), (2,))]
    assert len(set(drawn)) == len(drawn)
    expected = np.random.default_rng([1, 2**32 - 1]).random()
    assert generator(np.array([1, -1], "int32")).random() == expected


def test_a_set_smaller_than_a_batch_is_one_step():
    steps, rows = indices_of_epochs(3, 128, range(1))
    assert steps == 1
    assert sorted(rows[0][0]) == [0, 1, 2]


def test_dropout_is_set_anew_at_each_epoch():
    network = keras.Sequential([keras.Input((64,)), keras.layers.Dropout(0.5), keras.layers.Dropout(0.5)])
    seeds = callbacks.EpochSeeds(5)
    seeds.set_model(network)

    def masks(epoch):
        seeds.on_epoch_begin(epoch)
        return keras.ops.convert_to_numpy(network(np.ones((1, 64)), training=True))

    first, second = masks(0), masks(1)
    assert not np.array_equal(first, second)
    assert np.array_equal(masks(0), first)


def test_streams_of_dropout_never_meet():
    """Each begins at a state of its own, and a step adds 1 to its second word."""
    steps = 1 << 20
    starts = np.array([callbacks.stream_start(5, epoch, place) for epoch in range(400) for place in range(8)])
    assert starts.min() >= 0
    assert starts.max() < 2**31 - 2
    order = np.lexsort(starts.T[::-1])
    first, second = starts[order].T
    same = np.diff(first) == 0
    assert (np.diff(second)[same] > steps).all()


def test_more_epochs_than_seeds_tell_apart_are_refused():
    with pytest.raises(InputError, match=r"received 4,097 of 2: give fewer --epochs"):
        trainer.stream(8, 4, lambda indices, seed: (indices, seed), seed=1, epochs=range(4097))
    with pytest.raises(InputError, match=r"of 1,048,576: .* a larger --batch-size"):
        trainer.stream(1 << 20, 1, lambda indices, seed: (indices, seed), seed=1, epochs=range(1))


def test_validation_ends_without_waiting_for_a_thread():
    batches = trainer.held_out(np.zeros((8, 2), "float32"), np.zeros((8, 1), "float32"))
    assert not batches.options().autotune.enabled
    assert [tuple(inputs.shape) for inputs, _ in batches] == [(8, 2)]


TRAIN = ["mnist", "train", "--data", "digits", "--limit", "300", "--batch-size", "50", "--epochs", "12"]


def train(folder, *more):
    command = [sys.executable, "-m", "convmedia.apps", *TRAIN, "--out", str(folder), *more]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - shells ignore it in jobs
    )


def finished(process):
    output = process.communicate(timeout=400)[0].decode()
    assert process.returncode == 0, output


def epochs_in(folder):
    path = folder / "history.csv"
    return len(path.read_text().splitlines()) - 1 if path.exists() else 0


def kill_within_an_epoch(process, folder, moments):
    """SIGKILL somewhere within the epoch after the next complete one. Returns whether it was still running."""
    before = epochs_in(folder)
    while process.poll() is None and epochs_in(folder) == before:
        time.sleep(0.01)
    time.sleep(moments.uniform(0.0, 0.6))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def weights_of(folder):
    from convmedia.models import load

    return [keras.ops.convert_to_numpy(weight) for weight in load(folder).model.weights]


def history_without_seconds(folder):
    return [line.rsplit(",", 1)[0] for line in (folder / "history.csv").read_text().splitlines()]


@pytest.mark.slow
def test_a_run_killed_at_five_random_moments_ends_with_the_same_weights(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finished(train(whole))
    moments = random.Random(11)
    kills = 0
    for attempt in range(5):
        process = train(killed, *(["--resume"] if attempt else []))
        kills += kill_within_an_epoch(process, killed, moments)
        assert json.loads((killed / "run.json").read_text())["app"] == "mnist"
        weights_of(killed)  # the best epoch so far, never half a file
    assert kills >= 4  # the last one may come after the end
    finished(train(killed, "--resume"))
    for a, b in zip(weights_of(whole), weights_of(killed), strict=True):
        assert np.array_equal(a, b)
    assert history_without_seconds(whole) == history_without_seconds(killed)
    assert json.loads((killed / "run.json").read_text())["status"] == "complete"


def test_an_interrupt_keeps_what_was_done_and_leaves_with_130(tmp_path):
    process = train(tmp_path / "run", "--network", "lenet5")
    while process.poll() is None and epochs_in(tmp_path / "run") == 0:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 130, output
    assert "interrupted" in output
    assert "Traceback" not in output
    assert epochs_in(tmp_path / "run") >= 1


def parts_of(recipe_of_batch, number, parts, separable):
    """Each part of the first batches, made apart and put together again; and the batches in one piece."""

    def rows(part, separable):
        batches, _ = trainer.stream(
            number, number // 2, recipe_of_batch, seed=3, epochs=range(2), part=part, separable=separable
        )
        return [[np.asarray(values) for values in batch] for batch in batches]

    whole = rows((0, 1), False)
    apart = [rows((index, parts), separable) for index in range(parts)]
    together = [
        [np.concatenate(values) for values in zip(*batches, strict=True)] for batches in zip(*apart, strict=True)
    ]
    return whole, together


PICTURES = np.random.default_rng(0).uniform(0, 255, (12, 20, 20, 3)).astype("float32")
WAVES = np.random.default_rng(1).uniform(-1, 1, (12, 400)).astype("float32")


def heard_of(batch):
    return tf.fill([batch.shape[0]], 300)


RECIPES = {
    "digits": (digit_recipe.digits(erase=0.5), PICTURES[..., :1]),
    "photos": (photo_recipe.photos(colour_jitter=0.3, erase=0.5, brightness_range=(0.5, 1.5)), PICTURES),
    "randaugment": (photo_recipe.photos(randaugment=2), PICTURES),
    "waveforms": (
        lambda batch, seed: sound_recipes.waveforms()((batch, tf.fill([batch.shape[0]], 300)), seed)[0],
        WAVES,
    ),
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_part_of_a_batch_is_augmented_as_it_is_in_the_whole(name):
    recipe, bank = RECIPES[name]
    whole, together = parts_of(
        lambda indices, seed: (recipe(tf.gather(bank, indices), seed), indices), len(bank), 3, separable=True
    )
    for a, b in zip(whole, together, strict=True):
        for values, same in zip(a, b, strict=True):
            np.testing.assert_allclose(values, same, atol=1e-3)


def test_where_examples_are_mixed_the_parts_are_cut_out_of_the_whole():
    mix, bank, targets = mixing.mixed(mixup=0.4, cutmix=1.0), PICTURES, np.eye(12, dtype="float32")
    whole, together = parts_of(
        lambda indices, seed: mix(tf.gather(bank, indices), tf.gather(targets, indices), seed), 12, 2, separable=False
    )
    for a, b in zip(whole, together, strict=True):
        for values, same in zip(a, b, strict=True):
            np.testing.assert_array_equal(values, same)
