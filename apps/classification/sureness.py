"""How sure a trained classifier of pictures says it is: its temperature, and "none of these" as one more label.

Both are fitted on pictures that the network was not trained on, and are then weights of the saved file: what is
exported of it is as sure, and abstains, too.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from convmedia.apps.classification.evaluation import answers, raw_examples
from convmedia.apps.console.progress import said_if_long
from convmedia.apps.console.terminal import percent, say
from convmedia.apps.runs.run_folder import Run
from convmedia.apps.training.mixed_precision import scoring_layer
from convmedia.data import samples
from convmedia.data.folders.labelled import Labelled
from convmedia.data.images import decoding
from convmedia.data.storage.errors import InputError
from convmedia.models.analysis.grad_cam import inner_network
from convmedia.models.inference.batching import in_batches
from convmedia.models.inference.predictor import in_inference
from convmedia.models.networks.abstaining import NONE_OF_THESE, abstaining, features

if TYPE_CHECKING:
    from convmedia.apps.reporting.html import Report

LEAST = 1e-7  # what a smaller probability counts as: float32 knows no number nearer to 1
TEMPERATURES = (0.05, 20.0)
PRIOR = 0.5
"""Standard deviation of the logarithm of a temperature before anything is seen: of 0.5, 0.7, 1 and none at all the one
with the lowest loss on other pictures, of heads on EfficientNet-Lite0's features and 20, 100 and 200 for validation."""
ABSTAINED = 0.01  # of the validation pictures, at most
FITTED_ON = 1000  # most training pictures that "none of these" is fitted on
INVERSE_PENALTY = 0.03  # of its squared weights, standardised: C of scikit-learn's LogisticRegression
BATCH = 64

Assembled = Callable[..., keras.Model]
"""`saving.assembly.assemble` of a network, given its labels and details."""


def labels_of(options: dict[str, Any], labels: Sequence[str]) -> list[str]:
    """The labels of a run's saved file: those of its set, and "none of these" where that is asked for.

    Raises:
        InputError: the set has that label.
    """
    if not abstains(options):
        return list(labels)
    if NONE_OF_THESE in labels:
        raise InputError(f"--none-of-these: the set has a label {NONE_OF_THESE!r}; leave the option out or rename it")
    return [*labels, NONE_OF_THESE]


def abstains(options: dict[str, Any]) -> bool:
    return options.get("none_of_these", "none") != "none"


@said_if_long("fitting how sure the answers are")
def settle(run: Run, data: Labelled, network: keras.Model, assembled: Assembled) -> None:
    """Write the saved file of a training anew, calibrated and abstaining where the run's arguments say so.

    `run.json` then has "calibration": {"temperature", "validation": {"loss_before", "loss_after", "examples"}} and
    "none_of_these": {"others", "abstained": {"validation", "others"}}. A file that was written so already is left.

    Args:
        network: the inner network of the file, of which the weights are taken.
        assembled: called with a network, `labels` and `details`, gives the model that is saved.
    """
    from convmedia.models import load

    options = run.arguments
    calibrates = bool(options.get("calibrate", False))
    kept = load(run.folder, app=run.record["app"])
    if not (calibrates or abstains(options)) or "temperature" in kept.details:
        return
    labels, details = list(data.labels), {**kept.details, "temperature": 1.0}
    model = assembled(network, labels=labels, details=details)
    model.set_weights(kept.model.get_weights())
    scoring = scoring_layer(network)
    assert scoring is not None
    held = data.validation
    found = answers(kept, held.pictures, len(held), "looking at validation pictures")
    if calibrates:
        fitted = temperature(found, held.truth)
        scoring.set_weights([weight / fitted for weight in scoring.get_weights()])
        before, found = entropy(found, held.truth), at_temperature(found, fitted)
        figures = {"loss_before": before, "loss_after": entropy(found, held.truth), "examples": len(held)}
        details["temperature"] = fitted
        run.write(calibration={"temperature": fitted, "validation": figures})
        say(f"calibrated: temperature {fitted:.3g}, validation loss {before:.4f} -> {figures['loss_after']:.4f}")
        model = assembled(network, labels=labels, details=details)
    if abstains(options):
        kernel, bias = fitted_on_others(run, data, seen_by(model, network, scoring), found)
        labels = labels_of(options, labels)
        details["none_of_these"] = NONE_OF_THESE
        model = assembled(abstaining(network, scoring, kernel, bias), labels=labels, details=details)
    run.keep(model)


