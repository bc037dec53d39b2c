"DICOM: windows, LUTs, padding and colour to hand-computed numbers, headers, what is refused; no text gets out."

import io
import logging
import struct
import subprocess
import sys
import traceback
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import gdcm
import numpy as np
import pydicom
import pytest
from helpers import NAMED, SENTINEL, data_start, element, noise, spoiled, write_dicom
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from landmark_fastai.errors import UsageError
from landmark_fastai.formats.dicom import dicom_header, is_dicom, read_dicom
from landmark_fastai.formats.images import read_image

pytestmark = pytest.mark.usefixtures('no_warnings')  # pydicom's neither


@pytest.fixture
def shown(tmp_path):
    "A function that gives the row that a file with one row of pixels shows."
    def show(values, dtype=np.uint16, **tags):
        return read_dicom(write_dicom(tmp_path / 'a.dcm', np.array([values], dtype), **tags))[0].tolist()
    return show


def refused(path, read=read_dicom):
    with pytest.raises(UsageError) as caught: read(path)
    assert '\n' not in str(caught.value) and str(caught.value).startswith(f'{path}: ')
    return str(caught.value)


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
    message = refused(write_dicom(tmp_path / 'a.dcm', noise((4, 4, 3)), PhotometricInterpretation=kind))
    assert 'of an unsupported kind' in message and SENTINEL not in message


def test_a_grey_file_in_colour_and_a_colour_file_in_grey(tmp_path):
    grey = read_image(write_dicom(tmp_path / 'a.dcm', noise((4, 6))), color=True)
    assert grey.shape == (4, 6, 3) and (grey == noise((4, 6))[..., None]).all()
    path = write_dicom(tmp_path / 'b.dcm', np.full((4, 6, 3), (250, 120, 10), np.uint8))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # that it is a colour picture
        assert (read_image(path) == round(0.299 * 250 + 0.587 * 120 + 0.114 * 10)).all()


# how it is stored

def rewrite(path, syntax):
    "State another transfer syntax in the header of the file at `path`, whose data already have it."
    content, header = path.read_bytes(), element('TransferSyntaxUID', 'UI', syntax.encode() + b'\0' * (len(syntax) % 2))
    start, length = data_start(content), element('FileMetaInformationGroupLength', 'UL', struct.pack('<I', len(header)))
    path.write_bytes(content[:132] + length + header + content[start:])


def compress(path, syntax):
    "Compress the DICOM file at `path` in place with GDCM."
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(path))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(syntax))))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return path


LOSSLESS = [RLELossless, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless]


@pytest.mark.parametrize('syntax', LOSSLESS)
@pytest.mark.parametrize('shape, dtype', [
    ((30, 41), np.uint8), ((30, 41), np.uint16), ((30, 41), np.int16), ((30, 41, 3), np.uint8)])
def test_compressed_pixels_are_the_same(tmp_path, syntax, shape, dtype):
    path = write_dicom(tmp_path / 'a.dcm', noise(shape, dtype))
    expected = read_dicom(path)
    np.testing.assert_array_equal(read_dicom(compress(path, syntax)), expected, strict=True)
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == syntax
    assert dicom_header(path)[0] == (41, 30)


def test_pydicoms_own_rle(tmp_path):
    path, pixels = tmp_path / 'a.dcm', noise((30, 41), np.uint16)
    ds = pydicom.dcmread(write_dicom(path, pixels))
    ds.compress(RLELossless)
    ds.save_as(path)
    np.testing.assert_array_equal(read_dicom(path), pixels.astype(np.float32), strict=True)


@pytest.mark.parametrize('color', [True, False])
def test_jpeg(tmp_path, color):
    y, x = np.mgrid[:40, :60]
    pixels = (np.stack([2 * x, 3 * y, 250 - 2 * x], -1) if color else 2 * x + y).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, 'JPEG', quality=95)
    path = tmp_path / 'a.dcm'
    ds = pydicom.dcmread(write_dicom(path, pixels))
    ds.PhotometricInterpretation = 'YBR_FULL_422' if color else 'MONOCHROME2'
    ds.PixelData, ds.file_meta.TransferSyntaxUID = encapsulate([buffer.getvalue()]), JPEGBaseline8Bit
    ds.save_as(path)
    got = read_dicom(path)
    assert got.shape == pixels.shape and abs(got.astype(int) - pixels).mean() < 3


