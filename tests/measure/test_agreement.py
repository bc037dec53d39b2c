"Agreement against numbers that were published, or worked out by hand."

import math

import numpy as np
import pytest
from scipy.stats import f as f_distribution

from landmark_fastai.measure.agreement import ALL, STATISTICS, Readings, agreement_rows, mean_squares, statistics

# Shrout and Fleiss, Psychol Bull 1979, table 2: six targets, four judges
JUDGES = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)
# Bland and Altman, Lancet 1986, table 1: peak flow of 17 people, l/min, first measurements by a large and a mini meter
LARGE = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
NAN = math.nan


def of(*columns): return statistics(np.array(columns, float).T)


# published examples

def test_judges_of_shrout_and_fleiss():
    found = statistics(JUDGES)
    assert found['n'] == 6
    assert [round(found[name], 3) for name in ('icc_a1', 'icc_c1')] == [0.290, 0.715]
    assert [round(found[f'icc_a1_{end}'], 3) for end in ('low', 'high')] == [0.019, 0.761]
    assert [round(found[f'icc_c1_{end}'], 3) for end in ('low', 'high')] == [0.342, 0.946]
    assert mean_squares(JUDGES) == pytest.approx((11.24, 32.49, 1.02), abs=0.005)  # their table 3


def test_peak_flow_of_bland_and_altman():
    found = of(LARGE, MINI)
    assert found['n'] == 17 and round(found['bias'], 1) == -2.1 and round(found['sd'], 1) == 38.8
    assert [round(found[f'bias_{end}'], 1) for end in ('low', 'high')] == [-22.0, 17.8]
    assert [round(found[f'loa_{end}']) for end in ('low', 'high')] == [-78, 74]


def test_blood_pressure_of_bland_and_altman():
    # Stat Methods Med Res 1999: of 85 people the differences have mean -16.29 and SD 19.61 mmHg; the limits are -54.7
    # and 22.1, their standard error is 1.71 * 19.61 / sqrt(85) = 3.64, and t of 84 degrees of freedom 1.99
    drawn = np.random.default_rng(0).normal(size=85)
    differences = (drawn - drawn.mean()) / drawn.std(ddof=1) * 19.61 - 16.29
    found = statistics(np.stack([differences + 140, np.full(85, 140)], 1))
    for name, limit in (('loa_low', -54.7), ('loa_high', 22.1)):
        assert found[name] == pytest.approx(limit, abs=0.05)
        assert found[f'{name}_high'] - found[name] == pytest.approx(1.99 * 3.64, abs=0.05)
        assert found[name] - found[f'{name}_low'] == pytest.approx(1.99 * 3.64, abs=0.05)


# by hand

def test_errors_of_two_readers():
    found = of([1, 5, 4, 10], [0, 3, 7, 4])  # differences 1, 2, -3, 6: their squares 1, 4, 9, 36
    assert found['bias'] == 1.5 and found['mae'] == 3 and found['median'] == 2.5
    assert found['rmse'] == pytest.approx(math.sqrt(12.5)) and found['dahlberg'] == pytest.approx(math.sqrt(50 / 8))
    assert found['sd'] == pytest.approx(math.sqrt(41 / 3))
    assert found['loa_low'] == pytest.approx(1.5 - 1.96 * math.sqrt(41 / 3))
    assert [found[f'within_{units}'] for units in (1, 2, 3)] == [0.25, 0.5, 0.75]
    assert found['sem'] == pytest.approx(math.sqrt(41 / 6))
    assert found['mdc95'] == pytest.approx(1.96 * math.sqrt(41 / 3))


def test_several_readers_have_the_errors_of_all_their_pairs():
    found = of([0, 0], [1, 1], [3, 7])  # differences 1, 3, 2 and 1, 7, 6
    assert found['mae'] == pytest.approx(20 / 6)
    assert found['rmse'] == pytest.approx(math.sqrt((1 + 9 + 4 + 1 + 49 + 36) / 6))
    variance_within = np.mean([np.var([0, 1, 3], ddof=1), np.var([0, 1, 7], ddof=1)])
    assert found['dahlberg'] == pytest.approx(math.sqrt(variance_within))
    assert math.isnan(found['bias']) and math.isnan(found['loa_low']) and math.isnan(found['loa_low_low'])


