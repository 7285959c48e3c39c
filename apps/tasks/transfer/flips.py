"""`--flips`: the mean over a picture and its mirror image inside the saved file, where validation is better with it."""

import time
from typing import Any

import keras

from convmedia.apps.classification import photo_pipeline
from convmedia.apps.console.progress import said_if_long
from convmedia.apps.console.terminal import say
from convmedia.apps.runs.run_folder import Run
from convmedia.apps.tasks.transfer.parts import Parts
from convmedia.apps.training.checkpoints import best_epoch, monitored
from convmedia.models import load
from convmedia.models.backbones import finetuning


@said_if_long("measuring test-time flips")
def tried(run: Run, parts: Parts, stages: list[dict[str, Any]]) -> dict[str, Any]:
    """Validate the kept weights with test-time flips and without; what is better is in the file: a stage's row.

    Args:
        stages: the rows before; where flips are kept, none of them is what the file answers with.
    """
    began = time.perf_counter()
    kept = load(run.folder, app="transfer")
    if "temperature" in kept.details:  # a continued run whose file is settled: that was decided before it was
        return run.record["stages"][-1]
    parts.model.set_weights(kept.model.get_weights())
    network = averaging(parts)
    without, with_flips = (validated(parts, one) for one in (parts.network, network))
    better = best_epoch([without, with_flips], monitored(parts.monitor)) == 1
    if better:
        run.keep(parts.whole(network, flips=True))
        for stage in stages:
            stage["kept"] = False
    said = "better: they are in the file" if better else "no better: they are left out"
    name = next(iter(parts.objective.shown(len(parts.data.validation))))
    say(f"test-time flips  {name} {with_flips[name]:.4f}  {said}")
    seconds = round(time.perf_counter() - began, 2)
    return {"stage": "test-time flips", **with_flips, "seconds": seconds, "kept": better}


def validated(parts: Parts, network: keras.Model) -> dict[str, float]:
    """Validation figures of a network."""
    network.compile(**parts.compiling(keras.optimizers.SGD()))
    held = photo_pipeline.held_out(parts.held, parts.held_targets, parts.as_input)
    figures = network.evaluate(held, verbose=0, return_dict=True)
    return {f"val_{name}": float(value) for name, value in figures.items()}


def averaging(parts: Parts) -> keras.Model:
    """The network that shares the parts' weights and takes the mean over a picture and its mirror image."""
    return finetuning.joined(finetuning.features(parts.backbone, flips=True), parts.head)
