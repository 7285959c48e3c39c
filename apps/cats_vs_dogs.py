"""Tell cats from dogs, or any two or more kinds of photos, with a network trained from scratch.

convmedia cats-vs-dogs train --data my-photos/ --out runs/pets
convmedia cats-vs-dogs predict photo.jpg
"""

from enum import StrEnum
from typing import Annotated, Any

import typer

from convmedia.apps import _commands, _verbs
from convmedia.apps._commands import (
    Arithmetic,
    Backend,
    BatchSize,
    Data,
    Epochs,
    ExportOut,
    Folder,
    Format,
    Formats,
    Inputs,
    Json,
    Limit,
    Model,
    Out,
    Overwrite,
    Patience,
    Precision,
    Resume,
    Rows,
    Seed,
    Top,
    Weights,
    application,
    percent,
    say,
    use_backend,
)

APP = "cats-vs-dogs"
BANK = 160  # px, at which the pictures are kept that the default network is trained on
INPUT = {"kind": "image", "dtype": "float32", "shape": [None, None, 3]}
command = application(APP, "Tell cats from dogs, or other photos, with a network trained from scratch.")


class Network(StrEnum):
    resnet = "resnet"
    small = "small"


class Augment(StrEnum):
    strong = "strong"
    photos = "photos"
    none = "none"


@command.command()
def train(
    context: typer.Context,
    out: Out,
    data: Data = "dogs-vs-cats",
    network: Annotated[Network, typer.Option(help="The network to train.")] = Network.resnet,
    augment: Annotated[
        Augment, typer.Option(help="photos: rotation 40, shifts, shear and zoom 0.2, flip. strong: crops and colours.")
    ] = Augment.strong,
    mixup: Annotated[float, typer.Option(min=0, help="MixUp's alpha; 0 is off.")] = 0.0,
    cutmix: Annotated[float, typer.Option(min=0, help="CutMix's alpha; 0 is off.")] = 0.0,
    weights: Weights = "none",
    epochs: Epochs = 190,
    batch_size: BatchSize = 32,
    limit: Limit = None,
    seed: Seed = 1,
    precision: Precision = Arithmetic.auto,
    patience: Patience = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    backend: Backend = None,
) -> None:
    """Train a network, measure its saved file on the test pictures, write the run folder."""
    use_backend(backend)
    from convmedia.apps._runs import open_run

    run = open_run(APP, context, out, resume, overwrite)
    if run.complete:
        say(f"{out} is complete; more --epochs continue it")
        return
    metrics = train_run(run)["metrics"]
    print(f"test accuracy {percent(metrics['test']['accuracy'])}")
    print(f"model {run.model_file}, report {out / 'report.html'}")


def train_run(run) -> dict[str, Any]:
    """From a run's arguments to its complete folder."""
    from convmedia.apps import _pictures

    options = run.arguments
    data = _pictures.loaded(options["data"]).required("train", "validation", "test")
    network = first_network(options, data.labels)
    with run.begin(labels=list(data.labels), data_digest=data.digest):
        return trained(run, data.limited(options["limit"], options["seed"]), network)


def first_network(options, labels):
    """The inner network before training: random from the seed, or with what fits of `--weights`."""
    import keras

    from convmedia.apps import _training
    from convmedia.models import load
    from convmedia.models.pictures import NETWORKS

    keras.utils.set_random_seed(options["seed"])
    network = NETWORKS[options["network"]](len(labels))
    if options["weights"] != "none":
        _training.start_from(network, load(options["weights"], app=APP))
    return network


