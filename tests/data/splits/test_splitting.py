"""Splits: what they were where nothing belongs together; clusters and groups on one side; what is said of them."""

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from convmedia.data.folders.labelled import stratified
from convmedia.data.splits.groups import group_names
from convmedia.data.splits.near_duplicates import Likeness
from convmedia.data.splits.splitting import Example, divided, few, held_out
from convmedia.data.storage.errors import InputError

SPLITS = ("train", "validation", "test")


def sha(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


def fraction(digest: str) -> float:
    return int(digest[:16], 16) / 2**64


def example(name: object, label: int = 0, split: str = "", group: str = "", like: str = "") -> Example:
    """One whose path is its name; those with the same `like` are near duplicates."""
    return Example(Path(str(name)), (label,), sha(name), split, group, like.encode())


BY_MARK = Likeness(
    lambda marks: (np.eye(256, dtype=np.float32)[[mark[0] for mark in marks]], np.zeros(len(marks), np.float32)),
    0.01,
    lambda one, other: True,
    lambda path: np.zeros(1),
    lambda one, other: True,
)
"""Fingerprints of one letter: the same letter is a near duplicate."""


def split_of(examples: list[Example], given: bool = False, validation: bool = False) -> dict[str, str]:
    found = divided(examples, given=given, validation=validation, likeness=BY_MARK)
    return {str(one.path): one.split for one in found.examples}


def expected(examples: list[Example], test: float) -> dict[str, str]:
    """The rule for files that belong to nothing, written once more: the smallest fractions of each class."""
    found = {}
    for label in {one.label for one in examples}:
        ordered = sorted((one for one in examples if one.label == label), key=lambda one: one.digest)
        values, least = [fraction(one.digest) for one in ordered], int(len(ordered) >= 3)
        tests = min(max(least, sum(v < test for v in values)), max(len(values) - 1 - least, 0)) if test else 0
        edge = min(max(tests + least, sum(v < test + 0.1 for v in values)), len(values) - 1)
        for place, one in enumerate(ordered):
            found[str(one.path)] = "test" if place < tests else "validation" if place < edge else "train"
    return found


@pytest.mark.parametrize("seed", range(20))
def test_without_clusters_files_are_where_they_were(seed: int) -> None:
    rng = np.random.default_rng(seed)
    examples = [example(f"{seed}-{n}", int(rng.integers(4) ** 2 // 3)) for n in range(int(rng.integers(4, 200)))]
    assert split_of(examples) == expected(examples, 0.1)
    told = [replace(one, split="train") for one in examples]
    tests = [example(f"test {n}", n % 2, "test") for n in range(5)]
    right = expected(told, 0.0) | {str(one.path): "test" for one in tests}
    assert split_of(told + tests, given=True) == right


def test_near_duplicates_stay_in_one_split_and_the_smallest_content_says_which() -> None:
    examples = [example(f"{n}-{copy}", n % 2, like=chr(n + 1)) for n in range(120) for copy in range(3)]
    where = split_of(examples)
    for n in range(120):
        (split,) = {where[f"{n}-{copy}"] for copy in range(3)}
        smallest = min(fraction(sha(f"{n}-{copy}")) for copy in range(3))
        assert split == ("test" if smallest < 0.1 else "validation" if smallest < 0.2 else "train")


def test_a_group_goes_where_the_hash_of_its_name_says_and_stays_there() -> None:
    examples = [
        example(f"{speaker}-{n}", speaker % 2, group=f"speaker {speaker}") for speaker in range(80) for n in (1, 2)
    ]
    where = split_of(examples)
    for speaker in range(80):
        value = fraction(sha(f"speaker {speaker}"))
        right = "test" if value < 0.1 else "validation" if value < 0.2 else "train"
        assert {where[f"{speaker}-1"], where[f"{speaker}-2"]} == {right}
    more = [*examples, *(example(f"new {n}", n % 2) for n in range(50)), example("x", 0, group="speaker 3")]
    assert where.items() <= split_of(more).items()


@pytest.mark.parametrize("speakers", range(3, 12))
def test_speakers_who_say_everything_are_in_every_split(speakers: int) -> None:
    for start in range(0, 200, 20):
        examples = [
            example(f"{speaker}-{label}-{take}", label, group=f"speaker {speaker}")
            for speaker in range(start, start + speakers)
            for label in range(3)
            for take in range(2)
        ]
        where = split_of(examples)
        for label in range(3):
            counts = Counter(where[str(one.path)] for one in examples if one.label == label)
            assert min(counts[split] for split in SPLITS) >= 2, (start, counts)
        for speaker in range(start, start + speakers):
            assert len({split for name, split in where.items() if name.startswith(f"{speaker}-")}) == 1


def test_every_class_keeps_a_cluster_for_training() -> None:
    for seed in range(40):
        examples = [example(f"{seed} {n}", n % 3, like="a" if n < 2 else "") for n in range(7)]
        counts = Counter((one.label, split_of(examples)[str(one.path)]) for one in examples)
        assert all(counts[label, "train"] for label in range(3))


def test_told_test_files_stay_and_their_near_duplicates_are_left_out() -> None:
    examples = [
        *(example(f"{split} {n}", 0, split) for split in SPLITS for n in range(4)),
        example("train leak", 0, "train", like="a"),
        example("validation leak", 0, "validation", like="a"),
        example("test a", 0, "test", like="a"),
        example("test b", 0, "test", like="a"),
        example("train held", 0, "train", like="b"),
        example("validation b", 0, "validation", like="b"),
        example("train c", 0, "train", like="c"),
        example("train d", 0, "train", like="c"),
    ]
    found = divided(examples, given=True, validation=True, likeness=BY_MARK)
    names = {str(one.path) for one in found.examples}
    assert {str(one.path) for one in examples} - names == {"train leak", "validation leak", "train held"}
    left_out = {(str(one.path), str(one.like).rstrip("ab")) for one in found.near if one.left_out}
    assert left_out == {("train leak", "test "), ("validation leak", "test "), ("train held", "validation ")}
    together = {frozenset(map(str, one[:2])) for one in found.near if not one.left_out}
    assert together == {frozenset({"test a", "test b"}), frozenset({"train c", "train d"})}
    assert "left out because they nearly equal a file that is held out for validation or test: 3" in found.warnings


def test_validation_that_is_parted_from_training_takes_whole_clusters() -> None:
    examples = [example(f"{n} {copy}", 0, "train", like=chr(n + 1)) for n in range(60) for copy in (1, 2)]
    where = split_of([*examples, example("t", 0, "test")], given=True)
    assert all(where[f"{n} 1"] == where[f"{n} 2"] for n in range(60))
    assert 2 <= sum(split == "validation" for split in where.values()) <= 40


def test_copies_count_once_and_contents_with_two_labels_never() -> None:
    same = sha("content")
    examples = [
        replace(example("a", 0, "train"), digest=same),
        replace(example("b", 0, "validation"), digest=same),
        replace(example("c", 0, "test"), digest=same),
        replace(example("d", 0, "train"), digest=sha("other")),
        replace(example("e", 1, "train"), digest=sha("other")),
        example("f", 0, "train"),
    ]
    found = divided(examples, given=True, validation=True, likeness=None)
    assert [(str(one.path), one.split) for one in found.examples] == [("c", "test"), ("f", "train")]
    assert found.duplicates == [(Path("a"), Path("c")), (Path("b"), Path("c"))]
    assert [(str(path), reason) for path, reason in found.conflicting] == [
        ("d", "has the content of e, which has another label"),
        ("e", "has the content of d, which has another label"),
    ]


def test_near_duplicates_with_other_labels_are_named_and_stay_together() -> None:
    examples = [example("cat", 0, like="a"), example("dog", 1, like="a"), *(example(n, n % 2) for n in range(20))]
    found = divided(examples, given=False, validation=False, likeness=BY_MARK)
    assert "dog nearly equals cat, which has another label; look at both" in found.warnings
    assert len({one.split for one in found.examples if str(one.path) in ("cat", "dog")}) == 1


def test_groups_that_told_splits_tear_apart_are_named() -> None:
    examples = [
        example(f"{group}{split}", 0, split, group) for group in "pq" for split in SPLITS if group + split != "qtest"
    ]
    found = divided(examples, given=True, validation=True, likeness=BY_MARK)
    assert found.warnings == [
        "the group p is in train and validation and test, as the splits are told; keep it in one",
        "the group q is in train and validation, as the splits are told; keep it in one",
    ]


def test_a_pattern_names_groups_by_its_parenthesis_or_as_a_whole() -> None:
    root = Path("/data")
    files = [root / name for name in ("7/7_theo_0.wav", "7/7_lucas_1.wav", "8/odd.wav")]
    assert group_names(root, files, r"_(\w+)_") == {files[0]: "theo", files[1]: "lucas"}
    assert group_names(root, files, r"^\d") == {files[0]: "7", files[1]: "7", files[2]: "8"}
    with pytest.raises(InputError, match=r"--group '\(' is no regular expression"):
        group_names(root, files, "(")
    with pytest.raises(InputError, match=r"matches none of the 3 files, such as 7/7_theo_0\.wav"):
        group_names(root, files, "patient")


def test_held_out_pictures_are_the_smallest_contents_with_their_near_duplicates() -> None:
    examples = [example(n) for n in range(40)]
    held, rest = held_out(examples, 2, BY_MARK)
    ordered = sorted(examples, key=lambda one: one.digest)
    assert (held, rest) == (ordered[:2], ordered[2:])
    marked = [replace(one, fingerprint=b"a" if one in (ordered[0], ordered[30]) else b"") for one in examples]
    held, rest = held_out(marked, 2, BY_MARK)
    assert {one.path for one in held} == {ordered[0].path, ordered[30].path} and len(rest) == 38


def test_few_and_unequal_classes_are_warned_of() -> None:
    examples = [example(n, int(n >= 190), "train") for n in range(198)]
    assert list(few(("many", "few"), examples)) == [
        "few has 8 files for training; give each class 10 or more",
        "many has 190 files for training, few 8: more than 10 to 1",
    ]


# What `--limit` draws


def test_a_limit_gives_every_label_an_example() -> None:
    truth = np.random.default_rng(0).integers(0, 10, 60_000)
    for seed in range(5):
        chosen = stratified(truth, 10, seed)
        assert sorted(truth[chosen]) == list(range(10)) and np.array_equal(chosen, np.sort(chosen))
    counts = np.bincount(truth[stratified(truth, 1000, 1)])
    np.testing.assert_allclose(counts, 1000 * np.bincount(truth) / len(truth), atol=1.5)


def test_a_limit_draws_what_it_drew_from_one_label_each() -> None:
    """The drawing of earlier versions, whose runs are continued."""
    truth = np.repeat([0, 1, 2], [60, 30, 10])
    rng = np.random.default_rng(7)
    place = np.empty(100)
    for label in range(3):
        members = rng.permutation(np.flatnonzero(truth == label))
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
        place[members[0]] = 0
    assert stratified(truth, 20, 7).tolist() == np.sort(np.argsort(place, kind="stable")[:20]).tolist()


def test_a_limit_keeps_every_tag() -> None:
    rng = np.random.default_rng(3)
    truth = np.zeros((400, 12), np.uint8)
    truth[:, 0] = 1  # every sound has the first tag, so it says nothing of the others
    for tag in range(1, 12):
        truth[rng.integers(0, 400, 12 - tag), tag] = 1
    for seed in range(10):
        assert truth[stratified(truth, 12, seed)].any(0).all()