def test_points_have_distances():
    points = np.array([[[0, 0], [3, 4]], [[1, 1], [1, 1]], [[0, 0], [0, 2]], [[0, 0], [NAN, NAN]]])
    found = statistics(points)  # 5, 0, 2
    assert found['n'] == 3 and found['mae'] == pytest.approx(7 / 3) and found['median'] == 2
    assert found['rmse'] == pytest.approx(math.sqrt(29 / 3)) and found['sd'] == pytest.approx(np.std([5, 0, 2], ddof=1))
    assert [found[f'within_{units}'] for units in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 2 / 3])
    assert all(math.isnan(found[name]) for name in ('bias', 'loa_high', 'icc_a1', 'icc_c1', 'sem', 'mdc95'))


def test_intervals_of_correlations_are_those_of_mcgraw_and_wong():
    # their table 7, with quotients as they are printed there
    values = np.random.default_rng(3).normal(size=(9, 1)) + np.random.default_rng(4).normal([0, 1, 0.5], 0.6, (9, 3))
    (n, k), (msr, msc, mse), found = values.shape, mean_squares(values), statistics(values)
    icc = found['icc_a1']
    a, b = k * icc / (n * (1 - icc)), 1 + k * icc * (n - 1) / (n * (1 - icc))
    v = (a * msc + b * mse) ** 2 / ((a * msc) ** 2 / (k - 1) + (b * mse) ** 2 / ((n - 1) * (k - 1)))
    low, high = f_distribution.ppf(0.975, n - 1, v), f_distribution.ppf(0.975, v, n - 1)
    rest = k * msc + (k * n - k - n) * mse
    assert found['icc_a1_low'] == pytest.approx(n * (msr - low * mse) / (low * rest + n * msr))
    assert found['icc_a1_high'] == pytest.approx(n * (high * msr - mse) / (rest + n * high * msr))
    lower = msr / mse / f_distribution.ppf(0.975, n - 1, (n - 1) * (k - 1))
    upper = msr / mse * f_distribution.ppf(0.975, (n - 1) * (k - 1), n - 1)
    assert found['icc_c1_low'] == pytest.approx((lower - 1) / (lower + k - 1))
    assert found['icc_c1_high'] == pytest.approx((upper - 1) / (upper + k - 1))


# gaps and extremes

def test_images_without_a_value_of_all_readers_do_not_count():
    with_gaps = np.concatenate([[[NAN, 7]], np.transpose([LARGE, MINI]), [[500, NAN], [NAN, NAN]]])
    assert statistics(with_gaps) == of(LARGE, MINI)


@pytest.mark.parametrize('n', [0, 1, 2])
def test_fewer_than_three_images_have_no_correlation(n):
    found = of([1, 2][:n], [2, 5][:n])
    assert found['n'] == n and all(math.isnan(value) for name, value in found.items() if name.startswith('icc'))
    assert math.isnan(found['mae']) == (n == 0) and math.isnan(found['bias']) == (n == 0)
    assert math.isnan(found['sd']) == math.isnan(found['loa_low']) == math.isnan(found['sem']) == (n < 2)


def test_readers_that_agree_exactly():
    found = of(LARGE, LARGE)
    assert {found[f'icc_{which}{end}'] for which in ('a1', 'c1') for end in ('', '_low', '_high')} == {1}
    assert found['sd'] == found['mae'] == found['loa_high_high'] == found['mdc95'] == 0


def test_a_constant_offset_lowers_agreement_and_not_consistency():
    found = of(LARGE, np.add(LARGE, 50))
    assert found['icc_c1'] == 1 and found['icc_a1'] < 0.95 and found['bias'] == -50 and found['sem'] == 0


def test_images_that_are_all_alike_have_no_correlation(no_warnings):
    found = of([3] * 5, [3] * 5)
    assert math.isnan(found['icc_a1']) and math.isnan(found['icc_c1']) and found['mae'] == 0


# rows

def test_rows_are_of_each_pair_and_of_all():
    values = np.array([[1, 2, NAN], [2, 2, 3], [4, 5, 6], [5, 7, 8.]])
    rows = agreement_rows([Readings('knee', 'x', 'px', values), Readings('HKA', 'measurement', 'deg', values)],
                          ['AB', 'CD', 'EF'])
    assert [(row['name'], row['pair']) for row in rows] == [
        (name, pair) for name in ('knee', 'HKA') for pair in ('AB - CD', 'AB - EF', 'CD - EF', ALL)]
    assert list(rows[0]) == ['name', 'kind', 'pair', 'unit', *STATISTICS]
    assert [row['n'] for row in rows[:4]] == [4, 3, 3, 3]
    assert rows[0]['bias'] == -1 and rows[1]['bias'] == pytest.approx(-2)
    assert rows[3]['icc_a1'] == statistics(values)['icc_a1'] and rows[4]['unit'] == 'deg'
