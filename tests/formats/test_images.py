"Images: every format, depth and rotation is read as it should, and broken files are told."

import io
import struct
import warnings
import zlib

import cv2
import numpy as np
import pytest
from helpers import write_dicom
from PIL import Image, ImageOps

from landmark_fastai.errors import UsageError
from landmark_fastai.formats import images
from landmark_fastai.formats.images import (
    IMAGE_SUFFIXES,
    find_images,
    image_facts,
    image_size,
    image_spacing,
    letterbox,
    read_image,
    square_padding,
)

ORIENTATION = 0x112


@pytest.fixture(autouse=True)
def strict_and_forgetful(monkeypatch):
    "Each test starts as a fresh process does: nothing has been said yet, and nothing is said unasked."
    monkeypatch.setattr(images, '_said_colour', False)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        yield


def picture(height=40, width=60):
    "Smooth grey (height, width) uint8 with no symmetry."
    y, x = np.mgrid[:height, :width]
    return (200 * x / width + 50 * y / height).astype(np.uint8)


def save(path, array, **kwargs):
    Image.fromarray(array).save(path, **kwargs)
    return path


def exif(orientation):
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags


# what is read

@pytest.mark.parametrize('suffix', IMAGE_SUFFIXES)
def test_every_suffix_is_read_grey_and_as_rgb(tmp_path, suffix):
    path = save(tmp_path / f'ä{suffix}', picture())
    tolerance = 3 if suffix in ('.jpg', '.jpeg') else 0
    grey, rgb = read_image(path), read_image(path, color=True)
    assert grey.shape == (40, 60) and rgb.shape == (40, 60, 3) and grey.dtype == rgb.dtype == np.uint8
    assert abs(grey.astype(int) - picture()).max() <= tolerance and (rgb == grey[..., None]).all()
    assert image_size(path) == ((60, 40), (60, 40), 1)


@pytest.mark.parametrize('suffix', IMAGE_SUFFIXES)
def test_colour_is_rgb(tmp_path, suffix):
    path = save(tmp_path / f'a{suffix}', np.full((8, 8, 3), (250, 120, 10), np.uint8))
    assert abs(read_image(path, color=True).astype(int) - (250, 120, 10)).max() <= 3


def test_colour_becomes_grey_and_is_said_once(tmp_path):
    path = save(tmp_path / 'a.png', np.full((8, 8, 3), (250, 120, 10), np.uint8))
    with pytest.warns(UserWarning, match='a.png: a colour picture') as caught: grey = read_image(path)
    assert caught[0].filename == __file__
    assert (grey == round(0.299 * 250 + 0.587 * 120 + 0.114 * 10)).all()
    read_image(path)  # a second warning would be an error


def test_grey_stored_as_rgb_is_no_colour_picture(tmp_path):
    path = save(tmp_path / 'a.png', np.repeat(picture()[..., None], 3, 2))
    assert (read_image(path) == picture()).all()


@pytest.mark.parametrize('mode, kind', [('1', 'png'), ('P', 'png'), ('LA', 'png'), ('RGBA', 'png'), ('P', 'bmp')])
def test_palettes_bits_and_transparency_are_read(tmp_path, mode, kind):
    source = Image.fromarray(np.where(picture() > 100, 255, 0).astype(np.uint8))
    source.convert(mode).save(tmp_path / f'a.{kind}')
    assert (read_image(tmp_path / f'a.{kind}') == np.asarray(source)).all()


# depth

@pytest.mark.parametrize('suffix', ['.png', '.tif'])
def test_12_bits_in_16_keep_their_grey_levels(tmp_path, suffix):
    path = save(tmp_path / f'a{suffix}', np.arange(4096, dtype=np.uint16).reshape(64, 64))
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
    path = save(tmp_path / 'a.png', np.full((8, 8), value, np.uint16))
    assert not read_image(path).any()


def test_a_deep_image_with_few_bright_pixels_keeps_them(tmp_path):
    values = np.zeros((50, 50), np.uint16)
    values[20, 30] = 3000
    got = read_image(save(tmp_path / 'a.png', values))
    assert got[20, 30] == 255 and np.count_nonzero(got) == 1


def test_pixels_that_are_no_number_do_not_count(tmp_path):
    values = np.arange(400, dtype=np.float32).reshape(20, 20)
    values[0], values[1], values[2] = np.nan, np.inf, -np.inf  # 5 % each: a percentile that took them in were infinite
    got = read_image(save(tmp_path / 'a.tif', values))
    assert got[:3, 0].tolist() == [0, 255, 0] and abs(int(got[11, 10]) - 127) <= 1
    assert not read_image(save(tmp_path / 'b.tif', np.full((4, 4), np.nan, np.float32))).any()


def test_8_bits_stay_as_they_are(tmp_path):
    faint = (picture() // 10).astype(np.uint8)
    assert (read_image(save(tmp_path / 'a.png', faint)) == faint).all()


# EXIF

@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.tif'])
def test_exif_is_applied_as_pillow_does(tmp_path, suffix, orientation):
    path = save(tmp_path / f'a{suffix}', picture(), exif=exif(orientation))
    # from memory: Pillow 13 turns a grey TIFF twice when it opens it by name
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(path.read_bytes())))).astype(int)
    got = read_image(path)
    assert got.shape == expected.shape and abs(got - expected).max() <= 3
    assert image_size(path) == (got.shape[::-1], (60, 40), orientation)


