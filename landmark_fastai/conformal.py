"""Which of a few errors bounds a share of new ones: split-conformal prediction (Lei et al., JASA 2018).

For the bounds of points and the intervals of measurements. Pure arithmetic.
"""

import math


def rank_of(n: int, level: float) -> int:
    "Which of `n` errors, the smallest is 1, bounds a share `level` of new ones; n + 1 where there are too few."
    return min(math.ceil(round((n + 1) * level, 9)), n + 1)  # 10 * 0.9 may be a little over 9


def fewest(level: float) -> int:
    "How many errors it takes to bound a share `level` of new ones."
    return math.ceil(round(level / (1 - level), 9))
