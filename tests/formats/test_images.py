"Images: every kind and depth is read as it should, found in folders, and put on a square."

import os
import struct

import cv2
import numpy as np
import pytest
from helpers import exif_of, picture, save_picture, write_dicom
from PIL import Image

from landmark_fastai.errors import UsageError
from landmark_fastai.formats.images import (
    IMAGE_SUFFIXES,
    find_images,
    image_size,
    image_spacing,
    letterbox,
    read_film,
    read_image,
    square_padding,
)

pytestmark = pytest.mark.usefixtures('fresh_process')


# what is read

@pytest.mark.parametrize('suffix', IMAGE_SUFFIXES)
def test_every_suffix_is_read_grey_and_as_rgb(tmp_path, suffix):
    path = save_picture(tmp_path / f'ä{suffix}', picture())
    tolerance = 3 if suffix in ('.jpg', '.jpeg') else 0
    grey, rgb = read_image(path), read_image(path, color=True)
    assert grey.shape == (40, 60) and rgb.shape == (40, 60, 3) and grey.dtype == rgb.dtype == np.uint8
    assert abs(grey.astype(int) - picture()).max() <= tolerance and (rgb == grey[..., None]).all()
    assert image_size(path) == ((60, 40), (60, 40), 1)


@pytest.mark.parametrize('suffix', IMAGE_SUFFIXES)
def test_colour_is_rgb(tmp_path, suffix):
    path = save_picture(tmp_path / f'a{suffix}', np.full((8, 8, 3), (250, 120, 10), np.uint8))
    assert abs(read_image(path, color=True).astype(int) - (250, 120, 10)).max() <= 3


def test_colour_becomes_grey_and_is_said_once(tmp_path):
    path = save_picture(tmp_path / 'a.png', np.full((8, 8, 3), (250, 120, 10), np.uint8))
    with pytest.warns(UserWarning, match='a.png: a colour picture') as caught: grey = read_image(path)
    assert caught[0].filename == __file__
    assert (grey == round(0.299 * 250 + 0.587 * 120 + 0.114 * 10)).all()
    read_image(path)  # a second warning would be an error


def test_grey_stored_as_rgb_is_no_colour_picture(tmp_path):
    path = save_picture(tmp_path / 'a.png', np.repeat(picture()[..., None], 3, 2))
    assert (read_image(path) == picture()).all()


@pytest.mark.parametrize('mode, kind', [('1', 'png'), ('P', 'png'), ('LA', 'png'), ('RGBA', 'png'), ('P', 'bmp')])
def test_palettes_bits_and_transparency_are_read(tmp_path, mode, kind):
    source = Image.fromarray(np.where(picture() > 100, 255, 0).astype(np.uint8))
    source.convert(mode).save(tmp_path / f'a.{kind}')
    assert (read_image(tmp_path / f'a.{kind}') == np.asarray(source)).all()


# depth

@pytest.mark.parametrize('suffix', ['.png', '.tif'])
def test_12_bits_in_16_keep_their_grey_levels(tmp_path, suffix):
    path = save_picture(tmp_path / f'a{suffix}', np.arange(4096, dtype=np.uint16).reshape(64, 64))
    got = read_image(path)
    assert got.dtype == np.uint8 and len(np.unique(got)) == 256 and (np.diff(got.ravel().astype(int)) >= 0).all()


@pytest.mark.parametrize('dtype', [np.uint16, np.int16, np.int32, np.float32])
def test_the_window_is_the_percentiles_from_half_to_99_and_a_half(tmp_path, dtype):
    values = np.arange(1001).reshape(77, 13).astype(dtype)  # percentiles at 5 and 995
    assert cv2.imwrite(str(tmp_path / 'a.tif'), values)
    got = read_image(tmp_path / 'a.tif').ravel()
    assert (got[:6] == 0).all() and (got[995:] == 255).all()
    np.testing.assert_array_equal(got[[6, 250, 500, 994]], [0, 63, 128, 255])  # 255 * (v - 5) / 990


