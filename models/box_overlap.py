"""Which boxes are taken for the same one."""

import numpy as np

MATCHING_IOU = 0.5  # of two boxes that are taken for the same one


def matching_boxes(boxes: np.ndarray, others: np.ndarray) -> int:
    """How many pairs of boxes, (n, 6) and (m, 6), are of one label and overlap enough, each box in one pair at most."""
    left, count = list(range(len(others))), 0
    for box in boxes:
        overlaps = [
            intersection_over_union(box, others[place]) if box[5] == others[place][5] else 0.0 for place in left
        ]
        if overlaps and max(overlaps) >= MATCHING_IOU:
            left.pop(int(np.argmax(overlaps)))
            count += 1
    return count


def intersection_over_union(box: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes, x1, y1, x2, y2 first."""
    width, height = np.minimum(box[2:4], other[2:4]) - np.maximum(box[:2], other[:2])
    shared = max(float(width), 0.0) * max(float(height), 0.0)
    areas = sum(float(np.prod(one[2:4] - one[:2])) for one in (box, other))
    return shared / max(areas - shared, 1e-12)