@pytest.mark.parametrize('implicit, little', [(True, True), (False, True), (False, False)])
def test_a_file_without_a_file_header(tmp_path, implicit, little):
    path, pixels = tmp_path / 'a.dcm', noise((30, 41), np.uint16)
    ds = pydicom.dcmread(write_dicom(path, pixels, PixelSpacing=[0.2, 0.1]))
    ds.file_meta, ds.preamble = pydicom.dataset.FileMetaDataset(), None
    if not little: ds.PixelData = pixels.byteswap().tobytes()
    pydicom.dcmwrite(path, ds, implicit_vr=implicit, little_endian=little)
    assert path.read_bytes()[128:132] != b'DICM'
    np.testing.assert_array_equal(read_dicom(path), pixels.astype(np.float32), strict=True)
    assert dicom_header(path) == ((41, 30), (0.1, 0.2), 'DICOM PixelSpacing')


def test_a_deflated_file(tmp_path):
    path, pixels = tmp_path / 'a.dcm', noise((30, 41))
    ds = pydicom.dcmread(write_dicom(path, pixels))
    ds.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    ds.save_as(path)
    assert (read_dicom(path) == pixels).all() and dicom_header(path)[0] == (41, 30)


# the header

@pytest.mark.parametrize('tags, spacing, source', [
    (dict(PixelSpacing=[0.2, 0.1]), (0.1, 0.2), 'DICOM PixelSpacing'),  # rows first, which is y
    (dict(ImagerPixelSpacing=[0.2, 0.1]), (0.1, 0.2), 'DICOM ImagerPixelSpacing (detector)'),
    (dict(PixelSpacing=[0.4, 0.3], ImagerPixelSpacing=[0.2, 0.1]), (0.3, 0.4), 'DICOM PixelSpacing'),
    *((dict(PixelSpacing=unusable, ImagerPixelSpacing=[0.2, 0.1]), (0.1, 0.2), 'DICOM ImagerPixelSpacing (detector)')
      for unusable in ('', [0, 0.1], [-1, 0.1], [0.1], 0.1, [1, 2, 3], ['nan', 1], ['inf', 1], ['', '']))])
def test_spacing_and_its_source(tmp_path, tags, spacing, source):
    path = write_dicom(tmp_path / 'a.dcm', noise((30, 41)), **tags)
    assert dicom_header(path) == ((41, 30), spacing, source)


@pytest.mark.parametrize('tags', [{}, dict(PixelSpacing=[0, 0]), dict(ImagerPixelSpacing='')])
def test_spacing_that_is_unknown(tmp_path, tags):
    _, spacing, source = dicom_header(write_dicom(tmp_path / 'a.dcm', noise((30, 41)), **tags))
    assert np.isnan(spacing).tolist() == [True, True] and source == ''


def test_the_header_needs_no_pixels(tmp_path):
    path = write_dicom(tmp_path / 'a.dcm', noise((30, 41)))
    path.write_bytes(path.read_bytes()[:-1000])
    assert dicom_header(path)[0] == (41, 30)


# what is DICOM

@pytest.mark.parametrize('name, expected', [
    ('a.dcm', True), ('a.DCM', True), ('a.dicom', True), ('a', True), ('1.2.840.3', True), ('a.ima', True),
    ('a.png', False), ('a.TIF', False), ('DICOMDIR', False), ('dicomdir', False)])
def test_is_dicom_by_suffix_and_by_content(tmp_path, name, expected):
    path = write_dicom(tmp_path / name, noise((4, 4)))
    assert is_dicom(path) == is_dicom(str(path)) == expected


@pytest.mark.parametrize('content', [b'', b'DICM', bytes(128) + b'DIC'])
def test_what_is_no_dicom(tmp_path, content):
    (tmp_path / 'a').write_bytes(content)
    assert not is_dicom(tmp_path / 'a') and not is_dicom(tmp_path) and not is_dicom(tmp_path / 'none')


# what is refused

@pytest.mark.parametrize('read', [read_dicom, dicom_header])
def test_frames_and_missing_pixels_are_refused(tmp_path, read):
    path = write_dicom(tmp_path / 'a.dcm', noise((12, 4)), Rows=4, NumberOfFrames=3)
    assert 'a.dcm: cannot be read as an image (it has 3 frames)' in refused(path, read)
    assert 'it has no pixels' in refused(write_dicom(path, noise((4, 4)), PixelData=None), read)
    path.write_bytes(b'no DICOM, but a text')
    assert 'cannot be read as an image' in refused(path, read)
    path.write_bytes(b'')
    assert 'cannot be read as an image' in refused(path, read)


@pytest.mark.parametrize('frames', [0, 1, '', None])
def test_one_frame_is_an_image(tmp_path, frames):
    path = write_dicom(tmp_path / 'a.dcm', noise((4, 4)), NumberOfFrames=frames)
    assert (read_dicom(path) == noise((4, 4))).all()


