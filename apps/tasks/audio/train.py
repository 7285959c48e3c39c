"""Training a network on sounds."""

from typing import Any


def figures_line(split: str, figures: dict[str, Any]) -> str:
    """The figures of one split or fold for a person."""
    from convmedia.apps.classification import evaluation, tagging

    if "accuracy_interval" in figures:
        return evaluation.accuracy_line(split, figures)
    if "exact_interval" in figures:
        return ", ".join(f"{name} {said}" for name, said in tagging.shares_said(figures).items())
    return evaluation.shares_line(figures)


def train_run(run) -> dict[str, Any]:
    """From a run's arguments to its complete folder: one training, or one for each fold."""
    from convmedia.apps.classification import cross_validation
    from convmedia.data.datasets import sounds

    options = run.arguments
    if cross_validation.wanted(options) or (options["fold"] is None and options["split"] == "speaker"):
        return cross_validation.each(run, sounds.folds(options["data"], options["split"]), train_one, "sound")
    return train_one(run)


def train_one(run) -> dict[str, Any]:
    """One training: what is wrong with its arguments is said before anything is written."""
    import keras

    from convmedia.apps.tasks.audio import pipeline
    from convmedia.apps.tasks.audio.sets import loaded
    from convmedia.apps.training import distillation, warm_start
    from convmedia.models import load
    from convmedia.models.networks import sounds as network_sounds
    from convmedia.models.networks.catalogue import SOUNDS

    options = run.arguments
    data = loaded(options).required("train", "validation", "test")
    pipeline.check_options(options, data)
    spectrum, size = pipeline.heard_as(options, data)
    keras.utils.set_random_seed(options["seed"])
    build = SOUNDS[options["network"]]
    network = build(spectrum.frames(size), spectrum.bands, len(data.labels), several=data.several)
    if options["weights"] != "none":
        warm_start.start_from(network, load(options["weights"], app=run.record["app"]), data.labels)
    heard = network_sounds.sound(spectrum.sample_rate, size)
    teacher = distillation.teacher_of(options, data.labels, **heard)
    with run.begin(labels=list(data.labels), data_digest=data.digest, **distillation.facts(teacher)):
        return trained(run, data.limited(options["limit"], options["seed"]), network, spectrum, size, teacher)


def trained(run, data, network, spectrum, size, teacher=None) -> dict[str, Any]:
    """Fit, report, save: the run's record."""
    import keras

    from convmedia.apps.tasks.audio import pipeline, report
    from convmedia.apps.training import class_balance, trainer
    from convmedia.apps.training.checkpoints import monitored
    from convmedia.models.losses.optimizers import Recipe
    from convmedia.models.networks import sounds as network_sounds

    options = run.arguments
    examples = pipeline.PreparedClips(data, spectrum, size, options["augment"], teacher)
    details = {name: options[name] for name in ("network", "seed", "split", "fold")}
    model = network_sounds.whole(
        network, spectrum, size, *examples.moments, app=run.record["app"], labels=list(data.labels), details=details
    )
    steps = max(examples.number // options["batch_size"], 1)
    recipe = Recipe(keras.optimizers.AdamW, 2e-3, decay=0.02, warmup_epochs=1, most_warmup=steps)
    monitor = options.get("monitor") or pipeline.monitor(data)
    history = trainer.fit(
        network,
        run,
        examples.number,
        class_balance.weighted(examples.example, pipeline.class_weights(options, data)),
        epochs=options["epochs"],
        batch_size=options["batch_size"],
        seed=options["seed"],
        precision=options["precision"],
        validation=examples.validation(),
        keep=lambda: run.keep(model),
        monitor=monitored(monitor),
        patience=options["patience"],
        settled=pipeline.settled(options["epochs"]),
        separable=examples.separable,
        optimizer=recipe.optimizer(options["epochs"], steps, share=1.0 if options["weights"] == "none" else 0.25),
        **pipeline.compiling(data, monitor),
    )
    return report.finish(run, data, history)
