"DICOM: windows, LUTs, padding and colour to hand-computed numbers."

import struct
import warnings

import cv2
import numpy as np
import pydicom
import pytest
from helpers import SENTINEL, element, noise, write_dicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ImplicitVRLittleEndian

from landmark_fastai.errors import UsageError
from landmark_fastai.formats.dicom import read_dicom
from landmark_fastai.formats.images import read_image

pytestmark = pytest.mark.usefixtures('no_warnings')  # pydicom's neither


@pytest.fixture
def shown(tmp_path):
    "A function that gives the row that a file with one row of pixels shows."
    def show(values, dtype=np.uint16, **tags):
        return read_dicom(write_dicom(tmp_path / 'a.dcm', np.array([values], dtype), **tags))[0].tolist()
    return show


# window and rescaling

WINDOWED = [40, 50, 75, 100, 125, 150, 200]


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.int16])
@pytest.mark.parametrize('function, center, width, expected', [
    (None, 100.5, 101, [0, 0, 64, 128, 191, 255, 255]),             # ((x - 100) / 100 + 0.5) * 255
    ('LINEAR', 100.5, 101, [0, 0, 64, 128, 191, 255, 255]),
    ('LINEAR', 100.5, 1, [0, 0, 0, 0, 255, 255, 255]),              # a step: 100 is still below it
    ('LINEAR_EXACT', 100, 100, [0, 0, 64, 128, 191, 255, 255]),
    ('LINEAR_EXACT', 100, 0.5, [0, 0, 0, 128, 255, 255, 255]),
    ('SIGMOID', 100, 100, [21, 30, 69, 128, 186, 225, 250])])       # 255 / (1 + exp(-4 (x - 100) / 100))
def test_window_by_the_formula_of_the_standard(shown, dtype, function, center, width, expected):
    tags = dict(WindowCenter=center, WindowWidth=width, VOILUTFunction=function)
    assert shown(WINDOWED, dtype, **tags) == expected
    assert shown(WINDOWED, dtype, PhotometricInterpretation='MONOCHROME1', **tags) == [255 - v for v in expected]


def test_the_first_of_several_windows_counts(shown):
    assert shown([75, 125], WindowCenter=[100.5, 7], WindowWidth=[101, 2]) == [64, 191]


@pytest.mark.parametrize('slope, intercept, values', [
    (5, -2500, [490, 495, 500, 505, 510]), (1, -1000, [950, 975, 1000, 1025, 1050]),
    (-2.5, 2500, [1020, 1010, 1000, 990, 980])])
def test_rescaling_comes_before_the_window(shown, slope, intercept, values):
    tags = dict(RescaleSlope=slope, RescaleIntercept=intercept, WindowCenter=0.5, WindowWidth=101)
    assert shown(values, **tags) == [0, 64, 128, 191, 255]


@pytest.mark.parametrize('tags', [
    dict(RescaleSlope=0, RescaleIntercept=5), dict(RescaleSlope=3), dict(RescaleIntercept=3),
    dict(RescaleSlope=1, RescaleIntercept=0), dict(RescaleSlope='', RescaleIntercept='')])
def test_rescaling_that_says_nothing_changes_nothing(shown, tags):
    assert shown([0, 9, 255], np.uint8, **tags) == [0, 9, 255]


@pytest.mark.parametrize('center, width', [
    (100, 0), (100, -5), (100, None), (None, 100), ('', ''), ('nan', 100), (100, 'inf'), (100, 0.5)])
@pytest.mark.parametrize('stored', [8, 12])
def test_a_window_that_is_none_is_left_out(shown, center, width, stored):
    got = shown([0, 9, 255], WindowCenter=center, WindowWidth=width, BitsStored=stored)
    assert got == [0, 9, 255]


@pytest.mark.parametrize('function, width', [('LINEAR_EXACT', 0), ('SIGMOID', -1), ('CUBIC', 100)])
def test_a_window_of_an_unknown_function_is_left_out(shown, function, width):
    assert shown([0, 9], np.uint8, WindowCenter=100, WindowWidth=width, VOILUTFunction=function) == [0, 9]


# LUT sequences

