"""Drift: landmarks that one reader, site or side of a split puts elsewhere than another does, by more than chance.

Shapes are aligned first, so that an offset means the same on a film that is turned: it is along the axes of the mean
shape, turned as the average image is. Readers of the same images are compared image by image; groups of different
images by where their landmarks lie from the places that the mean shape expects. Chance is Hotelling's: for two groups
that may scatter differently with the degrees of freedom of Krishnamoorthy and Yu (Stat Probab Lett 2004), and with
Holm's correction for the number of landmarks. Pure NumPy and SciPy; points are (n, N, 2) px or mm, NaN where there is
none.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import f as f_distribution

from .shapes import FEW, SAMPLE, apply_similarity, expected_points, fit_similarity, mean_shape

LEVEL = 0.02  # chance that any landmark is flagged where none drifts
RESOLUTION = 0.01  # px or mm: points are written with two decimals, and an offset without any scatter has this


class Drift(NamedTuple):
    "How far N landmarks lie elsewhere in one group than in another; NaN where fewer than `SAMPLE` images tell."
    offset: np.ndarray  # (N, 2) the first group's mean position less the second's, px or mm
    error: np.ndarray  # (N, 2) standard errors of these
    n: np.ndarray  # (N, groups) images; readers have one number, of images that both have read
    p: np.ndarray  # (N,) chance of an offset as large if none drifted, corrected for the number of landmarks

    @property
    def flagged(self) -> np.ndarray:
        "Which landmarks (N,) drift."
        return self.p < LEVEL


def drift_of_readers(first: np.ndarray, second: np.ndarray) -> Drift:
    "The drift of the points of the `first` reader from those of the `second` on the same images, both (n, N, 2)."
    return _compare([_between(first, second)])


def change_of_readers(first: np.ndarray, second: np.ndarray, is_first: np.ndarray) -> Drift:
    """How the offset between two readers, both (n, N, 2), differs on the images that `is_first` (n,) tells.

    How patients differ is not in it, so that it sees much smaller changes than `drift_of_groups` does.
    """
    offsets = _between(first, second)
    return _compare([offsets[is_first], offsets[~is_first]])


def drift_of_groups(points: np.ndarray, is_first: np.ndarray) -> Drift:
    """The drift of the images that `is_first` (n,) tells from the others; `points` need at least `FEW` landmarks.

    One landmark that drifts draws the fit of its image along, and so the others. The one that does so most clearly is
    left out of the fits, therefore, and so on until no other one is flagged.
    """
    mean, fitted = mean_shape(points), np.ones(points.shape[1], bool)
    while True:
        reliable = np.where(fitted[:, None], points, np.nan)
        offsets = _turned(points - expected_points(reliable, mean), reliable, mean)
        drift = _compare([offsets[is_first], offsets[~is_first]])
        new = drift.flagged & fitted
        if not new.any() or fitted.sum() <= FEW: return drift
        fitted[np.where(new, ((drift.offset / drift.error) ** 2).sum(-1), 0).argmax()] = False


def _between(first, second):
    "What the points (n, N, 2) of two readers differ by, along the axes of the average image."
    both = (first + second) / 2
    return _turned(first - second, both, mean_shape(both))


def _turned(offsets, points, mean):
    "`offsets` (n, N, 2) along the axes of the average image; as they are on images with too few `points` to tell them."
    a, _ = fit_similarity(points, mean)
    known = np.isfinite(a)
    if not known.any(): return offsets
    turn = np.ones(len(a), complex)
    turn[known] = a[known] / abs(a[known])
    turn[known] /= turn[known].mean() / abs(turn[known].mean())
    return apply_similarity((turn, np.zeros(len(turn))), offsets)


def _compare(groups):
    "The drift of the first of one or two `groups` of offsets (n, N, 2), from the second or from nothing."
    of_landmark = [_compare_one([group[np.isfinite(group[:, k]).all(-1), k] for group in groups])
                   for k in range(groups[0].shape[1])]
    offset, error, n, p = (np.array(values) for values in zip(*of_landmark, strict=True))
    return Drift(offset, error, n, _holm(p))


def _compare_one(groups):
    "Offset, standard errors, numbers and chance of one landmark, of one or two `groups` of offsets (n, 2)."
    n = [len(group) for group in groups]
    if min(n) < SAMPLE: return [np.nan] * 2, [np.nan] * 2, n, np.nan
    means, parts = zip(*((group.mean(0), (np.cov(group.T) + RESOLUTION ** 2 * np.eye(2)) / len(group))
                         for group in groups), strict=True)
    offset, variance = means[0] - sum(means[1:]), sum(parts)
    shares = [part @ np.linalg.inv(variance) for part in parts]
    degrees = 6 / sum((np.trace(share @ share) + np.trace(share) ** 2) / (m - 1)
                      for share, m in zip(shares, n, strict=True))
    distance = offset @ np.linalg.solve(variance, offset)
    chance = f_distribution.sf(distance * (degrees - 1) / (2 * degrees), 2, degrees - 1)
    return offset, np.sqrt(np.diag(variance)), n, chance


def _holm(p):
    "The chances `p` (N,), corrected for the number of those that are known."
    order = np.argsort(p)[:np.isfinite(p).sum()]
    corrected = np.full(len(p), np.nan)
    corrected[order] = np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)).clip(max=1)
    return corrected
