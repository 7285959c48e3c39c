"""Make the LiteRT files beside the shipped weights, which answer where TensorFlow is not loaded.

python docs/shipped_exports.py             # writes models/weights/*.tflite and parity.json
python docs/shipped_exports.py mnist       # those of one file of weights

Each is exported and proved as `convmedia APPLICATION export --format litert` does. Then its pictures go in as float32
in place of uint8, so that it takes those of 16 bits, too, and it is compared with Keras on such. To be run again after
a change of the weights or of a layer in them.
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
from convmedia.models.formats import flatbuffer
from convmedia.models.inference.exported import ExportedPredictor
from convmedia.models.saving.archive import Archive
from convmedia.models.saving.engines import PARITY_FILE
from convmedia.models.saving.places import WEIGHTS

KEPT = ("max_abs_diff", "same_top1", "same_top1_examples", "bytes", "model_sha256")


def taking_float32(content: bytes) -> bytes:
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


def made(weights: Path) -> dict:
    """Write the LiteRT file beside weights; what is recorded of it."""
    predictor = shipped(weights.stem)
    task = task_of(predictor.app)
    examples = task.examples(predictor, None, False)
    with tempfile.TemporaryDirectory() as folder:
        entry = export(predictor, ["litert"], folder, examples, tolerance=task.tolerance)["litert"]
        if "refused" in entry:
            raise SystemExit(f"{weights.name}: {entry['refused']}")
        content = taking_float32((Path(folder) / "model.tflite").read_bytes())
    file = weights.with_suffix(".tflite")
    file.write_bytes(content)
    apart = difference(predictor, ExportedPredictor(Archive(weights), "litert", file))
    if apart > (task.tolerance or predictor.kind.tolerance):
        raise SystemExit(f"{weights.name}: with float32 pictures it answers {apart:.1e} apart from Keras")
    kept = {name: entry[name] for name in KEPT if entry.get(name) is not None}
    return {**kept, "bytes": len(content), "max_abs_diff_float32": apart, "sha256": hashlib.sha256(content).hexdigest()}


def main(names: list[str]) -> None:
    chosen = [WEIGHTS / f"{name}.keras" for name in names] or sorted(WEIGHTS.glob("*.keras"))
    record = WEIGHTS / PARITY_FILE
    parity = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    for weights in chosen:
        entry = parity[f"{weights.stem}/litert"] = made(weights)
        print(weights.stem, json.dumps(entry), flush=True)
        record.write_text(json.dumps(dict(sorted(parity.items())), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