def table(descriptor, entries, vr=None):
    "A LUT sequence of one item; bytes are words, or packed bytes."
    item = Dataset()
    item.add_new('LUTDescriptor', 'SS' if descriptor[1] < 0 else 'US', descriptor)
    item.add_new('LUTData', vr or ('OW' if isinstance(entries, bytes) else 'US'), entries)
    return Sequence([item])


def words(*values): return np.array(values, '<u2').tobytes()


TABLES = [
    ([4, 100, 10], [0, 341, 682, 1023]), ([4, 100, 10], words(0, 341, 682, 1023)),
    ([4, 100, 8], bytes([0, 85, 170, 255])), ([4, 100, 8], words(0, 85, 170, 255)),
    ([4, 100, 16], [0, 21845, 43690, 65535])]


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.int16])
@pytest.mark.parametrize('descriptor, entries', TABLES)
def test_voi_lut_goes_before_the_window_and_spans_its_bits(shown, dtype, descriptor, entries):
    tags = dict(VOILUTSequence=table(descriptor, entries), WindowCenter=7, WindowWidth=2)
    values, expected = [0, 100, 101, 102, 103, 110], [0, 0, 85, 170, 255, 255]
    assert shown(values, dtype, **tags) == expected
    assert shown(values, dtype, PhotometricInterpretation='MONOCHROME1', **tags) == [255 - v for v in expected]


def test_a_voi_lut_does_not_stretch_to_the_picture(shown):
    assert shown([101, 102], VOILUTSequence=table([4, 100, 10], [0, 341, 682, 1023])) == [85, 170]


def test_a_voi_lut_of_65536_entries_and_of_one(shown):
    ramp = np.arange(2**16, dtype='<u2').tobytes()
    assert shown([0, 257, 65535], VOILUTSequence=table([0, 0, 16], ramp)) == [0, 1, 255]
    assert shown([0, 9], VOILUTSequence=table([1, 0, 16], 257)) == [1, 1]


@pytest.mark.parametrize('sequence', [Sequence(), Sequence([Dataset()])])
def test_an_empty_voi_lut_is_left_out(shown, sequence):
    assert shown([75, 125], VOILUTSequence=sequence, WindowCenter=100.5, WindowWidth=101) == [64, 191]


@pytest.mark.parametrize('first, values', [(10, [9, 10, 11, 12, 13]), (-1, [-2, -1, 0, 1, 2])])
def test_modality_lut_goes_before_rescaling_and_window(shown, first, values):
    tags = dict(RescaleSlope=9, RescaleIntercept=9, WindowCenter=100.5, WindowWidth=101)
    sequence = table([3, first, 16], [75, 100, 125])
    assert shown(values, np.int16, ModalityLUTSequence=sequence, **tags) == [64, 64, 128, 191, 191]


def test_a_voi_lut_sees_rescaled_values(shown):
    tags = dict(RescaleSlope=0.5, RescaleIntercept=-10, VOILUTSequence=table([4, -1, 8], [0, 85, 170, 255]))
    assert shown([10, 18, 20, 22, 24], np.uint8, **tags) == [0, 0, 85, 170, 255]


@pytest.mark.parametrize('dtype', [np.uint16, np.int16])
def test_implicit_vr_tells_the_signs_by_the_pixels(tmp_path, dtype):
    first = -2 if dtype == np.int16 else 40000
    path = write_dicom(tmp_path / 'a.dcm', np.array([[first - 1, first, first + 1, first + 2]], dtype),
                       PixelPaddingValue=first + 2, VOILUTSequence=table([2, first, 8], bytes([51, 255])))
    ds = pydicom.dcmread(path)
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    ds.save_as(path)
    assert read_dicom(path).tolist() == [[51, 51, 255, 0]]


# depth