def temperature(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """The number that a network's logits are to be divided by (Guo et al. 2017, section 4.2): it minimises the
    cross-entropy. Its logarithm has a normal prior of the deviation `PRIOR`, without which no number would be small
    enough where all answers are right; it counts the less the more examples there are.

    Args:
        probabilities: (n, labels), before. truth: int (n,).
    """
    from scipy.optimize import minimize_scalar

    def loss(exponent: float) -> float:
        prior = (exponent / PRIOR) ** 2 / 2 / len(truth)
        return entropy(at_temperature(probabilities, np.exp(exponent)), truth) + prior

    bounds = tuple(np.log(TEMPERATURES))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6}).x))


def at_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities, (n, labels), as they would be of logits divided by a temperature: float64, rows adding to 1."""
    logits = np.log(np.clip(probabilities.astype(np.float64), LEAST, 1.0)) / temperature
    raised = np.exp(logits - logits.max(1, keepdims=True))
    return raised / raised.sum(1, keepdims=True)


def entropy(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Mean cross-entropy, nats."""
    return float(-np.log(np.clip(probabilities[np.arange(len(truth)), truth], LEAST, 1.0)).mean())


def told(report: "Report", run: Run, labels: Sequence[str], probabilities: np.ndarray, truth: np.ndarray) -> None:
    """In the report and in `run.json` what the temperature did to the answers on the test pictures; in the report what
    "none of these" did to others. Nothing where there is neither.

    What was answered before follows from what is answered now: a temperature has an inverse. Pictures that none of the
    labels was said of are left out.

    Args:
        labels: of the saved file.
        probabilities: its answers, (n, labels).
        truth: int (n,).
    """
    none = run.record.get("none_of_these")
    if none:
        shares = none["abstained"]
        report.table(
            "None of these",
            ("pictures", f"said to be {NONE_OF_THESE}"),
            [
                ["validation", percent(shares["validation"])],
                [f"{none['pictures']} of other things ({none['others']})", percent(shares["others"])],
            ],
            "The others were judged by what was fitted on the rest of them.",
        )
        kept = (probabilities.argmax(1) != labels.index(NONE_OF_THESE)) & (truth != labels.index(NONE_OF_THESE))
        probabilities, truth = np.delete(probabilities, labels.index(NONE_OF_THESE), 1)[kept], truth[kept]
    if "calibration" not in run.record or not len(truth):
        return
    from convmedia.apps.reporting.charts import BINS, calibration_error, reliability

    fitted = run.record["calibration"]["temperature"]
    after = at_temperature(probabilities, 1.0)
    before = at_temperature(probabilities, 1 / fitted)
    figures = {
        name: {"loss": entropy(one, truth), "calibration_error": calibration_error(one, truth)}
        for name, one in (("before", before), ("after", after))
    }
    run.write(calibration={**run.record["calibration"], "test": {**figures, "examples": len(truth), "bins": BINS}})
    rows = [[name, f"{f['loss']:.4f}", f"{100 * f['calibration_error']:.2f} %"] for name, f in figures.items()]
    held = run.record["calibration"]["validation"]["examples"]
    note = (
        f"Logits are divided by a temperature of {fitted:.3g}, fitted on {held:,} validation pictures. The figures are "
        f"of {len(truth):,} test pictures, the error of {BINS} bins of equal width."
    )
    report.table("Temperature", ("calibration", "test loss", "expected calibration error"), rows, note)
    report.figure(
        "Calibration before",
        reliability(before, truth),
        "Answers with one of the labels, as they were before the temperature.",
    )


def seen_by(model: keras.Model, network: keras.Model, scoring: keras.layers.Layer) -> Callable[..., np.ndarray]:
    """What gives the features of raw pictures of any sizes, float32 (n, size), that a saved file's labels are scored
    from."""
    entering = inner_network(model)[1]
    inner = keras.Model(network.inputs, features(network, scoring))
    answer = in_inference(keras.Model(model.inputs[0], inner(entering)))

    def seen(pictures) -> np.ndarray:
        batches = in_batches(pictures, lambda picture: picture, BATCH)
        return np.concatenate([ops.convert_to_numpy(answer(np.stack(batch).astype("float32"))) for batch in batches])

    return seen


