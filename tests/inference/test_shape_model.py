"Peaks that are chosen by the shape of all landmarks, against numbers worked out by hand."

import numpy as np
import pytest
from helpers import disc_finder

from landmark_fastai.inference.engine import Decoded
from landmark_fastai.inference.shape_model import FAINT, ShapeModel, deviations, learn_shape, shrunk
from landmark_fastai.model.facts import without_shape
from landmark_fastai.quality.shapes import apply_similarity

HOUSE = np.array([[0, 0], [40, 0], [40, 30], [20, 50], [0, 30.]])
ELSEWHERE = np.array([[300, -200], [-250, 40], [60, 300], [200, 200], [0, -280.]])


def turned(shape, degrees, factor=1., moved=(0, 0)):
    "`shape` (..., N, 2) turned, enlarged and moved."
    a = factor * np.exp(1j * np.deg2rad(degrees))
    return apply_similarity((a, complex(*moved)), shape)


def houses(n=30, noise=1.):
    "`n` images of the house, clicked with `noise`, each elsewhere, of another size and turned."
    rng = np.random.default_rng(0)
    shapes = HOUSE + noise * rng.standard_normal((n, *HOUSE.shape))
    return np.stack([turned(shape, rng.uniform(-30, 30), rng.uniform(0.5, 2), rng.uniform(0, 500, 2))
                     for shape in shapes])


def peaks_of(shape, *wrong, second=-1.):
    "Peaks (N, 2, 2) and heights: the shape, but for the landmarks `wrong`, whose highest peak is elsewhere."
    peaks = np.stack([shape, shape + ELSEWHERE], 1)
    for k in wrong: peaks[k] = peaks[k, ::-1]
    return peaks, np.array([[0, second]] * len(shape)), np.ones(len(shape), bool)


def test_a_shape_that_is_moved_turned_and_enlarged_does_not_differ():
    np.testing.assert_allclose(deviations(turned(HOUSE, 140, 3, (7, 8)), HOUSE), 0, atol=1e-9)


def test_how_far_a_shape_differs():
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1.]])
    longer = square * [2, 1]  # (2 * 1 + 1 * 1) / (2 ** 2 + 1 ** 2): it is made 0.6 times as large
    np.testing.assert_allclose(deviations(longer, square), square * [0.2, -0.4], atol=1e-9)


def test_variances_are_shrunk_towards_their_mean():
    "Sum 4, sum of squares 10, p = 2: the share is 16 / (16 * (10 - 8))."
    np.testing.assert_allclose(shrunk(np.array([3., 1]), 16), [2.5, 1.5])
    np.testing.assert_allclose(shrunk(np.array([3., 1]), 4), [2, 2])  # few samples: nothing else is believed
    np.testing.assert_allclose(shrunk(np.array([2., 2]), 4), [2, 2])


def test_what_is_learned_of_a_shape():
    "One landmark moves along x; what is left is the noise of clicks, the same in all directions."
    rng = np.random.default_rng(0)
    shapes = HOUSE + 0.1 * rng.standard_normal((200, *HOUSE.shape))
    shapes[:, 3, 0] += 10 * rng.standard_normal(200)
    known = learn_shape(shapes)
    assert len(known.modes) == 1 and known.variances[0] > 20 * known.rest
    roof = np.array(known.modes[0]).reshape(5, 2)[3]
    assert abs(roof[0]) > 0.7 and abs(roof[1]) < 0.3


def test_landmarks_that_some_images_lack_vary_as_much():
    shapes = houses(400, noise=2)
    holes = shapes.copy()
    holes[np.arange(400), np.arange(400) % 5] = np.nan
    whole, gaps = (ShapeModel(learn_shape(each)).covariance for each in (shapes, holes))
    np.testing.assert_allclose(np.trace(gaps), np.trace(whole), rtol=0.25)


