"""Shapes of landmarks: which point does not fit the others of its image, and which two have changed places.

Shapes are compared free of where they lie, how large and how turned they are (generalised Procrustes analysis, Gower,
Psychometrika 1975). Images with fewer than `FEW` points say too little for that; see the functions. Pure NumPy; points
are (n, N, 2) px with NaN where there is none.
"""

from itertools import combinations

import numpy as np

FEW = 4       # points of an image that say more about its shape than the four numbers of a similarity take
SAMPLE = 5    # images that say what is usual for a landmark
LEAST = 0.002  # of a shape's size, or of an image's side: nobody clicks with less deviation than that
ROUNDS = 10   # of the mean shape, and of the weights of a fit: neither changes much after
SUSPECT = 5   # robust standard deviations that a swap must explain
CLEAR = 0.8   # share of the images in which a pair of few landmarks points the same way


# --- points that do not fit

def outliers(points: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """How far each point (n, N) lies from where the others of its image put it, in robust standard deviations.

    Residuals of the fit to the mean shape, as shares of its size, are compared with those of the landmark on other
    images: median and 1.4826 times the median deviation, at least that of the median landmark, so that a landmark that
    is always clicked alike has no outliers of a pixel. On images with fewer than `FEW` points the residual is the
    distance from the landmark's median place on images of `sizes` (n, 2), as a share of the longer side. NaN where
    nothing is known, and for landmarks on fewer than `SAMPLE` images.
    """
    shape, place = (_deviations(values) for values in (residuals(points, mean_shape(points)), _places(points, sizes)))
    return np.where(_n_points(points)[:, None] < FEW, place, shape)


def _deviations(values):
    "`values` (n, N) in robust standard deviations from what is usual."
    usual, spread = _usual(values)
    return (values - usual) / spread


def _usual(values):
    "Median and robust standard deviation (N,) of `values` (n, N) over the images, as `outliers` has them."
    median = np.where(np.isfinite(values).sum(0) < SAMPLE, np.nan, column_median(values))
    spread = 1.4826 * column_median(abs(values - median))
    return median, np.fmax(spread, max(LEAST, np.median(spread[spread > 0]) if (spread > 0).any() else 0))


def column_median(values: np.ndarray) -> np.ndarray:
    "Medians over the first axis without NaN; NaN where there is nothing else."
    there = np.isfinite(values).any(0)
    median = np.full(values.shape[1:], np.nan)
    if there.any(): median[there] = np.nanmedian(values[:, there], axis=0)
    return median


def _places(points, sizes):
    "Distances (n, N) from the median places, in shares of the longer side of the image."
    places = (points - (sizes[:, None] - 1) / 2) / sizes.max(1)[:, None, None]
    return np.linalg.norm(places - column_median(places), axis=-1)


# --- the mean shape

def mean_shape(points: np.ndarray) -> np.ndarray:
    "The robust mean shape (N, 2) of `points`, centred and of unit size; NaN for a landmark that no image has."
    usable = [shape for shape in points if _n_points(shape) >= FEW and np.nanstd(shape, axis=0).any()]
    if not usable: return np.full(points.shape[1:], np.nan)
    mean, usable = _unit(max(usable, key=_n_points)), np.stack(usable)
    for _ in range(ROUNDS): mean = _unit(column_median(apply_similarity(fit_similarity(usable, mean), usable)))
    return mean


def fit_similarity(shape: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The similarity that takes `shape` to `target`, both (..., N, 2), as complex numbers (a, b): z becomes a z + b.

    Points far off count little (weights 1 / distance, iterated): one wrong click must not turn all the others. NaN
    where two points are not given.
    """
    z, w = np.broadcast_arrays(as_complex(shape), as_complex(target))
    there = np.isfinite(z) & np.isfinite(w)
    z, w = np.where(there, z, 0), np.where(there, w, 0)
    first = np.take_along_axis(z, there.argmax(-1)[..., None], -1)
    known = (there & (z != first)).any(-1)
    a, b = (np.full(known.shape, complex(np.nan)) for _ in range(2))
    a[known], b[known] = _fit(z[known], w[known], there[known])
    return a, b


def _fit(z, w, there):
    "As `fit_similarity`, of complex shapes (n, N) with two points or more that are `there`."
    weight = there.astype(float)
    for _ in range(ROUNDS):
        share = weight / weight.sum(1, keepdims=True)
        z0, w0 = (share * z).sum(1, keepdims=True), (share * w).sum(1, keepdims=True)  # the centres
        spread = (weight * abs(z - z0) ** 2).sum(1, keepdims=True)
        a = (weight * (w - w0) * np.conj(z - z0)).sum(1, keepdims=True) / spread
        distance = abs(a * (z - z0) + w0 - w)
        usual = column_median(np.where(there, distance, np.nan).T)[:, None]
        weight = there / np.maximum(distance, np.maximum(usual, 1e-12))
    return a[:, 0], (w0 - a * z0)[:, 0]


def apply_similarity(similarity: tuple[np.ndarray, np.ndarray], shape: np.ndarray) -> np.ndarray:
    "`shape` (..., N, 2) after the `similarity` (a, b), each (...)."
    a, b = (np.asarray(part)[..., None] for part in similarity)
    z = a * as_complex(shape) + b
    return np.stack([z.real, z.imag], -1)


def expected_points(points: np.ndarray, mean: np.ndarray) -> np.ndarray:
    "Where the mean shape puts the landmarks of each image, (n, N, 2) px; NaN for images with fewer than `FEW` points."
    a, b = fit_similarity(_enough(points), mean)
    inverse = np.conj(a) * abs(a) ** -2
    return apply_similarity((inverse, -b * inverse), mean)


def residuals(points: np.ndarray, mean: np.ndarray) -> np.ndarray:
    "Distances (..., N) of points (..., N, 2), fitted to the `mean` shape, from it; NaN on images with less than `FEW`."
    points = _enough(points)
    return np.linalg.norm(apply_similarity(fit_similarity(points, mean), points) - mean, axis=-1)


def _enough(points):
    "`points` without those of images that have fewer than `FEW`."
    return np.where(_n_points(points)[..., None, None] < FEW, np.nan, points)


def _n_points(shape): return np.isfinite(shape).all(-1).sum(-1)


def as_complex(shape: np.ndarray) -> np.ndarray:
    "The points of `shape` (..., 2) as x + iy: a similarity is a product and a sum of complex numbers."
    return shape[..., 0] + 1j * shape[..., 1]


def _unit(shape):
    "`shape` with its centre at 0 and the root mean square distance from it 1."
    centred = shape - np.nanmean(shape, axis=0)
    return centred / np.sqrt(np.nanmean((centred ** 2).sum(-1)))


# --- points that have changed places

def swaps(points: np.ndarray) -> list[tuple[int, int, int]]:
    """Images in which two landmarks seem to have changed places: (image, landmark, landmark) of each.

    Of all pairs the one whose exchange brings the residuals of the image down most, if one of the two was an outlier
    (`SUSPECT`) and neither is one after. With fewer than `FEW` landmarks: two that lie the other way round than on most
    images (`CLEAR`).
    """
    if points.shape[1] < FEW: return _reversed(points)
    mean = mean_shape(points)
    values, found = residuals(points, mean), []
    usual, spread = _usual(values)
    z = (values - usual) / spread
    for i, shape in enumerate(points):
        suspects = np.flatnonzero(z[i] > SUSPECT / 2)
        if not (z[i] > SUSPECT).any(): continue
        best = min(((np.nansum(residuals(_exchanged(shape, j, k), mean)), j, k) for j, k in combinations(suspects, 2)),
                   default=None)
        if best is None: continue
        _, j, k = best
        after = (residuals(_exchanged(shape, j, k), mean) - usual) / spread
        if best[0] < np.nansum(values[i]) and max(after[j], after[k]) < SUSPECT < max(z[i, j], z[i, k]):
            found.append((i, int(j), int(k)))
    return found


def _reversed(points):
    found = []
    for j, k in combinations(range(points.shape[1]), 2):
        way = points[:, k] - points[:, j]
        way = way / np.fmax(np.linalg.norm(way, axis=-1, keepdims=True), 1e-12)
        along = way @ column_median(way)
        if not np.isfinite(along).any() or np.mean(along[np.isfinite(along)] > 0.5) < CLEAR: continue
        found += [(int(i), j, k) for i in np.flatnonzero(along < -0.5)]
    return sorted(found)


def _exchanged(shape, j, k):
    changed = shape.copy()
    changed[[j, k]] = shape[[k, j]]
    return changed
