"Which of a few errors bounds a share of new ones: hand-computed ranks."

import pytest

from landmark_fastai.conformal import fewest, rank_of


@pytest.mark.parametrize('n, level, rank', [
    (8, 0.9, 9), (9, 0.9, 9), (10, 0.9, 10), (19, 0.9, 18), (18, 0.95, 19), (19, 0.95, 19), (99, 0.9, 90), (0, 0.9, 1),
    (1, 0.5, 1), (3, 0.5, 2)])
def test_the_rank_of_the_error_that_bounds_new_ones(n, level, rank):
    assert rank_of(n, level) == rank  # n + 1 is that none does


@pytest.mark.parametrize('level', [0.5, 0.8, 0.9, 0.95, 0.99])
def test_the_fewest_errors_are_enough_and_one_less_is_not(level):
    n = fewest(level)
    assert rank_of(n, level) <= n and rank_of(n - 1, level) > n - 1


@pytest.mark.parametrize('level, n', [(0.5, 1), (0.9, 9), (0.95, 19), (0.96, 24), (0.99, 99)])
def test_how_many_it_takes(level, n): assert fewest(level) == n
