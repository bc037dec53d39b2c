"How fastai shows landmarks."

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.colors import to_rgb

from landmark_fastai.data.tensors import PREDICTION, TRUTH, TensorLandmarks
from landmark_fastai.viz.overlays import BLUE, RED


@pytest.mark.parametrize('shown, drawn', [(TRUTH, BLUE), (PREDICTION, RED)])
def test_colours_are_those_of_the_overlays(shown, drawn):
    assert tuple(round(255 * part) for part in to_rgb(shown)) == drawn


def test_masks_are_shown_around_visible_landmarks_where_the_radius_is_known():
    _, ax = plt.subplots()
    points = TensorLandmarks(torch.tensor([[10.2, 20.7], [torch.nan, torch.nan]]), radius=3)
    points.show(ctx=ax)
    [outline] = ax.patches
    assert sorted(map(tuple, outline.get_xy()[:4].tolist())) == [(7, 21), (10, 18), (10, 24), (13, 21)]
    plt.close()
