"""ONNX files whose numbers stand in a file beside them."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from convmedia.models.formats import onnx_external
from convmedia.models.saving.places import WEIGHTS

KERNEL = np.random.default_rng(0).normal(size=(8, 3, 5, 5)).astype("float32")  # OIHW
BIAS = np.arange(512, dtype="float32")


def written(name: str = "x") -> bytes:
    """A convolution, its mean, and a sum with a long vector."""
    nodes = [
        helper.make_node("Conv", [name, "kernel"], ["maps"]),
        helper.make_node("ReduceMean", ["maps"], ["mean"], keepdims=1),
        helper.make_node("Add", ["mean", "bias"], ["sums"]),
    ]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 9, 9])]
    outputs = [helper.make_tensor_value_info("sums", TensorProto.FLOAT, [1, 1, 1, 512])]
    constants = [numpy_helper.from_array(KERNEL, "kernel"), numpy_helper.from_array(BIAS, "bias")]
    graph = helper.make_graph(nodes, "by hand", inputs, outputs, constants)
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString()


def answer(file: Path) -> np.ndarray:
    """What ONNX Runtime says of a fixed picture."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.linspace(0, 1, 243, dtype="float32").reshape(1, 3, 9, 9)})[0]


@pytest.fixture
def folder(tmp_path):
    """Numbers behind five other bytes: the kernel as Keras orders it, HWIO, and the vector; and the file by itself."""
    numbers = KERNEL.transpose(2, 3, 1, 0).tobytes()
    (tmp_path / "numbers").write_bytes(b"front" + numbers + b"end" + BIAS.tobytes())
    (tmp_path / "whole.onnx").write_bytes(written())
    (tmp_path / "shared.onnx").write_bytes(onnx_external.shared(written(), [tmp_path / "numbers"]))
    return tmp_path


def test_a_file_takes_its_numbers_from_another_and_answers_the_same(folder):
    assert (folder / "shared.onnx").stat().st_size < 1000 < KERNEL.nbytes + BIAS.nbytes
    onnx.checker.check_model(str(folder / "shared.onnx"), full_check=True)
    np.testing.assert_array_equal(answer(folder / "shared.onnx"), answer(folder / "whole.onnx"))


def test_numbers_that_do_not_stand_there_stay_inside(folder):
    (folder / "other").write_bytes(bytes(10_000))
    assert onnx_external.shared(written(), [folder / "other"]) == written()


def test_numbers_that_are_used_where_they_stand_are_aligned(folder):
    """At an odd byte processors may not compute with them; those that are turned round are copied."""
    (folder / "odd").write_bytes(b"." + BIAS.tobytes())
    assert onnx_external.shared(written(), [folder / "odd"]) == written()
    (folder / "even").write_bytes(b"...." + BIAS.tobytes())
    assert len(onnx_external.shared(written(), [folder / "even"])) < len(written())


def test_the_whole_file_answers_far_from_the_other(folder, tmp_path_factory):
    alone = tmp_path_factory.mktemp("alone") / "model.onnx"
    alone.write_bytes(onnx_external.whole(folder / "shared.onnx"))
    onnx.checker.check_model(str(alone), full_check=True)
    assert not any(tensor.external_data for tensor in onnx.load(alone).graph.initializer)
    np.testing.assert_array_equal(answer(alone), answer(folder / "whole.onnx"))


def test_a_file_that_holds_all_is_given_as_it_is(folder):
    assert onnx_external.whole(folder / "whole.onnx") == written()


@pytest.mark.parametrize("place", ["../numbers", "/etc/passwd", "below/numbers"])
def test_numbers_from_outside_the_folder_are_refused(folder, place):
    model = onnx.load(folder / "shared.onnx", load_external_data=False)
    model.graph.initializer[0].external_data[0].value = place
    (folder / "shared.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match="outside its folder"):
        onnx_external.whole(folder / "shared.onnx")


def test_a_file_that_was_cut_is_named(folder):
    (folder / "numbers").write_bytes((folder / "numbers").read_bytes()[:100])
    with pytest.raises(ValueError, match="numbers ends before"):
        onnx_external.whole(folder / "shared.onnx")


@pytest.mark.parametrize("file", sorted(WEIGHTS.glob("*.onnx")), ids=lambda file: file.name)
def test_shipped_files_hold_no_number_twice(file):
    """Of a kilobyte or more, but tables that the exporter alone makes."""
    model = onnx.load(file, load_external_data=False)
    inside = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    assert inside < 30_000
    assert {entry.value for tensor in model.graph.initializer for entry in tensor.external_data[:1]} <= {
        file.with_suffix(".keras").name,
        file.with_suffix(".tflite").name,
    }
