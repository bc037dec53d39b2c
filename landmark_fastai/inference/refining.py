"""The second stage of a run on new images: crops around what the first one has found, and both points combined.

Each stage tells the error to expect of its point (see `calibration.variances`), and a point counts by the inverse of
its square. So a crop sharpens what is sharp, and where it shows little the first stage stays.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from fastcore.basics import chunked

from ..data.items import make_frame
from ..formats.annotations import VISIBLE
from ..formats.images import letterbox
from ..geometry.frame import Frame, to_original
from ..geometry.pieces import cut_around, piece_of
from ..model.facts import BOTH, FIRST
from .engine import MOST
from .predictor import DECIMALS, Prediction, Predictor

MARGIN = 0.04  # of the side of a crop: a peak so near its border may be the flank of what lies beyond
TINY = 1e-9
NEGLIGIBLE = 0.01  # share of a stage in a point
REFINED = 'refined'  # as FIRST and BOTH, what became of a landmark: see `combine`


class Seen(NamedTuple):
    "What a second stage sees of the N landmarks of an image."
    points: np.ndarray   # (N, 2) original px
    scatter: np.ndarray  # (N,) of the heatmap around the point, film px, see `geometry.decoding`
    counts: np.ndarray   # (N,) bool: there was a point to crop around, and the peak is off the border


def look_closer(second: Predictor, film: np.ndarray, first: Prediction, tta: bool = False) -> Seen:
    """What the network of `second` sees in crops around the points that the `first` stage found on an image.

    `film` (S, S) or (S, S, 3) is the image, padded and resized as the crops of `second` want it.
    """
    side = second.config.image_resize
    frame = make_frame(first.size, (np.nan, np.nan), len(film))
    n = len(first.points)
    there = np.flatnonzero((first.state == VISIBLE) & np.isfinite(first.points).all(-1))
    seen = Seen(np.full((n, 2), np.nan), np.full(n, np.nan), np.zeros(n, bool))
    for some in chunked(there, MOST):  # small as they are, many fill a CPU better than one a thread
        corners, frames = zip(*(cut_around(frame, first.points[k], side) for k in some), strict=True)
        squares = np.stack([np.atleast_3d(piece_of(film, corner, side)) for corner in corners])
        frames = np.stack([each.row() for each in frames])
        found = second.engine.decode(squares.transpose(0, 3, 1, 2), frames, some, tta)
        points = found.points[:, 0]
        seen.points[some] = to_original(points, Frame.of(frames))
        seen.scatter[some] = found.scatter[:, 0]
        inside = (points > MARGIN * side) & (points < side - 1 - MARGIN * side)  # which NaN is not
        seen.counts[some] = inside.all(-1)
    return seen


def expected_error(variance: Sequence[float], scatter: np.ndarray, side: int, size: np.ndarray) -> np.ndarray:
    """The errors (N,), original px, to expect of points whose heatmaps have the `scatter` (N,).

    That is in px of a square of that `side`, for an image of `size` (2,) px; see `calibration.variances`.
    """
    return np.sqrt(variance * scatter) * (size.max() / side)


def combine(first: Prediction, first_error: np.ndarray, seen: Sequence[Seen], errors: np.ndarray) -> Prediction:
    """The `first` prediction of an image with what M second stages, those of an ensemble, have `seen`.

    `first_error` (N,) and `errors` (M, N), original px, are to be expected of the points of either on images that are
    new to it. A point counts by the inverse square of its expected error; where no crop counts the first one stays.
    """
    points, _, counts = map(np.stack, zip(*seen, strict=True))
    weights = np.where(counts, errors.clip(TINY) ** -2., 0)
    closer = (weights[..., None] * np.where(counts[..., None], points, 0)).sum(0) / weights.sum(0).clip(TINY)[:, None]
    weight = weights.sum(0) / counts.sum(0).clip(1)  # their mean: models of an ensemble see the same crop
    share = weight / (weight + first_error.clip(TINY) ** -2.)  # of the second stage, (N,)
    share = np.where(counts.any(0), share, 0)
    points = np.where(share[:, None] > 0, share[:, None] * closer + (1 - share)[:, None] * first.points, first.points)
    error = np.where(share > 0, share * weight.clip(TINY) ** -0.5 + (1 - share) * first_error, first_error)
    stage = np.select([first.state != VISIBLE, share < NEGLIGIBLE, share > 1 - NEGLIGIBLE], ['', FIRST, REFINED], BOTH)
    return first._replace(points=points.round(DECIMALS).clip(0, first.size - 1), expected_error=error, stage=stage)


class RefinedPredictor(Predictor):
    "A `Predictor` of two stages: `first`, and `seconds` that look closer at what it finds, one of each model."
    stage = BOTH

    def __init__(self, first: Predictor, seconds: Sequence[Predictor]):
        super().__init__(first.engine, first.config, first.facts,
                         first.weights + [path for second in seconds for path in second.weights])
        self.seconds = list(seconds)
        self.first_variance = np.mean([second.facts.crop.first_variance for second in seconds], 0)

    def finish(self, pixels, prediction, scatter, tta):
        size = prediction.size
        first_error = expected_error(self.first_variance, scatter, self.config.image_resize, size)
        crops = [second.facts.crop for second in self.seconds]
        films = {side: letterbox(pixels, side) for side in {crop.film for crop in crops}}
        seen = [look_closer(second, films[crop.film], prediction, tta)
                for second, crop in zip(self.seconds, crops, strict=True)]
        errors = [expected_error(crop.variance, each.scatter, crop.film, size)
                  for crop, each in zip(crops, seen, strict=True)]
        combined = combine(prediction, first_error, seen, np.stack(errors))
        return combined._replace(confidence=self.confidence(combined))
