"""The network that is trained in place of the one that is saved: the same layers and weights, faster arithmetic.

It never leaves the training: `trainer.fit` copies its weights into the network that goes into the file, which
computes in float32 everywhere.
"""

from pathlib import Path
from typing import Any

import keras
from keras import ops

from convmedia.models import keras_internals
from convmedia.models.analysis.layer_tree import every_layer

PRECISIONS = ("auto", "bfloat16", "float32")


def precision_here(wanted: str = "auto", network: keras.Model | None = None) -> str:
    """ "bfloat16" or "float32": what `wanted` means on this machine.

    bfloat16 keeps weights, sums, the last layer and the loss in float32 and multiplies in 16 bits. It pays where there
    are matrix units for it: AMX and AVX-512's own on CPUs, tensor cores since Ampere (compute capability 8) on GPUs.
    Depthwise convolutions are no matrix products: networks of them are slower in it on a CPU.

    Args:
        network: that is to be trained.
    """
    if wanted != "auto":
        return wanted
    if accelerated():
        return "bfloat16" if gpu_multiplies_bfloat16() else "float32"
    depthwise = network is not None and any(
        isinstance(one, keras.layers.DepthwiseConv2D) for one in every_layer(network)
    )
    return "bfloat16" if cpu_multiplies_bfloat16() and not depthwise else "float32"


def accelerated() -> bool:
    """Whether Keras's backend sees a GPU or TPU."""
    if keras.backend.backend() == "torch":  # keras.distribution knows nothing of it
        import torch

        return torch.cuda.is_available()
    return any(not device.startswith("cpu") for device in keras.distribution.list_devices())


def cpu_multiplies_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 faster, with AMX or AVX-512; asked of Linux, False where it cannot say."""
    facts = Path("/proc/cpuinfo")
    if keras.backend.backend() != "tensorflow" or not facts.exists():
        return False
    return any(f" {flag}" in facts.read_text(encoding="utf-8") for flag in ("amx_bf16", "avx512_bf16"))


def gpu_multiplies_bfloat16() -> bool:
    """Whether every GPU that TensorFlow or PyTorch sees has compute capability 8; JAX's are taken to have."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        details = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
        return all(detail.get("compute_capability", (0, 0)) >= (8, 0) for detail in details)
    if keras.backend.backend() == "torch":
        import torch

        return bool(torch.cuda.is_bf16_supported())
    return True


def last_layers(network: keras.Model) -> list[keras.Operation]:
    """The output layers of a network; where it scores labels, all from the output back to the softmax or sigmoid.

    That is looked for from the output backwards, through layers without weights that take one tensor beside the
    network's own inputs, such as the pooling of scores. What several branches join is no choice among labels: the
    sigmoid of a gate and the branches of a residual sum are left alone.
    """
    made = made_by(network)
    path = [made[id(network.outputs[0])]]
    while len(network.outputs) == 1 and not ends_in_scores(path[-1].operation):
        before = [made[id(tensor)] for tensor in path[-1].input_tensors if id(tensor) in made]
        if has_weights(path[-1].operation) or len(before) != 1:
            break
        path += before
    found = path if ends_in_scores(path[-1].operation) else [made[id(tensor)] for tensor in network.outputs]
    return [call.operation for call in found]


def scoring_layer(network: keras.Model) -> keras.Operation | None:
    """The layer with the weights that score labels; None where a network answers with none."""
    layer = last_layers(network)[-1]
    if not ends_in_scores(layer):
        return None
    made = made_by(network)
    while not has_weights(layer):  # a softmax that is a layer of its own
        call = next(call for call in made.values() if call.operation is layer)
        layer = made[id(call.input_tensors[0])].operation
    return layer


def made_by(network: keras.Model) -> dict[int, Any]:
    """The call that gives each tensor of a network, by the tensor's identity; an inner network's answer is given by its
    own last layer, and an inner network's input by what is before it."""
    made: dict[int, Any] = {}
    for call in keras_internals.calls(network):
        inner = call.operation
        if isinstance(inner, keras.Model):
            made |= made_by(inner)
            made |= {id(a): made[id(b)] for a, b in zip(call.output_tensors, inner.outputs, strict=True)}
            given = zip(inner.inputs, call.input_tensors, strict=True)
            made |= {id(a): made[id(b)] for a, b in given if id(b) in made}
        else:
            made |= dict.fromkeys(map(id, call.output_tensors), call)
    return made


def has_weights(operation: keras.Operation) -> bool:
    return isinstance(operation, keras.layers.Layer) and bool(operation.weights)


def ends_in_scores(layer: keras.Operation) -> bool:
    """Whether a layer ends in a softmax or a sigmoid."""
    scores = (keras.activations.softmax, keras.activations.sigmoid)
    return isinstance(layer, keras.layers.Softmax) or getattr(layer, "activation", None) in scores


def twin(network: keras.Model, precision: str) -> keras.Model:
    """A copy of an uncompiled network to be trained, with weights of its own that start from the network's.

    In bfloat16 every layer computes in it but the last ones (`last_layers`), so that scores, losses and residual sums
    keep 24 bits, and but those whose dtype the builder set. On TensorFlow batch normalisation takes the fused kernel.
    """
    policy = keras.DTypePolicy("mixed_bfloat16")
    last = {layer.name for layer in last_layers(network)}

    def copied(layer):
        config = layer.get_config()
        if not isinstance(layer, keras.layers.Layer):  # a bare operation, as of `a + b`, has no weights and no policy
            return type(layer).from_config(config)
        kind = type(layer)
        if kind is keras.layers.BatchNormalization and keras.backend.backend() == "tensorflow":
            kind = FusedBatchNormalization
        if precision == "bfloat16" and layer.dtype_policy.name == "float32" and layer.name not in last:
            config["dtype"] = policy
        return kind.from_config(config)

    copy = keras.models.clone_model(network, clone_function=copied, recursive=True)
    copy.set_weights(network.get_weights())
    return copy


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation through TensorFlow's fused kernel; the same numbers within rounding.

    Keras 3 computes moments and scaling as separate operations, each a pass over the batch: in the digits network,
    half of a training's time; in EfficientNet-Lite0, a third of an inference's. Other than four-dimensional
    channels-last input takes Keras's way.
    """

    def call(self, inputs, training=None, mask=None):
        if mask is not None or not self.fusible(inputs.shape):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        channels, learns = inputs.shape[-1], bool(training and self.trainable)
        moments = {} if learns else {"mean": self.moving_mean.value, "variance": self.moving_variance.value}
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            tf.ones(channels) if self.gamma is None else tf.convert_to_tensor(self.gamma),
            tf.zeros(channels) if self.beta is None else tf.convert_to_tensor(self.beta),
            **moments,
            epsilon=self.epsilon,
            is_training=learns,
        )
        if not learns:
            return ops.cast(outputs, self.compute_dtype)
        number = tf.cast(tf.size(inputs) // channels, "float32")
        variance *= (number - 1.0) / number  # the kernel's is unbiased, Keras's moving variance is not
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + value * (1.0 - self.momentum))
        return ops.cast(outputs, self.compute_dtype)

    def fusible(self, shape) -> bool:
        return len(shape) == 4 and self.axis in (-1, 3) and not self.renorm and not self.synchronized
