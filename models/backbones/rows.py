"""The pretrained networks, a row each; read without loading Keras.

A new one is a row of `BACKBONES`, and a line of `finetuning.BLOCKS` where its layers are named in a new way.
"""

import difflib
import os
from dataclasses import dataclass
from pathlib import Path

from convmedia.data.storage.deferred import Deferred
from convmedia.data.storage.errors import InputError

HERE = "convmedia.models.backbones"
INVERTED = f"{HERE}.inverted_residuals"
SHIPPED = Path(__file__).parents[1] / "weights"
TF_KERNELS = "_weights_tf_dim_ordering_tf_kernels_notop.h5"


@dataclass(frozen=True)
class Backbone:
    """One pretrained network.

    Attributes:
        builder: its name in keras.applications, or the "module:function" of one of ours.
        style: how its input is prepared, as `BackboneInput` has it, or "inside" where the network does that itself.
        side: px, of the pictures that it is given; what it was trained on, or larger where that proved better.
        file: name of its ImageNet weights, without classifier, in Keras's cache; of those that come with the package,
            ending in .npz, in `models/weights/`.
        least: px, the smallest side that it takes.
        maps: that it answers with; None where that is known when it is built.
    """

    builder: str
    style: str
    side: int
    file: str
    least: int = 32
    maps: int | None = None

    @property
    def ours(self) -> Deferred | None:
        """The builder in this package; None for those of keras.applications."""
        return Deferred(self.builder) if ":" in self.builder else None

    @property
    def shipped(self) -> Path | None:
        """The file that comes with the package; None where the weights do not."""
        return SHIPPED / self.file if self.file.endswith(".npz") else None


