"""What a classifier looked at: the picture its network sees, its filters and maps, and Grad-CAM.

Works on a file as `models.saving` joins it (preparation, inner network, answer), on one loaded from disk, and on a
bare network. Everything here is read only: no weight and no layer of the model is changed.
"""

from collections.abc import Callable, Iterator

import keras
import numpy as np
from keras import ops

from convmedia.data.storage.errors import InputError
from convmedia.models.answer import Answer
from convmedia.models.keras_internals import calls
from convmedia.models.networks.abstaining import Abstain

CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.Conv2DTranspose,
)
POOLING = (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)
ACTIVATING = (  # part of the convolution before it, to someone who looks at its maps
    keras.layers.BatchNormalization,
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ELU,
)
GLOBAL_POOLING = (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)
SQUASHING = ("softmax", "sigmoid", "log_softmax")


def prepared(model: keras.Model, picture: np.ndarray) -> np.ndarray:
    """What the inner network of `model` sees when the model is given `picture`.

    Args:
        model: a saved file's model, or a bare network (it sees the picture itself).
        picture: (height, width, channels), uint8 or float, 0..255; for a sound (samples,), -1..1.

    Returns:
        (h, w, c) float32 in the network's own range. Of a sound of several windows: the first.
    """
    return ops.convert_to_numpy(_seen(model, picture))[0]


