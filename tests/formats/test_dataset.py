"The data set against its CSV: missing, foreign and mis-sized images, and points in the frame of the picture."

import numpy as np
import pytest
from helpers import write_dicom
from PIL import Image, ImageOps

from landmark_fastai.errors import UsageError
from landmark_fastai.formats.annotations import read_annotations
from landmark_fastai.formats.dataset import check_images
from landmark_fastai.formats.images import read_image

HEADER = 'image_name,image_width,image_height,n_landmarks,hip_x,hip_y,knee_x,knee_y,pixel_spacing_x,pixel_spacing_y'


@pytest.fixture
def data(tmp_path):
    "A function that makes an image folder and the annotations of the given CSV rows."
    (tmp_path / 'images').mkdir()
    def make(*rows):
        (tmp_path / 'train.csv').write_text('\n'.join((HEADER, *rows)))
        return read_annotations(tmp_path / 'train.csv'), tmp_path / 'images'
    return make


def save(path, width, height, orientation=1, dot=None):
    "A black picture, stored as `width` x `height`, with one bright pixel at `dot`."
    pixels = np.zeros((height, width), np.uint8)
    if dot: pixels[dot[1], dot[0]] = 255
    exif = Image.Exif()
    exif[0x112] = orientation
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path, exif=exif)


def test_a_sound_data_set_passes_unchanged(data):
    annotations, folder = data('a.png,30,20,2,1,2,,,.1,.2', 'sub/b.jpg,20,30,2,-1,-1,3,4,,')
    save(folder / 'a.png', 30, 20)
    save(folder / 'sub/b.jpg', 20, 30)
    got, paths = check_images(annotations, str(folder))
    assert paths == [folder / 'a.png', folder / 'sub/b.jpg']
    for field in ('points', 'state', 'sizes', 'spacing'):
        np.testing.assert_array_equal(getattr(got, field), getattr(annotations, field), strict=True)


def brightest(image): return list(np.unravel_index(image.argmax(), image.shape))[::-1]


@pytest.mark.parametrize('orientation', [5, 6, 7, 8])
def test_points_of_the_stored_frame_are_turned_with_the_picture(data, orientation):
    annotations, folder = data('a.png,30,20,2,7,4,-1,-1,.1,.2', 'b.png,9,8,2,1,2,3.5,4,.3,.4')
    save(folder / 'a.png', 30, 20, orientation, dot=(7, 4))
    save(folder / 'b.png', 9, 8)
    got, paths = check_images(annotations, folder)
    assert got.points[0, 0].tolist() == brightest(read_image(paths[0]))
    assert got.points[0, 0].tolist() == brightest(np.asarray(ImageOps.exif_transpose(Image.open(paths[0]))))
    assert got.points[0, 0].tolist() == {5: [4, 7], 6: [15, 7], 7: [15, 22], 8: [4, 22]}[orientation]
    assert got.sizes.tolist() == [[20, 30], [9, 8]] and got.spacing.tolist() == [[.2, .1], [.3, .4]]
    assert np.isnan(got.points[0, 1]).all() and (got.state == annotations.state).all()
    assert got.points[1].tolist() == [[1, 2], [3.5, 4]]
    assert annotations.points[0, 0].tolist() == [7, 4] and annotations.sizes[0].tolist() == [30, 20]


@pytest.mark.parametrize('width, height, stored, orientation', [
    (20, 30, (30, 20), 6), (30, 20, (30, 20), 3), (30, 20, (30, 20), 2), (30, 30, (30, 30), 6)])
def test_points_stay_where_the_sizes_do_not_tell_a_turn(data, width, height, stored, orientation):
    annotations, folder = data(f'a.jpg,{width},{height},2,7,4,1,1,.1,.2')
    save(folder / 'a.jpg', *stored, orientation)
    got, _ = check_images(annotations, folder)
    assert got.points[0, 0].tolist() == [7, 4] and got.sizes.tolist() == [[width, height]]
    assert got.spacing.tolist() == [[.1, .2]]


