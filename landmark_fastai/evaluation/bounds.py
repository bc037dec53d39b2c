"""Bounds of points against the truth: what they follow from, and how often they hold.

They follow from the errors on images that took no part in a training, or not in that of a fold.
"""

from collections.abc import Iterator

import numpy as np

from ..inference.bounds import coverage_range, scores_of
from ..inference.likeness import without_expected
from ..model.facts import FOLDS, BoundFacts
from ..viz.report import DASH, Table, fixed, percent
from .compare import Evaluation

LEVELS = tuple(np.arange(50, 96, 5) / 100)  # at which the coverage is looked at


def bounds_of(evaluation: Evaluation, source: str) -> BoundFacts:
    "What the errors of an `evaluation`, of images from `source`, tell of bounds; of points that were found."
    found, true = evaluation.predictions.stacked(), evaluation.annotations
    looks = [evaluation.predictions.looks[name] for name in evaluation.predictions.done]
    if source == FOLDS: looks = list(map(without_expected, looks))  # the ensemble of all folds expects smaller errors
    scores = scores_of(evaluation.scores.distances('px'), found.expected_error, true.patient_id)
    return BoundFacts(scores, source, looks)


def coverage_table(evaluation: Evaluation, level: float) -> list[tuple[str, Table]]:
    """How often bounds of `level` hold, a row a landmark, as a report takes tables; none where there are no bounds.

    Beside the share within is the range in which it lies by chance alone, in 95 of 100 cases.
    """
    known = evaluation.predictor.bounds
    errors, bounds = evaluation.scores.distances('px'), evaluation.predictions.stacked().bound
    there = np.isfinite(errors) & np.isfinite(bounds)
    if not known or not there.any(): return []
    rows = []
    for k, name in enumerate(evaluation.annotations.names):
        rows_of = there[:, k]
        low, high = coverage_range(len(known.scores[k]), int(rows_of.sum()), level)
        within = (errors[rows_of, k] <= bounds[rows_of, k]).mean() if rows_of.any() else None
        radius = float(np.median(bounds[rows_of, k])) if rows_of.any() else None
        rows.append([name, str(len(known.scores[k])), str(rows_of.sum()), percent(within),
                     f'{percent(low)} to {percent(high)}' if rows_of.any() else DASH, fixed(radius)])
    header = ['landmark', 'calibration images', 'n', 'within', 'by chance', 'median bound, px']
    return [(f'Bounds of {100 * level:g} %', (header, rows))]


def coverage(evaluation: Evaluation) -> np.ndarray:
    "The share of points within their bounds, at each of `LEVELS`, of each landmark (levels, N); NaN without bounds."
    result = np.full((len(LEVELS), len(evaluation.annotations.names)), np.nan)
    for row, (_, errors, bounds, there) in zip(result, at_levels(evaluation), strict=True):
        n = there.sum(0)
        row[n > 0] = (there & (errors <= bounds)).sum(0)[n > 0] / n[n > 0]
    return result


def pooled_coverage(evaluation: Evaluation) -> list[dict]:
    "How often bounds of all landmarks hold, and their median in px, at each of `LEVELS` at which there are any."
    rows = []
    for level, errors, bounds, there in at_levels(evaluation):
        if not there.any(): continue
        rows.append({'level': float(level), 'n': int(there.sum()), 'within': float((errors <= bounds)[there].mean()),
                     'median_px': float(np.median(bounds[there]))})
    return rows


def at_levels(evaluation: Evaluation) -> Iterator[tuple[float, np.ndarray, np.ndarray, np.ndarray]]:
    "Each of `LEVELS` with the errors and its bounds, (n, N), original px, and where there are both."
    errors, expected = evaluation.scores.distances('px'), evaluation.predictions.stacked().expected_error
    for level in LEVELS:
        bounds = expected * (np.nan if evaluation.tta else evaluation.predictor.bound_factors(level))
        yield level, errors, bounds, np.isfinite(errors) & np.isfinite(bounds)
