"""How far readers, or models, are apart: bias, limits of agreement, errors and intraclass correlation.

Values are (n, k) of n images and k readers, NaN where a reader has none; points are (n, k, 2). An image counts where
all k readers have a value, and the numbers of more than two readers are those of all their pairs together, so that for
two they are the ordinary ones. NaN stands for what there is none of. Pure NumPy and SciPy.

Bland and Altman, Stat Methods Med Res 1999; McGraw and Wong, Psychol Methods 1996; Weir, J Strength Cond Res 2005.
"""

import math
from collections.abc import Iterable
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.stats import f as f_distribution
from scipy.stats import t as t_distribution

LIMIT = 1.96  # standard deviations on either side of the bias, within which 95 % of the differences lie
TAIL = 0.975  # of 95 % intervals
WITHIN = (1, 2, 3)  # units
FEWEST = 3  # images of which an intraclass correlation is told
ALL = 'all'  # pair: all readers together
STATISTICS = (
    'n', 'bias', 'sd', 'loa_low', 'loa_high', 'mae', 'rmse', 'dahlberg', 'icc_a1', 'icc_a1_low', 'icc_a1_high',
    'icc_c1', 'icc_c1_low', 'icc_c1_high', 'sem', 'mdc95', 'median', *(f'within_{units}' for units in WITHIN),
    'bias_low', 'bias_high', 'loa_low_low', 'loa_low_high', 'loa_high_low', 'loa_high_high')


class Readings(NamedTuple):
    "What k readers say of one thing, such as a coordinate or an angle, on n images."
    name: str  # of the landmark or measurement
    kind: str  # 'x' or 'y' of a landmark, 'landmark' for its points, 'measurement'
    unit: str
    values: np.ndarray  # (n, k), or points (n, k, 2), in `unit`; NaN where there is none


def agreement_rows(readings: Iterable[Readings], readers: list[str]) -> list[dict]:
    """The rows of agreement.csv: name, kind, pair, unit and `STATISTICS`, of each pair of `readers` and of all.

    A pair is called `first - second`, which is also the direction of its bias.
    """
    columns = {' - '.join(readers[j] for j in pair): pair for pair in combinations(range(len(readers)), 2)}
    columns[ALL] = tuple(range(len(readers)))
    return [{'name': each.name, 'kind': each.kind, 'pair': pair, 'unit': each.unit} | statistics(each.values[:, chosen])
            for each in readings for pair, chosen in columns.items()]


def statistics(values: np.ndarray) -> dict[str, float]:
    """The `STATISTICS` of `values` (n, k), or of points (n, k, 2), whose differences are distances.

    `sd` is that of the differences, without the readers' biases; `dahlberg` the square root of the variance within
    images; `sem` that of the residual variance, biases left out, and `mdc95` 1.96 √2 times as large. `bias` and limits
    are of two readers alone, and distances have no sign: neither a bias nor limits, nor a correlation. Their `sd` is
    that around their mean, which is `mae`.
    """
    values = values[np.isfinite(values).all(tuple(range(1, values.ndim)))]
    if values.ndim == 3: found = _of_points(values)
    else: found = _errors(_differences(values)) | _limits(values) | _reliability(values)
    return {name: found.get(name, math.nan) for name in STATISTICS} | {'n': len(values)}


def _differences(values):
    "What the first of each pair of readers has more than the second, (n, pairs) or (n, pairs, 2)."
    first, second = np.transpose(list(combinations(range(values.shape[1]), 2)))
    return values[:, first] - values[:, second]


def _errors(differences):
    "What is known of the size of `differences`, whatever their direction."
    sizes = abs(differences)
    if not sizes.size: return {}
    rmse = math.sqrt(np.mean(sizes ** 2))
    shares = {f'within_{units}': float(np.mean(sizes <= units)) for units in WITHIN}
    return {'mae': float(sizes.mean()), 'rmse': rmse, 'dahlberg': rmse / math.sqrt(2),
            'median': float(np.median(sizes))} | shares


