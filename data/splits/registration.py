"""Whether one picture is an altered copy of another: the part that both show is laid on each other and compared.

    found = registered(Small(one), Small(other))
    found.likeness          # 0.97: the correlation of their detail where they overlap
    found.mirrored, found.degrees, found.shares

Copies may be cut, mirrored, turned a little, squeezed, resized, recoloured and encoded anew. Coarse to fine: every
mirroring, angle and scale at 32 px by Fourier transforms (masked normalised correlation, Padfield 2012), the best ones
as affine maps by Gauss-Newton steps (Lucas and Kanade 1981).
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
from PIL import Image
from scipy.fft import irfft2, rfft2
from scipy.ndimage import gaussian_filter, map_coordinates

FINE_PX, MIDDLE_PX, COARSE_PX = 96, 48, 32
"""The longer side of a picture where it is looked at closely, less closely, and first."""

DEGREES = (-8.0, -4.0, 0.0, 4.0, 8.0)
SCALES = tuple(0.87**step for step in range(5))
"""Of one picture to lie on the other: down to 0.57, of either."""

LEAST_SHARE = 0.3
"""Of the smaller picture that the other one shows, too."""

COARSE, TRIED = 0.6, 3
"""The correlation at 32 px from which places are looked at closely, and the most of them. Measured: 0.78 and more for
copies, 0.52 to 0.78 for different photos."""

_TRANSFORM = 2 * COARSE_PX
_PLAIN = 4.0  # levels of 255: a standard deviation of detail that counts as half of what it is


class Small:
    """What of a picture is compared.

    Args:
        picture: uint8 (height, width, 3).

    Attributes:
        luma: at the finest size, 0..255.
        fine, middle, coarse: its detail at three sizes, float32 (height, width) each.
    """

    def __init__(self, picture: np.ndarray):
        grey = Image.fromarray(picture).convert("L")
        lumas = [_shrunk(grey, px) for px in (FINE_PX, MIDDLE_PX, COARSE_PX)]
        self.luma = lumas[0]
        self.fine = detail(lumas[0], FINE_PX / 24)
        self.middle, self.coarse = (detail(luma, max(luma.shape) / 10) for luma in lumas[1:])

    @cached_property
    def variants(self) -> "_Variants":
        return _variants(self.luma)


@dataclass(frozen=True)
class Registered:
    """How two pictures lie on each other.

    Attributes:
        likeness: correlation of detail where they overlap, -1..1.
        affine: float64 (2, 3), from a place (x, y) of the first to one of the second, each in units of its picture's
            longer side.
        shares: of the first and of the second picture's area, what the other one shows, too, 0..1.
    """

    likeness: float
    affine: np.ndarray
    shares: tuple[float, float]

    @property
    def mirrored(self) -> bool:
        return bool(np.linalg.det(self.affine[:, :2]) < 0)

    @property
    def degrees(self) -> float:
        """By how much the second is turned against the first, after mirroring; its size without a sign."""
        linear = self.affine[:, :2] @ np.diag([-1.0 if self.mirrored else 1.0, 1.0])
        return float(np.degrees(abs(np.arctan2(linear[1, 0] - linear[0, 1], linear[0, 0] + linear[1, 1]))))


def _shrunk(image: Image.Image, px: float) -> np.ndarray:
    return np.asarray(image.resize(_sized(image.size, px), Image.Resampling.BOX), np.float32)


def _sized(size: tuple[int, int], px: float) -> tuple[int, int]:
    """Width and height with a longer side of `px`, each 4 at least."""
    factor = px / max(size)
    return max(4, round(size[0] * factor)), max(4, round(size[1] * factor))


def detail(luma: np.ndarray, width: float) -> np.ndarray:
    """Luma without what is wider than some `width` px, with the same contrast everywhere: float32, about -2..2."""
    sharp = luma - gaussian_filter(luma, width)
    return (sharp / (np.sqrt(gaussian_filter(sharp**2, 2 * width)) + _PLAIN)).astype(np.float32)


def registered(one: Small, other: Small) -> Registered | None:
    """How two pictures lie on each other; None where they nowhere do."""
    places = [*_coarse(one, other), *((score, _inverse(affine)) for score, affine in _coarse(other, one))]
    best = sorted((place for place in places if place[0] >= COARSE), key=lambda place: -place[0])[:TRIED]
    every = (_refined(one.middle, other.middle, affine, 8) for _, affine in best)
    tried = [found for found in every if found is not None]
    if not tried:
        return None
    affine = max(tried, key=lambda found: found[0])[1]
    found = _refined(one.fine, other.fine, affine, 8)
    if found is None:
        return None
    likeness, affine = found
    shares = (_share(one.fine, other.fine, affine), _share(other.fine, one.fine, _inverse(affine)))
    return Registered(likeness, affine, shares)


@dataclass(frozen=True)
class _Variants:
    """A picture in every mirroring, angle and scale.

    Attributes:
        spectra: complex64 (3, n, 64, 33), conjugated: of its detail, of where there is some, of its square.
        areas: px, (n,).
        affines: from a variant's pixels to places of the picture, in units of its longer side, (n, 2, 3).
    """

    spectra: np.ndarray
    areas: np.ndarray
    affines: np.ndarray


def _variants(luma: np.ndarray) -> _Variants:
    maps, masks, affines = [], [], []
    whole = Image.fromarray(luma)
    for scale in SCALES:
        shrunk = _shrunk(whole, COARSE_PX * scale)
        flat, inside = Image.fromarray(detail(shrunk, max(shrunk.shape) / 10)), Image.new("F", shrunk.shape[::-1], 1.0)
        size = np.array(flat.size)
        units = np.array(luma.shape[::-1]) / max(luma.shape) / size
        for degrees, flipped in product(DEGREES, (False, True)):
            cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
            linear = np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([-1.0 if flipped else 1.0, 1.0])
            affine = np.column_stack([linear, size / 2 - linear @ size / 2])
            maps.append(_warped(flat, affine))
            masks.append(_warped(inside, affine))
            affines.append(affine * units[:, None])
    whole_maps, whole_masks = np.stack(maps), np.stack(masks)
    spectra = np.conj(_spectra(np.stack([whole_maps, whole_masks, whole_maps**2])))
    return _Variants(spectra, whole_masks.sum((1, 2)), np.stack(affines))


def _warped(image: Image.Image, affine: np.ndarray) -> np.ndarray:
    turned = image.transform(image.size, Image.Transform.AFFINE, tuple(affine.ravel()), Image.Resampling.BILINEAR)
    found = np.zeros((COARSE_PX, COARSE_PX), np.float32)
    found[: image.height, : image.width] = np.asarray(turned)
    return found


def _spectra(maps: np.ndarray) -> np.ndarray:
    return rfft2(maps, (_TRANSFORM, _TRANSFORM))


def _coarse(still: Small, moved: Small) -> list[tuple[float, np.ndarray]]:
    """The best place of each variant of `moved` on `still`: correlation, and affine from `still` to `moved`."""
    one, variants = still.coarse, moved.variants
    sharp, inside, energy = _spectra(np.stack([one, np.ones_like(one), one**2]))
    of_moved, of_mask, of_energy = variants.spectra
    products = np.stack([sharp * of_moved, energy * of_mask, inside * of_energy, inside * of_mask])
    agreement, still_energy, moved_energy, overlap = irfft2(products, (_TRANSFORM, _TRANSFORM))
    least = LEAST_SHARE * np.minimum(one.size, variants.areas)[:, None, None]
    spread = np.sqrt(np.maximum(still_energy, 0) * np.maximum(moved_energy, 0))
    scores = np.where((overlap >= least) & (spread > 1e-3 * overlap), agreement / np.maximum(spread, 1e-6), -1.0)
    flat = scores.reshape(len(scores), -1)
    best = flat.argmax(1)
    shifts = np.stack([best % _TRANSFORM, best // _TRANSFORM], 1)
    shifts = np.where(shifts >= COARSE_PX, shifts - _TRANSFORM, shifts)
    px = max(one.shape)
    return [
        (float(flat[number, best[number]]), np.column_stack([affine[:, :2] * px, affine[:, 2] - affine[:, :2] @ shift]))
        for number, (affine, shift) in enumerate(zip(variants.affines, shifts, strict=True))
    ]


def _inverse(affine: np.ndarray) -> np.ndarray:
    linear = np.linalg.inv(affine[:, :2])
    return np.column_stack([linear, -linear @ affine[:, 2]])


def _places(shape: tuple[int, ...]) -> np.ndarray:
    """The centres of a map's pixels, (2, height * width): x, y in units of the longer side."""
    y, x = np.mgrid[: shape[0], : shape[1]].reshape(2, -1)
    return (np.stack([x, y]) + 0.5) / max(shape)