def fitted_on_others(
    run: Run, data: Labelled, seen: Callable[..., np.ndarray], probabilities: np.ndarray
) -> tuple[np.ndarray, float]:
    """Kernel and bias of "none of these", as `models.networks.abstaining` takes them; what they do is said.

    Args:
        probabilities: (n, labels), of the validation pictures.
    """
    named = run.arguments["none_of_these"]
    pictures = other_pictures(named)
    inside, held = seen(raw_examples(data.train.pictures, FITTED_ON)), seen(data.validation.pictures)
    others = seen(pictures)
    kernel, bias = apart(inside, others)
    logits = held @ kernel + bias
    judged = judged_by_the_rest(inside, others)
    beyond = np.concatenate([logits, judged]) - threshold(logits, probabilities, judged)
    steeper = 1 / temperature(shared(beyond), which(held, others))  # the threshold moved what the fit was sure of
    kernel, bias, logits, judged = steeper * kernel, steeper * bias, steeper * logits, steeper * judged
    limit = threshold(logits, probabilities, judged)
    shares = {
        "validation": float((logits - np.log(probabilities.max(1)) > limit).mean()),
        "others": float((judged > limit).mean()),
    }
    run.write(none_of_these={"others": named, "pictures": len(others), "abstained": shares})
    say(
        f"{NONE_OF_THESE}: said of {percent(shares['validation'])} of the validation pictures and of "
        f"{percent(shares['others'])} of {len(others)} others, each judged by what was fitted without it"
    )
    return kernel, bias - limit


def other_pictures(named: str) -> list[np.ndarray]:
    """The bundled pictures of other things, or those of a folder: raw, uint8 (height, width, 3).

    Raises:
        InputError: fewer than two can be read.
    """
    if named == "bundled":
        return samples.other_things()
    found = []
    for path in decoding.find([named]):
        try:
            found.append(decoding.decode(path))
        except InputError as error:
            say(f"left out: {error}")
    if len(found) < 2:
        raise InputError(f"--none-of-these: {named} has {len(found)} picture that can be read; give some dozens")
    return found


def apart(inside: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, float]:
    """What tells other things from those of the labels by their features: kernel (size,) and bias of a logistic
    regression in which both count the same (outlier exposure: Hendrycks et al. 2019).

    Args:
        inside, others: (n, size) and (m, size).
    """
    mean, deviation = inside.mean(0, dtype="float64"), inside.std(0, dtype="float64")
    deviation = np.maximum(deviation, 0.03 * np.sqrt(np.square(deviation).mean()) + 1e-12)
    fitted = regression().fit((np.concatenate([inside, others]) - mean) / deviation, which(inside, others))
    kernel = fitted.coef_[0] / deviation
    return kernel, float(fitted.intercept_[0] - kernel @ mean)


def regression():
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=INVERSE_PENALTY, class_weight="balanced", max_iter=1000)


def which(inside: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.repeat([0, 1], [len(inside), len(others)])


def shared(logits: np.ndarray) -> np.ndarray:
    """Logits of "none of these", (n,), as the probabilities of what is not so and of what is, (n, 2)."""
    none = 1 / (1 + np.exp(-logits))
    return np.stack([1 - none, none], 1)


def judged_by_the_rest(inside: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Logits of others, float64 (m,), of up to five parts each judged by what was fitted on all but it."""
    parts = np.arange(len(others)) % min(5, len(others))
    logits = np.empty(len(others))
    for part in np.unique(parts):
        kernel, bias = apart(inside, others[parts != part])
        logits[parts == part] = others[parts == part] @ kernel + bias
    return logits


def threshold(logits: np.ndarray, probabilities: np.ndarray, others: np.ndarray) -> float:
    """What is to be taken from the logits of "none of these", so that it is the most probable label of at most
    `ABSTAINED` of these pictures: q / (1 - q) is above the greatest p where the logit is above its logarithm.

    Where so small a share is less than one picture, their greatest value tells little of others like them; the
    threshold is then up to halfway from it to what all but as small a share of the other things lie above.

    Args:
        logits: (n,). probabilities: (n, labels). others: (m,), logits of other things that were not fitted on.
    """
    beyond = logits - np.log(probabilities.max(1))
    least = float(np.quantile(beyond, 1 - ABSTAINED, method="higher")) + 1e-3  # more than float32 rounds off
    room = max(float(np.quantile(others, ABSTAINED)) - least, 0.0)
    return least + room / 2 * max(1 - ABSTAINED * len(logits), 0.0)