def _of_points(points):
    distances = np.linalg.norm(_differences(points), axis=-1)
    return _errors(distances) | ({'sd': float(distances.std(ddof=1))} if distances.size > 1 else {})


def _limits(values):
    "Bias, limits of agreement and their intervals (Bland and Altman 1999, section 2.1) of two readers."
    n, k = values.shape
    if k > 2 or not n: return {}
    bias = float(_differences(values).mean())
    if n < 2: return {'bias': bias}
    sd = float(_differences(values).std(ddof=1))
    quantile = float(t_distribution.ppf(TAIL, n - 1))
    found = {'bias': bias} | _interval('bias', bias, quantile * sd / math.sqrt(n))
    for name, limit in (('loa_low', bias - LIMIT * sd), ('loa_high', bias + LIMIT * sd)):
        found |= {name: limit} | _interval(name, limit, quantile * sd * math.sqrt(1 / n + LIMIT ** 2 / (2 * (n - 1))))
    return found


def _interval(name, value, half): return {f'{name}_low': value - half, f'{name}_high': value + half}


# --- variances of n images and k readers

def _reliability(values):
    "Standard error of measurement, and intraclass correlations where there are images enough."
    n, k = values.shape
    if n < 2: return {}
    between, readers, residual = mean_squares(values)
    found = {'sd': math.sqrt(2 * residual), 'sem': math.sqrt(residual), 'mdc95': LIMIT * math.sqrt(2 * residual)}
    if n < FEWEST: return found
    return found | _consistency(n, k, between, residual) | _agreement(n, k, between, readers, residual)


def mean_squares(values: np.ndarray) -> tuple[float, float, float]:
    """Mean squares between images, between readers, and of what is left, of `values` (n, k), n > 1, without gaps.

    The last two are worked out from differences, so that readers that agree to the last bit have exactly 0.
    """
    n, k = values.shape
    differences = _differences(values)
    readers, residual = n * (differences.mean(0) ** 2).sum(), differences.var(0, ddof=1).sum()
    return float(k * values.mean(1).var(ddof=1)), float(readers / (k * (k - 1))), float(residual / (k * (k - 1)))


def _consistency(n, k, between, residual):
    "ICC(C,1) and its 95 % interval."
    def icc(ratio): return _ratio(between - ratio * residual, between + (k - 1) * ratio * residual)
    degrees = n - 1, (n - 1) * (k - 1)
    return {'icc_c1': icc(1), 'icc_c1_low': icc(f_distribution.ppf(TAIL, *degrees)),
            'icc_c1_high': icc(1 / f_distribution.ppf(TAIL, *degrees[::-1]))}


def _agreement(n, k, between, readers, residual):
    "ICC(A,1) and its 95 % interval, whose degrees of freedom are Satterthwaite's."
    within = k * readers + (k * n - k - n) * residual
    icc = _ratio(between - residual, between + (k - 1) * residual + k * (readers - residual) / n)
    if not within: return dict.fromkeys(('icc_a1', 'icc_a1_low', 'icc_a1_high'), icc)  # readers agree to the last bit
    a, b = k * icc / n, 1 - icc + k * icc * (n - 1) / n  # both times (1 - ICC), which cancels
    degrees = _ratio((a * readers + b * residual) ** 2,
                     (a * readers) ** 2 / (k - 1) + (b * residual) ** 2 / ((n - 1) * (k - 1)))
    low, high = f_distribution.ppf(TAIL, n - 1, degrees), f_distribution.ppf(TAIL, degrees, n - 1)
    return {'icc_a1': icc, 'icc_a1_low': _ratio(n * (between - low * residual), low * within + n * between),
            'icc_a1_high': _ratio(n * (high * between - residual), within + n * high * between)}


def _ratio(above, below): return float(above / below) if below else math.nan
