"""TensorFlow Serving: models below a folder, versions below each, requests that it answers before its first client's.

Field numbers and names: tensorflow_serving/apis/{prediction_log,predict,model}.proto, config/model_server_config.proto,
servables/tensorflow/session_bundle_config.proto (TensorFlow Serving 2.21).
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from convmedia.models.servers.protocol_text import field, text
from convmedia.models.servers.served import Served, write_labels

MOUNTED = "/models"  # the folder, in the container
WAIT_MICROSECONDS = 5000  # that a request may wait for others
WAITING = 100  # batches
EXTRA = "assets.extra"


def start(folder: Path) -> str:
    """The command that serves a folder."""
    batching = f" --enable_batching --batching_parameters_file={MOUNTED}/batching.config"
    asked = batching if (folder / "batching.config").is_file() else ""
    mounted = f'docker run -p 8501:8501 -v "{folder.absolute()}:{MOUNTED}" tensorflow/serving'
    return f"{mounted} --model_config_file={MOUNTED}/models.config{asked}"


def write(folder: Path, served: Served) -> None:
    """Write `MODEL/1/`, `models.config`, and `batching.config` where all requests have one size: requests of several
    sizes in one batch are an error of the server."""
    version = folder / served.name / "1"
    shutil.copytree(served.file, version)
    if served.labels is not None:
        write_labels(version / EXTRA / "labels.txt", served.labels)
    write_warmup(version / EXTRA / "tf_serving_warmup_requests", served)
    one = {"name": served.name, "base_path": f"{MOUNTED}/{served.name}", "model_platform": "tensorflow"}
    (folder / "models.config").write_text(text({"model_config_list": {"config": [one]}}), encoding="utf-8")
    if served.many is not None:
        settings = {"max_batch_size": served.many, "batch_timeout_micros": WAIT_MICROSECONDS}
        settings["max_enqueued_batches"] = WAITING
        content = text({name: {"value": value} for name, value in settings.items()})
        (folder / "batching.config").write_text(content, encoding="utf-8")


def write_warmup(path: Path, served: Served) -> None:
    """Requests to each entry of the SavedModel, a record of a `PredictionLog` each."""
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path)) as records:
        for entry, inputs in requests(served):
            records.write(prediction_log(served.name, entry, inputs))


def requests(served: Served) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Names of entries and what goes into them: one example, as many as are answered at once, an encoded file."""
    from convmedia.models.formats import serving

    yield "serving_default", served.request
    if served.many is not None:
        yield "serving_default", {k: np.repeat(v, served.many, axis=0) for k, v in served.request.items()}
    content, _ = serving.encoded(served.example, served.sample_rate)
    others = dict(list(served.request.items())[1:])
    yield serving.BYTES, {"file_bytes": np.array([content], object), **others}


def prediction_log(model: str, entry: str, inputs: dict[str, np.ndarray]) -> bytes:
    """A `PredictionLog` that holds a `PredictRequest`."""
    import tensorflow as tf

    named = field(1, model.encode()) + field(3, entry.encode())  # ModelSpec: name, signature_name
    request = field(1, named)
    for name, values in inputs.items():
        tensor = tf.make_tensor_proto(values).SerializeToString()
        request += field(2, field(1, name.encode()) + field(2, tensor))  # an entry of the map `inputs`
    return field(6, field(1, request))  # PredictionLog.predict_log, PredictLog.request