@pytest.mark.parametrize('points', [houses(9), houses()[:, :3], np.where(np.arange(5)[:, None] > 1, np.nan, houses()),
                                    np.where(np.arange(5)[:, None] == 2, np.nan, houses()),
                                    np.zeros((0, 5, 2)), np.full((20, 5, 2), 3.)])
def test_no_shape_is_learned_of_too_few_images_or_landmarks(points):
    assert learn_shape(points) is None


@pytest.mark.parametrize('wrong', [(), (0,), (3,), (1, 4)])
@pytest.mark.parametrize('degrees, factor', [(0, 1), (75, 4)])
def test_peaks_that_fit_the_others_are_chosen(wrong, degrees, factor):
    shape = turned(HOUSE, degrees, factor, (100, 50))
    chosen = ShapeModel(learn_shape(houses())).choose(*peaks_of(shape, *wrong))
    assert chosen.tolist() == [int(k in wrong) for k in range(5)]


def test_two_landmarks_that_have_changed_places_are_put_right():
    peaks, heights, there = peaks_of(HOUSE)
    peaks[1, 1], peaks[4, 1] = HOUSE[4], HOUSE[1]
    peaks[[1, 4]] = peaks[[1, 4], ::-1]
    assert ShapeModel(learn_shape(houses())).choose(peaks, heights, there).tolist() == [0, 1, 0, 0, 1]


def test_a_peak_that_is_faint_does_not_count():
    model = ShapeModel(learn_shape(houses()))
    for second, chosen in ((-FAINT + 0.1, 1), (-FAINT - 0.1, 0), (-np.inf, 0)):
        assert model.choose(*peaks_of(HOUSE, 3, second=second))[3] == chosen


def test_the_highest_peak_stays_where_the_shape_leaves_it_open():
    peaks, heights, there = peaks_of(HOUSE)
    peaks[2, 1] = peaks[2, 0] + 0.5
    assert not ShapeModel(learn_shape(houses())).choose(peaks, heights, there).any()


def test_landmarks_that_are_absent_say_nothing():
    model = ShapeModel(learn_shape(houses()))
    peaks, heights, there = peaks_of(HOUSE, 0)
    peaks[4], there[4] = 1e4, False
    assert model.choose(peaks, heights, there).tolist() == [1, 0, 0, 0, 0]
    there[3] = False  # three are left
    assert not model.choose(peaks, heights, there).any()


def test_networks_that_have_diverged_choose_nothing():
    peaks, heights, there = peaks_of(HOUSE, 0)
    assert not ShapeModel(learn_shape(houses())).choose(peaks, heights * np.nan, there).any()


class TwoPlaces:
    "An `Engine` that sees every landmark at its place in the house, and the first of them elsewhere as well."
    name, batch_size = 'torch', 2

    def decode(self, squares, frames, landmarks=None, tta=False):
        peaks, heights, _ = peaks_of(HOUSE, 0)
        scatter = np.tile([[9., 5.]], (5, 1))
        found = peaks[:, 0], scatter[:, 0], np.zeros(5), np.zeros(5, bool), peaks, heights, scatter
        return Decoded(*(np.stack([values] * len(squares)) for values in found))


def test_a_predictor_takes_the_peaks_that_look_like_the_landmarks_together():
    predictor = disc_finder(64, landmarks=list('abcde'), shape=learn_shape(houses()))
    predictor.engine = TwoPlaces()
    images = [np.zeros((64, 64), np.uint8)] * 3
    found, plain = predictor.predict(images), predictor.with_facts(without_shape(predictor.facts)).predict(images)
    np.testing.assert_allclose(found.points, np.stack([HOUSE] * 3), atol=1e-3)
    np.testing.assert_allclose(found.expected_error, [[5, 9, 9, 9, 9]] * 3, atol=1e-3)
    np.testing.assert_allclose(plain.points[:, 0], [[63, 0]] * 3)  # on the image
    np.testing.assert_allclose(plain.points[:, 1:], found.points[:, 1:])
