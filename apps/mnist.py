"""Read handwritten digits, whether ink is dark or light.

convmedia mnist train --data mnist --out runs/digits
convmedia mnist predict photo.jpg
"""

from collections.abc import Iterator
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
    progress,
    say,
    table,
    to_json,
    use_backend,
)
from convmedia.data.files import shown

APP = "mnist"
INPUT = {"kind": "image", "dtype": "float32", "shape": [None, None, 3]}
command = application(APP, "Read handwritten digits, whether ink is dark or light.")


class Network(StrEnum):
    convnet = "convnet"
    lenet5 = "lenet5"


class Preparation(StrEnum):
    ink = "ink"
    resize = "resize"


NetworkOption = Annotated[Network, typer.Option(help="The network to train.")]


@command.command()
def train(
    context: typer.Context,
    out: Out,
    data: Data = "mnist",
    network: NetworkOption = Network.convnet,
    preparation: Annotated[
        Preparation, typer.Option(help="ink: find the ink and centre it. resize: grey, 28x28, polarity kept.")
    ] = Preparation.ink,
    invert: Annotated[
        bool, typer.Option(help="Train on each picture and its inversion. With ink both are the same picture.")
    ] = True,
    augment: Annotated[
        bool, typer.Option(help="Turn, shift, bend; with ink also pictures as a phone takes them.")
    ] = True,
    weights: Weights = "none",
    epochs: Epochs = 24,
    batch_size: BatchSize = 128,
    limit: Limit = None,
    seed: Seed = 1,
    precision: Precision = Arithmetic.auto,
    patience: Patience = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    backend: Backend = None,
) -> None:
    """Train a network, measure it on the test pictures and their inversions, write the run folder."""
    use_backend(backend)
    from convmedia.apps._runs import open_run

    run = open_run(APP, context, out, resume, overwrite)
    if run.complete:
        say(f"{out} is complete; more --epochs continue it")
        return
    metrics = train_run(run)["metrics"]
    for split, figures in metrics.items():
        print(f"{split:9} accuracy {percent(figures['accuracy'])}")
    print(f"model {run.model_file}, report {out / 'report.html'}")


def train_run(run) -> dict[str, Any]:
    """From a run's arguments to its complete folder; what is wrong with them is said before anything is written."""
    from convmedia.data import digits

    options = run.arguments
    with progress("reading examples") as update:
        data = digits.load(options["data"], update).required("train", "validation", "test")
    for path, reason in data.bad[:5]:
        say(f"left out: {shown(path)}: {reason}")
    if len(data.bad) > 5:
        say(f"left out: {len(data.bad)} files in all, named in the report")
    network = first_network(options, data.labels)
    with run.begin(labels=list(data.labels), data_digest=data.digest):
        return trained(run, data.limited(options["limit"], options["seed"]), network)


def first_network(options, labels):
    """The inner network before training: random from the seed, or with what fits of `--weights`."""
    import keras

    from convmedia.apps import _training
    from convmedia.models import load
    from convmedia.models.digits import NETWORKS

    keras.utils.set_random_seed(options["seed"])
    network = NETWORKS[options["network"]](len(labels))
    if options["weights"] != "none":
        _training.start_from(network, load(options["weights"], app=APP))
    return network