@pytest.mark.parametrize('orientation', [0, 9])
def test_an_unknown_orientation_is_none(tmp_path, orientation):
    path = save(tmp_path / 'a.jpg', picture(), exif=exif(orientation))
    assert image_size(path) == ((60, 40), (60, 40), 1) and read_image(path).shape == (40, 60)


def test_exif_behind_the_pixels_of_a_png_counts(tmp_path):
    content = save(tmp_path / 'a.png', picture()).read_bytes()
    data = b'eXIf' + exif(6).tobytes()[6:]
    chunk = struct.pack('>I', len(data) - 4) + data + struct.pack('>I', zlib.crc32(data))
    (tmp_path / 'a.png').write_bytes(content[:-12] + chunk + content[-12:])
    assert image_size(tmp_path / 'a.png') == ((40, 60), (60, 40), 6)
    assert read_image(tmp_path / 'a.png').shape == (60, 40)


def test_xmp_does_not_turn_a_picture(tmp_path):
    xmp = (b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
           b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>')
    path = save(tmp_path / 'a.jpg', picture(), xmp=xmp)
    assert image_size(path)[0] == read_image(path).shape[::-1] == (60, 40)


def test_exif_that_is_cut_off_is_told(tmp_path):
    content, tags = save(tmp_path / 'a.jpg', picture()).read_bytes(), exif(6).tobytes()[:-5]
    (tmp_path / 'a.jpg').write_bytes(content[:2] + b'\xff\xe1' + struct.pack('>H', len(tags) + 2) + tags + content[2:])
    warnings.simplefilter('ignore')  # Pillow's own about the tags
    with pytest.raises(UsageError, match='a.jpg: damaged EXIF'): read_image(tmp_path / 'a.jpg')


def test_exif_that_is_none_does_not_matter(tmp_path):
    content = save(tmp_path / 'a.jpg', picture()).read_bytes()
    (tmp_path / 'a.jpg').write_bytes(content[:2] + b'\xff\xe1\x00\x0cExif\0\0MMXX' + content[2:])
    assert image_size(tmp_path / 'a.jpg') == ((60, 40), (60, 40), 1)
    assert read_image(tmp_path / 'a.jpg').shape == (40, 60)


def test_size_of_a_png_needs_no_pixels(tmp_path):
    content = save(tmp_path / 'a.png', picture()).read_bytes()
    (tmp_path / 'a.png').write_bytes(content[:60])
    assert image_size(tmp_path / 'a.png') == ((60, 40), (60, 40), 1)


# DICOM, whose pixels are the matter of test_dicom.py

@pytest.mark.parametrize('name', ['a.dcm', 'a.DICOM', 'a', '1.2.840'])
def test_a_dicom_file_is_an_image(tmp_path, name):
    path = write_dicom(tmp_path / name, picture(), PixelSpacing=[.2, .1])
    assert (read_image(path) == picture()).all() and image_size(path) == ((60, 40), (60, 40), 1)
    assert read_image(str(path), color=True).shape == (40, 60, 3)
    assert image_spacing(path) == ((.1, .2), 'DICOM PixelSpacing')


def test_other_images_tell_no_spacing(tmp_path):
    spacing, source = image_spacing(save(tmp_path / 'a.png', picture(), dpi=(300, 300)))
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


def test_a_hidden_folder_may_be_asked_for(tmp_path):
    (tmp_path / '.images').mkdir()
    save(tmp_path / '.images/a.png', picture())
    assert find_images(tmp_path / '.images') == ['a.png']


def test_a_folder_without_images_is_told(tmp_path):
    for name in ('a.txt', 'b.csv', '.a.png'): (tmp_path / name).touch()
    with pytest.raises(UsageError) as caught: find_images(tmp_path)
    assert str(caught.value) == (f'{tmp_path}: no image among the 2 files in it, expected png, jpg, jpeg, tif, tiff, '
                                 'bmp, dcm, dicom')
    for path in (tmp_path / 'none', tmp_path / 'a.txt'):
        with pytest.raises(UsageError, match='no such folder, expected one with images'): find_images(path)


# broken files

def encoded(kind, **kwargs):
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(noise).save(buffer, kind, **kwargs)
    return buffer.getvalue()


@pytest.mark.parametrize('share', [0.02, 0.5, 0.95])
@pytest.mark.parametrize('kind, kwargs', [
    ('JPEG', {}), ('JPEG', {'progressive': True}), ('PNG', {}), ('BMP', {}), ('TIFF', {}),
    ('TIFF', {'compression': 'tiff_lzw'}), ('TIFF', {'compression': 'tiff_deflate'})])
def test_a_file_cut_off_is_told(tmp_path, kind, kwargs, share):
    content, path = encoded(kind, **kwargs), tmp_path / f'a.{kind.lower()}'
    path.write_bytes(content)
    assert read_image(path, color=True).shape == (40, 60, 3)
    path.write_bytes(content[:int(len(content) * share)])
    warnings.simplefilter('ignore')  # Pillow's own about the tags
    with pytest.raises(UsageError, match=f'{path.name}: cannot be read as an image') as caught: read_image(path)
    assert '\n' not in str(caught.value)


def test_a_broken_lzw_strip_is_told(tmp_path):
    content = encoded('TIFF', compression='tiff_lzw')
    middle = len(content) // 2
    (tmp_path / 'a.tif').write_bytes(content[:middle] + bytes(64) + content[middle + 64:])
    with pytest.raises(UsageError, match='cannot be read as an image'): read_image(tmp_path / 'a.tif')


@pytest.mark.parametrize('read', [read_image, image_size])
def test_a_tiff_with_several_pages_is_told(tmp_path, read):
    pages = [Image.new('L', (60, 40), grey) for grey in (10, 20, 30)]
    pages[0].save(tmp_path / 'a.tif', save_all=True, append_images=pages[1:])
    with pytest.raises(UsageError, match='a.tif: a TIFF with several pages, expected one image; save the page'):
        read(tmp_path / 'a.tif')


def test_thumbnails_and_masks_of_a_tiff_are_no_further_pages(tmp_path):
    film, small, mask = Image.new('L', (60, 40), 10), Image.new('L', (6, 4), 20), Image.new('1', (60, 40), 1)
    small.encoderinfo, mask.encoderinfo = {'tiffinfo': {254: 1}}, {'tiffinfo': {254: 4}}
    film.save(tmp_path / 'a.tif', save_all=True, append_images=[small, mask])
    with Image.open(tmp_path / 'a.tif') as file: assert file.n_frames == 3
    assert image_size(tmp_path / 'a.tif') == ((60, 40), (60, 40), 1)
    np.testing.assert_array_equal(read_image(tmp_path / 'a.tif'), np.full((40, 60), 10))


@pytest.mark.parametrize('reads, find, tag', [
    ((read_image,), bytes.index, 0x111),  # where the pixels of the first page begin, which its header is read without
    ((read_image, image_size), bytes.rindex, 0x116)])  # rows of a strip of the last page
def test_a_number_that_is_text_in_any_page_of_a_tiff_is_told(tmp_path, reads, find, tag):
    film, small = Image.new('L', (60, 40), 10), Image.new('L', (6, 4), 20)
    small.encoderinfo = {'tiffinfo': {254: 1}}
    film.save(tmp_path / 'a.tif', save_all=True, append_images=[small])
    content = (tmp_path / 'a.tif').read_bytes()
    number, text = (struct.pack('<HHI', tag, kind, 1) for kind in (4, 2))
    place = find(content, number)
    (tmp_path / 'a.tif').write_bytes(content[:place] + text + content[place + len(text):])
    for read in reads:
        with pytest.raises(UsageError, match='a.tif: cannot be read as an image'): read(tmp_path / 'a.tif')


@pytest.mark.parametrize('read', [read_image, image_size])
@pytest.mark.parametrize('content', [b'', b'not an image', b'\x89PNG\r\n\x1a\n'])
def test_what_is_no_image_is_told(tmp_path, read, content):
    (tmp_path / 'a.png').write_bytes(content)
    with pytest.raises(UsageError, match='a.png: cannot be read as an image'): read(tmp_path / 'a.png')


@pytest.mark.parametrize('read', [read_image, image_size])
def test_a_missing_file_and_a_folder_are_told(tmp_path, read):
    with pytest.raises(UsageError, match='none.png: no such file'): read(tmp_path / 'none.png')
    with pytest.raises(UsageError, match='is a directory, expected an image'): read(tmp_path)


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


# --- decompression bombs

@pytest.fixture
def silent_pillow():
    "Pillow as `images` silences it for the process, which pytest undoes."
    warnings.filterwarnings('ignore', category=Image.DecompressionBombWarning)


def large_png(path, width, height):
    "A PNG of a few hundred bytes that says it is `width` x `height`."
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    header = chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0))
    path.write_bytes(b'\x89PNG\r\n\x1a\n' + header + chunk(b'IDAT', zlib.compress(b'\0' * 100)) + chunk(b'IEND', b''))
    return path


def test_an_image_that_would_fill_the_memory_is_refused_by_its_header(tmp_path, silent_pillow):
    for read in (read_image, image_size, image_facts):
        with pytest.raises(UsageError, match=r'13000 x 13000 px, which may fill the memory; expected at most 150 mega'):
            read(large_png(tmp_path / 'bomb.png', 13000, 13000))


def test_a_dicom_that_would_fill_the_memory_is_refused_by_its_header(tmp_path):
    path = write_dicom(tmp_path / 'bomb.dcm', np.zeros((4, 4), np.uint8), Rows=60000, Columns=60000)
    for read in (read_image, image_size):
        with pytest.raises(UsageError, match='60000 x 60000 px, which may fill the memory'): read(path)


def test_a_large_film_is_no_bomb(tmp_path, silent_pillow):
    assert image_size(large_png(tmp_path / 'leg.png', 9000, 11000))[0] == (9000, 11000)
