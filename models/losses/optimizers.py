"""The learning-rate schedule of every training, and Muon for convolutions."""

import keras

from convmedia.models.keras_internals import MatrixMuon


def warm_cosine(peak: float, steps: int, warmup: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Learning rate that rises for `warmup` steps to `peak`, then falls to nearly 0 at `steps` along a cosine."""
    return keras.optimizers.schedules.CosineDecay(
        peak / 30, max(steps - warmup, 1), alpha=1 / 500, warmup_target=peak, warmup_steps=warmup
    )


class ConvolutionMuon(MatrixMuon):
    """Muon (K. Jordan et al. 2024; step sizes as in Liu et al. 2025, "Muon is scalable for LLM training") for networks
    of convolutions.

    Keras's own gives kernels of convolutions to Adam. Here (height, width, channels in, filters) is updated as the
    matrix of height * width * channels in by filters that the convolution multiplies with. Biases, and kernels of
    fewer than `least_filters` filters, such as those that give the picture, remain Adam's.

    Args:
        learning_rate: as for Adam: an update's root mean square is 0.2 of it.
        least_filters: of kernels that Muon updates.
        kwargs: as of `keras.optimizers.Muon`; unless they say otherwise, weights do not decay and Adam's learning rate
            is half of Muon's.
    """

    def __init__(self, learning_rate=1e-3, least_filters=8, **kwargs):
        without_decay = {"weight_decay": None, "adam_weight_decay": None}
        super().__init__(learning_rate, **{**without_decay, "adam_lr_ratio": 0.5, **kwargs})
        self.least_filters = least_filters

    def updates(self, variable):
        return len(variable.shape) == 4 and variable.shape[-1] >= self.least_filters

    def matrix_shape(self, variable):
        return -1, variable.shape[-1]

    def get_config(self):
        return {**super().get_config(), "least_filters": self.least_filters}
