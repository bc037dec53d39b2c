"Shapes: a wrong point is named and its neighbours are not; two that changed places are found, and nothing else."

import numpy as np
import pytest

from landmark_fastai.quality import shapes

SHAPE = np.array([[0, 0], [100, 0], [100, 60], [0, 60], [50, 30], [50, 90.]])


@pytest.fixture
def points():
    "Thirty noisy copies (30, 6, 2) of `SHAPE`, each turned, enlarged and moved in its own way."
    rng = np.random.default_rng(0)
    angle, size = rng.uniform(-0.4, 0.4, 30), rng.uniform(0.5, 2, 30)
    a = size * np.exp(1j * angle)
    z = a[:, None] * shapes.as_complex(SHAPE) + (rng.uniform(100, 400, 30) + 1j * rng.uniform(100, 400, 30))[:, None]
    return np.stack([z.real, z.imag], -1) + rng.normal(0, 1, (30, 6, 2)) * size[:, None, None]


SIZES = np.full((30, 2), 600)


def test_a_similarity_is_found_and_applied():
    a, b = 2 * np.exp(0.3j), 5 - 7j
    target = shapes.apply_similarity((a, b), SHAPE)
    np.testing.assert_allclose(shapes.fit_similarity(SHAPE, target), (a, b))
    np.testing.assert_allclose(shapes.expected_points(target[None], SHAPE)[0], target)


def test_one_wrong_point_does_not_turn_the_others():
    wrong = SHAPE.copy()
    wrong[3] += [40, -50]
    residuals = shapes.residuals(wrong[None], SHAPE)[0]
    assert residuals[3] == pytest.approx(np.hypot(40, 50), rel=0.1) and np.delete(residuals, 3).max() < 3


def test_the_mean_shape_is_free_of_place_size_and_turn(points):
    a, b = shapes.fit_similarity(shapes.mean_shape(points), SHAPE)
    np.testing.assert_allclose(shapes.apply_similarity((a, b), shapes.mean_shape(points)), SHAPE, atol=1.5)


def test_a_wrong_point_is_the_only_outlier(points):
    points[7, 2] += [25, 20]
    z = shapes.outliers(points, SIZES)
    assert np.unravel_index(z.argmax(), z.shape) == (7, 2) and z[7, 2] > 10
    assert np.delete(z.ravel(), z.argmax()).max() < 6


def test_missing_points_are_no_outliers_and_hide_none(points):
    points[::3, 1] = np.nan
    points[5] = np.nan
    points[4, :3] = np.nan  # three are left: too few for a shape, so their places count
    points[8, :3], points[8, 4] = np.nan, (599, 5)
    points[7, 2] += [25, 20]
    z = shapes.outliers(points, SIZES)
    assert np.isnan(z[::3, 1]).all() and np.isnan(z[5]).all() and np.isnan(z[4, :3]).all() and (z[4, 3:] < 6).all()
    assert np.nan_to_num(z[8]).argmax() == 4 and z[8, 4] > 3  # of places that lie anywhere within 300 px
    z[8] = np.nan
    assert np.unravel_index(np.nan_to_num(z).argmax(), z.shape) == (7, 2)


def test_a_landmark_without_any_label_is_no_trouble(points):
    points[:, 4] = np.nan
    z = shapes.outliers(points, SIZES)
    assert np.isnan(z[:, 4]).all() and np.isfinite(z[:, 0]).all()
    assert shapes.swaps(points) == []


def test_four_images_do_not_say_what_is_usual(points):
    points[2, 2] += [25, 20]
    assert np.isnan(shapes.outliers(points[:4], SIZES[:4])).all() and shapes.swaps(points[:4]) == []
    assert np.isfinite(shapes.outliers(points[:5], SIZES[:5])).all()


@pytest.mark.filterwarnings('error')
def test_points_that_are_all_alike_are_no_trouble():
    points = np.tile(SHAPE, (12, 1, 1))
    points[4, 2] += [25, 20]  # of points without any deviation only the wrong one is far off
    assert np.argwhere(shapes.outliers(points, SIZES[:12]) > 6).tolist() == [[4, 2]]
    points[7] = 70.  # all on one place: no shape
    assert np.isnan(shapes.outliers(points, SIZES[:12])[7]).all()
    assert np.isnan(shapes.outliers(np.full((12, 6, 2), 70.), SIZES[:12])).all()


@pytest.mark.parametrize('j, k', [(0, 1), (1, 2), (4, 5)])
def test_two_that_changed_places_are_found_and_nothing_else(points, j, k):
    points[11, [j, k]] = points[11, [k, j]]
    assert shapes.swaps(points) == [(11, j, k)]


def test_no_swap_is_seen_where_there_is_none(points):
    assert shapes.swaps(points) == []
    points[7, 2] += [25, 20]  # a slip, which no exchange mends
    assert shapes.swaps(points) == []


def test_two_landmarks_are_judged_by_place_and_direction():
    rng = np.random.default_rng(1)
    points = np.array([[200, 300], [400, 310.]]) + rng.normal(0, 10, (30, 2, 2))
    points[3] = points[3, ::-1]
    points[9, 0] = np.nan
    assert shapes.swaps(points) == [(3, 0, 1)]
    points[5, 1] = [590, 20]
    z = shapes.outliers(points, SIZES)
    assert z[5, 1] > 10 and np.isnan(z[9, 0])


def test_two_landmarks_that_lie_anyhow_are_never_swapped():
    points = np.random.default_rng(2).uniform(0, 600, (30, 2, 2))
    assert shapes.swaps(points) == []
