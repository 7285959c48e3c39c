"""Networks before training: random from the seed, or with what fits of other weights."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from convmedia.apps.console.progress import said_if_long
from convmedia.apps.runs.run_folder import Run

if TYPE_CHECKING:
    from convmedia.models.inference.predictor import Predictor


@said_if_long("building the network")
def first_network(networks: dict[str, Callable], run: Run, labels: Sequence[str]):
    """The inner network before training: random from the seed, or with what fits of `--weights`."""
    import keras

    from convmedia.apps.training import trainer
    from convmedia.models import load

    options = run.arguments
    keras.utils.set_random_seed(options["seed"])
    network = networks[options["network"]](len(labels))
    if options["weights"] != "none":
        trainer.start_from(network, load(options["weights"], app=run.record["app"]), labels)
    return network


def first_filters(networks: dict[str, Callable], predictor: "Predictor") -> np.ndarray:
    """The first convolution's filters before training, made again from the seed."""
    import keras

    from convmedia.models.analysis.grad_cam import filters

    assert predictor.labels is not None
    keras.utils.set_random_seed(predictor.details["seed"])
    return filters(networks[predictor.details["network"]](len(predictor.labels)))
