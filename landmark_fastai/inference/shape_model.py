"""Which peaks of the heatmaps of an image are its landmarks, by the shape that landmarks have together.

Where a heatmap knows several places for a landmark, those of the other landmarks tell which of them it is. Shapes are
those of a point distribution model (Cootes et al., Computer Vision and Image Understanding 1995): a mean shape, and the
modes in which shapes differ from it most; what is beside the modes is alike in all directions. Pure NumPy.
"""

import numpy as np

from ..model.facts import ShapeFacts
from ..quality.shapes import FEW, LEAST, as_complex, mean_shape

FEWEST = 10    # images that a shape is learned from
KNOWN = 0.5    # share of the landmarks that are visible on each of them
VARIED = 0.9   # share of the variance that modes explain
DIGITS = 6     # of what is kept; a shape has the size 1
N_PEAKS = 4    # that are looked at of each heatmap
FAINT = 10.    # logits below the highest peak, where a peak does not count any more
BEAM = 16      # ways to choose that are gone on from
SIMILARITY = 4  # directions in which a shape can be moved, turned and enlarged


# --- what is learned

def learn_shape(points: np.ndarray) -> ShapeFacts | None:
    """The shape of training images with `points` (n, N, 2), px, NaN where a landmark is not visible.

    Variances are shrunk towards their mean, the more, the fewer images there are (oracle approximating shrinkage, Chen
    et al., IEEE Transactions on Signal Processing 2010). None where no shape can be told: with fewer than
    `quality.shapes.FEW` landmarks, or fewer than `FEWEST` images that have most of them.
    """
    n_landmarks = points.shape[1]
    points = points[np.isfinite(points).all(-1).sum(1) >= max(FEW, KNOWN * n_landmarks)]
    mean, there = mean_shape(points), np.isfinite(points).all(-1)
    if len(points) < FEWEST or not np.isfinite(mean).all(): return None
    off = np.zeros(points.shape)
    for each, shape, known in zip(off, points, there, strict=True):
        each[known] = deviations(shape[known], mean[known])
    off *= np.sqrt(len(off) / there.sum(0))[:, None]  # where a landmark is missing it does not differ at all
    off = off.reshape(len(off), -1)
    values, modes = np.linalg.eigh(off.T @ off / len(off))
    values, modes = values[:SIMILARITY - 1:-1].clip(0), modes.T[:SIMILARITY - 1:-1]  # the largest first
    values = shrunk(values, len(off)).clip(LEAST ** 2)
    n = min(int((values.cumsum() < VARIED * values.sum()).sum()) + 1, len(values) - 1)
    return ShapeFacts(mean.round(DIGITS).tolist(), modes[:n].round(DIGITS).tolist(), values[:n].tolist(),
                      float(values[n:].mean()))


def deviations(shapes: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """How far `shapes` (..., N, 2) are from the `mean` (N, 2), moved, turned and enlarged to fit by least squares.

    `quality.shapes.fit_similarity` is robust, in ten steps; here one does, for many shapes on every new image.
    """
    z, w = as_complex(shapes), as_complex(mean)
    z, w = z - z.mean(-1, keepdims=True), w - w.mean()
    a = (z.conj() * w).sum(-1, keepdims=True) / (abs(z) ** 2).sum(-1, keepdims=True).clip(1e-12)
    off = a * z - w
    return np.stack([off.real, off.imag], -1)


def shrunk(variances: np.ndarray, n: int) -> np.ndarray:
    "The `variances` (p,) of independent directions, from `n` samples, shrunk towards their mean; see `learn_shape`."
    p, total, squares = len(variances), variances.sum(), (variances ** 2).sum()
    above, below = (1 - 2 / p) * squares + total ** 2, (n + 1 - 2 / p) * (squares - total ** 2 / p)
    share = min(above / below, 1) if below > 0 else 1
    return (1 - share) * variances + share * total / p


# --- what it is used for

class ShapeModel:
    "What is known of a shape by `facts`, to choose peaks by."

    def __init__(self, facts: ShapeFacts):
        self.mean = np.array(facts.mean)
        modes, more = np.array(facts.modes), np.array(facts.variances) - facts.rest
        self.covariance = modes.T * more @ modes + facts.rest * np.eye(self.mean.size)  # (2N, 2N)

    def choose(self, peaks: np.ndarray, heights: np.ndarray, there: np.ndarray) -> np.ndarray:
        """Which of the `peaks` (N, P, 2) of the heatmaps of an image, px, its landmarks are: (N,) int.

        Those of the landmarks that are `there` (N,) that together are most probable, by the shape and by `heights`
        (N, P), logits; others, and all with fewer than `quality.shapes.FEW` landmarks there, stay the first.
        """
        chosen = np.zeros(len(peaks), int)
        known = np.flatnonzero(there & np.isfinite(peaks).all((1, 2)) & np.isfinite(heights[:, 0]))
        if len(known) >= FEW: chosen[known] = self._choose(peaks[known], heights[known], known)
        return chosen

    def _choose(self, peaks, heights, known):
        """As `choose`, of the landmarks that are `known`.

        A beam search from the first peaks on: in the best ways to choose one more landmark is changed, in all ways,
        while that brings something better.
        """
        n = len(known)
        of_known = np.stack([2 * known, 2 * known + 1], -1).ravel()
        precision = np.linalg.inv(self.covariance[np.ix_(of_known, of_known)])
        each, other = np.nonzero(heights > heights[:, :1] - FAINT)

        def log_probability(ways):  # (M,) of ways (M, N), but for a constant
            at = np.arange(n)
            off = deviations(peaks[at, ways], self.mean[known]).reshape(len(ways), -1)
            return heights[at, ways].sum(-1) - ((off @ precision) * off).sum(-1) / 2

        ways = np.zeros((1, n), int)
        best, most = ways[0], log_probability(ways)[0]
        while True:
            ways = ways.repeat(len(each), 0)
            ways[np.arange(len(ways)), np.resize(each, len(ways))] = np.resize(other, len(ways))
            ways = np.unique(ways, axis=0)
            probability = log_probability(ways)
            first = probability.argsort()[:-BEAM - 1:-1]
            ways = ways[first]
            if probability[first[0]] <= most: return best
            best, most = ways[0], probability[first[0]]
