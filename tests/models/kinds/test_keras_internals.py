"""What is used of the private parts of Keras and TensorFlow still does what is relied on, each tried on a tiny model.

Where a version changes one of them, the failing test names the version and the function to mend.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata

import keras
import numpy as np
import pytest
from keras import layers, ops

from convmedia.models import keras_internals

TRIED = set()  # every function and class that a test below relies on
needs_tensorflow = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="it concerns TensorFlow alone")


@contextmanager
def relied_on(name: str) -> Iterator[None]:
    """Fail with the name of the function and the versions installed, whatever it was that did not hold."""
    try:
        yield
    except Exception as error:
        versions = ", ".join(f"{package} {metadata.version(package)}" for package in ("keras", "tensorflow"))
        raise AssertionError(f"models.keras_internals.{name} does not hold with {versions}: {error!r}") from error


def trying(name: str):
    """The part of the module that a test tries, by its name; its failures are told as `relied_on` tells them."""
    TRIED.add(name)

    def decorated(test):
        def test_with_versions(**fixtures):
            with relied_on(name):
                test(getattr(keras_internals, name), **fixtures)

        test_with_versions.__signature__ = inspect.Signature(list(inspect.signature(test).parameters.values())[1:])
        return test_with_versions

    return decorated


def nested() -> keras.Model:
    """A functional model with a model, a wrapper and an operation without layer in it; `twice` is called two times."""
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="first"), layers.Dropout(0.5, name="drop")])
    inner.name = "inner"
    twice = layers.TimeDistributed(layers.Dense(3, name="wrapped"), name="twice")
    inputs = keras.Input((5, 3))
    x = twice(twice(inputs))
    pooled = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(inputs, inner(layers.Dense(4, name="widen")(pooled)) * 2.0, name="outer")


@trying("flattened_layers")
def test_layers_are_found_at_any_depth(flattened_layers):
    names = [layer.name for layer in flattened_layers(nested())]
    assert names[0] == "outer"
    assert {"twice", "wrapped", "pool", "widen", "inner", "first", "drop"} <= set(names)
    assert len(names) == len(set(names))


@trying("direct_layers")
def test_layers_that_a_model_or_a_wrapper_holds_itself(direct_layers):
    model = nested()
    assert [layer.name for layer in direct_layers(model)][1:] == ["twice", "pool", "widen", "inner"]
    assert [layer.name for layer in direct_layers(model.get_layer("twice"))] == ["wrapped"]


@trying("calls")
def test_calls_lead_from_the_input_to_the_output(calls):
    model = nested()
    found = calls(model)
    assert [call.operation.name for call in found][:-1] == ["twice", "twice", "pool", "widen", "inner"]
    assert found[0].input_tensors[0] is model.inputs[0]
    assert found[1].input_tensors[0] is found[0].output_tensors[0]
    assert found[-1].output_tensors[0] is model.outputs[0]


@trying("calls")
def test_calls_of_a_sequential_model(calls):
    inner = nested().get_layer("inner")
    found = calls(inner)
    assert [call.operation for call in found] == inner.layers
    assert found[0].input_tensors[0] is inner.inputs[0]
    assert found[-1].output_tensors[0] is inner.outputs[0]


@trying("watched_inputs")
def test_inputs_are_seen_within_the_block_only(watched_inputs):
    model, seen = nested(), []
    batch = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    before = ops.convert_to_numpy(model(batch, training=False))
    dense = model.get_layer("inner").get_layer("first")
    with watched_inputs([dense], lambda layer, inputs: seen.append((layer, ops.convert_to_numpy(inputs)))):
        within = ops.convert_to_numpy(model(batch, training=False))
    after = ops.convert_to_numpy(model(batch, training=False))
    [(layer, inputs)] = seen
    assert (layer is dense, inputs.shape) == (True, (2, 4))
    np.testing.assert_allclose(2.0 * (inputs @ dense.get_weights()[0] + dense.get_weights()[1]), before, atol=1e-6)
    assert np.array_equal(before, within)
    assert np.array_equal(before, after)


@trying("variable_index")
def test_an_optimizer_knows_the_place_of_what_it_updates(variable_index):
    seen = []

    class Watching(keras.optimizers.SGD):
        def update_step(self, gradient, variable, learning_rate):
            seen.append((variable_index(self, variable), tuple(variable.shape)))
            super().update_step(gradient, variable, learning_rate)

    variables = [keras.Variable(np.zeros(shape, "float32")) for shape in ((2,), (3, 4), (5,))]
    optimizer = Watching(1.0)
    optimizer.build(variables)
    optimizer.apply([ops.ones(variable.shape) for variable in variables])
    assert seen == [(0, (2,)), (1, (3, 4)), (2, (5,))]
    assert all(float(ops.max(variable)) == -1.0 for variable in variables)


@trying("MatrixMuon")
def test_muon_updates_a_kernel_as_the_matrix_that_it_is_given(MatrixMuon):
    class Kernels(MatrixMuon):
        def updates(self, variable):
            return len(variable.shape) == 4

        def matrix_shape(self, variable):
            return -1, variable.shape[-1]

    rng = np.random.default_rng(3)
    gradients = [rng.normal(size=shape).astype("float32") for shape in ((3, 3, 2, 8), (8,))]
    kernel, bias = (keras.Variable(np.zeros(gradient.shape, "float32")) for gradient in gradients)
    optimizer = Kernels(1.0, weight_decay=None, adam_weight_decay=None)
    optimizer.build([kernel, bias])
    optimizer.apply([ops.convert_to_tensor(gradient) for gradient in gradients], [kernel, bias])
    step = ops.convert_to_numpy(kernel).reshape(18, 8)
    left, _, right = np.linalg.svd(gradients[0].reshape(18, 8), full_matrices=False)
    along = np.sum(step * (left @ right)) / np.linalg.norm(step) / np.linalg.norm(left @ right)
    assert along < -0.97  # opposite to the nearest orthogonal matrix
    rate = float(np.abs(ops.convert_to_numpy(bias)).mean())
    np.testing.assert_allclose(ops.convert_to_numpy(bias), -rate * np.sign(gradients[1]), rtol=1e-3)  # Adam's first


@trying("process_index")
def test_the_only_process_is_the_first(process_index):
    device = keras.distribution.DeviceMesh((1,), ["batch"], ["cpu:0"])
    assert process_index(keras.distribution.DataParallel(device_mesh=device, auto_shard_dataset=False)) == 0


@trying("lay_out")
def test_a_variable_keeps_its_value_where_it_is_laid_out_anew(lay_out):
    variable = keras.Variable(np.arange(3.0, dtype="float32"))
    lay_out(variable, None)
    assert ops.convert_to_numpy(variable).tolist() == [0.0, 1.0, 2.0]
    assert "_layout" in vars(variable)  # what the constructor sets, and `assign` reads on JAX


@needs_tensorflow
@trying("saved_model_graphs")
def test_operators_of_a_saved_model(saved_model_graphs, tmp_path):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    model.export(tmp_path / "saved", format="tf_saved_model", verbose=False)
    [graph] = saved_model_graphs((tmp_path / "saved" / "saved_model.pb").read_bytes())
    assert "MatMul" in {node.op for function in graph.library.function for node in function.node_def}


@needs_tensorflow
@trying("saved_model_inputs")
def test_what_a_saved_model_takes(saved_model_inputs, tmp_path):
    model = keras.Sequential([keras.Input((3,), name="levels"), layers.Dense(2)])
    model.export(tmp_path / "saved", format="tf_saved_model", verbose=False)
    [(name, dtype, shape)] = saved_model_inputs((tmp_path / "saved" / "saved_model.pb").read_bytes())
    assert (name, dtype, shape) == ("levels", np.float32, [-1, 3])


@needs_tensorflow
@trying("converter_error")
def test_the_error_of_an_operation_that_litert_has_not(converter_error):
    import tensorflow as tf

    function = tf.function(tf.strings.to_number, input_signature=[tf.TensorSpec([2], tf.string)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    with pytest.raises(converter_error(), match=r"'tf\.StringToNumber' op is neither"):
        converter.convert()


@needs_tensorflow
@trying("quantized_litert")
def test_litert_is_quantised_but_for_what_is_left_out(quantized_litert):
    import tensorflow as tf

    from convmedia.models.formats import flatbuffer

    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    kernel = tf.constant(np.random.default_rng(1).normal(size=(8, 8)).astype("float32"))
    function = tf.function(lambda x: tf.matmul(x, kernel), input_signature=[tf.TensorSpec([1, 8], tf.float32)])
    content = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()]).convert()
    model = flatbuffer.read(content)
    [graph] = model.subgraphs
    for tensor in graph.tensors:
        if tensor.type == schema.TensorType.FLOAT32 and flatbuffer.constant(model, tensor) is None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.min, tensor.quantization.max = [-1.0], [1.0]
    name = graph.tensors[graph.outputs[0]].name.decode()

    def int8(left_out):
        [quantised] = flatbuffer.read(quantized_litert(flatbuffer.packed(model), left_out)).subgraphs
        return any(tensor.type == schema.TensorType.INT8 for tensor in quantised.tensors)

    assert (int8([]), int8([name])) == (True, False)


@trying("variables_within")
def test_variables_of_more_bytes_are_not_made(variables_within):
    with variables_within(4 * (6 + 2)):
        keras.layers.Dense(2).build((None, 3))
    with pytest.raises(MemoryError, match="31 bytes"), variables_within(31):
        keras.layers.Dense(2).build((None, 3))
    keras.layers.Dense(2).build((None, 3))


def test_every_private_part_is_tried():
    parts = {
        name for name, part in vars(keras_internals).items() if getattr(part, "__module__", "").endswith("internals")
    }
    assert parts == TRIED


def test_a_failure_names_the_function_and_the_versions():
    version = metadata.version("keras")
    told = rf"keras_internals\.calls does not hold with keras {version}, tensorflow .*no_such_part"
    with pytest.raises(AssertionError, match=told), relied_on("calls"):
        getattr(keras.Sequential(), "no_such_part")  # noqa: B009 - an attribute that is gone