def trained(run, data, network) -> dict[str, Any]:
    """Fit, report, save: the run's record."""
    import keras

    from convmedia.apps import _training
    from convmedia.models import digits as networks
    from convmedia.models.saving import assemble, save

    options = run.arguments
    details = {name: options[name] for name in ("network", "preparation", "seed")}
    preparation = networks.PREPARATIONS[options["preparation"]]()
    model = assemble(network, preparation=preparation, app=APP, labels=list(data.labels), input=INPUT, details=details)
    examples = prepared_examples(run, data)
    number = len(examples.regular)
    steps = max(number // options["batch_size"], 1)
    peak = 2e-3 if options["weights"] == "none" else 1e-3  # fine-tuning changes what is there by small steps
    rate = _training.warm_cosine(peak, options["epochs"] * steps, min(steps, 500))
    history = _training.fit(
        network,
        run,
        number,
        examples.example,
        epochs=options["epochs"],
        batch_size=options["batch_size"],
        seed=options["seed"],
        precision=options["precision"],
        validation=_training.held_out(*examples.validation),
        keep=lambda: save(model, run.model_file),
        patience=options["patience"],
        optimizer=keras.optimizers.AdamW(rate, weight_decay=0.01),
        loss=keras.losses.CategoricalCrossentropy(),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
    )
    return finish(run, data, history)


def prepared_examples(run, data):
    """The training and validation examples of a run as its network sees them, kept in its checkpoint folder."""
    from convmedia.apps._digits import PreparedDigits

    options = run.arguments
    kept = run.folder / "checkpoint" / "examples.npz"
    if kept.exists():
        return PreparedDigits.read(kept, options["augment"])
    examples = PreparedDigits.of(
        data, options["preparation"], invert=options["invert"], augment=options["augment"], seed=options["seed"]
    )
    examples.write(kept)
    return examples


def finish(run, data, history) -> dict[str, Any]:
    """Measure the saved file, keep examples for exports, write the report and complete `run.json`."""
    from convmedia.apps import _digits
    from convmedia.apps._classifiers import raw_examples
    from convmedia.models import load
    from convmedia.models.exporting import write_examples

    predictor = load(run.folder, app=APP)
    write_examples(run.folder / "examples.npz", raw_examples(data.train.pictures))
    metrics, probabilities = _digits.measure(predictor, data.test)
    _digits.write_report(run, predictor, data, history, metrics, probabilities, first_filters(predictor))
    run.finish(
        history,
        input=INPUT,
        metrics=metrics,
        data={
            "name": data.name,
            "train": len(data.train),
            "validation": len(data.validation),
            "test": len(data.test),
            "left_out": len(data.bad),
            "duplicates": len(data.duplicates),
            "digest": data.digest,
        },
    )
    (run.folder / "checkpoint" / "examples.npz").unlink(missing_ok=True)
    return run.record


@command.command()
def evaluate(data: Data = "mnist", model: Model = None, as_json: Json = False, backend: Backend = None) -> None:
    """Measure a saved file on the test pictures and on their inversions."""
    use_backend(backend)
    from convmedia.apps import _digits
    from convmedia.data import digits

    predictor = _verbs.model_of(APP, model)
    with progress("reading examples") as update:
        chosen = digits.load(data, update).required("test")
    say(f"measuring the {len(chosen.test)} test pictures of {chosen.name}, {len(chosen.bad)} files left out")
    metrics, _ = _digits.measure(predictor, _digits.in_labels_of(predictor, chosen))
    if as_json:
        facts = {"name": chosen.name, "test": len(chosen.test), "left_out": len(chosen.bad), "digest": chosen.digest}
        print(to_json({"metrics": metrics, "data": facts, "model": predictor.digest}, indent=2))
        return
    rows = [[split, percent(f["accuracy"]), f"{f['loss']:.4f}", f["examples"]] for split, f in metrics.items()]
    print(table(["split", "accuracy", "loss", "pictures"], rows))


@command.command()
def predict(
    inputs: Inputs,
    model: Model = None,
    top: Top = None,
    as_json: Json = False,
    out: Rows = None,
) -> int:
    """Say which digit each picture shows."""
    return _verbs.predict(APP, inputs, model, top, as_json, out)


@command.command()
def export(
    model: Model = None,
    format: Formats = [*Format],  # noqa: B006
    out: ExportOut = None,
    data: Data = "digits",
    as_json: Json = False,
) -> int:
    """Write SavedModel, ONNX and LiteRT files and prove in their own runtimes that they answer as the model does."""

    def examples():
        from convmedia.apps._classifiers import raw_examples
        from convmedia.data import digits

        return raw_examples(digits.load(data).train.pictures)

    return _verbs.export(APP, model, [str(name) for name in format], out, examples, as_json)


@command.command()
def explain(inputs: Inputs, out: Folder, model: Model = None) -> int:
    """Draw the first filters before and after training, each layer's maps and Grad-CAM for each picture."""
    return _verbs.explain(APP, inputs, out, model, first_filters)


def first_filters(predictor):
    """The first convolution's filters before training, made again from the seed."""
    import keras

    from convmedia.models.digits import NETWORKS
    from convmedia.models.explanation import filters

    keras.utils.set_random_seed(predictor.details["seed"])
    return filters(NETWORKS[predictor.details["network"]](len(predictor.labels)))


@command.command()
def compare(
    context: typer.Context,
    inputs: Inputs,
    out: Out,
    data: Data = "mnist",
    small: Annotated[int, typer.Option(min=1, help="Examples of the small set.")] = 15_000,
    network: NetworkOption = Network.lenet5,
    epochs: Epochs = 10,
    seed: Seed = 1,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """The inversion experiment: the same pictures read after four trainings.

    Trained on a small set, on the full set, and on the full set with each picture also inverted, all with
    `--preparation resize`; then with the default preparation. Prints what each answers to your own pictures.
    """
    use_backend(None)
    from convmedia.apps import _digits
    from convmedia.apps._runs import open_run
    from convmedia.data.images import find

    files = find(inputs)
    run = open_run(APP, context, out, resume, overwrite)
    with run.begin():
        result = _digits.compared(run, list(trainings(run)), files)
    if as_json:
        print(to_json(result, indent=2))
        return
    print(_digits.comparison_table(result))
    print(f"report {out / 'report.html'}")


def trainings(run) -> Iterator[tuple[str, Any]]:
    """Name and complete run of each training of the inversion experiment, in folders below the run's."""
    from convmedia.apps._runs import open_part

    options = run.arguments
    shared = {name: options[name] for name in ("data", "network", "epochs", "seed")}
    shared |= {"batch_size": 64, "limit": None, "patience": None, "weights": "none", "augment": False, "invert": False}
    shared |= {"precision": "auto"}
    resize = {**shared, "preparation": "resize"}
    variants = {
        "small set": {**resize, "limit": options["small"]},
        "full set": resize,
        "full set, inverted too": {**resize, "invert": True},
        "default preparation": {**shared, "preparation": "ink", "augment": True},
    }
    for name, arguments in variants.items():
        part = open_part(run, name.replace(",", "").replace(" ", "-"), arguments)
        if not part.complete:
            say(f"training: {name}")
            train_run(part)
        yield name, part


if __name__ == "__main__":
    _commands.run(command)
