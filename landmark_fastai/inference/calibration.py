"A trained network on new images: from the folder of a run, or from weights of the original system."

import numpy as np
import torch
from fastcore.basics import chunked

from ..geometry.frame import to_network

LOOKED_AT = 200  # images, at most: enough for the means of `calibrate`
FLAT = 0.2       # of the square's side: half the scatter of a softmax that is the same everywhere


def calibrate(predictor, errors, scatters):
    """Set, and return as a list, the factors of `predictor` from the scatter of its softmax to the expected error.

    For each landmark the mean of the `errors` over that of the `scatters`, both (n, N) of `look_at`: some landmarks are
    defined less sharply than the network thinks. 1 where that cannot be told.
    """
    there = np.isfinite(errors) & np.isfinite(scatters)
    sums = [np.where(there, values, 0).sum(0) for values in (errors, scatters)]
    factors = np.divide(*sums, out=np.ones(len(predictor.names)), where=(sums[0] > 0) & (sums[1] > 0))
    predictor.calibration.copy_(torch.from_numpy(factors))
    return factors.tolist()


def flat_landmarks(predictor, scatters):
    "Names of the landmarks that the network sees no place for: its median scatter, of (n, N), is nearly that of noise."
    known = np.isfinite(scatters).any(0)
    return [name for name, values, there in zip(predictor.names, scatters.T, known, strict=True)
            if there and np.nanmedian(values) > FLAT * predictor.config['image_resize']]


def look_at(predictor, dataset):
    """Errors and scatters (n, N), network px, of the landmarks on the first images of `dataset`, of `landmark_dls`.

    The error is NaN for a landmark that is not visible, the scatter (see `geometry`) for one that was called absent.
    """
    errors, scatters = [], []
    for chunk in chunked(range(min(len(dataset), LOOKED_AT)), predictor.batch_size):
        films = [dataset.items[i] for i in chunk]
        frames = torch.from_numpy(np.stack([film.frame for film in films]))
        points, scattered, _, absent = predictor.look(torch.stack([dataset[i][0] for i in chunk]), frames)
        true = to_network(torch.from_numpy(np.stack([film.points for film in films])), frames[:, None])
        errors.append(torch.linalg.vector_norm(points - true, dim=-1))
        scatters.append(scattered.masked_fill(absent, torch.nan))
    return torch.cat(errors).numpy(), torch.cat(scatters).numpy()
