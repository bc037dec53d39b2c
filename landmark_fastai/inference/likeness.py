"""Whether new images are like those that the bounds of points were made with: if not, the bounds need not hold.

The *look* of an image is four numbers: mean and standard deviation of its grey values, 0 to 1, the mean difference of
pixels side by side, and the mean error that is to be expected of its landmarks, a share of its longer side. Pure.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from scipy.stats import ks_2samp

WHAT = 'brightness', 'contrast', 'grain', 'expected errors'  # that the numbers of a look tell
CHANCE = 0.001  # of a warning where nothing is different
FEW = 5         # new images that say something together


def look_of(pixels: np.ndarray, expected_error: np.ndarray) -> list[float]:
    "The look (4,) of an image with uint8 `pixels` (H, W) or (H, W, 3) and the `expected_error` (N,) of points, px."
    rows = pixels[::2]
    some = np.ascontiguousarray(rows[:, ::2]).reshape(len(rows), -1)  # a quarter of the pixels tells as much
    brightness, contrast = (value.item() / 255 for value in cv2.meanStdDev(some))
    steps = cv2.absdiff(rows[:, 1:], rows[:, :-1]) if pixels.shape[1] > 1 else np.zeros(1, np.uint8)
    grain = sum(cv2.mean(steps)) / pixels[0, 0].size / 255  # of channels that are not there the mean is 0
    known = expected_error[np.isfinite(expected_error)]
    expected = known.mean() / max(pixels.shape) if len(known) else 0.
    return [brightness, contrast, grain, float(expected)]


def without_expected(look: Sequence[float]) -> Sequence[float]:
    "The `look` (3,) of an image without the expected errors."
    return look[:WHAT.index('expected errors')]


def differences(looks: Sequence[Sequence[float]], new: Sequence[Sequence[float]]) -> list[str]:
    """What is different, of `WHAT`, on images with `new` looks (m, 4) from those with `looks` (n, 4); often nothing.

    A two-sided Kolmogorov-Smirnov test for each number, with Bonferroni's correction. Fewer than `FEW` images say
    nothing, and `looks` (n, 3) nothing of expected errors.
    """
    if min(len(looks), len(new)) < FEW: return []
    pairs = zip(WHAT, np.transpose(looks), np.transpose(new), strict=False)
    return [what for what, *pair in pairs if ks_2samp(*pair).pvalue < CHANCE / len(WHAT)]
