"Headers: EXIF rotation, several images in a file, broken and huge files."

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from helpers import exif_of, picture, save_picture, write_dicom
from PIL import Image, ImageOps

from landmark_fastai.errors import UsageError
from landmark_fastai.formats.images import appearance, find_images, image_size, read_image

pytestmark = pytest.mark.usefixtures('fresh_process')


# EXIF

@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.tif'])
def test_exif_is_applied_as_pillow_does(tmp_path, suffix, orientation):
    path = save_picture(tmp_path / f'a{suffix}', picture(), exif=exif_of(orientation))
    # from memory: Pillow 13 turns a grey TIFF twice when it opens it by name
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(path.read_bytes())))).astype(int)
    got = read_image(path)
    assert got.shape == expected.shape and abs(got - expected).max() <= 3
    assert image_size(path) == (got.shape[::-1], (60, 40), orientation)


@pytest.mark.parametrize('orientation', [0, 9])
def test_an_unknown_orientation_is_none(tmp_path, orientation):
    path = save_picture(tmp_path / 'a.jpg', picture(), exif=exif_of(orientation))
    assert image_size(path) == ((60, 40), (60, 40), 1) and read_image(path).shape == (40, 60)


def test_exif_behind_the_pixels_of_a_png_counts(tmp_path):
    content = save_picture(tmp_path / 'a.png', picture()).read_bytes()
    data = b'eXIf' + exif_of(6).tobytes()[6:]
    chunk = struct.pack('>I', len(data) - 4) + data + struct.pack('>I', zlib.crc32(data))
    (tmp_path / 'a.png').write_bytes(content[:-12] + chunk + content[-12:])
    assert image_size(tmp_path / 'a.png') == ((40, 60), (60, 40), 6)
    assert read_image(tmp_path / 'a.png').shape == (60, 40)


def test_xmp_does_not_turn_a_picture(tmp_path):
    xmp = (b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
           b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>')
    path = save_picture(tmp_path / 'a.jpg', picture(), xmp=xmp)
    assert image_size(path)[0] == read_image(path).shape[::-1] == (60, 40)


def test_exif_that_is_cut_off_is_told(tmp_path):
    content, tags = save_picture(tmp_path / 'a.jpg', picture()).read_bytes(), exif_of(6).tobytes()[:-5]
    (tmp_path / 'a.jpg').write_bytes(content[:2] + b'\xff\xe1' + struct.pack('>H', len(tags) + 2) + tags + content[2:])
    warnings.simplefilter('ignore')  # Pillow's own about the tags
    with pytest.raises(UsageError, match='a.jpg: damaged EXIF'): read_image(tmp_path / 'a.jpg')


def test_exif_that_is_none_does_not_matter(tmp_path):
    content = save_picture(tmp_path / 'a.jpg', picture()).read_bytes()
    (tmp_path / 'a.jpg').write_bytes(content[:2] + b'\xff\xe1\x00\x0cExif\0\0MMXX' + content[2:])
    assert image_size(tmp_path / 'a.jpg') == ((60, 40), (60, 40), 1)
    assert read_image(tmp_path / 'a.jpg').shape == (40, 60)


def test_size_of_a_png_needs_no_pixels(tmp_path):
    content = save_picture(tmp_path / 'a.png', picture()).read_bytes()
    (tmp_path / 'a.png').write_bytes(content[:60])
    assert image_size(tmp_path / 'a.png') == ((60, 40), (60, 40), 1)


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
    with pytest.raises(UsageError, match='a.tif: .* several pages, expected one'):
        read(tmp_path / 'a.tif')


ANIMATED = {'gif': {}, 'webp': {'lossless': True}, 'png': {}}


@pytest.mark.parametrize('suffix', ANIMATED)
def test_such_a_file_of_one_frame_is_read_by_its_name_and_found_if_a_png(tmp_path, suffix):
    path = save_picture(tmp_path / f'a.{suffix}', picture(), **ANIMATED[suffix])
    assert image_size(path).size == (60, 40) and (read_image(path) == picture()).all()
    save_picture(tmp_path / 'b.png', picture())
    assert find_images(tmp_path) == (['a.png', 'b.png'] if suffix == 'png' else ['b.png'])


@pytest.mark.parametrize('read', [read_image, image_size])
@pytest.mark.parametrize('suffix', ANIMATED)
def test_a_film_of_several_frames_is_told(tmp_path, suffix, read):
    frames = [Image.fromarray(picture() + 20 * k) for k in range(3)]
    frames[0].save(tmp_path / f'a.{suffix}', save_all=True, append_images=frames[1:], **ANIMATED[suffix])
    with pytest.raises(UsageError) as caught: read(tmp_path / f'a.{suffix}')
    message = str(caught.value)
    assert f'a.{suffix}: ' in message and suffix in message.lower() and 'several frames' in message


@pytest.mark.parametrize('suffix', ANIMATED)
def test_one_frame_is_an_image(tmp_path, suffix):
    path = save_picture(tmp_path / f'a.{suffix}', picture(), **ANIMATED[suffix])
    assert image_size(path).size == (60, 40) and abs(read_image(path).astype(int) - picture()).max() <= 3


def test_the_previews_in_the_jpeg_of_a_phone_are_no_further_frames(tmp_path):
    film, preview = Image.fromarray(picture()), Image.fromarray(picture(20, 30))
    film.save(tmp_path / 'a.jpg', 'MPO', save_all=True, append_images=[preview])
    with Image.open(tmp_path / 'a.jpg') as file: assert file.format == 'MPO' and file.n_frames == 2
    assert read_image(tmp_path / 'a.jpg').shape == (40, 60)


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


# decompression bombs

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
    for read in (read_image, image_size, appearance):
        with pytest.raises(UsageError, match=r'13000 x 13000 px, which may fill the memory; expected at most 150 mega'):
            read(large_png(tmp_path / 'bomb.png', 13000, 13000))


def test_a_dicom_that_would_fill_the_memory_is_refused_by_its_header(tmp_path):
    path = write_dicom(tmp_path / 'bomb.dcm', np.zeros((4, 4), np.uint8), Rows=60000, Columns=60000)
    for read in (read_image, image_size):
        with pytest.raises(UsageError, match='60000 x 60000 px, which may fill the memory'): read(path)


def test_a_large_film_is_no_bomb(tmp_path, silent_pillow):
    assert image_size(large_png(tmp_path / 'leg.png', 9000, 11000))[0] == (9000, 11000)
