"Pixel spacings that are hardly ones in mm draw one warning that names where they are from."

import warnings

import numpy as np
import pytest
from helpers import GOOD, HEADER, noise, write_dicom

from landmark_fastai.errors import UsageError
from landmark_fastai.formats.annotations import fill_spacing, read_annotations
from landmark_fastai.formats.images import image_spacing
from landmark_fastai.formats.spacing import check_spacing, is_doubtful

pytestmark = pytest.mark.usefixtures('fresh_process')


@pytest.mark.parametrize('spacing, expected', [
    ((0.1, 0.1), False), ((0.001, 10), False), ((0.0009, 0.1), True), ((0.1, 10.1), True), ((np.nan, np.nan), False)])
def test_the_range_is_from_a_thousandth_to_ten_mm(spacing, expected): assert is_doubtful(np.array(spacing)) == expected


def test_a_doubtful_column_is_told_once_with_its_first_row(csv_file):
    rows = [f'{k}.png,100,200,2,1,2,3,4,{spacing}' for k, spacing in enumerate(('0.143', '143', '144', ''))]
    with pytest.warns(UserWarning) as caught: read_annotations(csv_file(f'{HEADER},pixel_spacing', *rows))
    assert len(caught) == 1 and caught[0].filename == __file__
    for named in ('train.csv, row 3 (1.png)', '143 mm', '2 rows', '0.001 to 10'): assert named in str(caught[0].message)


@pytest.mark.parametrize('cells', ['0.001,10', ','])
def test_other_spacings_are_no_news(csv_file, cells):
    read_annotations(csv_file(f'{HEADER},pixel_spacing_x,pixel_spacing_y', f'{GOOD},{cells}'))


def test_a_doubtful_flag_is_told_by_its_name(annotated):
    with pytest.warns(UserWarning, match='--pixel_spacing is 143 mm'): check_spacing(143., '--pixel_spacing')
    with pytest.warns(UserWarning, match='--pixel_spacing is 0.1 x 20 mm') as caught:
        fill_spacing(annotated(2), (0.1, 20), '--pixel_spacing')
    assert caught[0].filename == __file__


@pytest.mark.parametrize('spacing', [0, -1, np.nan, np.inf])
def test_what_is_no_spacing_is_refused(spacing):
    with pytest.raises(UsageError, match=f'--pixel_spacing is {spacing}'): check_spacing(spacing, '--pixel_spacing')


def test_a_doubtful_dicom_header_is_told_once_a_process(tmp_path):
    path = write_dicom(tmp_path / 'a.dcm', noise((4, 4)), PixelSpacing=[143, 143])
    with pytest.warns(UserWarning, match='a.dcm: DICOM PixelSpacing is 143 mm') as caught: image_spacing(path)
    assert len(caught) == 1 and caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert image_spacing(path) == ((143, 143), 'DICOM PixelSpacing')