def activations(model: keras.Model, picture: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """The maps of every convolution and pooling layer for one picture, from the input to the answer.

    Args:
        model, picture: as in `prepared`.

    Returns:
        (layer name, maps) pairs; maps are (h, w, c) float32, after the activation function, also where that (or a
        batch normalisation) follows as a layer of its own. Layers of a network inside the network (a backbone) are
        named `backbone/layer`.
    """
    network, _ = inner_network(model)
    return list(_maps(network, _seen(model, picture)))


def has_filters(layer: keras.Layer) -> bool:
    """Whether a network or saved model holds a 2-D convolution."""
    return next(_convolutions(layer), None) is not None


def filters(layer: keras.Layer) -> np.ndarray:
    """The kernels of a convolution, or of the first one in a network or saved model.

    Returns:
        (n, kernel height, kernel width, input channels) float32: one filter per output channel.

    Raises:
        InputError: there is no 2-D convolution.
    """
    convolution = next(_convolutions(layer), None)
    if convolution is None:
        raise InputError(f"filters are drawn of a 2-D convolution; received {layer.name!r}, which holds none")
    return ops.convert_to_numpy(ops.transpose(convolution.kernel, (3, 0, 1, 2))).astype("float32")


def grad_cam(model: keras.Model, picture: np.ndarray, label_index: int | None = None) -> tuple[np.ndarray, float]:
    """Where the evidence for a label lies: Grad-CAM (Selvaraju et al. 2017, section 3).

    The maps are those of the last layer that still has positions: its output is 4-D with more than one position,
    and it is neither pooling nor what follows pooling. The score is the label's logit, as in the paper, reached by
    taking the softmax or sigmoid off the network's last layer; of a file that answers a number, that: the heat is what
    makes it greater. The probability would not do: where a network is
    certain it rounds to 1 in float32 and its gradient to 0. A last layer that is neither is taken as it answers;
    the logarithm of a probability would give the same picture, its gradient differs by a positive factor only.

    Args:
        model, picture: as in `prepared`; the model answers (1, labels).
        label_index: the label to explain; None takes the most probable.

    Returns:
        The heat, (H, W) float32 in 0..1 at the size of the prepared picture, its largest value 1 (all zeros where
        nothing speaks for the label), and the probability that the model gives the label.

    Raises:
        InputError: no such label, a network without convolution maps, or a model whose answer is of another kind.
    """
    last = model.layers[-1]
    if isinstance(last, Answer) and not last.kind.explained:
        raise InputError(f"Grad-CAM says what speaks for a label; the model answers with a {last.kind.name}")
    answer = ops.convert_to_numpy(_run(model.inputs[0], model.outputs[0], _batch(picture)))[0]
    label = int(answer.argmax()) if label_index is None else label_index
    if not 0 <= label < len(answer):
        raise InputError(f"label_index must be from 0 to {len(answer) - 1}; received {label_index}")
    network, _ = inner_network(model)
    seen = _seen(model, picture)
    one_number = isinstance(last, Answer) and len(answer) == 1
    heat = _heat(network, seen, _scorer(network, 1 if one_number else label, seen))
    return heat, float(answer[label])


def inner_network(model: keras.Model) -> tuple[keras.Model, keras.KerasTensor]:
    """The inner network and the symbolic tensor that enters it; of a bare network itself and its input.

    What follows the inner network has no weights; a backbone is followed by a head that has some.
    """
    last = next((call for call in reversed(calls(model)) if getattr(call.operation, "weights", [])), None)
    if last is None or not isinstance(last.operation, keras.Model) or len(last.operation.outputs[0].shape) != 2:
        return model, model.inputs[0]
    return last.operation, last.input_tensors[0]


def _batch(picture: np.ndarray):
    return ops.convert_to_tensor(np.asarray(picture, "float32")[None])


def _run(entering: keras.KerasTensor, leaving, batch):
    """The values of the symbolic tensors `leaving` when `batch` enters."""
    return keras.Model(entering, leaving)(batch, training=False)


def _seen(model: keras.Model, picture: np.ndarray):
    return _run(model.inputs[0], inner_network(model)[1], _batch(picture))[:1]


def _maps(network: keras.Model, batch, prefix: str = "") -> Iterator[tuple[str, np.ndarray]]:
    nested = [call for call in calls(network) if isinstance(call.operation, keras.Model)]
    shown = [call for call in calls(network) if isinstance(call.operation, CONVOLUTIONS + POOLING)]
    wanted = {call: _activated(network, call) for call in shown} | {call: call.input_tensors[0] for call in nested}
    values = _run(network.inputs[0], list(wanted.values()), batch) if wanted else []
    tensors = dict(zip(wanted, keras.tree.flatten(values), strict=True))  # Keras takes a list of one apart
    for call in calls(network):
        name = prefix + call.operation.name
        if call in nested:
            yield from _maps(call.operation, tensors[call], f"{name}/")
        elif call in shown:
            yield name, ops.convert_to_numpy(tensors[call])[0].astype("float32")


def _activated(network: keras.Model, call) -> keras.KerasTensor:
    """The symbolic maps of a convolution after the activation layers that directly follow it."""
    maps = call.output_tensors[0]
    while True:
        readers = [other for other in calls(network) if any(tensor is maps for tensor in other.input_tensors)]
        if len(readers) != 1 or not isinstance(readers[0].operation, ACTIVATING):
            return maps
        maps = readers[0].output_tensors[0]


def _convolutions(layer: keras.Layer) -> Iterator[keras.layers.Conv2D]:
    if isinstance(layer, keras.layers.Conv2D):
        yield layer
    for inner in getattr(layer, "layers", []):
        yield from _convolutions(inner)


def _last_maps(network: keras.Model):
    """The symbolic output of the last layer with positions. Dropout and pooling that follow it are passed over."""
    skipped = (*POOLING, *GLOBAL_POOLING, keras.layers.Dropout, keras.layers.SpatialDropout2D, keras.layers.Reshape)
    for call in reversed(calls(network)):
        maps = call.output_tensors[0]
        if len(maps.shape) == 4 and maps.shape[1:3] != (1, 1) and not isinstance(call.operation, skipped):
            return maps
    raise InputError(f"Grad-CAM needs a network with 2-D convolutions; received {network.name!r}, which has no maps")


def _logits(network: keras.Model):
    """The symbolic logits of a network's answer, a closing softmax or sigmoid taken off; of one that may abstain those
    of its labels and then the one of "none of these"."""
    last = _making(network, network.outputs[0])
    if not isinstance(last.operation, Abstain):
        return _logit(last)
    labels, none = (_logit(_making(network, tensor)) for tensor in last.input_tensors)
    if labels.shape[-1] == 1:
        labels = ops.concatenate([-labels, labels], -1)
    return ops.concatenate([labels, none], -1)


def _making(network: keras.Model, tensor):
    """The call that gives a symbolic tensor of a network."""
    return next(call for call in reversed(calls(network)) if call.output_tensors[0] is tensor)


def _logit(last):
    """What a call gives without its softmax or sigmoid."""
    layer, entering = last.operation, last.input_tensors[0]
    if isinstance(layer, keras.layers.Softmax):
        return entering
    activation = getattr(layer, "activation", None)
    if getattr(activation, "__name__", "") not in SQUASHING:
        return last.output_tensors[0]
    linear = type(layer).from_config({**layer.get_config(), "activation": "linear"})
    logits = linear(entering)
    linear.set_weights(layer.get_weights())
    return logits


def _scorer(network: keras.Model, label: int, batch) -> Callable:
    """Maps -> the label's logit. One sigmoid unit is the logit of label 1 and, negated, of label 0."""
    # The network's input beside the maps: of a sound it holds the mask that what follows them looks at.
    tail = keras.Model([_last_maps(network), network.inputs[0]], _logits(network))
    if tail.output_shape[-1] == 1:
        sign = 1.0 if label == 1 else -1.0
        return lambda maps: sign * ops.sum(tail([maps, batch], training=False))
    return lambda maps: ops.sum(tail([maps, batch], training=False)[..., label])


def _heat(network: keras.Model, batch, score: Callable) -> np.ndarray:
    maps = _run(network.inputs[0], _last_maps(network), batch)
    weights = ops.mean(_gradient(score, maps), axis=(1, 2), keepdims=True)
    heat = ops.relu(ops.sum(ops.cast(maps * weights, "float32"), axis=-1, keepdims=True))
    heat = ops.convert_to_numpy(ops.image.resize(heat, batch.shape[1:3], interpolation="bilinear"))[0, ..., 0]
    # Scaled after enlarging, which lowers a peak between two pixels.
    return heat / heat.max() if heat.max() > 0 else heat


def _gradient(function: Callable, at):
    """Gradient of a scalar function of one tensor; Keras leaves this to the backend."""
    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            with tf.GradientTape() as tape:
                tape.watch(at)
                value = function(at)
            return tape.gradient(value, at)
        case "jax":
            import jax

            return jax.grad(function)(at)
        case "torch":
            import torch

            at = at.detach().requires_grad_(True)
            return torch.autograd.grad(function(at), at)[0].detach()
        case other:
            raise InputError(f"Grad-CAM needs TensorFlow, JAX or PyTorch; received KERAS_BACKEND={other!r}, set one")
