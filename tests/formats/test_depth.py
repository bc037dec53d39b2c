"Deep images: percentiles by counts and looks by tables are those of the pixels, to the last bit."

import cv2
import numpy as np
import pytest

from landmark_fastai.formats import depth
from landmark_fastai.formats.depth import Table, at_8_bits, find_percentiles, percentile_window, quantiles


@pytest.mark.parametrize('dtype', [np.int64, np.float32])
@pytest.mark.parametrize('seed', range(20))
def test_quantiles_by_counts_are_those_of_numpy(seed, dtype):
    random = np.random.default_rng(seed)
    values = np.unique(random.normal(0, 1000, random.integers(1, 50)).astype(dtype))
    counts = random.integers(1, 30, len(values))
    order, shares = random.permutation(len(values)), (0, 0.005, 0.3, 0.5, 0.995, 1)
    expected = np.quantile(np.repeat(values, counts), shares)
    np.testing.assert_array_equal(quantiles(values[order], counts[order], shares), expected)


def test_quantiles_by_counts_lie_between_two_values():
    # 0 0 0 10 10: the ranks 0 to 4, of which 2.5 is half-way from 0 to 10
    assert quantiles(np.array([10., 0.]), np.array([2, 3]), (0.5, 0.625, 0.75)).tolist() == [0, 5, 10]


@pytest.mark.parametrize('dtype', [np.uint16, np.int16])
def test_the_window_by_a_table_is_that_of_the_pixels(dtype):
    pixels = np.random.default_rng(0).normal(9000, 3000, (50, 70)).astype(dtype)
    np.testing.assert_array_equal(percentile_window(pixels), percentile_window(pixels.astype(np.float32)))
    assert find_percentiles(pixels) == find_percentiles(pixels.astype(np.float32)) \
        == tuple(np.percentile(pixels, (0.5, 99.5)))


@pytest.mark.parametrize('dtype', [np.uint8, np.int8, np.uint16, np.int16])
def test_a_table_holds_what_each_pixel_looks_like(dtype):
    pixels = np.random.default_rng(0).integers(np.iinfo(dtype).min, np.iinfo(dtype).max, (40, 60)).astype(dtype)
    def look(values): return np.where(values < 9, np.float32(np.nan), 0.3 * values.astype(np.float32) - 7)
    for each in pixels, pixels[::2, ::3], pixels.T:
        table = Table.of(each, look)
        np.testing.assert_array_equal(table.image(), look(each), strict=True)
        assert table.counts().sum() == each.size
        np.testing.assert_array_equal(at_8_bits(table), percentile_window(look(each)))


def test_what_has_too_many_values_or_colours_has_no_table():
    for pixels in (np.zeros((4, 4), np.int32), np.zeros((4, 4), np.float32), np.zeros((4, 4, 3), np.uint8),
                   np.zeros((4, 4), '>u2')):
        assert Table.of(pixels, np.negative) is None


def test_padding_takes_no_part_in_the_window_and_is_black():
    pixels = np.arange(1001, dtype=np.uint16).reshape(77, 13)
    table = Table.of(pixels, lambda values: np.where(values > 600, np.float32(np.nan), -values.astype(np.float32)))
    assert find_percentiles(table) == (-597, -3)  # of 0, -1, ..., -600
    got = at_8_bits(table).ravel()
    assert got[[0, 3, 300, 597, 600]].tolist() == [255, 255, 128, 0, 0] and not got[601:].any()
    assert find_percentiles(table._replace(values=np.full(2**16, np.nan, np.float32))) == (0, 0)


def test_counts_of_an_image_in_parts_are_those_of_the_whole(monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 2**16, (50, 70), np.uint16)
    monkeypatch.setattr(depth, '_MOST', 200)  # two rows of 70, the last part of them one after 49
    np.testing.assert_array_equal(Table.of(pixels[:49], np.asarray).counts(),
                                  np.bincount(pixels[:49].ravel(), minlength=2**16))


def test_an_older_opencv_that_looks_up_8_bits_alone_does(monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 2**16, (5, 7), np.uint16)
    expected = percentile_window(pixels)
    def refuse(*_): raise cv2.error
    monkeypatch.setattr(cv2, 'LUT', refuse)
    np.testing.assert_array_equal(percentile_window(pixels), expected)
