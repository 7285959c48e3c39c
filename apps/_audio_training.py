"""Training a network on sounds."""

from typing import Any


def figures_line(split: str, figures: dict[str, Any]) -> str:
    """The figures of one split or fold for a person."""
    from convmedia.apps import _classifiers, _heard

    if "accuracy_interval" in figures:
        return _classifiers.accuracy_line(split, figures)
    if "exact_interval" in figures:
        return ", ".join(f"{name} {said}" for name, said in _heard.shares_said(figures).items())
    return _classifiers.shares_line(figures)


def train_run(run) -> dict[str, Any]:
    """From a run's arguments to its complete folder: one training, or one for each fold."""
    from convmedia.apps import _folds
    from convmedia.data import sounds

    options = run.arguments
    if _folds.wanted(options) or (options["fold"] is None and options["split"] == "speaker"):
        return _folds.each(run, sounds.folds(options["data"], options["split"]), train_one, "sound")
    return train_one(run)


def train_one(run) -> dict[str, Any]:
    """One training: what is wrong with its arguments is said before anything is written."""
    import keras

    from convmedia.apps import _clips, _training
    from convmedia.models import audio, load

    options = run.arguments
    data = _clips.loaded(options).required("train", "validation", "test")
    _clips.check_options(options, data)
    spectrum, size = _clips.heard_as(options, data)
    keras.utils.set_random_seed(options["seed"])
    build = audio.NETWORKS[options["network"]]
    network = build(spectrum.frames(size), spectrum.bands, len(data.labels), several=data.several)
    if options["weights"] != "none":
        _training.start_from(network, load(options["weights"], app=run.record["app"]), data.labels)
    with run.begin(labels=list(data.labels), data_digest=data.digest):
        return trained(run, data.limited(options["limit"], options["seed"]), network, spectrum, size)


def trained(run, data, network, spectrum, size) -> dict[str, Any]:
    """Fit, report, save: the run's record."""
    import keras

    from convmedia.apps import _balance, _clips, _sound_report, _training
    from convmedia.apps._checkpoints import monitored
    from convmedia.models import audio
    from convmedia.models.optimizers import warm_cosine

    options = run.arguments
    examples = _clips.PreparedClips(data, spectrum, size, options["augment"])
    details = {name: options[name] for name in ("network", "seed", "split", "fold")}
    model = audio.whole(
        network, spectrum, size, *examples.moments, app=run.record["app"], labels=list(data.labels), details=details
    )
    steps = max(examples.number // options["batch_size"], 1)
    rate = warm_cosine(2e-3 if options["weights"] == "none" else 5e-4, options["epochs"] * steps, steps)
    monitor = options.get("monitor") or _clips.monitor(data)
    history = _training.fit(
        network,
        run,
        examples.number,
        _balance.weighted(examples.example, _clips.class_weights(options, data)),
        epochs=options["epochs"],
        batch_size=options["batch_size"],
        seed=options["seed"],
        precision=options["precision"],
        validation=examples.validation(),
        keep=lambda: run.keep(model),
        monitor=monitored(monitor),
        patience=options["patience"],
        settled=_clips.settled(options["epochs"]),
        separable=examples.separable,
        optimizer=keras.optimizers.AdamW(rate, weight_decay=0.02),
        **_clips.compiling(data, monitor),
    )
    return _sound_report.finish(run, data, history)
