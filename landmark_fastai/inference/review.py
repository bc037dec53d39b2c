"`review.csv`: the predicted points that a reader should look at first, and why."

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..files import write_text
from ..formats.annotations import UNLABELLED, Annotations
from ..formats.columns import REVIEW
from ..formats.spreadsheet import safe_name
from ..quality.findings import FAR, unusual_points
from ..viz.report import counted
from .predictions import Predictions, in_mm
from .predictor import Prediction

UNSURE = 3   # times the usual error of a landmark that is expected of a point
APART = 4    # times as far as usual between the points of both stages, or models of an ensemble
FEW = 5      # images that tell what is usual


class Doubt(NamedTuple):
    "Why landmark `k` of image `i` is worth a look; from a score of 1 on it is, the larger the sooner."
    i: int
    k: int
    score: float
    reason: str


def doubts(found: Prediction, annotations: Annotations, tolerance: float | None) -> list[Doubt]:
    """What is doubtful in what was `found` on n images, the same as `annotations`; the worst first.

    A bound, or where there is none an expected error, above `tolerance`, in mm, or px where the spacing is not known;
    several times as large an error to expect as usual for the landmark, or stages or models that disagree much more
    than usual; points that do not fit the others; and points that were left blank.
    """
    all_doubts = [*too_large(found, annotations, tolerance), *unusual(found), *unfit(annotations),
                  *blank(found)]
    return sorted(all_doubts, key=lambda doubt: -doubt.score)


def too_large(found: Prediction, annotations: Annotations, tolerance: float | None) -> Iterator[Doubt]:
    "Points whose bound, else expected error, is above `tolerance`."
    if tolerance is None: return
    has_bound, has_mm = np.isfinite(found.bound), np.isfinite(annotations.spacing).all(1)
    expected, bound = in_mm(found, np.where(has_mm[:, None], annotations.spacing, 1))  # px where mm are not known
    values = np.where(has_bound, bound, expected)
    for i, k in np.argwhere(values > tolerance):
        what, unit = 'bound' if has_bound[i, k] else 'expected error', 'mm' if has_mm[i] else 'px'
        yield Doubt(i, k, values[i, k] / tolerance, f'{what} {values[i, k]:.1f} {unit}, tolerated {tolerance:g}')


def unusual(found: Prediction) -> Iterator[Doubt]:
    "Points that are much less certain than the landmark is on other images, by one of three signs."
    sizes = found.size.max(1, keepdims=True)
    between = np.linalg.norm(found.points - found.first, axis=-1)
    for values, times, what in ((found.expected_error, UNSURE, 'the usual expected error'),
                                (between, APART, 'as far as usual between both stages'),
                                (found.spread, APART, 'as far as usual between the models')):
        for i, k, ratio in much_larger(values / sizes, times):
            yield Doubt(i, k, ratio / times, f'{ratio:.1f} times {what}')


def much_larger(values: np.ndarray, times: float) -> Iterator[tuple[int, int, float]]:
    "Those of `values` (n, N) that are `times` the median of their column: where they are, and how many times it."
    for k, column in enumerate(values.T):
        known = column[np.isfinite(column)]
        if len(known) < FEW or not np.median(known): continue
        ratios = column / np.median(known)
        yield from ((int(i), k, float(ratios[i])) for i in np.flatnonzero(ratios > times))


def unfit(annotations: Annotations) -> Iterator[Doubt]:
    "Points that do not fit the shape of their image, and pairs that seem to have changed places."
    for finding in unusual_points(annotations):
        i, = finding.images
        reason = finding.what.removeprefix(f'{annotations.where(i)}: ')
        for k in finding.landmarks: yield Doubt(i, k, finding.score / FAR, reason)


def blank(found: Prediction) -> Iterator[Doubt]:
    "Points that were left blank."
    for i, k in np.argwhere(found.state == UNLABELLED): yield Doubt(i, k, 1., 'left blank')


def review(predictions: Predictions, annotations: Annotations, tolerance: float | None):
    "Write `review.csv` beside the CSV of `predictions`, the same as `annotations`, and say how many images are in it."
    doubted, path = doubts(predictions.stacked(), annotations, tolerance), annotations.path.with_name('review.csv')
    write_review(path, doubted, annotations)
    print(f'{counted(len({doubt.i for doubt in doubted}), "image")} to look at: {path}')


def write_review(path: Path, doubted: list[Doubt], annotations: Annotations):
    "Write `doubted` points of `annotations` to the CSV at `path`; a header alone where there are none."
    rows = [(safe_name(annotations.image_names[i]), annotations.names[k], f'{score:.2f}', reason)
            for i, k, score, reason in doubted]
    write_text(path, pd.DataFrame(rows, columns=REVIEW).to_csv(index=False))
