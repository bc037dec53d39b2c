"What helps a reader on an image: the points that follow from two or three, and what looks like a slip."

import numpy as np

from ..formats.annotations import Annotations
from ..quality.findings import Finding, unusual_points
from ..quality.shapes import apply_similarity, fit_similarity, mean_shape


def template(shapes: np.ndarray, placed: np.ndarray) -> np.ndarray:
    """Where landmarks are that are not `placed` (N, 2) yet, original px: the mean of `shapes`, fitted to what is.

    `shapes` (n, N, 2) are of other images; those of fewer than four points say nothing. NaN for landmarks that are
    placed, for those that no other image has, and for all where fewer than two are placed.
    """
    mean = mean_shape(shapes)
    found = apply_similarity(fit_similarity(mean, placed), mean)
    return np.where(np.isfinite(placed), np.nan, found)


def slips(annotations: Annotations, image: str) -> list[Finding]:
    """What looks like a slip on one of the images of `annotations`: swapped landmarks, or points that do not fit.

    Where two have changed places others seem not to fit, too, which is not said.
    """
    if image not in annotations.image_names: return []
    i = annotations.image_names.index(image)
    found = [finding for finding in unusual_points(annotations) if finding.images == (i,)]
    return [finding for finding in found if len(finding.landmarks) == 2] or found
