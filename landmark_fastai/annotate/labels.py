"The annotation CSV that follows from what a reader has done, and what a CSV says that the reader has not done."

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import numpy as np

from ..formats.annotations import ABSENT, UNLABELLED, VISIBLE, Annotations
from . import actions
from .actions import MARK, Action, Mark, Work

DECIMALS = 2  # of coordinates, original px
CLIENT = 'csv'


def annotations_of(work: Work, names: Sequence[str], sizes: Mapping[str, tuple[int, int]], path: Path,
                   known: Annotations | None = None) -> Annotations:
    """The annotations that the marks of `work` come to, of the landmarks `names`, for the CSV at `path`.

    Of the images that have a mark, in the order of `sizes`, in original px. Those that are `known`, of what the CSV
    held before, come first, marked or not, with their spacing, patient and side of the split; where these are known, a
    new image is of a patient of its own and for training.
    """
    old = set(known.image_names if known else [])
    new = [image for image in sizes if image not in old and work.n_marked(image)]
    n_new = len(new)
    added = Annotations(
        path, list(names), new, [0] * n_new, np.array([sizes[image] for image in new], int).reshape(n_new, 2),
        np.empty((n_new, len(names), 2)), np.empty((n_new, len(names)), np.uint8), np.full((n_new, 2), np.nan),
        np.full(n_new, '', object), new, ['train'] * n_new)
    images = joined(known, added) if known else replace(added, patient_id=None, split=None)
    rows = [[work.of(image).get(name) for name in names] for image in images.image_names]
    return replace(images, rows=list(range(2, len(rows) + 2)),
                   points=np.array([[point_of(mark) for mark in row] for row in rows]).reshape(-1, len(names), 2),
                   state=np.array([[state_of(mark) for mark in row] for row in rows], np.uint8).reshape(-1, len(names)))


def joined(known: Annotations, added: Annotations) -> Annotations:
    "The images of both; what is not known of the first is left out."
    values = {}
    for name in ('image_names', 'sizes', 'spacing', 'spacing_source', 'patient_id', 'split'):
        first, second = getattr(known, name), getattr(added, name)
        if first is None: values[name] = None
        else: values[name] = np.concatenate([first, second]) if isinstance(first, np.ndarray) else [*first, *second]
    return replace(added, **values)


def point_of(mark: Mark) -> tuple[float, float]:
    "The point of `mark`, NaN where it is none."
    return tuple(round(value, DECIMALS) for value in mark) if isinstance(mark, tuple) else (np.nan, np.nan)


def state_of(mark: Mark) -> int:
    "VISIBLE, ABSENT or UNLABELLED: what cannot be judged is not labelled."
    if isinstance(mark, tuple): return VISIBLE
    return ABSENT if mark == actions.ABSENT else UNLABELLED


def mark_of(point: Sequence[float], state: int) -> Mark:
    "The mark of a `point`, original px, with the `state` of annotations; None where it is not labelled."
    if state == VISIBLE: return tuple(map(float, point))
    return actions.ABSENT if state == ABSENT else None


def imported(annotations: Annotations, work: Work) -> list[Action]:
    "What gives `work` the points and absences of `annotations` that it does not have; what is blank there stays."
    found = []
    for image, points, states in zip(annotations.image_names, annotations.points, annotations.state, strict=True):
        marks = {}
        for name, point, state in zip(annotations.names, points.tolist(), states, strict=True):
            mark = work.of(image).get(name)
            if state == ABSENT and mark != actions.ABSENT: marks[name] = actions.ABSENT
            if state == VISIBLE and tuple(point) not in (mark, point_of(mark)): marks[name] = tuple(point)
        if marks: found.append(Action(uuid4().hex, CLIENT, MARK, image, work.n + len(found), marks, origin='import'))
    return found
