"""In which interval a true value is expected: split-conformal, by the measurement's own errors.

Where the truth of n images is known, one a patient, the k-th smallest absolute error, k = ceil((n + 1) level), is a
radius within which a share `level` of new images' errors lies, as long as they are like those (Lei et al., JASA 2018).
With too few there is none. Of an image whose truth is known, its own error and its patient's are left out. Pure NumPy.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..conformal import rank_of
from .evaluate import Measured, shortest

CONFORMAL = 'conformal'


def with_intervals(measured: Measured, truth: Measured, patients: Sequence[str] | None, level: float) -> Measured:
    """`measured` with intervals by the `truth`, the same measurements on some of the images.

    `patients` are those of the images of `measured`, None where each is of another.
    """
    errors = errors_of(measured, truth)
    groups = np.unique(measured.image_names if patients is None else patients, return_inverse=True)[1]
    radius = np.empty_like(errors)
    for s, m in np.ndindex(errors.shape[1:]): radius[:, s, m] = radii(errors[:, s, m], groups, level)
    lower, upper = measured.values - radius, measured.values + radius
    return replace(measured, lower=lower, upper=upper, interval=np.where(np.isfinite(lower), CONFORMAL, ''))


def errors_of(measured: Measured, truth: Measured) -> np.ndarray:
    "The absolute errors (n, S, M) of `measured`, NaN where there is no `truth`; angles are at most 180 degrees apart."
    errors = np.full_like(measured.values, np.nan)
    row_of = {name: i for i, name in enumerate(truth.image_names)}
    rows = [i for i, name in enumerate(measured.image_names) if name in row_of]
    true = truth.values[[row_of[measured.image_names[i]] for i in rows]]
    for s, side in enumerate(measured.sides):
        if side in truth.sides: errors[rows, s] = measured.values[rows, s] - true[:, truth.sides.index(side)]
    return abs(shortest(errors, measured.measures))


def radii(errors: np.ndarray, groups: np.ndarray, level: float) -> np.ndarray:
    """The radius (n,) around the value of each image, by `errors` (n,), NaN where there is none.

    `groups` (n,) are numbers of patients, of whom the first error counts, and not for their own images.
    """
    known = np.flatnonzero(np.isfinite(errors))
    _, first = np.unique(groups[known], return_index=True)
    rows = known[first]
    rows = rows[np.argsort(errors[rows], kind='stable')]
    n = len(rows)
    result = np.full(len(errors), _ranked(errors[rows], rank_of(n, level)))
    if not n: return result
    place = np.full(groups.max() + 1, n)  # of a patient's error among all
    place[groups[rows]] = np.arange(n)
    k = rank_of(n - 1, level)
    without = np.where(place[groups] < k, _ranked(errors[rows], k + 1), _ranked(errors[rows], k))
    return np.where(place[groups] < n, without if k < n else np.nan, result)


def _ranked(ascending, k): return ascending[k - 1] if k <= len(ascending) else math.nan