def _refined(one: np.ndarray, other: np.ndarray, affine: np.ndarray, steps: int) -> tuple[float, np.ndarray] | None:
    """The affine map that lays `other` on `one` best, from one nearby, and the correlation there; None where it leads
    away. The best of all steps counts."""
    down, across = np.gradient(other)
    places, px = _places(one.shape), max(other.shape)
    best: tuple[float, np.ndarray] | None = None
    for _ in range(steps + 1):
        where = affine[:, :2] @ places + affine[:, 2:]
        at = where[::-1] * px - 0.5
        inside = ((at > -0.5) & (at < np.array(other.shape)[:, None] - 0.5)).all(0)
        if inside.sum() < LEAST_SHARE * min(one.size, other.size * abs(np.linalg.det(_inverse(affine)[:, :2]))):
            return best
        values, dx, dy = (
            map_coordinates(image, at[:, inside], order=1, mode="nearest") for image in (other, across, down)
        )
        wanted = one.ravel()[inside]
        wanted, values = wanted - wanted.mean(), values - values.mean()
        spread = float(np.sqrt((wanted**2).sum() * (values**2).sum()))
        if spread < 1e-3 * len(wanted):
            return best
        score = float(wanted @ values) / spread
        if best is None or score > best[0]:
            best = score, affine
        gain = float(wanted @ values) / float(values @ values)
        if gain <= 0:
            return best
        x, y = places[:, inside]
        slopes = (
            px * gain * np.stack([dx * x, dx * y, dx, dy * x, dy * y, dy, values / (px * gain), 1 / px / gain + 0 * x])
        )
        change = np.linalg.lstsq(slopes @ slopes.T + 1e-6 * np.eye(8), slopes @ (wanted - gain * values), rcond=None)[0]
        affine = affine + change[:6].reshape(2, 3)
        if abs(np.linalg.det(affine[:, :2])) < 0.1:
            return best
    return best


def _share(one: np.ndarray, other: np.ndarray, affine: np.ndarray) -> float:
    """Of the area of `one` what lies on `other`."""
    where = affine[:, :2] @ _places(one.shape) + affine[:, 2:]
    extent = np.array(other.shape[::-1])[:, None] / max(other.shape)
    return float(((where > 0) & (where < extent)).all(0).mean())
