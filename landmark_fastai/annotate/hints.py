"What helps a reader on an image: the points that follow from two or three, and what looks like a slip."

import numpy as np

from ..formats.annotations import Annotations
from ..quality.findings import Finding, unusual_points
from ..quality.shapes import apply_similarity, fit_similarity


def template(mean: np.ndarray, placed: np.ndarray) -> np.ndarray:
    """Where landmarks are that are not `placed` (N, 2) yet, original px: the `mean` shape (N, 2), fitted to what is.

    NaN for landmarks that are placed, for those that the mean shape does not have, and for all where fewer than two are
    placed.
    """
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
