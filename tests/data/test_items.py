"Items: where an image lies on the square."

import numpy as np
import pytest
from helpers import write_dots

from landmark_fastai.data.items import annotated_images, image_frame, make_frame
from landmark_fastai.formats.annotations import read_annotations
from landmark_fastai.formats.dataset import check_images

SPACING = 0.5, 0.25


@pytest.mark.parametrize('size, padding, scale', [
    ((300, 200), (0, 50), 64 / 300), ((200, 300), (50, 0), 64 / 300), ((3, 4), (0, 0), 16), ((64, 64), (0, 0), 1)])
def test_an_image_lies_in_the_middle_of_its_square(size, padding, scale):
    frame = make_frame(size, SPACING, 64)
    assert tuple(frame.size) == size and tuple(frame.padding) == padding and tuple(frame.spacing) == SPACING
    assert frame.scale == pytest.approx(scale) and {values.dtype for values in frame} == {np.dtype('float32')}


def test_items_hold_what_the_csv_says(tmp_path):
    csv_file, image_dir = write_dots(tmp_path, n=2, pixel_spacing=[0.5, np.nan])
    annotations, paths = check_images(read_annotations(csv_file), image_dir)
    first, second = annotated_images(annotations, paths, 64)
    assert (first.path, first.name) == (image_dir / 'dot_0.png', 'dot_0.png')
    np.testing.assert_array_equal(first.points, annotations.points[0])
    np.testing.assert_array_equal(first.frame.size, [96, 80])
    assert first.frame.spacing.tolist() == [0.5, 0.5] and np.isnan(second.frame.spacing).all()


def test_a_new_image_has_the_same_place_and_no_spacing(tmp_path):
    _, image_dir = write_dots(tmp_path, n=1)
    of_file, of_array = image_frame(image_dir / 'dot_0.png', 64), image_frame(np.zeros((80, 96), np.uint8), 64)
    expected = make_frame((96, 80), (np.nan, np.nan), 64)
    np.testing.assert_array_equal(of_file.row(), expected.row())
    np.testing.assert_array_equal(of_array.row(), expected.row())
