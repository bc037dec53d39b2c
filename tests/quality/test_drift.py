"Drift: a landmark that one reader or group puts elsewhere is found, its size is right, and others are left alone."

import numpy as np
import pytest

from landmark_fastai.quality import shapes
from landmark_fastai.quality.drift import change_of_readers, drift_of_groups, drift_of_readers

SHAPE = np.random.default_rng(7).uniform(0, 400, (8, 2))  # px
NOISE = 1  # px along each axis, of a reader
SHIFTED = 3


def films(n, rng, turn=0.1):
    "Points (n, 8, 2) of `n` films of bones that differ by 6 px, in size by a tenth or so, and by `turn` radian."
    z = shapes.as_complex(SHAPE + rng.normal(0, 6, (n, *SHAPE.shape)))
    a = rng.uniform(0.8, 1.2, n) * np.exp(1j * rng.normal(0, turn, n))
    return shapes.apply_similarity((a, rng.uniform(400, 600, n) + 1j * rng.uniform(400, 600, n)),
                                   np.stack([z.real, z.imag], -1))


def read(points, rng, shift=(0, 0)):
    "What a reader clicks on films with `points`, one landmark `shift` px off."
    found = points + rng.normal(0, NOISE, points.shape)
    found[:, SHIFTED] += shift
    return found


def of_two_readers(n, seed, shift):
    rng = np.random.default_rng(seed)
    points = films(n, rng)
    return drift_of_readers(read(points, rng, shift), read(points, rng))


@pytest.mark.slow
@pytest.mark.parametrize('n,least', [(20, 0.95), (50, 1)])
def test_a_reader_who_clicks_2_px_beside_is_found_and_no_other_landmark(n, least):
    found = np.array([of_two_readers(n, seed, (1.2, -1.6)).flagged for seed in range(200)])
    assert found[:, SHIFTED].mean() >= least
    assert np.delete(found, SHIFTED, 1).any(1).mean() <= 0.05  # of the repetitions have a false alarm


def test_the_size_of_a_readers_drift_and_its_standard_error():
    drift = of_two_readers(400, 0, (1.2, -1.6))
    assert drift.n.tolist() == [[400]] * 8
    assert drift.error == pytest.approx(np.full((8, 2), NOISE * 2 ** 0.5 / 20), rel=0.1)
    assert drift.offset[SHIFTED] == pytest.approx([1.2, -1.6], abs=0.25)
    assert abs(np.delete(drift.offset, SHIFTED, 0)).max() < 0.25


def test_offsets_turn_with_the_shape():
    rng = np.random.default_rng(0)
    points = films(60, rng, turn=0)
    turns = rng.uniform(-1, 1, 60)
    first = points.copy()
    first[:, SHIFTED] += [10, 0]
    first, second = (shapes.apply_similarity((np.exp(1j * turns), 0 * turns), each) for each in (first, points))
    drift = drift_of_readers(first, second)
    mean_turn = np.angle(np.exp(1j * turns).mean())  # of the average image, along whose axes it is told
    assert drift.offset[SHIFTED] == pytest.approx([10 * np.cos(mean_turn), 10 * np.sin(mean_turn)], abs=0.3)
    assert drift.error[SHIFTED].max() < 0.2  # while along x and y of the films it is 5 px in all directions


@pytest.mark.parametrize('shift,expected', [((0, 0), False), ((16, 12), True)])
def test_groups_of_different_films(shift, expected):
    found = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        points, is_test = read(films(100, rng), rng), np.arange(100) < 40
        points[is_test, SHIFTED] += shift
        drift = drift_of_groups(points, is_test)
        assert drift.n.tolist() == [[40, 60]] * 8
        found.append(drift.flagged)
    assert (np.array(found)[:, SHIFTED] == expected).mean() >= 0.95
    assert np.delete(found, SHIFTED, 1).any(1).mean() <= 0.05


def test_a_reader_who_changes_by_2_px_from_one_group_to_the_other():
    found = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        points, is_test = films(80, rng), np.arange(80) < 40
        first, second = read(points, rng, (5, 0)), read(points, rng)  # a constant offset is no change
        first[is_test, 5] += [1.2, 1.6]
        found.append(change_of_readers(first, second, is_test).flagged)
    assert np.mean(found, 0)[5] >= 0.95 and np.delete(found, 5, 1).any(1).mean() <= 0.05


def test_a_large_drift_between_groups_does_not_draw_others_along():
    rng = np.random.default_rng(0)
    points, is_test = films(1000, rng), np.arange(1000) < 500
    points[is_test, SHIFTED] += [24, -18]
    drift = drift_of_groups(points, is_test)
    assert np.flatnonzero(drift.flagged).tolist() == [SHIFTED]
    assert drift.offset[SHIFTED] == pytest.approx([24, -18], abs=3)


def test_the_chance_is_hotellings():
    # mean 2, 0 and variances 0.5 without a covariance: T² = 5 * 4 / 0.5 = 40; F = 3 / 8 * 40 with 2 and 3 degrees
    first = np.array([[1, 0], [3, 0], [2, 1], [2, -1], [2, 0]], float)[:, None]
    drift = drift_of_readers(first, np.zeros_like(first))
    assert drift.offset == pytest.approx(np.array([[2, 0]])) and drift.error == pytest.approx(0.1 ** 0.5, rel=1e-3)
    assert drift.p == pytest.approx((1 + 2 * 15 / 3) ** -1.5, rel=1e-3)


def test_missing_points_count_where_they_are_there(no_warnings):
    rng = np.random.default_rng(0)
    points = films(12, rng)
    first, second = read(points, rng), read(points, rng, (5, 0))
    first[:3, 0] = second[2:5, 0] = first[5:, 1] = np.nan
    first[9] = np.nan
    drift = drift_of_readers(first, second)
    assert drift.n[:, 0].tolist() == [6, 5, *[11] * 6]
    second[4:, 1] = np.nan
    assert np.isnan(drift_of_readers(first, second).p[1])  # fewer than five images tell nothing
    assert not drift_of_readers(first, second).flagged[1] and drift.flagged[SHIFTED]


def test_readers_who_agree_exactly_and_one_who_is_off_exactly(no_warnings):
    points = films(10, np.random.default_rng(0), turn=0).round(1)
    assert (drift_of_readers(points, points).p == 1).all()
    drift = drift_of_readers(points + [0, 1], points)
    assert drift.flagged.all() and drift.offset == pytest.approx(np.tile([0, 1], (8, 1)), abs=0.05)
