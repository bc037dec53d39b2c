"Scores of predictions that are written down."

import numpy as np
import pandas as pd
import pytest
from helpers import predicted

from landmark_fastai.evaluation.scores import score
from landmark_fastai.formats.annotations import ABSENT, UNLABELLED, VISIBLE, read_annotations


@pytest.fixture
def annotated(tmp_path):
    "A function that reads a CSV of true points: (x, y), BLANK or GONE for each landmark of each image."
    def make(true, names='abcdefgh', **columns):
        names = list(names)[:len(true[0])]
        rows = [{'image_name': f'{i}.png', 'image_width': 1000, 'image_height': 1000,
                 **{f'{name}_{axis}': value for name, point in zip(names, points, strict=True)
                    for axis, value in zip('xy', point, strict=True)},
                 **{column: values[i] for column, values in columns.items()}} for i, points in enumerate(true)]
        pd.DataFrame(rows).to_csv(tmp_path / 'true.csv', index=False)
        return read_annotations(tmp_path / 'true.csv')
    return make


@pytest.fixture
def scored(annotated):
    "A function that scores predictions, given like the true points."
    def make(true, pred, presence=(), **columns):
        pred = np.array(pred, float)
        state = np.select([(pred == -1).all(-1), np.isnan(pred).any(-1)], [ABSENT, UNLABELLED], VISIBLE)
        points = np.where(state[..., None] == VISIBLE, pred, np.nan)
        return score(annotated(true, **columns), predicted(points, state), presence)
    return make


@pytest.fixture
def apart(scored):
    "A function that scores landmarks whose predictions lie the given distances, (n, N), to the right of the truth."
    def make(distances, **columns):
        distances = np.array(distances, float)
        true = np.where(np.isnan(distances)[..., None], np.nan, 100.0) * np.ones(2)
        return scored(true.tolist(), (np.array([100, 100]) + distances[..., None] * [1, 0]).tolist(), **columns)
    return make
