"""Training a network on photos from scratch."""

from typing import Any

BANK = 160  # px, at which the pictures are kept that the default network is trained on


def train_run(run) -> dict[str, Any]:
    """From a run's arguments to its complete folder: one training, or one for each fold."""
    from convmedia.apps.classification import cross_validation

    return cross_validation.on_pictures(run, train_one)


def train_one(run) -> dict[str, Any]:
    """One training."""
    from convmedia.apps.classification import photo_pipeline, sureness
    from convmedia.apps.classification.initial_weights import first_network, optimizer_name
    from convmedia.apps.training import distillation

    options = run.arguments
    data = photo_pipeline.loaded(options["data"], options.get("group"), options.get("fold"))
    data = data.required("train", "validation", "test")
    network, teacher = first_network(run, data.labels), distillation.teacher_of(options, data.labels, kind="image")
    labels = sureness.labels_of(options, data.labels)
    facts = {"labels": labels, "data_digest": data.digest, **distillation.facts(teacher)}
    with run.begin(**facts, optimizer=optimizer_name(run)):
        return trained(run, data.limited(options["limit"], options["seed"]), network, teacher)


def trained(run, data, network, teacher=None) -> dict[str, Any]:
    """Fit, report, save: the run's record."""
    from functools import partial

    import keras

    from convmedia.apps.classification import photo_pipeline, sureness
    from convmedia.apps.classification.report import finish
    from convmedia.apps.training import class_balance, trainer
    from convmedia.apps.training.checkpoints import monitored
    from convmedia.data.augmentation.mixing import mixed
    from convmedia.models.answer import PICTURE
    from convmedia.models.networks import photos as networks
    from convmedia.models.networks.catalogue import PHOTOS
    from convmedia.models.saving.assembly import assemble

    options, classes = run.arguments, len(data.labels)
    details = {name: options[name] for name in ("network", "seed")}
    preparation = networks.preparation(options["network"])
    assembled = partial(assemble, preparation=preparation, app=run.record["app"], input=PICTURE)
    model = assembled(network, labels=list(data.labels), details=details)
    row = PHOTOS[options["network"]]
    side, sides = row.side_px, growing(options["epochs"]) if row.any_size else ()
    bank = photo_pipeline.decoded(data.train, BANK if sides else side, "decoding", fast=True)
    held = photo_pipeline.decoded(data.validation, side, "decoding validation")
    mix = mixed(options["mixup"], options["cutmix"]) if options["mixup"] or options["cutmix"] else None
    recipe = photo_pipeline.recipe_of(options["augment"])
    wanted, held_wanted = (photo_pipeline.targets(split.truth, classes) for split in (data.train, data.validation))
    monitor = options.get("monitor", "accuracy")
    weights = class_balance.class_weights(data.train.truth, classes, options.get("class_weights", False))
    accuracy = keras.metrics.BinaryAccuracy if classes == 2 else keras.metrics.CategoricalAccuracy
    example = photo_pipeline.example_of(bank, wanted, scaled, recipe, mix, sides, teacher)
    history = trainer.fit(
        network,
        run,
        len(data.train),
        class_balance.weighted(example, weights),
        epochs=options["epochs"],
        batch_size=options["batch_size"],
        seed=options["seed"],
        precision=options["precision"],
        validation=photo_pipeline.held_out(held, held_wanted, scaled),
        keep=lambda: run.keep(model),
        monitor=monitored(monitor),
        patience=options["patience"],
        separable=mix is None,
        **compiling(run, len(data.train), classes),
        metrics=class_balance.watched(accuracy, classes, monitor),
    )
    sureness.settle(run, data, network, assembled)
    return finish(run, "Cats against dogs", data, history)


def scaled(batch):
    """0..255 to 0..1, as in the file."""
    return batch / 255.0


def growing(epochs: int) -> list[int]:
    """Side, px, of the pictures of each epoch: small ones first, on which the same time is four times the epochs.

    The file sees pictures a little larger than the last ones here: training zooms in, so what it shows is larger than
    what the file is given, and that is made up for (Touvron et al. 2019, "Fixing the train-test resolution").
    """
    return [64 if 7 * epoch < 3 * epochs else 96 if 7 * epoch < 6 * epochs else 128 for epoch in range(epochs)]


def compiling(run, number: int, classes: int) -> dict[str, Any]:
    """Optimizer and loss: RMSprop for `small`, as published."""
    import keras

    from convmedia.apps.classification.initial_weights import from_scratch
    from convmedia.models.losses.optimizers import ConvolutionMuon, Recipe

    recipes = {
        "muon": Recipe(ConvolutionMuon, 4e-3, decay=0.05, smoothing=0.1, warmup_epochs=3),
        "adamw": Recipe(keras.optimizers.AdamW, 1.5e-3, decay=0.05, smoothing=0.1, warmup_epochs=3),
        "small": Recipe(keras.optimizers.RMSprop, 1e-3, warmup_epochs=3),
    }
    options = run.arguments
    recipe = recipes["small" if options["network"] == "small" else run.record["optimizer"]]
    steps = max(number // options["batch_size"], 1)
    entropy = keras.losses.BinaryCrossentropy if classes == 2 else keras.losses.CategoricalCrossentropy
    return {
        "optimizer": recipe.optimizer(options["epochs"], steps, share=1.0 if from_scratch(run) else 0.3),
        "loss": entropy(label_smoothing=recipe.smoothing),
    }