def test_deep_colour_is_weighed_before_the_window(tmp_path):
    rgb = np.zeros((10, 10, 3), np.uint16)
    rgb[:5, :, 0], rgb[5:, :, 1] = 40000, 20000  # grey 11960 and 11740: the window must see these, not the channels
    assert cv2.imwrite(str(tmp_path / 'a.png'), rgb[..., ::-1])
    with pytest.warns(UserWarning, match='colour'): grey = read_image(tmp_path / 'a.png')
    assert (grey[:5] == 255).all() and (grey[5:] == 0).all()
    colour = read_image(tmp_path / 'a.png', color=True)
    assert colour[0, 0].tolist() == [255, 0, 0] and colour[9, 9].tolist() == [0, 128, 0]


@pytest.mark.parametrize('value', [0, 7, 65535])
def test_a_constant_deep_image_is_black(tmp_path, value):
    path = save_picture(tmp_path / 'a.png', np.full((8, 8), value, np.uint16))
    assert not read_image(path).any()


def test_a_deep_image_with_few_bright_pixels_keeps_them(tmp_path):
    values = np.zeros((50, 50), np.uint16)
    values[20, 30] = 3000
    got = read_image(save_picture(tmp_path / 'a.png', values))
    assert got[20, 30] == 255 and np.count_nonzero(got) == 1


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.float32])
def test_a_tiff_whose_smallest_values_are_white_is_turned_round(tmp_path, dtype):
    path = save_picture(tmp_path / 'a.tif', np.tile(np.linspace(0, 250, 6, dtype=dtype), (4, 1)))
    before = read_image(path)[0].astype(int)
    kinds = [struct.pack('<HHIHH', 262, 3, 1, kind, 0) for kind in (1, 0)]  # the tag PhotometricInterpretation
    data = path.read_bytes()
    assert data.count(kinds[0]) == 1
    path.write_bytes(data.replace(*kinds))
    np.testing.assert_array_equal(read_image(path)[0], 255 - before)
    assert (np.diff(read_film(path).pixels[0].astype(int)) < 0).all()


def test_pixels_that_are_no_number_do_not_count(tmp_path):
    values = np.arange(400, dtype=np.float32).reshape(20, 20)
    values[0], values[1], values[2] = np.nan, np.inf, -np.inf  # 5 % each: a percentile that took them in were infinite
    got = read_image(save_picture(tmp_path / 'a.tif', values))
    assert got[:3, 0].tolist() == [0, 255, 0] and abs(int(got[11, 10]) - 127) <= 1
    assert not read_image(save_picture(tmp_path / 'b.tif', np.full((4, 4), np.nan, np.float32))).any()