@pytest.mark.parametrize('read', [read_dicom, dicom_header])
def test_a_missing_file_and_a_folder_are_told(tmp_path, read):
    assert 'none.dcm: no such file' in refused(tmp_path / 'none.dcm', read)
    assert 'is a directory, expected an image' in refused(tmp_path, read)


@pytest.mark.parametrize('size', [dict(Rows=None), dict(Columns=None), dict(Rows=0)])
def test_a_missing_size_is_told(tmp_path, size):
    path = write_dicom(tmp_path / 'a.dcm', noise((4, 4)), **size)
    assert 'its size is missing' in refused(path, dicom_header)
    assert 'cannot be read as an image' in refused(path)


@pytest.mark.parametrize('share', [0.01, 0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize('syntax', [None, *LOSSLESS])
def test_a_file_cut_off_is_told(tmp_path, syntax, share):
    path = write_dicom(tmp_path / 'a.dcm', noise((60, 80), np.uint16))
    if syntax: compress(path, syntax)
    content = path.read_bytes()
    path.write_bytes(content[:int(len(content) * share)])
    assert 'cannot be read as an image' in refused(path) and 'cut off' in refused(path)


@pytest.mark.parametrize('share', [0.1, 0.5, 0.9])
@pytest.mark.parametrize('syntax', LOSSLESS)
def test_pixels_cut_off_within_are_told(tmp_path, syntax, share):
    path = compress(write_dicom(tmp_path / 'a.dcm', noise((60, 80), np.uint16)), syntax)
    ds = pydicom.dcmread(path)
    frame = pydicom.encaps.get_frame(ds.PixelData, 0, number_of_frames=1)
    ds.PixelData = encapsulate([frame[:int(len(frame) * share)]])
    ds.save_as(path)
    message = refused(path)
    assert 'pixels cut off, damaged or of an unsupported kind' in message and syntax.name in message


# each of these ends the process when it gets to GDCM

AS_RGB = dict(SamplesPerPixel=3, PhotometricInterpretation='RGB', PlanarConfiguration=0)


@pytest.mark.parametrize('syntax, tags', [
    *((syntax, tags) for syntax in (JPEGLossless, JPEGLosslessSV1, JPEGLSLossless)
      for tags in (dict(Rows=31), dict(Rows=29), dict(Columns=80), dict(BitsStored=6), dict(BitsAllocated=32), AS_RGB)),
    (JPEG2000Lossless, AS_RGB), (JPEG2000Lossless, dict(Rows=31))])
def test_a_frame_of_another_kind_than_the_header_says_is_told(tmp_path, syntax, tags):
    path = compress(write_dicom(tmp_path / 'a.dcm', noise((30, 41))), syntax)
    ds = pydicom.dcmread(path)
    for keyword, value in tags.items(): setattr(ds, keyword, value)
    ds.save_as(path)
    assert 'pixels cut off, damaged or of an unsupported kind' in refused(path)


@pytest.mark.parametrize('marker', [b'\x00\x00', b'\xff\x01', b'\xff\xd3'])
def test_a_frame_damaged_before_its_scan_is_told(tmp_path, marker):
    path = compress(write_dicom(tmp_path / 'a.dcm', noise((60, 80), np.uint16)), JPEGLosslessSV1)
    content = path.read_bytes()
    assert content.count(b'\xff\xc4') == 1  # the Huffman table
    path.write_bytes(content.replace(b'\xff\xc4', marker))
    assert 'pixels cut off, damaged or of an unsupported kind' in refused(path)


@pytest.mark.parametrize('syntax, name', [
    ('1.2.840.10008.1.2.4.201', 'High-Throughput JPEG 2000 Image Compression (Lossless Only)'),
    ('1.2.3.4', 'an unknown syntax')])
def test_an_unsupported_compression_is_named(tmp_path, syntax, name):
    path = compress(write_dicom(tmp_path / 'a.dcm', noise((60, 80), np.uint16)), RLELossless)
    rewrite(path, syntax)
    assert f'stored as {name})' in refused(path) and '1.2.3.4' not in refused(path)
    assert dicom_header(path)[0] == (80, 60)


def test_a_folder_called_dl_beside_a_notebook_does_no_harm(tmp_path):
    (tmp_path / 'dl').mkdir()
    root = str(Path(__file__).parents[1])
    code = f'import sys; sys.path[1:1] = [{root!r}]; import landmark_fastai.dicom, dl; print(dl.__path__)'
    result = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, capture_output=True, text=True)
    assert str(tmp_path) in result.stdout, result.stderr


# nothing else gets out

USED = [
    ('PhotometricInterpretation', 'CS'), ('PixelSpacing', 'DS'), ('ImagerPixelSpacing', 'DS'), ('WindowCenter', 'DS'),
    ('WindowWidth', 'DS'), ('VOILUTFunction', 'CS'), ('RescaleSlope', 'DS'), ('RescaleIntercept', 'DS'),
    ('NumberOfFrames', 'IS'), ('PixelPaddingValue', 'LO'), ('Rows', 'LO'), ('BitsStored', 'LO'),
    ('VOILUTSequence', 'LO'), ('ModalityLUTSequence', 'LO'), ('PixelData', 'LO')]
ITEM = [('SpecificCharacterSet', 'CS'), ('LUTExplanation', 'LO'), ('LUTDescriptor', 'LO'), ('LUTData', 'LO')]


@pytest.fixture
def silent(caplog, capfd, recwarn):
    "A function that asserts that nothing said in the test so far, nor in the given texts, holds the sentinel."
    caplog.set_level(logging.DEBUG)
    warnings.simplefilter('always')
    def check(*texts):
        said = ''.join([*texts, *capfd.readouterr(), caplog.text, *(str(w.message) for w in recwarn.list)])
        assert SENTINEL not in said and 'ENTINE' not in said, said
    return check


def told(path):
    "Everything that reading `path` says in its errors."
    assert SENTINEL.encode() in path.read_bytes()
    said = []
    for read in (read_dicom, dicom_header, read_image):
        try: said.append(repr(read(path)))
        except UsageError as e: said += traceback.format_exception(e)
    return ''.join(said)


@pytest.mark.parametrize('used', USED)
def test_no_text_of_a_tag_gets_out(tmp_path, silent, used):
    silent(told(spoiled(tmp_path / 'a.dcm', [*NAMED, used])))


def test_texts_do_not_keep_an_image_from_being_read(tmp_path, silent):
    path = spoiled(tmp_path / 'a.dcm', NAMED + [('PixelSpacing', 'DS'), ('WindowCenter', 'DS'), ('WindowWidth', 'DS')])
    assert (read_dicom(path) == noise((30, 41))).all() and dicom_header(path)[2] == ''
    silent()


@pytest.mark.parametrize('keyword', ['VOILUTSequence', 'ModalityLUTSequence', 'SourceImageSequence'])
@pytest.mark.parametrize('undefined', [True, False])
@pytest.mark.parametrize('spoiled_one', ITEM)
def test_no_text_of_a_sequence_gets_out(tmp_path, silent, keyword, undefined, spoiled_one):
    elements = dict(LUTDescriptor=('US', struct.pack('<3H', 4, 100, 8)), LUTData=('OW', bytes([0, 85, 170, 255])))
    elements[spoiled_one[0]] = spoiled_one[1], SENTINEL.encode()
    item = b''.join(element(keyword, *rest) for keyword, rest in elements.items())
    item = struct.pack('<HHI', 0xfffe, 0xe000, len(item)) + item
    sequence = element(keyword, 'SQ', item)
    if undefined: sequence = sequence[:8] + b'\xff' * 4 + item + struct.pack('<HHI', 0xfffe, 0xe0dd, 0)
    path = write_dicom(tmp_path / 'a.dcm', noise((30, 41)))
    content = path.read_bytes()
    path.write_bytes(content[:data_start(content)] + sequence + content[data_start(content):])
    silent(told(path))


def test_no_text_of_the_file_header_gets_out(tmp_path, silent):
    path = write_dicom(tmp_path / 'a.dcm', noise((30, 41)))
    rewrite(path, SENTINEL)
    silent(told(path))


@pytest.mark.parametrize('share', [0.2, 0.5, 0.8])
def test_no_text_of_a_file_cut_off_gets_out(tmp_path, silent, share):
    path = spoiled(tmp_path / 'a.dcm', NAMED + USED[1:8])
    content = path.read_bytes()
    path.write_bytes(content[:int(len(content) * share)])
    silent(told(path))


def test_no_text_gets_out_of_a_thread(tmp_path, silent):
    path = spoiled(tmp_path / 'a.dcm', NAMED + USED[1:8])
    with ThreadPoolExecutor(8) as pool: silent(*pool.map(told, [path] * 40))


def test_reading_leaves_the_filters_of_warnings_alone(tmp_path):
    path = write_dicom(tmp_path / 'a.dcm', noise((30, 41)))
    read_dicom(path)
    before = list(warnings.filters)
    read_dicom(path)
    assert warnings.filters == before
