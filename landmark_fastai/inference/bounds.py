"""How far off a point may be: split-conformal radii.

The score of a point is its error over the error that was to be expected of it. On images that took part in nothing,
one a patient, the k-th smallest of n scores, k = ceil((n + 1) level), times the expected error of a new point is a
radius that holds with a probability of at least `level`, whatever the errors are like (Papadopoulos et al., ECML 2002;
Lei et al., JASA 2018), as long as new images are like those. Too few images give no bound, never a small one. Pure.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import betabinom

from ..conformal import rank_of

SURE = 0.95  # how often a coverage lies within its range


def factor(scores: Sequence[float], level: float) -> float:
    "What an expected error is multiplied by for its bound, by the calibration's `scores`; NaN where they are too few."
    k = rank_of(len(scores), level)
    return float(np.sort(scores)[k - 1]) if k <= len(scores) else math.nan


def factors(scores: Sequence[Sequence[float]], level: float) -> np.ndarray:
    "The `factor` of each landmark (N,), whose `scores` are lists of different lengths."
    return np.array([factor(of_landmark, level) for of_landmark in scores])


def coverage_range(n_calibration: int, n_new: int, level: float) -> tuple[float, float]:
    """Between which shares of `n_new` points are within their bounds in 95 of 100 cases, by chance alone.

    The bounds are those of `n_calibration` scores. How many points they cover has a beta-binomial distribution (Vovk,
    ACML 2012). NaN where there is no bound, or nothing new.
    """
    k = rank_of(n_calibration, level)
    if k > n_calibration or not n_new: return math.nan, math.nan
    covered = betabinom(n_new, k, n_calibration + 1 - k)
    return covered.ppf((1 - SURE) / 2) / n_new, covered.ppf((1 + SURE) / 2) / n_new


def scores_of(errors: np.ndarray, expected: np.ndarray, patients: Sequence[str] | None = None) -> list[list[float]]:
    """The scores of each landmark, ascending, of `errors` and `expected` errors (n, N) of n images, in the same unit.

    Images of a patient are no independent ones: of those with the landmark the first counts. NaN is left out.
    """
    scores = errors / expected.clip(1e-9)
    found = []
    for of_landmark in scores.T:
        rows = np.flatnonzero(np.isfinite(of_landmark))
        first = list({patients[i]: i for i in rows[::-1]}.values()) if patients else rows
        found.append(sorted(of_landmark[first].tolist()))
    return found
