"Pieces of a film: what is on them, and where they are cut."

import numpy as np
import pytest

from landmark_fastai.geometry.pieces import corner_around, piece_of


def test_a_piece_is_what_is_there_and_black_beyond():
    film = np.arange(1, 13, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(piece_of(film, (1, 0), 2), [[2, 3], [6, 7]])
    np.testing.assert_array_equal(piece_of(film, (-1, 2), 2), [[0, 9], [0, 0]])
    np.testing.assert_array_equal(piece_of(film, (9, 9), 2), np.zeros((2, 2)))
    assert piece_of(np.ones((3, 4, 3), np.uint8), (3, -1), 3).sum() == 2 * 1 * 3


@pytest.mark.parametrize('point, side, corner', [((10, 20), 4, (9, 19)), ((9.5, 19.49), 4, (8, 18)),
                                                 ((63.5, 0), 128, (0, -63))])
def test_the_middle_of_a_crop_is_within_half_a_pixel_of_its_point(point, side, corner):
    assert corner_around(np.array(point), side) == corner
    assert (abs(np.array(corner) + side / 2 - 0.5 - point) <= 0.5).all()
