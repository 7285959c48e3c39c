"""Folders for model servers, read by the schemas that the servers publish and answered as the servers would."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from tensorflow.core.framework import tensor_pb2

from convmedia.data.storage.errors import InputError
from convmedia.models.export.exporter import export
from convmedia.models.inference.predictor import Predictor
from convmedia.models.saving import assembly
from convmedia.models.servers import servers
from convmedia.models.servers.protocol_text import field

IMAGE = {"kind": "image", "dtype": "float32", "shape": [None, None, 3]}
LABELS = ["cat", "a dog"]
SIZE = (24, 40)

KINDS = {"string": 9, "bytes": 12, "int64": 3, "int32": 5, "uint32": 13, "uint64": 4, "bool": 8}
SCHEMAS = {
    # tensorflow_serving/apis/{prediction_log,predict,model}.proto, config/model_server_config.proto and
    # servables/tensorflow/session_bundle_config.proto of TensorFlow Serving 2.21
    "PredictionLog": {"predict_log": (6, "PredictLog")},
    "PredictLog": {"request": (1, "PredictRequest")},
    "PredictRequest": {"model_spec": (1, "ModelSpec"), "inputs": (2, "*TensorEntry")},
    "TensorEntry": {"key": (1, "string"), "value": (2, "bytes")},
    "ModelSpec": {"name": (1, "string"), "signature_name": (3, "string")},
    "ModelServerConfig": {"model_config_list": (1, "ModelConfigList")},
    "ModelConfigList": {"config": (1, "*ServingConfig")},
    "ServingConfig": {"name": (1, "string"), "base_path": (2, "string"), "model_platform": (4, "string")},
    "BatchingParameters": {
        "max_batch_size": (1, "Int64Value"),
        "batch_timeout_micros": (2, "Int64Value"),
        "max_enqueued_batches": (3, "Int64Value"),
    },
    "Int64Value": {"value": (1, "int64")},
    # protobuf/model_config.proto of triton-inference-server/common, as tritonclient 2.73 has it
    "ModelConfig": {
        "name": (1, "string"),
        "backend": (17, "string"),
        "max_batch_size": (4, "int32"),
        "input": (5, "*ModelInput"),
        "output": (6, "*ModelOutput"),
        "dynamic_batching": (11, "ModelDynamicBatching"),
        "model_warmup": (16, "*ModelWarmup"),
    },
    "ModelInput": {"name": (1, "string"), "data_type": (2, "DataType"), "dims": (4, "*int64")},
    "ModelOutput": {
        "name": (1, "string"),
        "data_type": (2, "DataType"),
        "dims": (3, "*int64"),
        "label_filename": (4, "string"),
    },
    "ModelDynamicBatching": {"max_queue_delay_microseconds": (2, "uint64")},
    "ModelWarmup": {"name": (1, "string"), "batch_size": (2, "uint32"), "inputs": (3, "*WarmupEntry")},
    "WarmupEntry": {"key": (1, "string"), "value": (2, "WarmupInput")},
    "WarmupInput": {"data_type": (1, "DataType"), "dims": (2, "*int64"), "input_data_file": (5, "string")},
}
"""Fields by name: number and type, * for several. A map is on the wire what several entries of key and value are."""
TYPES = {"TYPE_INVALID": 0, "TYPE_UINT8": 2, "TYPE_FP32": 11}


def schema(name: str) -> Any:
    """The class of a message."""
    file = descriptor_pb2.FileDescriptorProto(name="schemas.proto", package="schemas", syntax="proto3")
    values = file.enum_type.add(name="DataType").value
    for one, number in TYPES.items():
        values.add(name=one, number=number)
    for message, fields in SCHEMAS.items():
        described = file.message_type.add(name=message)
        for field_name, (number, kind) in fields.items():
            plain = kind.removeprefix("*")
            entry = described.field.add(name=field_name, number=number, label=3 if kind != plain else 1)
            if plain in KINDS:
                entry.type = KINDS[plain]
            else:
                entry.type, entry.type_name = 14 if plain == "DataType" else 11, f".schemas.{plain}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"schemas.{name}"))


def parsed(path: Path, name: str) -> Any:
    return text_format.Parse(path.read_text(), schema(name)())


def predictor(labels: list[str] | None = LABELS) -> Predictor:
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Conv2D(3, 3, padding="same", activation="relu", kernel_initializer="he_normal")]
    if labels:
        layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(len(labels), activation="softmax")]
    app = "cats-vs-dogs" if labels else "super-resolution"
    details = {} if labels else {"scale": 1}
    prepared = [keras.layers.Rescaling(1 / 255)]
    network = keras.Sequential(layers)
    return Predictor(
        assembly.assemble(network, preparation=prepared, app=app, labels=labels, input=IMAGE, details=details)
    )


def folders(out: Path, model: Predictor, size: tuple[int, ...] | None) -> Path:
    examples = [np.random.default_rng(4).integers(0, 256, (30, 20, 3), dtype=np.uint8)]
    parity = export(model, ["saved-model", "onnx"], out, examples, size=size)
    assert not any("refused" in entry for entry in parity.values())
    for name in servers.SERVERS:
        servers.write(name, out, model, examples, size)
    return out


@pytest.fixture(scope="module")
def fixed(tmp_path_factory) -> tuple[Predictor, Path]:
    model = predictor()
    return model, folders(tmp_path_factory.mktemp("fixed"), model, SIZE)


@pytest.fixture(scope="module")
def free(tmp_path_factory) -> tuple[Predictor, Path]:
    model = predictor()
    return model, folders(tmp_path_factory.mktemp("free"), model, None)


def warmups(version: Path) -> list[tuple[str, str, dict[str, np.ndarray]]]:
    """The records that TensorFlow Serving replays: model, signature and arrays."""
    records = tf.data.TFRecordDataset(str(version / "assets.extra" / "tf_serving_warmup_requests"))
    found = []
    for record in records:
        log = schema("PredictionLog").FromString(record.numpy())
        assert log.SerializeToString(deterministic=True)
        request = log.predict_log.request
        arrays = {one.key: tf.make_ndarray(tensor_pb2.TensorProto.FromString(one.value)) for one in request.inputs}
        found.append((request.model_spec.name, request.model_spec.signature_name, arrays))
    return found


def test_tensorflow_serving_finds_the_model_and_its_first_requests(fixed):
    model, out = fixed
    folder = out / "tf-serving"
    [config] = parsed(folder / "models.config", "ModelServerConfig").model_config_list.config
    assert (config.name, config.model_platform) == ("cats-vs-dogs", "tensorflow")
    version = folder / Path(config.base_path).relative_to("/models") / "1"
    assert (version / "assets.extra" / "labels.txt").read_text().splitlines() == LABELS
    loaded = tf.saved_model.load(str(version))
    requests = warmups(version)
    assert [(name, entry) for name, entry, _ in requests] == [
        ("cats-vs-dogs", "serving_default"),
        ("cats-vs-dogs", "serving_default"),
        ("cats-vs-dogs", "serve_bytes"),
    ]
    assert [len(next(iter(arrays.values()))) for *_, arrays in requests] == [1, 8, 1]
    picture = requests[0][2]["image"]
    for _, entry, arrays in requests:
        given = {name: tf.constant(values) for name, values in arrays.items()}
        answer = loaded.signatures[entry](**given)
        scores = answer["scores" if entry == "serve_bytes" else "output_0"].numpy()
        np.testing.assert_allclose(scores, np.repeat(model(picture), len(scores), axis=0), atol=1e-5)


def test_tensorflow_serving_batches_where_all_requests_have_one_size(fixed, free):
    settings = parsed(fixed[1] / "tf-serving" / "batching.config", "BatchingParameters")
    assert settings.max_batch_size.value == 8
    assert settings.batch_timeout_micros.value == 5000
    assert "--enable_batching" in servers.SERVERS["tf-serving"].start(fixed[1] / "tf-serving")
    assert not (free[1] / "tf-serving" / "batching.config").exists()  # sizes that differ are an error of its batches
    assert "batching" not in servers.SERVERS["tf-serving"].start(free[1] / "tf-serving")
    assert len(warmups(free[1] / "tf-serving" / "cats-vs-dogs" / "1")) == 2


@pytest.mark.parametrize(("which", "sizes", "batches"), [("fixed", [24, 40, 3], [1, 8]), ("free", [-1, -1, 3], [1])])
def test_triton_is_told_what_the_file_takes_and_gives(request, which, sizes, batches):
    import onnxruntime

    model, out = request.getfixturevalue(which)
    folder = out / "triton" / "cats-vs-dogs"
    config = parsed(folder / "config.pbtxt", "ModelConfig")
    assert (config.name, config.backend, config.max_batch_size) == (folder.name, "onnxruntime", 8)
    assert config.HasField("dynamic_batching")
    [taken], [given] = config.input, config.output
    assert (taken.name, taken.data_type, list(taken.dims)) == ("image", TYPES["TYPE_UINT8"], sizes)
    assert (given.name, given.data_type, list(given.dims)) == ("output_0", TYPES["TYPE_FP32"], [2])
    assert (folder / given.label_filename).read_text().splitlines() == LABELS
    assert [one.batch_size for one in config.model_warmup] == batches
    session = onnxruntime.InferenceSession(folder / "1" / "model.onnx")
    for one in config.model_warmup:
        [entry] = one.inputs
        example = np.frombuffer((folder / "warmup" / entry.value.input_data_file).read_bytes(), np.uint8)
        batch = np.repeat(example.reshape(1, *entry.value.dims), one.batch_size, axis=0)
        np.testing.assert_allclose(session.run(None, {entry.key: batch})[0], model(batch), atol=1e-5)


def test_triton_is_told_of_pictures_without_labels(tmp_path):
    model = predictor(None)
    folders(tmp_path, model, SIZE)
    [given] = parsed(tmp_path / "triton" / "super-resolution" / "config.pbtxt", "ModelConfig").output
    assert (given.label_filename, len(given.dims), given.dims[-1]) == ("", 3, 3)
    assert not list(tmp_path.rglob("labels.txt"))


def test_kserve_serves_the_repository_and_its_request_is_answered(fixed):
    import onnxruntime

    model, out = fixed
    folder = out / "kserve"
    service = json.loads((folder / "inference-service.yaml").read_text())
    assert (service["apiVersion"], service["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    assert service["metadata"]["name"] == "cats-vs-dogs"  # a DNS label
    served = service["spec"]["predictor"]["model"]
    assert served["modelFormat"] == {"name": "triton"}
    assert (served["protocolVersion"], served["runtime"]) == ("v2", "kserve-tritonserver")
    repository = folder / "repository" / "cats-vs-dogs"
    same = out / "triton" / "cats-vs-dogs"
    files = [path.relative_to(same) for path in sorted(same.rglob("*")) if path.is_file()]
    assert all((repository / file).read_bytes() == (same / file).read_bytes() for file in files)
    [given] = json.loads((folder / "request.json").read_text())["inputs"]  # Open Inference Protocol, inference request
    assert given.keys() == {"name", "shape", "datatype", "data"}
    batch = np.array(given["data"], {"UINT8": np.uint8}[given["datatype"]]).reshape(given["shape"])
    session = onnxruntime.InferenceSession(repository / "1" / "model.onnx")
    np.testing.assert_allclose(session.run(None, {given["name"]: batch})[0], model(batch), atol=1e-5)


def test_an_older_folder_is_replaced_and_somebody_elses_is_not(tmp_path, fixed):
    model, out = fixed
    (out / "triton" / "left over").write_text("")
    servers.require_ours("triton", out)
    servers.write("triton", out, model, [np.zeros((9, 9, 3), np.uint8)], SIZE)
    assert not (out / "triton" / "left over").exists()
    (tmp_path / "triton").mkdir()
    servers.require_ours("triton", tmp_path)  # empty
    (tmp_path / "triton" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="was not exported for triton; give another --out"):
        servers.require_ours("triton", tmp_path)


def test_of_a_refused_export_there_is_no_folder(tmp_path, fixed):
    (tmp_path / "triton" / "mnist").mkdir(parents=True)
    (tmp_path / "triton" / "mnist" / "config.pbtxt").write_text("")
    servers.write("triton", tmp_path, fixed[0], [np.zeros((9, 9, 3), np.uint8)], SIZE)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_server_is_named():
    with pytest.raises(InputError, match="there is no server 'torchserve' to export for"):
        servers.formats_of(["torchserve"])


@pytest.mark.parametrize("length", [0, 1, 127, 128, 300, 70_000])
def test_fields_are_what_protocol_buffers_read(length):
    entry = schema("TensorEntry").FromString(field(2, b"x" * length))
    assert entry.value == b"x" * length
