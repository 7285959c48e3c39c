"""NVIDIA Triton: a model repository, with settings as text beside numbered versions.

Names: triton-inference-server/common, protobuf/model_config.proto.
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from convmedia.models.export.probes import EIGHT
from convmedia.models.servers.protocol_text import Name, text
from convmedia.models.servers.served import Served, write_labels

WAIT_MICROSECONDS = 5000  # that a request may wait for others
TYPES = {"uint8": "UINT8", "float32": "FP32"}
LABELS = "labels.txt"


def start(folder: Path) -> str:
    """The command that serves a repository."""
    image = "nvcr.io/nvidia/tritonserver:RELEASE-py3"
    mounted = f'docker run -p 8000:8000 -v "{folder.absolute()}:/models" {image}'
    return f"{mounted} tritonserver --model-repository=/models"


def write(folder: Path, served: Served) -> None:
    """Write `MODEL/config.pbtxt`, `MODEL/1/model.onnx`, labels, and the arrays of a first request."""
    model = folder / served.name
    (model / "1").mkdir(parents=True)
    shutil.copyfile(served.file, model / "1" / "model.onnx")
    if served.labels is not None:
        write_labels(model / LABELS, served.labels)
    (model / "warmup").mkdir()
    for name, values in served.request.items():
        (model / "warmup" / name).write_bytes(np.ascontiguousarray(values).tobytes())
    (model / "config.pbtxt").write_text(text(config(served)), encoding="utf-8")


def config(served: Served) -> dict[str, Any]:
    """A `ModelConfig`. Triton puts requests of equal sizes into one batch, of other sizes one after the other."""
    taken, given = sizes(served.file)
    outputs = [{"name": name, "data_type": Name("TYPE_FP32"), "dims": dims} for name, dims in given.items()]
    if served.labels is not None:
        outputs[0]["label_filename"] = LABELS
    return {
        "name": served.name,
        "backend": "onnxruntime",
        "max_batch_size": EIGHT,
        "input": [_input(name, served.request[name].dtype, dims) for name, dims in taken.items()],
        "output": outputs,
        "dynamic_batching": {"max_queue_delay_microseconds": WAIT_MICROSECONDS},
        "model_warmup": [
            {"name": "an example", "batch_size": number, "inputs": [_warm(*one) for one in served.request.items()]}
            for number in dict.fromkeys((1, served.many or 1))
        ],
    }


def _input(name: str, dtype: np.dtype, dims: list[int]) -> dict[str, Any]:
    return {"name": name, "data_type": Name(f"TYPE_{TYPES[dtype.name]}"), "dims": dims}


def _warm(name: str, values: np.ndarray) -> dict[str, Any]:
    """An entry of the map `inputs`; the server repeats the example for each of a batch."""
    kind = Name(f"TYPE_{TYPES[values.dtype.name]}")
    return {"key": name, "value": {"data_type": kind, "dims": list(values.shape[1:]), "input_data_file": name}}


def sizes(file: Path) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """What an ONNX file takes and gives: sizes by name, without the batch, -1 for free ones."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])

    def listed(entries: Any) -> dict[str, list[int]]:
        return {one.name: [size if isinstance(size, int) else -1 for size in one.shape[1:]] for one in entries}

    return listed(session.get_inputs()), listed(session.get_outputs())
