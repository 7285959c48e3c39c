"""Ridge regression from features to a number: in closed form, how strong it is by cross-validation."""

import numpy as np

STRENGTHS = np.logspace(0.0, 5.0, 16)
FOLDS = 5


def fitted(features: np.ndarray, targets: np.ndarray, pictures: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
    """The kernel and offset with the least squared error plus strength times the kernel's sum of squares (Hoerl and
    Kennard 1970); of `STRENGTHS` the one with the least absolute error on pictures that were left out.

    Args:
        features: float (n, size), standardised. targets: float (n,).
        pictures: int (n,), of which picture the features are: those of one are left out together.
        seed: of the folds.

    Returns:
        float64 (size,), and the offset.
    """
    features, targets = features.astype(np.float64), targets.astype(np.float64)
    number = int(pictures.max()) + 1
    fold_of = np.random.default_rng(seed).permutation(number) % min(FOLDS, number)
    folds = fold_of[pictures]
    errors = np.zeros(len(STRENGTHS))
    for fold in np.unique(folds) if number > 1 else ():
        held = folds == fold
        kernels, offsets = of_strengths(features[~held], targets[~held], STRENGTHS)
        errors += np.abs(features[held] @ kernels + offsets - targets[held, np.newaxis]).sum(0)
    kernels, offsets = of_strengths(features, targets, STRENGTHS[[errors.argmin()]])
    return kernels[:, 0], float(offsets[0])


def of_strengths(features: np.ndarray, targets: np.ndarray, strengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kernels, float64 (size, strengths), and offsets, (strengths,), of ridge regressions of several strengths."""
    mean, middle = features.mean(0), targets.mean()
    centred = features - mean
    values, vectors = np.linalg.eigh(centred.T @ centred)
    turned = vectors.T @ (centred.T @ (targets - middle))
    kernels = vectors @ (turned[:, np.newaxis] / (np.maximum(values, 0.0)[:, np.newaxis] + strengths))
    return kernels, middle - mean @ kernels
