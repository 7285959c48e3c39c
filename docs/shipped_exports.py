"""Make the files beside the shipped weights that answer where TensorFlow is not loaded: of the runtime that suits, and
ONNX, which answers in browsers.

python docs/shipped_exports.py             # writes models/weights/*.tflite, *.onnx and parity.json
python docs/shipped_exports.py mnist       # those of one file of weights

Each is exported and proved as `convmedia APPLICATION export` does. Then its pictures go in as float32, not uint8, so
that it takes those of 16 bits, too, and it is compared with Keras on such. The ONNX file takes its numbers from the
files beside it. To be run again after a change of the weights or of a layer in them.
"""

import hashlib
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from convmedia.apps.api.tasks import task_of
from convmedia.models import shipped
from convmedia.models.export.exporter import export
from convmedia.models.formats import flatbuffer, onnx_external
from convmedia.models.inference.exported import ExportedPredictor
from convmedia.models.inference.predictor import Predictor
from convmedia.models.inference.sessions import FILES
from convmedia.models.saving.archive import Archive
from convmedia.models.saving.engines import PARITY_FILE, preferred
from convmedia.models.saving.places import WEIGHTS

KEPT = ("max_abs_diff", "same_top1", "same_top1_examples", "bytes", "model_sha256")


def onnx_taking_float32(content: bytes) -> bytes:
    """An ONNX file whose pictures go in as float32; the step that turned them into that has nothing to do.

    Raises:
        ValueError: something else than that step takes the uint8 pictures.
    """
    import onnx

    model = onnx.load_from_string(content)
    for given in model.graph.input:
        if given.type.tensor_type.elem_type == onnx.TensorProto.UINT8:
            given.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
            if other := {node.op_type for node in model.graph.node if given.name in node.input} - {"Cast", "Shape"}:
                raise ValueError(f"{', '.join(other)} takes uint8 pictures")
    onnx.checker.check_model(model)
    return model.SerializeToString()


def litert_taking_float32(content: bytes) -> bytes:
    """A LiteRT file whose pictures go in as float32, without the step that turned them into that.

    Raises:
        ValueError: something else than that step takes the uint8 pictures.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = flatbuffer.read(content)
    kinds, graph = flatbuffer.kinds(model), model.subgraphs[0]
    places = [place for place in graph.inputs if graph.tensors[place].type == schema.TensorType.UINT8]
    for place in places:
        graph.tensors[place].type = schema.TensorType.FLOAT32
        taking = [one for one in graph.operators if place in one.inputs]
        casts = [one for one in taking if kinds[one.opcodeIndex] == "CAST"]
        if other := {kinds[one.opcodeIndex] for one in taking} - {"CAST", "SHAPE"}:
            raise ValueError(f"{', '.join(other)} takes uint8 pictures")
        made = {int(one.outputs[0]) for one in casts}
        graph.operators = [one for one in graph.operators if one not in casts]
        for one in graph.operators:
            one.inputs = [place if one_input in made else one_input for one_input in one.inputs]
    return flatbuffer.packed(model)


TAKING_FLOAT32 = {"litert": litert_taking_float32, "onnx": onnx_taking_float32}


def difference(predictor, exported) -> float:
    """The largest difference from Keras, in fractions of the kind's scale, on pictures of other than whole numbers."""
    rng = np.random.default_rng(0)
    sizes = [(28, 28), (61, 83), (200, 150)] if predictor.input["kind"] == "image" else [(8000,), (21_000,)]
    apart = []
    for size in sizes:
        whole = predictor.input["kind"] == "image"
        raw = rng.uniform(0, 255, (1, *size, 3)) if whole else rng.normal(0, 0.1, (1, *size))
        others = [rng.uniform(0, 1, (1, values)) for values in predictor.beside]
        given = [array.astype("float32") for array in (raw, *others)]
        apart.append(predictor.kind.difference(exported.outputs(*given), predictor.outputs(*given)))
    return max(apart)


def made(predictor: Predictor, weights: Path, runtime: str) -> dict:
    """Write the file of a runtime beside weights; what is recorded of it."""
    task = task_of(predictor.app)
    examples = task.examples(predictor, None, False)
    with tempfile.TemporaryDirectory() as folder:
        entry = export(predictor, [runtime], folder, examples, tolerance=task.tolerance)[runtime]
        if "refused" in entry:
            raise SystemExit(f"{weights.name}: {entry['refused']}")
        content = TAKING_FLOAT32[runtime]((Path(folder) / FILES[runtime]).read_bytes())
    file = weights.with_suffix(Path(FILES[runtime]).suffix)
    if runtime == "onnx":
        others = (weights.with_suffix(Path(FILES["litert"]).suffix), weights)
        content = onnx_external.shared(content, [other for other in others if other.exists()])
    file.write_bytes(content)
    apart = difference(predictor, ExportedPredictor(Archive(weights), runtime, file))
    if apart > (task.tolerance or predictor.kind.tolerance):
        raise SystemExit(f"{weights.name}: with float32 pictures it answers {apart:.1e} apart from Keras")
    kept = {name: entry[name] for name in KEPT if entry.get(name) is not None}
    digest = hashlib.sha256(content).hexdigest()
    return {**kept, "bytes": len(content), "max_abs_diff_float32": apart, "sha256": digest}


def main(names: list[str]) -> None:
    chosen = [WEIGHTS / f"{name}.keras" for name in names] or sorted(WEIGHTS.glob("*.keras"))
    record = WEIGHTS / PARITY_FILE
    parity = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    for weights in chosen:
        predictor = shipped(weights.stem)
        for runtime in dict.fromkeys((preferred(predictor.kind.name)[0], "onnx")):
            entry = made(predictor, weights, runtime)
            parity[f"{weights.stem}/{runtime}"] = entry
            print(weights.stem, runtime, json.dumps(entry), flush=True)
        record.write_text(json.dumps(dict(sorted(parity.items())), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