def test_8_bits_stay_as_they_are(tmp_path):
    faint = (picture() // 10).astype(np.uint8)
    assert (read_image(save_picture(tmp_path / 'a.png', faint)) == faint).all()


# DICOM, whose pixels are the matter of test_dicom.py

@pytest.mark.parametrize('name', ['a.dcm', 'a.DICOM', 'a', '1.2.840'])
def test_a_dicom_file_is_an_image(tmp_path, name):
    path = write_dicom(tmp_path / name, picture(), PixelSpacing=[.2, .1])
    assert (read_image(path) == picture()).all() and image_size(path) == ((60, 40), (60, 40), 1)
    assert read_image(str(path), color=True).shape == (40, 60, 3)
    assert image_spacing(path) == ((.1, .2), 'DICOM PixelSpacing')


def test_other_images_tell_no_spacing(tmp_path):
    spacing, source = image_spacing(save_picture(tmp_path / 'a.png', picture(), dpi=(300, 300)))
    assert np.isnan(spacing).tolist() == [True, True] and source == ''


def test_a_colour_dicom_file_becomes_grey_and_is_said(tmp_path):
    path = write_dicom(tmp_path / 'a.dcm', np.full((8, 8, 3), (250, 120, 10), np.uint8))
    with pytest.warns(UserWarning, match='a.dcm: a colour picture') as caught: grey = read_image(path)
    assert caught[0].filename == __file__
    assert (grey == round(0.299 * 250 + 0.587 * 120 + 0.114 * 10)).all()


# listing

def test_images_are_found_in_all_folders_in_order(tmp_path):
    for name in ('b.png', 'B.JPG', 'a/10.tif', 'a/2.TIFF', 'ä.bmp', 'a/notes.txt', 'table.csv', '.hidden.png',
                 'b/._a.png', '.git/a.png', 'b/.trash/c/a.png', 'z.dcm', 'b/DICOMDIR', 'folder.png/c.jpeg'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ('IM0001', 'b/1.2.3', 'b/DICOMDIR', 'a/.IM0001'): write_dicom(tmp_path / name, picture())
    found = ['B.JPG', 'IM0001', 'a/10.tif', 'a/2.TIFF', 'b.png', 'b/1.2.3', 'folder.png/c.jpeg', 'z.dcm', 'ä.bmp']
    assert find_images(tmp_path) == find_images(str(tmp_path)) == found


def test_a_folder_that_cannot_be_read_is_told(tmp_path, monkeypatch):
    for name in ('a.png', 'closed/b.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    scan = os.scandir
    def scandir(folder):
        if str(folder).endswith('closed'): raise PermissionError(13, 'Permission denied', str(folder))
        return scan(folder)
    monkeypatch.setattr(os, 'scandir', scandir)
    with pytest.warns(UserWarning, match=r'closed: permission denied, .* left out \(1 in all\)'):
        assert find_images(tmp_path) == ['a.png']


def test_a_hidden_folder_may_be_asked_for(tmp_path):
    (tmp_path / '.images').mkdir()
    save_picture(tmp_path / '.images/a.png', picture())
    assert find_images(tmp_path / '.images') == ['a.png']


def test_a_folder_without_images_is_told(tmp_path):
    for name in ('a.txt', 'b.csv', '.a.png'): (tmp_path / name).touch()
    with pytest.raises(UsageError) as caught: find_images(tmp_path)
    assert str(caught.value).startswith(f'{tmp_path}: no image among the 2 files in it, expected png, jpg, jpeg, tif, '
                                        'tiff, bmp, dcm, dicom')
    for path in (tmp_path / 'none', tmp_path / 'a.txt'):
        with pytest.raises(UsageError, match='no such folder, expected one with images'): find_images(path)


# the square

@pytest.mark.parametrize('width, height, expected', [
    (60, 40, (0, 10, 60)), (40, 60, (10, 0, 60)), (7, 7, (0, 0, 7)), (60, 41, (0, 9, 60)), (1, 4, (1, 0, 4))])
def test_square_padding(width, height, expected): assert square_padding(width, height) == expected


def test_the_padding_is_black_and_nothing_else_changes():
    square = letterbox(np.full((5, 8), 9, np.uint8), 8)
    np.testing.assert_array_equal(square, np.repeat([0, 9, 9, 9, 9, 9, 0, 0], 8).reshape(8, 8))
    assert letterbox(np.full((5, 8, 3), 9, np.uint8), 16).shape == (16, 16, 3)


def test_shrinking_averages_and_enlarging_interpolates():
    dots = np.zeros((8, 8), np.uint8)
    dots[::4, ::4] = 160  # one of 16 pixels, which an interpolation between neighbours would miss
    assert (letterbox(dots, 2) == 10).all()
    assert letterbox(np.array([[0, 100], [0, 100]], np.uint8), 4)[0].tolist() == [0, 25, 75, 100]


@pytest.mark.parametrize('size', [64, 96, 224])
@pytest.mark.parametrize('width, height, x, y', [
    (200, 130, 60, 41), (130, 201, 88, 150.5), (151, 151, 75.25, 30), (97, 60, 50, 22), (333, 222, 201.5, 60)])
def test_a_dot_is_followed_into_the_square(width, height, x, y, size):
    rows, columns = np.mgrid[:height, :width]
    sigma = max(width, height) / 24
    dot = np.rint(255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))).astype(np.uint8)
    got = letterbox(dot, size).astype(float)
    centroid = [(got.sum(axis) * np.arange(size)).sum() / got.sum() for axis in (0, 1)]
    side = max(width, height)
    offset = (side - width) // 2, (side - height) // 2
    expected = [(p + 0.5 + o) * size / side - 0.5 for p, o in zip((x, y), offset, strict=True)]
    np.testing.assert_allclose(centroid, expected, atol=0.1)


# films at their own depth

def looked_at(film):
    "A film through its window, as the page of annotate shows it."
    black, white = film.window
    if black == white: return 255. * (film.pixels > black)
    return 255 * np.clip((film.pixels.astype(float) - black) / (white - black), 0, 1)


DEEP = np.linspace(100, 60000, 2400).reshape(40, 60)


@pytest.mark.parametrize('write', [
    lambda folder: save_picture(folder / 'a.png', picture()),
    lambda folder: save_picture(folder / 'a.jpg', picture(), exif=exif_of(6)),
    lambda folder: save_picture(folder / 'a.png', DEEP.astype(np.uint16)),
    lambda folder: save_picture(folder / 'a.tif', DEEP.astype(np.int32) - 30000),
    lambda folder: save_picture(folder / 'a.tif', DEEP.astype(np.float32) / 7e4),
    lambda folder: save_picture(folder / 'a.png', np.full((4, 4), 700, np.uint16)),
    lambda folder: write_dicom(folder / 'a.dcm', picture()),
    lambda folder: write_dicom(folder / 'a.dcm', DEEP.astype(np.uint16)),
    lambda folder: write_dicom(folder / 'a.dcm', DEEP.astype(np.uint16), WindowCenter=20000, WindowWidth=9000),
    lambda folder: write_dicom(folder / 'a.dcm', DEEP.astype(np.uint16), WindowCenter=-2000, WindowWidth=9001,
                               VOILUTFunction='LINEAR_EXACT', RescaleSlope=0.3, RescaleIntercept=-5000),
    lambda folder: write_dicom(folder / 'a.dcm', DEEP.astype(np.uint16), WindowCenter=20000, WindowWidth=9000,
                               PhotometricInterpretation='MONOCHROME1', PixelPaddingValue=100),
    lambda folder: write_dicom(folder / 'a.dcm', DEEP.astype(np.uint16), WindowCenter=20000, WindowWidth=9000,
                               VOILUTFunction='SIGMOID'),
    lambda folder: write_dicom(folder / 'a.dcm', DEEP.astype(np.uint16), WindowCenter=20000, WindowWidth=1),
])
def test_a_film_through_its_window_is_the_image(tmp_path, write):
    path = write(tmp_path) or next(tmp_path.iterdir())
    film = read_film(path)
    assert film.pixels.dtype in (np.uint8, np.uint16) and film.pixels.ndim == 2
    assert abs(looked_at(film) - read_image(path)).max() <= 0.51


def test_a_film_keeps_its_depth_and_its_colour(tmp_path):
    deep, colour = np.arange(2400, dtype=np.uint16).reshape(40, 60), np.full((8, 8, 3), (250, 120, 10), np.uint8)
    assert (read_film(save_picture(tmp_path / 'a.png', deep)).pixels == deep).all()
    write_dicom(tmp_path / 'a.dcm', deep, WindowCenter=50, WindowWidth=11)
    film = read_film(tmp_path / 'a.dcm')
    assert (film.pixels == deep + 1).all() and film.window == (45.5, 55.5)  # 44.5 to 54.5, and 0 is for padding
    assert (read_film(save_picture(tmp_path / 'b.png', colour)).pixels == colour).all()