def test_spacings_that_the_csv_leaves_out_are_those_of_dicom(data):
    annotations, folder = data('a.dcm,30,20,2,1,2,,,.1,.2', 'b.dcm,30,20,2,1,2,,,,', 'c.dcm,30,20,2,1,2,,,,',
                               'd.dcm,30,20,2,1,2,,,,', 'e.png,20,30,2,1,2,,,,')
    tags = dict(PixelSpacing=[.4, .3]), dict(PixelSpacing=[.4, .3]), dict(ImagerPixelSpacing=[.6, .5]), {}
    for name, spacing in zip('abcd', tags, strict=True):
        write_dicom(folder / f'{name}.dcm', np.zeros((20, 30), np.uint16), **spacing)
    save(folder / 'e.png', 20, 30)
    got, _ = check_images(annotations, folder)
    np.testing.assert_array_equal(got.spacing, [[.1, .2], [.3, .4], [.5, .6], [np.nan] * 2, [np.nan] * 2])
    assert got.spacing_source.tolist() == ['CSV', 'DICOM PixelSpacing', 'DICOM ImagerPixelSpacing (detector)', '', '']


def refused(annotations, folder):
    with pytest.raises(UsageError) as caught: check_images(annotations, folder)
    assert '\n' not in str(caught.value)
    return str(caught.value)


def test_missing_images_are_told_with_their_number(data):
    annotations, folder = data('a.png,30,20,2,1,2,,,,', 'b.png,30,20,2,1,2,,,,', 'c.png,30,20,2,1,2,,,,')
    save(folder / 'a.png', 30, 20)
    message = refused(annotations, folder)
    assert f'train.csv, row 3 (b.png): no such file {folder / "b.png"} (1 other' in message
    save(folder / 'b.png', 30, 20)
    message = refused(annotations, folder)
    assert 'row 4 (c.png): no such file' in message and 'missing too' not in message


def test_a_missing_folder_is_told(data):
    annotations, folder = data('a.png,30,20,2,1,2,,,,')
    message = refused(annotations, folder / 'none')
    assert message.startswith(f'{folder / "none"}: no such folder, expected the images of train.csv; ')


def test_a_folder_is_no_image_and_an_endless_name_no_crash(data):
    annotations, folder = data('sub,30,20,2,1,2,,,,')
    (folder / 'sub').mkdir()
    assert 'row 2 (sub): no such file' in refused(annotations, folder)
    annotations, folder = data(f'{"a" * 5000}.png,30,20,2,1,2,,,,')
    assert 'no such file' in refused(annotations, folder)


def test_links_to_the_outside_are_refused(data, tmp_path):
    save(tmp_path / 'out.png', 30, 20)
    annotations, folder = data('link.png,30,20,2,1,2,,,,')
    (folder / 'link.png').symlink_to(tmp_path / 'out.png')
    assert 'out.png is outside the image folder' in refused(annotations, folder)


def test_the_image_folder_may_be_a_link(data, tmp_path):
    annotations, folder = data('a.png,30,20,2,1,2,,,,')
    save(folder / 'a.png', 30, 20)
    (tmp_path / 'link').symlink_to(folder)
    assert check_images(annotations, tmp_path / 'link')[1] == [tmp_path / 'link' / 'a.png']


@pytest.mark.parametrize('orientation, says', [(1, '30 x 20'), (6, '20 x 30')])
def test_a_wrong_size_is_told_with_both(data, orientation, says):
    annotations, folder = data('a.png,30,21,2,1,2,,,,')
    save(folder / 'a.png', 30, 20, orientation)
    assert f'row 2 (a.png): the CSV says 30 x 21, the file is {says}' in refused(annotations, folder)


def test_swapped_sizes_without_exif_are_refused(data):
    annotations, folder = data('a.png,20,30,2,1,2,,,,')
    save(folder / 'a.png', 30, 20)
    assert 'the CSV says 20 x 30, the file is 30 x 20' in refused(annotations, folder)


def test_an_unreadable_image_is_told_with_its_row(data):
    annotations, folder = data('a.png,30,20,2,1,2,,,,')
    (folder / 'a.png').write_text('not an image')
    message = refused(annotations, folder)
    assert message.startswith('train.csv, row 2 (a.png): ') and 'cannot be read as an image' in message


@pytest.mark.parametrize('tags, says', [
    (dict(NumberOfFrames=2), 'it has 2 frames'), (dict(PixelData=None), 'it has no pixels'),
    ({}, 'the CSV says 30 x 20, the file is 20 x 30')])
def test_a_dicom_file_that_is_not_the_image_is_told_with_its_row(data, tags, says):
    annotations, folder = data('a.dcm,30,20,2,1,2,,,,')
    write_dicom(folder / 'a.dcm', np.zeros((30, 20), np.uint8), **tags)
    message = refused(annotations, folder)
    assert message.startswith('train.csv, row 2 (a.dcm): ') and says in message
