"""Looking into ONNX files without the `onnx` package, compared with that package."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from convmedia.models.formats import onnx_bytes


def model() -> onnx.ModelProto:
    """Relu(Conv(2 x)), with one weight large enough that its length takes several bytes."""
    kernel = np.arange(500 * 3, dtype="float32").reshape(500, 3, 1, 1)
    nodes = [
        helper.make_node("Add", ["x", "x"], ["twice"]),
        helper.make_node("Conv", ["twice", "kernel"], ["maps"]),
        helper.make_node("Relu", ["maps"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, None, None])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 500, None, None])],
        [onnx.numpy_helper.from_array(kernel, "kernel")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    return made


def test_the_first_input_of_an_operator_is_found():
    content = model().SerializeToString()
    assert onnx_bytes.first_input(content, "Conv") == "twice"
    assert onnx_bytes.first_input(content, "Relu") == "maps"
    assert onnx_bytes.first_input(content, "Gemm") is None
    assert onnx_bytes.number_of_nodes(content) == 3


def test_an_output_more_is_given_and_the_others_stay():
    content = onnx_bytes.with_output(model().SerializeToString(), "twice")
    assert [one.name for one in onnx.load_from_string(content).graph.output] == ["y", "twice"]
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).normal(size=(1, 3, 4, 5)).astype("float32")
    before = onnxruntime.InferenceSession(model().SerializeToString(), providers=["CPUExecutionProvider"])
    y, twice = session.run(None, {"x": x})
    np.testing.assert_array_equal(twice, 2 * x)
    np.testing.assert_array_equal(y, before.run(None, {"x": x})[0])


@pytest.mark.parametrize("cut", [1, 50, 5000])
def test_a_cut_file_is_refused(cut):
    with pytest.raises(ValueError, match="beyond the message"):
        onnx_bytes.first_input(model().SerializeToString()[:-cut], "Gemm")
