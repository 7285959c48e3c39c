"""Labels that are probably wrong: what pictures alike are called, when the picture's own label is not asked.

A logistic regression on the features of a pretrained network scores each picture in a fold that it did not learn, as in
confident learning (Northcutt, Jiang, Chuang 2021); pictures are ordered by the probability of their label less that of
the likeliest other one, the "normalized margin" there.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from convmedia.apps.review.look_alikes import unit

FOLDS, NEIGHBOURS = 5, 10
STRENGTH = 1.0
"""C of the logistic regression on vectors of length 1. Of 20 wrong labels among 500 photos all were among the first 27
from 0.1 to 10; the nearest neighbours alone needed 54."""

SEED = 0


@dataclass(frozen=True)
class Suspect:
    """A file whose label is probably wrong.

    Attributes:
        file: its index.
        label, suggested: what it is called, and what pictures alike are, as indices of labels.
        score, suggested_score: probabilities of the two, 0..1.
        neighbours: how many of the ten nearest pictures, copies of it left out, have each label.
        nearest: index of the nearest picture that is called `suggested`.
    """

    file: int
    label: int
    suggested: int
    score: float
    suggested_score: float
    neighbours: dict[int, int]
    nearest: int

    @property
    def margin(self) -> float:
        return self.score - self.suggested_score


def suspects(vectors: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> list[Suspect]:
    """Files whose label neither the regression nor most of the neighbours would give, the most suspicious first.

    Args:
        vectors: features, float32 (n, size), not negative.
        labels: int (n,). Labels with less than two groups are left out: nothing else would tell them.
        groups: int (n,), of each file; copies of one picture share theirs and never speak for each other.
    """
    of_group = groups
    enough = {label for label in np.unique(labels) if len(np.unique(of_group[labels == label])) >= 2}
    chosen = np.flatnonzero([label in enough for label in labels])
    if len(enough) < 2:
        return []
    features, truth, of_group = unit(np.sqrt(np.maximum(vectors[chosen], 0))), labels[chosen], of_group[chosen]
    scores, names = _out_of_fold(features, truth, of_group)
    near = _nearest(features, of_group)
    place = np.searchsorted(names, truth)
    rows = []
    for at, file in enumerate(chosen.tolist()):
        others = scores[at].copy()
        others[place[at]] = -1.0
        suggested = int(names[others.argmax()])
        counts = dict(zip(*(part.tolist() for part in np.unique(truth[near[at]], return_counts=True)), strict=True))
        score, best = float(scores[at, place[at]]), float(others.max())
        if score >= best and 2 * counts.get(int(truth[at]), 0) >= len(near[at]):
            continue
        likeness = np.where((truth == suggested) & (of_group != of_group[at]), features @ features[at], -1.0)
        nearest = int(chosen[likeness.argmax()])
        rows.append(Suspect(file, int(truth[at]), suggested, score, best, counts, nearest))
    return sorted(rows, key=lambda row: (row.margin, row.file))


def _out_of_fold(features: np.ndarray, truth: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (n, labels) of each picture from the folds that it is not in; and the labels, sorted."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold

    names = np.unique(truth)
    smallest = min(len(np.unique(groups[truth == name])) for name in names)
    scores = np.zeros((len(truth), len(names)))
    folds = StratifiedGroupKFold(min(FOLDS, max(2, smallest)), shuffle=True, random_state=SEED)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        for learned, asked in folds.split(features, truth, groups):
            if len(np.unique(truth[learned])) < 2:
                scores[asked] = 1 / len(names)
                continue
            model = LogisticRegression(C=STRENGTH, max_iter=1000).fit(features[learned], truth[learned])
            scores[np.ix_(asked, np.searchsorted(names, model.classes_))] = model.predict_proba(features[asked])
    return scores, names


def _nearest(features: np.ndarray, groups: np.ndarray, rows: int = 1024) -> np.ndarray:
    """Indices of the ten nearest of each that are of other groups, (n, 10)."""
    number = min(NEIGHBOURS, len(features) - int(np.unique(groups, return_counts=True)[1].max()))
    found = []
    for start in range(0, len(features), rows):
        products = features[start : start + rows] @ features.T
        products[groups[start : start + rows, None] == groups] = -np.inf
        found.append(np.argsort(-products, axis=1)[:, :number])
    return np.concatenate(found)