@pytest.mark.parametrize('allocated', [8, 16])
@pytest.mark.parametrize('top', [255, 40])
def test_8_bits_are_the_pixels_of_a_png(tmp_path, allocated, top):
    pixels = noise((30, 41), top=top)
    assert cv2.imwrite(str(tmp_path / 'a.png'), pixels)
    stored = pixels.astype(f'u{allocated // 8}')
    path = write_dicom(tmp_path / 'a.dcm', stored, BitsStored=8, HighBit=7)
    np.testing.assert_array_equal(read_dicom(path), pixels, strict=True)
    np.testing.assert_array_equal(read_image(path), read_image(tmp_path / 'a.png'), strict=True)
    write_dicom(path, stored, BitsStored=8, HighBit=7, PhotometricInterpretation='MONOCHROME1')
    np.testing.assert_array_equal(read_image(path), 255 - pixels, strict=True)


def test_fewer_than_8_bits_are_inverted_within_them(shown):
    assert shown([0, 1, 63], np.uint8, BitsStored=6) == [0, 1, 63]
    assert shown([0, 1, 63], np.uint8, BitsStored=6, PhotometricInterpretation='MONOCHROME1') == [63, 62, 0]


@pytest.mark.parametrize('bits', [10, 12, 16])
def test_16_bits_without_a_window_are_those_of_a_png(tmp_path, bits):
    pixels = noise((30, 41), np.uint16, 2**bits - 1)
    assert cv2.imwrite(str(tmp_path / 'a.png'), pixels)
    path = write_dicom(tmp_path / 'a.dcm', pixels, BitsStored=bits, HighBit=bits - 1)
    assert read_dicom(path).dtype == np.float32
    np.testing.assert_array_equal(read_image(path), read_image(tmp_path / 'a.png'), strict=True)


def test_signed_pixels_are_those_of_a_tiff(tmp_path):
    pixels = noise((30, 41), np.int16)
    assert cv2.imwrite(str(tmp_path / 'a.tif'), pixels)
    got = read_image(write_dicom(tmp_path / 'a.dcm', pixels))
    np.testing.assert_array_equal(got, read_image(tmp_path / 'a.tif'), strict=True)


@pytest.mark.parametrize('dtype', [np.uint16, np.int16])
def test_monochrome1_is_the_inverse(tmp_path, dtype):
    pixels = noise((30, 41), dtype)
    plain, inverse = (read_image(write_dicom(tmp_path / 'a.dcm', pixels, PhotometricInterpretation=kind))
                      for kind in ('MONOCHROME2', 'MONOCHROME1'))
    assert abs(255 - inverse.astype(int) - plain).max() <= 1 and (255 - inverse == plain).mean() > 0.99


@pytest.mark.parametrize('kind', ['MONOCHROME1', 'MONOCHROME2'])
@pytest.mark.parametrize('tags', [{}, dict(WindowCenter=100.5, WindowWidth=101)])
@pytest.mark.parametrize('value, limit, padded', [(7, None, [7]), (7, 9, [7, 8, 9]), (9, 7, [7, 8, 9])])
def test_padding_is_black_and_no_part_of_the_percentiles(tmp_path, kind, tags, value, limit, padded):
    pixels = noise((30, 40), np.uint16, 150)
    pixels[:, 20:] = np.resize([7, 8, 9], (30, 20))
    path = write_dicom(tmp_path / 'a.dcm', pixels, PixelPaddingValue=value, PixelPaddingRangeLimit=limit,
                       PhotometricInterpretation=kind, **tags)
    dark = np.isin(pixels, padded)
    got, raw = read_image(path), read_dicom(path)
    assert not got[dark].any() and (np.isnan(raw) == (dark & (raw.dtype == np.float32))).all()
    if tags: return
    low, high = np.percentile(pixels[~dark], (0.5, 99.5))
    scaled = (np.clip(pixels, low, high) - low) / (high - low) * 255
    expected = scaled if kind == 'MONOCHROME2' else 255 - scaled
    assert abs(got[~dark].astype(int) - expected[~dark]).max() <= 1


def test_padding_of_8_bits_and_padding_alone(tmp_path, shown):
    assert shown([255, 9, 0], np.uint8, PixelPaddingValue=255) == [0, 9, 0]
    path = write_dicom(tmp_path / 'b.dcm', np.full((4, 4), 9, np.uint16), PixelPaddingValue=9)
    assert not read_image(path).any()


