"""What `apps/transfer.py` does behind its `train`: features and head, unfreezing, what each stage gained."""

import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from convmedia.apps.classification import cross_validation, photo_pipeline
from convmedia.apps.classification.report import finish
from convmedia.apps.console.progress import said_if_long
from convmedia.apps.console.terminal import say, table, tell
from convmedia.apps.runs.run_folder import Run
from convmedia.apps.tasks.transfer import feature_cache, flips
from convmedia.apps.tasks.transfer.parts import Parts
from convmedia.apps.training import distillation, distributed, trainer
from convmedia.apps.training.checkpoints import Choice, best_epoch, monitored
from convmedia.apps.training.mixed_precision import precision_here, twin
from convmedia.data.datasets.photos import Pictures
from convmedia.models.backbones import finetuning
from convmedia.models.inference.features import digest
from convmedia.models.losses.optimizers import warm_cosine

LOWER = 0.6  # each block learns this much slower than the one above it
HEAD_EPOCHS, HEAD_STEPS, HEAD_BATCH, HEAD_RATE = 30, 300, 128, 1e-2  # of stage 1, which takes seconds; least steps


def train_run(run: Run) -> dict[str, Any]:
    """From a run's arguments to its complete folder: one training, or one for each fold."""
    return cross_validation.on_pictures(run, train_one)


def train_one(run: Run) -> dict[str, Any]:
    """One training; what is wrong with its arguments is said before anything is written."""
    options = run.arguments
    data = loaded(options).required("train", "validation", "test")
    with said_if_long("building the network"):
        parts = Parts(run, data)
    weights_digest = digest(parts.backbone) if options["weights"] != "none" else ""
    labels = parts.objective.saved_labels(options)
    facts = {"labels": labels, "data_digest": data.digest, **distillation.facts(parts.teacher)}
    with run.begin(**facts, weights_digest=weights_digest):
        limited = data.limited(options["limit"], options["seed"])
        parts.read(limited)
        stages = [stage_one(run, parts)]
        history = [{"epoch": 0, **figures_of(stages[0])}]
        if options["epochs"] and options["blocks"]:
            history = stage_two(run, parts, stages) or history
        else:
            run.write(kept=Choice(monitored(parts.monitor)).kept(history))
        if options.get("flips"):
            stages.append(flips.tried(run, parts, stages))
        run.write(stages=stages)
        gained = stage_rows(stages, parts.objective.shown(len(parts.data.validation)))
        if distributed.rank() == 0:
            tell(table(*gained))
        flipped = bool(options.get("flips")) and stages[-1]["kept"]
        network = flips.averaging(parts) if flipped else parts.network
        parts.objective.settle(run, limited, network, parts.assembled)
        return finish(
            run,
            "Transfer learning",
            limited,
            history,
            parts.objective.measure,
            extra=lambda report, _: stages_told(report, gained),
            headline=parts.objective.headline,
            drawn=parts.objective.drawn,
        )


def loaded(options: dict[str, Any]) -> Pictures:
    """The set that a run's arguments name: of several labels a picture, too, or with --target of numbers."""
    chosen = options["data"], options.get("group"), options.get("fold")
    return photo_pipeline.loaded(*chosen, several=True, target=options.get("target"))


@said_if_long("stage 1: a head on the features of the frozen backbone")
def stage_one(run: Run, parts: Parts) -> dict[str, Any]:
    """Train the head on cached features; the file is written, so that a kill in stage 2 leaves it."""
    began = time.perf_counter()
    figures = trained_head(run.arguments, parts)
    if not run.load_state()[1]:
        run.keep(parts.model)
    seconds = round(time.perf_counter() - began, 2)
    name = next(iter(parts.objective.shown(len(parts.data.validation))))
    say(f"stage 1: head on frozen features  {name} {figures[name]:.4f}  {seconds:.1f} s")
    return {"stage": "head on frozen features", **figures, "seconds": seconds, "kept": True}


def figures_of(stage: dict[str, Any]) -> dict[str, float]:
    """The figures that a stage reached, and its seconds."""
    return {name: value for name, value in stage.items() if name not in ("stage", "kept")}


