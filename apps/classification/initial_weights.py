"""Networks before training: random from the seed, or with what fits of other weights."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from convmedia.apps.console.progress import said_if_long
from convmedia.apps.runs.run_folder import Run

if TYPE_CHECKING:
    from convmedia.models.inference.predictor import Predictor


@said_if_long("building the network")
def first_network(run: Run, labels: Sequence[str]):
    """The inner network before training: random from the seed, or with what fits of `--weights`."""
    import keras

    from convmedia.apps.training import warm_start
    from convmedia.models import load
    from convmedia.models.networks.catalogue import NETWORKS

    options = run.arguments
    keras.utils.set_random_seed(options["seed"])
    network = NETWORKS[run.record["app"]][options["network"]](len(labels))
    if options["weights"] != "none":
        warm_start.start_from(network, load(options["weights"], app=run.record["app"]), labels)
    return network


def first_filters(predictor: "Predictor", build: Callable[[int], Any] | None = None) -> np.ndarray:
    """The first convolution's filters before training, made again from the seed.

    Args:
        build: gives the network for a number of labels; None for the one of the catalogue.
    """
    import keras

    from convmedia.models.analysis.grad_cam import filters
    from convmedia.models.networks.catalogue import NETWORKS

    assert predictor.labels is not None
    keras.utils.set_random_seed(predictor.details["seed"])
    build = build or NETWORKS[predictor.app][predictor.details["network"]]
    return filters(build(len(predictor.labels)))


def from_scratch(run) -> bool:
    """Whether a run begins with random weights."""
    return run.arguments["weights"] == "none"


def optimizer_name(run) -> str:
    """What is recorded as a training begins: "muon" from scratch, "adamw" where it changes weights that are there by
    small steps. Runs of before this was recorded have AdamW."""
    return ("muon" if from_scratch(run) else "adamw") if run.fresh else run.record.get("optimizer", "adamw")
