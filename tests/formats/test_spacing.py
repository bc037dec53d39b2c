"Pixel spacings that are hardly ones in mm: which they are, and the one warning about those that are used."

import numpy as np
import pytest
from helpers import GOOD, HEADER, noise, write_dicom

from landmark_fastai.formats.annotations import fill_spacing, read_annotations, warn_doubtful
from landmark_fastai.formats.dataset import check_images
from landmark_fastai.formats.images import image_spacing
from landmark_fastai.formats.spacing import FLAG_SOURCE, is_doubtful
from landmark_fastai.formats.spreadsheet import is_formula

pytestmark = pytest.mark.usefixtures('fresh_process')


@pytest.mark.parametrize('spacing, expected', [
    ((0.1, 0.1), False), ((0.001, 10), False), ((0.0009, 0.1), True), ((0.1, 10.1), True), ((np.nan, np.nan), False)])
def test_the_range_is_from_a_thousandth_to_ten_mm(spacing, expected): assert is_doubtful(np.array(spacing)) == expected


def told(annotations):
    "The one warning of `annotations`."
    def of_caller(): warn_doubtful(annotations)
    with pytest.warns(UserWarning) as caught: of_caller()
    assert len(caught) == 1 and caught[0].filename == __file__
    return str(caught[0].message)


def test_a_doubtful_column_is_told_once_with_its_number_and_its_first_row(csv_file):
    rows = [f'{k}.png,100,200,2,1,2,3,4,{spacing}' for k, spacing in enumerate(('0.143', '143', '144', ''))]
    message = told(read_annotations(csv_file(f'{HEADER},pixel_spacing', *rows)))
    for named in ('train.csv: 2 of 4 images', 'row 3 (1.png)', '143 mm (CSV)', '0.001 to 10'): assert named in message
    assert '144' not in message


@pytest.mark.parametrize('cells', ['0.001,10', ','])
def test_other_spacings_are_no_news(csv_file, cells):
    warn_doubtful(read_annotations(csv_file(f'{HEADER},pixel_spacing_x,pixel_spacing_y', f'{GOOD},{cells}')))


def test_a_doubtful_flag_is_told_by_its_name(annotated):
    message = told(fill_spacing(annotated(2), (0.1, 20), FLAG_SOURCE))
    assert '2 of 2 images' in message and '0.1 x 20 mm' in message and '--pixel_spacing' in message


def test_the_name_of_the_flag_is_no_formula_in_outputs(): assert not is_formula(FLAG_SOURCE)


def test_a_header_is_told_only_where_it_is_used(csv_file, tmp_path):
    for name in 'abc': write_dicom(tmp_path / f'{name}.dcm', noise((200, 100)), PixelSpacing=[143, 143])
    assert image_spacing(tmp_path / 'a.dcm') == ((143, 143), 'DICOM PixelSpacing')
    rows = [f'{name}.dcm,100,200,2,1,2,3,4,{spacing}' for name, spacing in zip('abc', ('.1', '.1', ''), strict=True)]
    used, _ = check_images(read_annotations(csv_file(f'{HEADER},pixel_spacing', *rows)), tmp_path)
    message = told(used)
    assert '1 of 3 images' in message and 'row 4 (c.dcm)' in message and '143 mm (DICOM PixelSpacing)' in message
    warn_doubtful(used.subset([0, 1]))