def trained_head(options: dict[str, Any], parts: Parts) -> dict[str, float]:
    """Train the head on the features of the training pictures and, with `--mirror`, of their mirror images."""
    turns = (False, True) if options["mirror"] else (False,)

    def features(split, bank, mirrored: bool) -> np.ndarray:
        return feature_cache.of(parts.frozen, options["backbone"], split, parts.side, bank, mirrored)

    train, validation = parts.data.train, parts.data.validation
    weights = parts.objective.example_weights(train.truth)
    cached = np.concatenate([features(train, lambda: parts.train, mirrored) for mirrored in turns])
    held = features(validation, lambda: parts.held, False)
    finetuning.standardise(parts.head, cached)
    targets = np.concatenate([parts.targets] * len(turns))
    if parts.objective.solved(parts.head, cached, targets, options["seed"]):
        parts.head.compile(**parts.compiling("sgd"))
        return figures_on(parts.head, (cached, targets), (held, parts.held_targets))
    steps_each = -(-len(cached) // HEAD_BATCH)
    epochs = max(HEAD_EPOCHS, -(-HEAD_STEPS // steps_each))
    steps = epochs * steps_each
    wanted = parts.teacher.on_bank(parts.train, parts.targets) if parts.teacher else parts.targets
    return trainer.fit_at_once(
        parts.head,
        cached,
        np.concatenate([wanted] * len(turns)),
        None if weights is None else np.tile(weights, len(turns)),
        (held, parts.held_targets),
        epochs=epochs,
        batch_size=HEAD_BATCH,
        **parts.compiling(keras.optimizers.Adam(warm_cosine(HEAD_RATE, steps, steps // 10))),
    )


def figures_on(head: keras.Model, train: tuple[Any, Any], validation: tuple[Any, Any]) -> dict[str, float]:
    """The figures of a compiled network on inputs and targets, those of validation with `val_` before their names."""
    parts = (("", train), ("val_", validation))
    found = {prefix: head.evaluate(*given, verbose=0, return_dict=True) for prefix, given in parts}
    return {prefix + name: float(value) for prefix, figures in found.items() for name, value in figures.items()}


def optimizer_of(run: Run, parts: Parts, steps: int):
    """Adam whose rate falls by `LOWER` from block to block, and which starts each block a little after the one above.

    The head and the top block start at once, the next one after an equal share of the first half of the training.
    """
    options = run.arguments
    depths = finetuning.by_depth(parts.backbone)
    factors = {name: LOWER**depth for name, depth in depths.items()}
    share = steps // 2 // max(options["blocks"], 1)
    starts = {name: depth * share for name, depth in depths.items() if depth < options["blocks"]}
    rate = warm_cosine(options["rate"], steps, max(steps // 10, 1))
    return finetuning.LayerwiseAdam(rate, factors, starts)


def stage_two(run: Run, parts: Parts, stages: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Unfreeze the backbone from the top, block after block; an epoch that does not beat stage 1 is not kept."""
    options = run.arguments
    names = finetuning.unfreeze(parts.backbone, options["blocks"])
    steps = options["epochs"] * max(len(parts.data.train) // options["batch_size"], 1)
    history = trainer.fit(
        parts.network,
        run,
        len(parts.data.train),
        parts.example(options["augment"]),
        epochs=options["epochs"],
        batch_size=options["batch_size"],
        seed=options["seed"],
        precision=options["precision"],
        validation=photo_pipeline.held_out(parts.held, parts.held_targets, parts.as_input),
        keep=lambda: run.keep(parts.model),
        monitor=monitored(parts.monitor),
        patience=options["patience"],
        beat={name: stages[0][name] for name in (monitored(parts.monitor), "val_loss")},
        separable=True,
        **parts.compiling(optimizer_of(run, parts, steps)),
    )
    best = history[best_epoch(history, monitored(parts.monitor))] if history else {}
    kept = run.record["kept"]["epoch"]
    seconds = round(sum(row["seconds"] for row in history), 2)
    stages[0]["kept"] = kept == 0
    name = f"fine-tuning of {', '.join(names)}" + (" (diverged)" if "diverged" in run.record else "")
    stages.append({"stage": name, **best, "seconds": seconds, "kept": kept > 0})
    return history


def stage_rows(
    stages: list[dict[str, Any]], shown: dict[str, Callable[[float], str]]
) -> tuple[list[str], list[list[Any]]]:
    """Header and rows: what each stage reached in its best epoch, and which one is in the file.

    Args:
        shown: what says each figure, as of `Objective.shown`; the loss comes last.
    """
    shown = {**{name: said for name, said in shown.items() if name != "val_loss"}, "val_loss": "{:.4f}".format}
    header = ["stage", *(name.replace("val_", "validation ").replace("_", " ") for name in shown), "seconds", "kept"]
    rows = [
        [
            stage["stage"],
            *(said(stage[name]) if name in stage else "-" for name, said in shown.items()),
            f"{stage['seconds']:.1f}",
            "yes" if stage["kept"] else "no",
        ]
        for stage in stages
    ]
    return header, rows


def stages_told(report, rows: tuple[list[str], list[list[Any]]]) -> None:
    """The same in the report."""
    note = "The figures are of each stage's best epoch, the file is of the stage that is kept."
    report.table("What each stage gained", *rows, note)


def rates_drawn(run: Run, steps: int = 100, least: float = 1e-7, greatest: float = 1.0) -> str:
    """The learning rate range test (Smith 2017, section 3.3) of stage 2, after stage 1: its curve as a picture beside
    the run folder, which is not written, and a rate to begin with."""
    from convmedia.apps.reporting.charts import rate_curve, save_figure
    from convmedia.apps.training.learning_rate import suggested_rate

    options = run.arguments
    data = loaded(options).required("train", "validation")
    parts = Parts(run, data)
    parts.read(data.limited(options["limit"], options["seed"]))
    trained_head(options, parts)
    finetuning.unfreeze(parts.backbone, options["blocks"])
    schedule = keras.optimizers.schedules.ExponentialDecay(least, steps, greatest / least)
    factors = optimizer_of(run, parts, steps).factors
    losses = trainer.losses_of(
        twin(parts.network, precision_here(options["precision"], parts.network)),
        len(parts.data.train),
        parts.example(options["augment"]),
        steps=steps,
        batch_size=options["batch_size"],
        seed=options["seed"],
        **parts.compiling(finetuning.LayerwiseAdam(schedule, factors)),
    )
    rates = least * (greatest / least) ** (np.arange(len(losses)) / steps)
    good = suggested_rate(rates, np.array(losses))
    figure = rate_curve(rates, np.array(losses), good)
    path = save_figure(figure, run.folder.with_name(f"{run.folder.name}-learning-rate.png"))
    if good is None:
        return f"no clear rate between {least:.0e} and {greatest:.0e}: the curve is in {path}"
    return f"a good --rate is about {good:.0e}; the curve is in {path}"
