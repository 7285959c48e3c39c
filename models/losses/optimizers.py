"""How weights change in every training: optimizer, learning-rate schedule, label smoothing; Muon for convolutions."""

from dataclasses import dataclass

import keras

from convmedia.models.keras_internals import MatrixMuon


def warm_cosine(peak: float, steps: int, warmup: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Learning rate that rises for `warmup` steps to `peak`, then falls to nearly 0 at `steps` along a cosine."""
    return keras.optimizers.schedules.CosineDecay(
        peak / 30, max(steps - warmup, 1), alpha=1 / 500, warmup_target=peak, warmup_steps=warmup
    )


@dataclass(frozen=True)
class Recipe:
    """How the weights of a network change in a training.

    Attributes:
        kind: of optimizer.
        rate: greatest learning rate; it falls along a cosine.
        decay: of the weights, decoupled; None where the optimizer has none.
        clip: most of the gradient's norm; None for no bound.
        smoothing: of the labels (Szegedy et al. 2016): this share of each target is spread over all labels.
        warmup_epochs: in which the rate rises; None: a tenth of the training.
        most_warmup: steps.
    """

    kind: type[keras.optimizers.Optimizer]
    rate: float
    decay: float | None = None
    clip: float | None = None
    smoothing: float = 0.0
    warmup_epochs: int | None = None
    most_warmup: int = 500

    def optimizer(self, epochs: int, steps: int, share: float = 1.0) -> keras.optimizers.Optimizer:
        """The optimizer of a training.

        Args:
            steps: of an epoch.
            share: of the rate; below 1 where weights that are there are changed by small steps.
        """
        whole = epochs * steps
        rising = whole // 10 if self.warmup_epochs is None else steps * self.warmup_epochs
        rate = warm_cosine(self.rate * share, whole, min(rising, self.most_warmup))
        decay = {} if self.decay is None else {"weight_decay": self.decay}
        return self.kind(rate, global_clipnorm=self.clip, **decay)


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