@pytest.mark.parametrize('vr, value', [('SS', struct.pack('<h', -2000)), ('US', struct.pack('<H', 2**16 - 2000))])
def test_negative_padding_may_be_stated_as_unsigned(tmp_path, vr, value):
    path = write_dicom(tmp_path / 'a.dcm', np.array([[-2000, 125]], np.int16), WindowCenter=100.5, WindowWidth=101,
                       PhotometricInterpretation='MONOCHROME1')
    assert read_dicom(path).tolist() == [[255, 64]]
    path.write_bytes(path.read_bytes() + element('PixelPaddingValue', vr, value))
    assert read_dicom(path).tolist() == [[0, 64]]


# colour

@pytest.mark.parametrize('planar', [0, 1])
def test_rgb_by_pixel_and_by_plane(tmp_path, planar):
    pixels = noise((5, 8, 3))
    stored = np.moveaxis(pixels, -1, 0) if planar else pixels
    path = write_dicom(tmp_path / 'a.dcm', pixels, PlanarConfiguration=planar, PixelData=stored.tobytes())
    np.testing.assert_array_equal(read_dicom(path), pixels, strict=True)
    np.testing.assert_array_equal(read_image(path, color=True), pixels, strict=True)


def test_deep_rgb_spans_its_bits(tmp_path):
    path = write_dicom(tmp_path / 'a.dcm', np.array([[[0, 257, 65535]]], np.uint16))
    assert read_dicom(path).tolist() == [[[0, 1, 255]]]


def test_ybr_becomes_rgb(tmp_path):
    pixels = np.array([[[76, 85, 255], [100, 128, 128]]], np.uint8)  # red, grey
    path = write_dicom(tmp_path / 'a.dcm', pixels, PhotometricInterpretation='YBR_FULL')
    assert read_dicom(path).tolist() == [[[254, 0, 0], [100, 100, 100]]]
    write_dicom(path, pixels, PhotometricInterpretation='YBR_FULL_422', PixelData=bytes([76, 100, 85, 255]))
    assert read_dicom(path)[0, 0].tolist() == [254, 0, 0]


def palette(bits, red, green, blue):
    descriptor, tags = [len(red), 10, bits], {}
    for colour, entries in (('Red', red), ('Green', green), ('Blue', blue)):
        tags[f'{colour}PaletteColorLookupTableDescriptor'] = descriptor
        tags[f'{colour}PaletteColorLookupTableData'] = bytes(entries) if bits == 8 else words(*entries)
    return dict(PhotometricInterpretation='PALETTE COLOR', **tags)


def test_palettes_become_rgb(tmp_path):
    pixels = np.array([[9, 10, 11, 12]], np.uint8)
    path = write_dicom(tmp_path / 'a.dcm', pixels, **palette(8, [1, 2], [3, 4], [5, 6]))
    assert read_dicom(path).tolist() == [[[1, 3, 5], [1, 3, 5], [2, 4, 6], [2, 4, 6]]]
    write_dicom(path, pixels, **palette(16, [257, 65535], [0, 514], [771, 0]))
    assert read_dicom(path).tolist() == [[[1, 0, 3], [1, 0, 3], [255, 2, 0], [255, 2, 0]]]


@pytest.mark.parametrize('kind', ['HSV', 'CMYK', 'YBR_PARTIAL_422', SENTINEL, '', None])
def test_other_kinds_of_colour_are_refused(tmp_path, kind):
    path = write_dicom(tmp_path / 'a.dcm', noise((4, 4, 3)), PhotometricInterpretation=kind)
    with pytest.raises(UsageError, match='a.dcm.* of an unsupported kind') as caught: read_dicom(path)
    assert SENTINEL not in str(caught.value)


def test_a_grey_file_in_colour_and_a_colour_file_in_grey(tmp_path):
    grey = read_image(write_dicom(tmp_path / 'a.dcm', noise((4, 6))), color=True)
    assert grey.shape == (4, 6, 3) and (grey == noise((4, 6))[..., None]).all()
    path = write_dicom(tmp_path / 'b.dcm', np.full((4, 6, 3), (250, 120, 10), np.uint8))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # that it is a colour picture
        assert (read_image(path) == round(0.299 * 250 + 0.587 * 120 + 0.114 * 10)).all()
