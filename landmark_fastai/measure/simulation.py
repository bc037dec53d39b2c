"""In which interval a true value is expected, by the bounds of the points that it is measured between. Approximate.

Points are drawn around those that were found, as far off as their bounds say, and measured as well. That takes their
errors for normal, alike in all directions and independent of each other.
"""

import math
from dataclasses import replace

import numpy as np

from ..formats.annotations import Annotations
from ..formats.estimates import Bounds
from .definitions import Definitions
from .evaluate import Measured, measure_landmarks, shortest

SIMULATED = 'simulated'
DRAWS, SEED = 500, 0
AT_ONCE = 50_000  # drawn images that are in memory


def with_simulated(measured: Measured, annotations: Annotations, definitions: Definitions, bounds: Bounds,
                   level: float) -> Measured:
    """`measured` with intervals around the values that hold a share `level` of drawn ones, where it has none yet.

    Where a point has no bound, there is no interval of what is measured with it.
    """
    deviation = bounds.radius / rayleigh_quantile(bounds.level)[:, None]
    images = np.flatnonzero(np.isfinite(deviation).any(1) & np.isnan(measured.lower).any((1, 2)))
    lower, upper = measured.lower.copy(), measured.upper.copy()
    rng = np.random.default_rng(SEED)
    for some in np.array_split(images, max(1, math.ceil(len(images) * DRAWS / AT_ONCE))):
        drawn = drawn_around(annotations.subset(some), deviation[some], rng)
        values = measure_landmarks(drawn, definitions).values.reshape(len(some), DRAWS, *measured.values.shape[1:])
        # NaN: a point without a bound, lines that become parallel
        radius = np.quantile(abs(shortest(values - measured.values[some, None], measured.measures)), level, axis=1)
        for end, sign in ((lower, -1), (upper, 1)):
            end[some] = np.where(np.isnan(end[some]), measured.values[some] + sign * radius, end[some])
    new = np.isnan(measured.lower) & np.isfinite(lower)
    return replace(measured, lower=lower, upper=upper, interval=np.where(new, SIMULATED, measured.interval))


def rayleigh_quantile(level: np.ndarray) -> np.ndarray:
    "How many standard deviations along either axis hold a share `level` of normal points in the plane."
    return np.sqrt(-2 * np.log1p(-level))


def drawn_around(annotations: Annotations, deviation: np.ndarray, rng: np.random.Generator) -> Annotations:
    "Each of n images `DRAWS` times, one after the other, its points off by a `deviation` (n, N) along both axes, px."
    drawn = annotations.subset(np.repeat(np.arange(len(annotations)), DRAWS))
    off = rng.standard_normal(drawn.points.shape) * np.repeat(deviation, DRAWS, 0)[..., None]
    return replace(drawn, points=drawn.points + off)
