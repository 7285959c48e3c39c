"""Training a reader of digits."""

from typing import Any

from convmedia.apps.console.progress import progress


def train_run(run) -> dict[str, Any]:
    """From a run's arguments to its complete folder: one training, or one for each fold."""
    from convmedia.apps.classification import cross_validation

    return cross_validation.on_pictures(run, train_one)


def train_one(run) -> dict[str, Any]:
    """One training; what is wrong with its arguments is said before anything is written."""
    from convmedia.apps.classification.evaluation import say_problems
    from convmedia.apps.classification.initial_weights import first_network, optimizer_name
    from convmedia.apps.training import distillation
    from convmedia.data.datasets import digits

    options = run.arguments
    with progress("reading examples") as update:
        data = digits.load(options["data"], update, options.get("group"), options.get("fold"))
    data = data.required("train", "validation", "test")
    say_problems(data)
    network, teacher = first_network(run, data.labels), distillation.teacher_of(options, data.labels, kind="image")
    facts = {"labels": list(data.labels), "data_digest": data.digest, **distillation.facts(teacher)}
    with run.begin(**facts, optimizer=optimizer_name(run)):
        return trained(run, data.limited(options["limit"], options["seed"]), network, teacher)


def trained(run, data, network, teacher=None) -> dict[str, Any]:
    """Fit, report, save: the run's record."""
    from functools import partial

    import keras

    from convmedia.apps.classification import sureness
    from convmedia.apps.classification.report import finish
    from convmedia.apps.tasks.mnist import pipeline
    from convmedia.apps.training import class_balance, trainer
    from convmedia.apps.training.checkpoints import monitored
    from convmedia.models.answer import PICTURE
    from convmedia.models.networks import digits as networks
    from convmedia.models.saving.assembly import assemble

    options = run.arguments
    details = {name: options[name] for name in ("network", "preparation", "seed")}
    preparation = networks.PREPARATIONS[options["preparation"]]()
    assembled = partial(assemble, preparation=preparation, app=run.record["app"], input=PICTURE)
    model = assembled(network, labels=list(data.labels), details=details)
    examples = prepared_examples(run, data)
    number = len(examples.regular)
    steps = max(number // options["batch_size"], 1)
    monitor = options.get("monitor", "accuracy")
    weights = class_balance.class_weights(data.train.truth, len(data.labels), options.get("class_weights", False))
    history = trainer.fit(
        network,
        run,
        number,
        class_balance.weighted(taught(examples.example, teacher), weights),
        epochs=options["epochs"],
        batch_size=options["batch_size"],
        seed=options["seed"],
        precision=options["precision"],
        validation=trainer.held_out(*examples.validation),
        keep=lambda: run.keep(model),
        monitor=monitored(monitor),
        patience=options["patience"],
        separable=True,
        **compiling(run, steps),
        metrics=class_balance.watched(keras.metrics.CategoricalAccuracy, len(data.labels), monitor),
    )
    sureness.settle(run, data, network, assembled)
    record = finish(run, "Handwritten digits", data, history, pipeline.measure, pipeline.filters_drawn)
    (run.folder / "checkpoint" / "examples.npz").unlink(missing_ok=True)
    return record


def taught(example, teacher):
    """An `example` whose targets have the teacher's share; it is given back where there is no teacher."""
    if teacher is None:
        return example

    def mixed(indices, seed):
        inputs, wanted = example(indices, seed)
        return inputs, teacher.pictures(255.0 * inputs, wanted)

    return mixed


def compiling(run, steps: int) -> dict[str, Any]:
    """Optimizer and loss of a training of so many steps an epoch."""
    import keras

    from convmedia.apps.classification.initial_weights import from_scratch
    from convmedia.models.losses.optimizers import ConvolutionMuon, Recipe

    recipes = {
        "muon": Recipe(ConvolutionMuon, 4e-3, decay=0.01, smoothing=0.02),
        "adamw": Recipe(keras.optimizers.AdamW, 2e-3, decay=0.01, warmup_epochs=1),
    }
    recipe = recipes[run.record["optimizer"]]
    optimizer = recipe.optimizer(run.arguments["epochs"], steps, share=1.0 if from_scratch(run) else 0.5)
    return {"optimizer": optimizer, "loss": keras.losses.CategoricalCrossentropy(label_smoothing=recipe.smoothing)}


def prepared_examples(run, data):
    """The training and validation examples of a run as its network sees them, kept in its checkpoint folder."""
    from convmedia.apps.tasks.mnist.pipeline import PreparedDigits

    options = run.arguments
    kept = run.folder / "checkpoint" / "examples.npz"
    if kept.exists() and (found := PreparedDigits.read(kept, options["augment"])):
        return found
    wanted = {name: options[name] for name in ("invert", "augment", "epochs", "seed")}
    examples = PreparedDigits.of(data, options["preparation"], **wanted)
    examples.write(kept)
    return examples
