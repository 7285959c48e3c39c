"""Folders that are named after a split, in the spellings that data sets come with.

splits(["Training", "val_images"])      # {"Training": "train", "val_images": "validation"}
splits(["seg_train", "seg_test"])       # {"seg_train": "train", "seg_test": "test"}
splits(["train_station", "test_tube"])  # {}
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

WORDS = {
    **dict.fromkeys(("train", "training", "trn", "trainval"), "train"),
    **dict.fromkeys(("validation", "validate", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "tst", "eval", "evaluation", "holdout", "heldout"), "test"),
}
_ADDED = frozenset(
    [
        *("set", "sets", "data", "dataset", "datasets", "split", "image", "images", "img", "imgs", "picture"),
        *("pictures", "pic", "pics", "photo", "photos", "file", "files", "sound", "sounds", "audio", "wav", "wavs"),
        *("clip", "clips", "sample", "samples", "example", "examples", "folder", "dir", "seg"),
    ]
)
"""What names add to the word without saying anything of the content."""

_TOKEN = re.compile(r"[^\W\d_]+|\d+")
_HOLD_OUT = re.compile(r"(hold|held)[\W_]*out")
_HUMP = re.compile(r"(?<=[^\W\d_A-Z])(?=[A-Z])")


def splits(names: Iterable[str]) -> dict[str, str]:
    """The split of each of these sister folders that is named after one: "train", "validation" or "test".

    Case, numbers, separators and words such as "set" or "images" do not matter. A name that says more (`seg_train`,
    `train_station`) is taken for a split only where a sister says the same of another split (`seg_test`).
    """
    alike: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for name in names:
        found = _split_and_rest(name)
        if found:
            alike[found[1]][name] = found[0]
    return {
        name: split
        for rest, members in alike.items()
        if not rest or len(set(members.values())) > 1
        for name, split in members.items()
    }


def _split_and_rest(name: str) -> tuple[str, tuple[str, ...]] | None:
    """The split that a name tells, and what else it says; None where it tells none, or several."""
    text = _HOLD_OUT.sub("holdout", _HUMP.sub(" ", unicodedata.normalize("NFKC", name)).casefold())
    told, rest = set(), []
    for token in _TOKEN.findall(text):
        split = _split_of(token)
        if split:
            told.add(split)
        elif token not in _ADDED and not token.isdigit():
            rest.append(token)
    if told == {"train", "validation"}:  # both together, as in train_val
        told = {"train"}
    return (told.pop(), tuple(rest)) if len(told) == 1 else None


def _split_of(token: str) -> str | None:
    """The split of a word, also where something is added without a gap: trainset, testdata."""
    if token in WORDS:
        return WORDS[token]
    for word in sorted(WORDS, key=len, reverse=True):
        if (token.startswith(word) and token[len(word) :] in _ADDED) or (
            token.endswith(word) and token[: -len(word)] in _ADDED
        ):
            return WORDS[word]
    return None
