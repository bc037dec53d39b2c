"From what a network sees on training images: the error to expect of a heatmap, and landmarks without any peak."

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from fastai.data.core import Datasets
from fastcore.basics import chunked

from ..data.items import AnnotatedImage
from ..formats.images import letterbox
from ..geometry.frame import Frame, to_network
from .predictor import Predictor
from .refining import look_closer

LOOKED_AT = 200  # images, at most: enough for the means of `calibrate`
FLAT = 0.2       # of the square's side: half the scatter of a heatmap that is the same everywhere
NEAR = 0.1       # of it, too: where a peak is usually as near as that, it means something, whatever lies around it


class Observed(NamedTuple):
    "Errors and scatters (n, N) of the heatmaps of n images with N landmarks, network px."
    errors: np.ndarray    # NaN where a landmark is not visible
    scatters: np.ndarray  # see `geometry.decoding`; NaN where it was called absent


def observe(predictor: Predictor, dataset: Datasets) -> Observed:
    "How far `predictor` is off on the first images of `dataset`, such as `dls.train_ds`, and how its heatmaps scatter."
    errors, scatters = [], []
    for chunk in chunked(range(min(len(dataset), LOOKED_AT)), predictor.engine.batch_size):
        images = [dataset.items[i] for i in chunk]
        frames = np.stack([image.frame.row() for image in images])
        seen = predictor.decode(torch.stack([dataset[i][0] for i in chunk]).numpy(), frames)
        true = to_network(np.stack([image.points for image in images]), Frame.of(frames[:, None]))
        errors.append(np.linalg.norm(seen.points - true, axis=-1))
        scatters.append(seen.scatter)
    return Observed(np.concatenate(errors), np.concatenate(scatters))


def observe_crops(second: Predictor, first: Predictor, images: Sequence[AnnotatedImage]) -> Observed:
    """How far `second` is off on crops around what `first` finds on `images`, the first of them, and how it scatters.

    Both in film px; the scatter is NaN where a crop does not count.
    """
    images, film_side = images[:LOOKED_AT], second.facts.crop.film
    errors, scatters = [], []
    for image, (_, pixels, found) in zip(images, first.stream(image.path for image in images), strict=True):
        seen = look_closer(second, letterbox(pixels, film_side), found)
        errors.append(np.linalg.norm(seen.points - image.points, axis=-1) * (film_side / found.size.max()))
        scatters.append(np.where(seen.counts, seen.scatter, np.nan))
    return Observed(np.stack(errors), np.stack(scatters))


def calibrate(observed: Observed) -> list[float]:
    """The factor of each landmark (N,) from the scatter of its heatmap to the expected error.

    It is the mean error over the mean scatter: some landmarks are defined less sharply than the network thinks. 1 where
    that cannot be told.
    """
    there = np.isfinite(observed.errors) & np.isfinite(observed.scatters)
    errors, scatters = (np.where(there, values, 0).sum(0) for values in observed)
    return np.divide(errors, scatters, out=np.ones(len(errors)), where=(errors > 0) & (scatters > 0)).tolist()


def variances(observed: Observed, reach: float) -> list[float]:
    """The factor of each landmark (N,) from the scatter of its heatmap to the square of the expected error, network px.

    It is the squared mean of the errors below `reach` over the median of their scatters. By such variances the points
    of two stages are combined: errors differ less from image to image than scatters do, and where one part is taken for
    another, neither stage tells whom to trust elsewhere. 1 where that cannot be told.
    """
    near = np.isfinite(observed.scatters) & (observed.errors < reach)
    of_each = [(errors[there], scatters[there]) for errors, scatters, there
               in zip(observed.errors.T, observed.scatters.T, near.T, strict=True)]
    return [float(errors.mean() ** 2 / np.median(scatters)) if errors.any() and scatters.all() else 1.
            for errors, scatters in of_each]


def flat_landmarks(predictor: Predictor, observed: Observed) -> list[str]:
    "The landmarks that the network sees no place for: median scatter and median error are nearly those of noise."
    side = predictor.config.image_resize
    medians = [pd.DataFrame(values).median() for values in observed]  # NaN where nothing is known
    return [name for name, error, scatter in zip(predictor.names, *medians, strict=True)
            if scatter > FLAT * side and not error < NEAR * side]


def calibrated(predictor: Predictor, dataset: Datasets) -> Predictor:
    "`predictor` with the calibration and the flat channels that `dataset`, its training images, tells."
    observed = observe(predictor, dataset)
    facts = replace(predictor.facts, calibration=calibrate(observed), flat=flat_landmarks(predictor, observed))
    return predictor.with_facts(facts)