def trained(run, data, network) -> dict[str, Any]:
    """Fit, report, save: the run's record."""
    import keras

    from convmedia.apps import _pictures, _training
    from convmedia.data.augmentation import mixed
    from convmedia.models import pictures as networks
    from convmedia.models.saving import assemble, save

    options, classes = run.arguments, len(data.labels)
    details = {name: options[name] for name in ("network", "seed")}
    preparation = networks.preparation(options["network"])
    model = assemble(network, preparation=preparation, app=APP, labels=list(data.labels), input=INPUT, details=details)
    side = networks.SIDES[options["network"]]
    sides = growing(options["epochs"]) if options["network"] == "resnet" else ()
    bank = _pictures.decoded(data.train, BANK if sides else side, "decoding", fast=True)
    held = _pictures.decoded(data.validation, side, "decoding validation")
    mix = mixed(options["mixup"], options["cutmix"]) if options["mixup"] or options["cutmix"] else None
    recipe = _pictures.recipe_of(options["augment"])
    example = _pictures.example_of(bank, _pictures.targets(data.train.truth, classes), recipe, mix, sides)
    entropy = keras.losses.BinaryCrossentropy if classes == 2 else keras.losses.CategoricalCrossentropy
    accuracy = keras.metrics.BinaryAccuracy if classes == 2 else keras.metrics.CategoricalAccuracy
    history = _training.fit(
        network,
        run,
        len(data.train),
        example,
        epochs=options["epochs"],
        batch_size=options["batch_size"],
        seed=options["seed"],
        precision=options["precision"],
        validation=_training.held_out(
            held.batch(range(len(held))) / 255.0, _pictures.targets(data.validation.truth, classes), 100
        ),
        keep=lambda: save(model, run.model_file),
        patience=options["patience"],
        optimizer=optimizer(options, len(data.train)),
        loss=entropy(label_smoothing=0.1 if options["network"] == "resnet" else 0.0),
        metrics=[accuracy(name="accuracy")],
    )
    return _pictures.finish(run, "Cats against dogs", data, history, INPUT, "val_accuracy")


def growing(epochs: int) -> list[int]:
    """Side, px, of the pictures of each epoch: small ones first, on which the same time is four times the epochs.

    The file sees pictures a little larger than the last ones here: training zooms in, so what it shows is larger than
    what the file is given, and that is made up for (Touvron et al. 2019, "Fixing the train-test resolution").
    """
    return [64 if 7 * epoch < 3 * epochs else 96 if 7 * epoch < 6 * epochs else 128 for epoch in range(epochs)]


def optimizer(options, number: int):
    """RMSprop for `small`, as published; AdamW for the default network; the rate of both falls along a cosine."""
    import keras

    from convmedia.apps._training import warm_cosine

    steps = max(number // options["batch_size"], 1)
    peak = 1.0 if options["weights"] == "none" else 0.3  # fine-tuning changes what is there by small steps
    greatest = {"small": 1e-3, "resnet": 1.5e-3}[options["network"]] * peak
    rate = warm_cosine(greatest, options["epochs"] * steps, min(steps * 3, 500))
    if options["network"] == "small":
        return keras.optimizers.RMSprop(rate)
    return keras.optimizers.AdamW(rate, weight_decay=0.05)


@command.command()
def evaluate(data: Data = "dogs-vs-cats", model: Model = None, as_json: Json = False, backend: Backend = None) -> None:
    """Measure a saved file on the test pictures."""
    use_backend(backend)
    from convmedia.apps import _pictures

    _pictures.evaluate(APP, data, model, as_json)


@command.command()
def predict(inputs: Inputs, model: Model = None, top: Top = None, as_json: Json = False, out: Rows = None) -> int:
    """Say what each picture shows."""
    return _verbs.predict(APP, inputs, model, top, as_json, out)


@command.command()
def export(
    model: Model = None,
    format: Formats = [*Format],  # noqa: B006
    out: ExportOut = None,
    data: Annotated[str, typer.Option(help="Examples to verify with, where the model has none beside it.")] = "",
    as_json: Json = False,
) -> int:
    """Write SavedModel, ONNX and LiteRT files and prove in their own runtimes that they answer as the model does."""

    def examples():
        from convmedia.apps._classifiers import raw_examples
        from convmedia.apps._pictures import Files, loaded, sample_photos

        return raw_examples(Files(loaded(data).train)) if data else sample_photos()

    return _verbs.export(APP, model, [str(name) for name in format], out, examples, as_json)


@command.command()
def explain(inputs: Inputs, out: Folder, model: Model = None) -> int:
    """Draw the first filters before and after training, each layer's maps and Grad-CAM for each picture."""
    return _verbs.explain(APP, inputs, out, model, first_filters)


def first_filters(predictor):
    """The first convolution's filters before training, made again from the seed."""
    import keras

    from convmedia.models.explanation import filters
    from convmedia.models.pictures import NETWORKS

    keras.utils.set_random_seed(predictor.details["seed"])
    return filters(NETWORKS[predictor.details["network"]](len(predictor.labels)))


if __name__ == "__main__":
    _commands.run(command)
