"""The size that exported files take alone, as `--size` and `--seconds` give it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convmedia.data.storage import memory
from convmedia.data.storage.errors import InputError

if TYPE_CHECKING:
    from convmedia.models.inference.predictor import Predictor

LEAST_SIDE, MOST_SIDE = 8, 4096  # px
LEAST_SECONDS, MOST_SECONDS = 0.05, 600.0


def pixels(text: str | None) -> str | None:
    """The value of `--size`.

    Raises:
        InputError: no height and width, or one that no network has an answer for.
    """
    if text is not None:
        height_width(text)
    return text


def height_width(text: str) -> tuple[int, int]:
    """Height and width, px, of "HxW". Raises InputError as `pixels`."""
    found = re.fullmatch(r"([0-9]{1,9})[xX]([0-9]{1,9})", text.strip())
    if found is None:
        raise InputError(f"--size is height and width in px, such as 224x224; received {text!r}")
    height, width = int(found[1]), int(found[2])
    if not all(LEAST_SIDE <= side <= MOST_SIDE for side in (height, width)):
        raise InputError(f"--size takes sides of {LEAST_SIDE} to {MOST_SIDE} px; received {height}x{width}")
    return height, width


@dataclass(frozen=True)
class Fixed:
    """A size that files are exported for.

    Attributes:
        given: "HxW" of pictures, seconds of sounds, or None for every size.
    """

    given: str | float | None = None

    @property
    def suffix(self) -> str:
        """What the name of a folder of such files ends in: "-224x224", "-1.5s", or nothing."""
        if self.given is None:
            return ""
        return (
            f"-{self.given:g}s" if isinstance(self.given, int | float) else "-{}x{}".format(*height_width(self.given))
        )

    def of(self, input: Mapping[str, Any]) -> tuple[int, ...] | None:
        """(height, width) or (samples,) of a model's raw input, as `Answer` describes it; None for every size.

        Raises:
            InputError: the model takes no such input, or as `pixels`.
        """
        if self.given is None:
            return None
        heard = not isinstance(self.given, str)
        if heard != (input["kind"] == "sound"):
            option, taken, others = ("--seconds", "sounds", "pictures") if heard else ("--size", "pictures", "sounds")
            raise InputError(f"{option} is for models that take {taken}; this one takes {others}")
        if isinstance(self.given, str):
            return height_width(self.given)
        if not LEAST_SECONDS <= self.given <= MOST_SECONDS:
            raise InputError(f"--seconds is {LEAST_SECONDS:g} to {MOST_SECONDS:g}; received {self.given:g}")
        return (round(self.given * input["sample_rate"]),)


def require_memory(predictor: "Predictor", size: tuple[int, ...] | None) -> None:
    """Raises InputError: eight pictures of a size, which are answered in one call, need more memory than there is."""
    if size is not None and len(size) == 2:
        from convmedia.models.export.probes import EIGHT
        from convmedia.models.inference.file_predictor import ANSWERED_BYTES

        maps = 0 if predictor.shrinks else 2 * 4 * (predictor.most_filters or 0)  # bytes of two layers' float32
        needed = EIGHT * size[0] * size[1] * max(ANSWERED_BYTES, maps)
        memory.require(needed, f"proving a batch of {EIGHT} at --size {size[0]}x{size[1]}")