BACKBONES: dict[str, Backbone] = {
    "efficientnet-lite0": Backbone(f"{INVERTED}:efficientnet_lite0", "lite", 256, "efficientnet-lite0.npz", maps=1280),
    "mobilenet-v2": Backbone(f"{INVERTED}:mobilenet_v2", "torch", 256, "mobilenet-v2.npz", maps=1280),
    "vgg16": Backbone("VGG16", "caffe", 224, f"vgg16{TF_KERNELS}"),
    "vgg19": Backbone("VGG19", "caffe", 224, f"vgg19{TF_KERNELS}"),
    "squeezenet": Backbone(f"{HERE}.squeezenet:squeezenet", "caffe", 227, f"squeezenet{TF_KERNELS}"),
    "resnet50": Backbone("ResNet50", "caffe", 224, f"resnet50{TF_KERNELS}"),
    "resnet101": Backbone("ResNet101", "caffe", 224, f"resnet101{TF_KERNELS}"),
    "resnet152": Backbone("ResNet152", "caffe", 224, f"resnet152{TF_KERNELS}"),
    "resnet50-v2": Backbone("ResNet50V2", "tf", 224, f"resnet50v2{TF_KERNELS}"),
    "resnet101-v2": Backbone("ResNet101V2", "tf", 224, f"resnet101v2{TF_KERNELS}"),
    "resnet152-v2": Backbone("ResNet152V2", "tf", 224, f"resnet152v2{TF_KERNELS}"),
    "densenet121": Backbone("DenseNet121", "torch", 224, f"densenet121{TF_KERNELS}"),
    "densenet169": Backbone("DenseNet169", "torch", 224, f"densenet169{TF_KERNELS}"),
    "densenet201": Backbone("DenseNet201", "torch", 224, f"densenet201{TF_KERNELS}"),
    "inception-v3": Backbone("InceptionV3", "tf", 299, f"inception_v3{TF_KERNELS}", least=75),
    "inception-resnet-v2": Backbone("InceptionResNetV2", "tf", 299, f"inception_resnet_v2{TF_KERNELS}", least=75),
    "xception": Backbone("Xception", "tf", 299, f"xception{TF_KERNELS}", least=71),
    "mobilenet": Backbone("MobileNet", "tf", 224, "mobilenet_1_0_224_tf_no_top.h5"),
    "keras-mobilenet-v2": Backbone(
        "MobileNetV2", "tf", 224, "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
    ),
    "mobilenet-v3-small": Backbone(
        "MobileNetV3Small", "inside", 224, "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5"
    ),
    "mobilenet-v3-large": Backbone(
        "MobileNetV3Large", "inside", 224, "weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5"
    ),
    "nasnet-mobile": Backbone("NASNetMobile", "tf", 224, "nasnet_mobile_no_top.h5"),
    "nasnet-large": Backbone("NASNetLarge", "tf", 331, "nasnet_large_no_top.h5"),
    "efficientnet-b0": Backbone("EfficientNetB0", "inside", 224, "efficientnetb0_notop.h5"),
    "efficientnet-b1": Backbone("EfficientNetB1", "inside", 240, "efficientnetb1_notop.h5"),
    "efficientnet-b2": Backbone("EfficientNetB2", "inside", 260, "efficientnetb2_notop.h5"),
    "efficientnet-b3": Backbone("EfficientNetB3", "inside", 300, "efficientnetb3_notop.h5"),
    "efficientnet-b4": Backbone("EfficientNetB4", "inside", 380, "efficientnetb4_notop.h5"),
    "efficientnet-b5": Backbone("EfficientNetB5", "inside", 456, "efficientnetb5_notop.h5"),
    "efficientnet-b6": Backbone("EfficientNetB6", "inside", 528, "efficientnetb6_notop.h5"),
    "efficientnet-b7": Backbone("EfficientNetB7", "inside", 600, "efficientnetb7_notop.h5"),
    "efficientnet-v2-b0": Backbone("EfficientNetV2B0", "inside", 224, "efficientnetv2-b0_notop.h5"),
    "efficientnet-v2-b1": Backbone("EfficientNetV2B1", "inside", 240, "efficientnetv2-b1_notop.h5"),
    "efficientnet-v2-b2": Backbone("EfficientNetV2B2", "inside", 260, "efficientnetv2-b2_notop.h5"),
    "efficientnet-v2-b3": Backbone("EfficientNetV2B3", "inside", 300, "efficientnetv2-b3_notop.h5"),
    "efficientnet-v2-s": Backbone("EfficientNetV2S", "inside", 384, "efficientnetv2-s_notop.h5"),
    "efficientnet-v2-m": Backbone("EfficientNetV2M", "inside", 480, "efficientnetv2-m_notop.h5"),
    "efficientnet-v2-l": Backbone("EfficientNetV2L", "inside", 480, "efficientnetv2-l_notop.h5"),
    "convnext-tiny": Backbone("ConvNeXtTiny", "inside", 224, "convnext_tiny_notop.h5"),
    "convnext-small": Backbone("ConvNeXtSmall", "inside", 224, "convnext_small_notop.h5"),
    "convnext-base": Backbone("ConvNeXtBase", "inside", 224, "convnext_base_notop.h5"),
    "convnext-large": Backbone("ConvNeXtLarge", "inside", 224, "convnext_large_notop.h5"),
    "convnext-xlarge": Backbone("ConvNeXtXLarge", "inside", 224, "convnext_xlarge_notop.h5"),
}


def row_of(name: str) -> Backbone:
    """The row of a name. Raises InputError that names the nearest ones."""
    if name not in BACKBONES:
        near = difflib.get_close_matches(name.lower(), BACKBONES, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"choose one of {', '.join(BACKBONES)}"
        raise InputError(f"no backbone is called {name!r}; {hint}")
    return BACKBONES[name]


def cache_folder() -> Path:
    """Where Keras keeps weights: `$KERAS_HOME/models`, else `~/.keras/models`, or in /tmp where that is read-only."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras").expanduser()
    return (home if os.access(home, os.W_OK) else Path("/tmp/.keras")) / "models"
