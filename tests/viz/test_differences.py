"Figures of differences are written whatever is missing, also with names that are no formulas."

import cv2
import numpy as np
import pytest

from landmark_fastai.viz.differences import TILES, Tile, plot_bland_altman, plot_drift, plot_identity

NAN = np.nan


def tile(title='knee x, px', n=20, **changes):
    first = np.random.default_rng(0).normal(100, 10, n)
    return Tile(title, first, first + 1, -1., -3., 1.)._replace(**changes)


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('plot', [plot_bland_altman, plot_identity])
@pytest.mark.parametrize('tiles', [
    [tile()], [tile('a$b$ x')] * 9, [tile(n=1, low=NAN, high=NAN)], [tile(first=np.full(5, 3.), second=np.full(5, 3.))],
    [tile(n=3, first=np.full(3, NAN), bias=NAN, low=NAN, high=NAN)], [tile(n=0, bias=NAN, low=NAN, high=NAN), tile()]])
def test_tiles_are_drawn(plot, tiles, tmp_path):
    plot(tiles, ('A$B$', 'a reader with a rather long name'), tmp_path / 'figure.png')
    assert cv2.imread(str(tmp_path / 'figure.png')).std() > 5


@pytest.mark.slow
def test_of_many_tiles_those_with_the_widest_limits_are_drawn(tmp_path):
    sizes = []
    for n in (TILES, 3 * TILES):
        plot_identity([tile(n=2, high=float(k)) for k in range(n)], ('A', 'B'), tmp_path / 'figure.png')
        sizes.append(cv2.imread(str(tmp_path / 'figure.png')).shape)
    assert sizes[0] == sizes[1]


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('missing', [[], [1], [0, 1, 2]])
def test_drift_is_drawn(missing, tmp_path):
    offset, error, flagged = np.array([[1, 2], [0, -3], [5, 0.]]), np.ones((3, 2)), np.array([False, False, True])
    offset[missing] = error[missing] = NAN
    plot_drift(offset, error, flagged & np.isfinite(offset[:, 0]), ['a', 'b$c$', 'd' * 50], 'mm', 'A - $B$',
               tmp_path / 'figure.png')
    pixels = cv2.imread(str(tmp_path / 'figure.png')).astype(int)
    red = (pixels[..., 2] > 150) & (pixels[..., :2].max(-1) < 80)
    assert red.any() == (2 not in missing)
