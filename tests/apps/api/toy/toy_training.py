"""The training of a complete application."""

import keras
from keras import layers

from convmedia.apps.classification import photo_pipeline
from convmedia.apps.classification.report import finish
from convmedia.apps.training import trainer
from convmedia.models.answer import PICTURE
from convmedia.models.preprocessing.resize import Resize
from convmedia.models.saving.assembly import assemble

SIDE = 8


def network(labels: int) -> keras.Model:
    """Scores from the means of four maps, which are taken of 8x8 px in 0..1."""
    picture = keras.Input((SIDE, SIDE, 3))
    maps = layers.Conv2D(4, 3, name="maps")(picture)
    scores = layers.Dense(labels, activation="softmax", name="scores")(layers.GlobalAveragePooling2D()(maps))
    return keras.Model(picture, scores, name="toy_network")


def trained(run):
    """One training: the run's record."""
    options = run.arguments
    data = photo_pipeline.loaded(options["data"]).required("train", "validation", "test")
    keras.utils.set_random_seed(options["seed"])
    inner, labels = network(len(data.labels)), list(data.labels)
    preparation = [Resize(SIDE, SIDE, name="resize"), layers.Rescaling(1 / 255, name="rescaling")]
    model = assemble(
        inner,
        preparation=preparation,
        app=run.record["app"],
        labels=labels,
        input=PICTURE,
        details={"network": "toy", "seed": options["seed"]},
    )
    with run.begin(labels=labels, data_digest=data.digest):
        bank, held = (photo_pipeline.decoded(part, SIDE, "decoding") for part in (data.train, data.validation))
        wanted, held_wanted = (keras.utils.to_categorical(part.truth, 2) for part in (data.train, data.validation))
        history = trainer.fit(
            inner,
            run,
            len(data.train),
            photo_pipeline.example_of(bank, wanted, scaled, None),
            epochs=options["epochs"],
            batch_size=options["batch_size"],
            seed=options["seed"],
            precision="float32",
            validation=photo_pipeline.held_out(held, held_wanted, scaled),
            keep=lambda: run.keep(model),
            optimizer=keras.optimizers.Adam(0.05),
            loss=keras.losses.CategoricalCrossentropy(),
            metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        )
        return finish(run, "Dark and light", data, history)


def scaled(batch):
    return batch / 255.0
