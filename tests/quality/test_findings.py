"Every kind of slip is named with its image and landmark, the worst first; what many images share is one line."

import cv2
import numpy as np
import pytest
from helpers import exif_of, printed, write_dicom
from PIL import Image

from landmark_fastai.quality.check import check


def exif(table, images): Image.open(images / 'dot_3.png').save(images / 'dot_3.png', exif=exif_of(3))


def deep(table, images): cv2.imwrite(str(images / 'dot_3.png'), np.arange(40000, dtype=np.uint16).reshape(200, 200))


def colour(table, images):
    cv2.imwrite(str(images / 'dot_3.png'), np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8))


def border(table, images): table['a_x'] = [2.5] * 3 + [1.5] * 3 + [2.5] * 6  # within 2 px is 1 %


def duplicate(table, images):
    (images / 'dot_3.png').write_bytes(cv2.imencode('.png', cv2.imread(str(images / 'dot_5.png'), 0), [16, 1])[1])


def patients(table, images):
    duplicate(table, images)
    table['patient_id'] = [f'p{k}' for k in range(12)]


def outlier(table, images): table.loc[3, 'e_y'] += 40


def swap(table, images):
    table.loc[3, ['a_x', 'a_y', 'b_x', 'b_y']] = table.loc[3, ['b_x', 'b_y', 'a_x', 'a_y']].to_numpy()


def copied_everywhere(table, images): table[['a_x', 'a_y', 'b_x', 'b_y']] = 77.5, 60, 77.5, 60


def corner(table, images): table[['a_x', 'a_y']] = [[49, 49]] + [[50, 50]] * 11


def in_micrometres(table, images): table['pixel_spacing'] = [0.143] * 3 + [143] + [0.143] * 8


def few(table, images): table.loc[:8, ['c_x', 'c_y']] = np.nan


@pytest.mark.parametrize('change, words', [
    (exif, ['look at it: annotation.csv, row 5 (dot_3.png): EXIF orientation 3']),
    (deep, ['note: annotation.csv, row 5 (dot_3.png): more than 8 bits']),
    (colour, ['note: annotation.csv, row 5 (dot_3.png): a colour picture']),
    (border, ['look at it: annotation.csv, row 5 (dot_3.png): a lies within 1 % of the border']),
    (duplicate, ['look at it: annotation.csv, row 5 (dot_3.png): the same pixels as row 7 (dot_5.png)']),
    (patients, ['probably wrong: ', 'the same pixels as row 7 (dot_5.png), across patients (p3, p5)']),
    (outlier, ['probably wrong: annotation.csv, row 5 (dot_3.png): e at ', 'does not fit the others']),
    (swap, ['probably wrong: annotation.csv, row 5 (dot_3.png): a and b seem to have changed places']),
    (in_micrometres, ['look at it: annotation.csv, row 5 (dot_3.png): 143 mm per pixel']),
    (copied_everywhere, ['look at it: annotation.csv: 12 of 12 images', 'a and b on one point', 'row 2 (dot_0.png)']),
    (corner, ['row 2 (dot_0.png): a would be taken for absent by --invisible_landmarks']),
    (few, ['look at it: annotation.csv: c is visible on 3 images, expected at least 5'])])
@pytest.mark.filterwarnings('error')
def test_each_slip_is_named_first(data, capsys, change, words):
    n, out = len(check(**data(change))), printed(capsys)
    assert all(word in out[0] for word in words), out
    assert len(out) == n + 1 and 'error' not in out[-1]


def colour_everywhere(table, images):
    for path in images.iterdir(): cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (200, 200, 3)))


def deep_everywhere(table, images):
    for k, path in enumerate(sorted(images.iterdir())):
        cv2.imwrite(str(path), np.arange(k, k + 40000, dtype=np.uint16).reshape(200, 200))


def turned_everywhere(table, images):
    for path in images.iterdir(): Image.open(path).save(path, exif=exif_of(3))


def border_everywhere(table, images): table['a_x'] = 1.5


def corner_everywhere(table, images): table[['a_x', 'a_y']] = 48, 49


@pytest.mark.parametrize('change, level, words, n_pictures', [
    (deep_everywhere, 'note', 'more than 8 bits', 0), (turned_everywhere, 'to look at', 'EXIF orientation 3', 1),
    (border_everywhere, 'to look at', 'a within 1 % of the border', 1),
    (corner_everywhere, 'note', 'absent by --invisible_landmarks', 1)])
def test_what_many_images_share_is_one_line_with_their_number_and_an_example(data, capsys, tmp_path, change, level,
                                                                             words, n_pictures):
    findings = [each for each in check(**data(change), html=str(tmp_path / 'check.html')) if words in each.what]
    assert len(findings) == 1 and sorted(findings[0].images) == list(range(12))
    out = printed(capsys)
    assert 'annotation.csv: 12 of 12 images' in out[0] and words in out[0] and 'row 2 (dot_0.png)' in out[0]
    assert out[-1].endswith(f'60 visible points; 1 {level}')
    page = (tmp_path / 'check.html').read_text(encoding='utf-8')
    assert page.count('data:image/jpeg;base64,') == n_pictures and page.count('class="finding"') == 1


def test_colour_of_all_images_is_one_note_without_a_picture(data, tmp_path):
    findings = check(**data(colour_everywhere), html=str(tmp_path / 'check.html'))
    note, = [each for each in findings if 'colour' in each.what]
    assert '12 of 12 images' in note.what and '--color' in note.what and not note.pictured


def copies(table, images):
    for k in (2, 6, 9): (images / f'dot_{k}.png').write_bytes((images / 'dot_0.png').read_bytes())


def test_each_group_of_the_same_pixels_is_one_finding_without_a_picture(data, capsys, tmp_path):
    def change(table, images):
        copies(table, images)
        duplicate(table, images)
        table['split'] = ['train'] * 9 + ['val'] * 3
    check(**data(change), html=str(tmp_path / 'check.html'))
    out = printed(capsys)
    assert out[0].startswith('probably wrong: annotation.csv, row 2 (dot_0.png): the same pixels as row 4 (dot_2.png), '
                             'row 8 (dot_6.png), row 11 (dot_9.png), across sides of the split (train, val)')
    assert out[1] == 'look at it: annotation.csv, row 5 (dot_3.png): the same pixels as row 7 (dot_5.png)'
    assert len(out) == 4 and 'data:image' not in (tmp_path / 'check.html').read_text(encoding='utf-8')


def test_many_groups_of_the_same_pixels_are_one_line(data, capsys):
    def change(table, images):
        for k in range(0, 8, 2): (images / f'dot_{k + 1}.png').write_bytes((images / f'dot_{k}.png').read_bytes())
    check(**data(change))
    assert printed(capsys)[0] == ('look at it: annotation.csv: 8 of 12 images have the same pixels as another; the '
                                  'first of them is row 2 (dot_0.png)')


def test_three_of_a_kind_are_told_one_by_one(data, capsys):
    check(**data(border))
    out = printed(capsys)[:-1]
    assert [('a lies within' in line, f'row {k} (dot_{k - 2}.png)' in line) for k, line in enumerate(out, 5)] == [
        (True, True)] * 3


def test_levels_are_counted_by_their_names(data, capsys):
    def change(table, images):
        outlier(table, images)
        deep(table, images)
        border(table, images)
    check(**data(change))
    assert printed(capsys)[-1].endswith('; 1 probably wrong, 3 to look at, 1 note')


@pytest.mark.parametrize('tags, words', [
    (dict(WindowCenter=2000, WindowWidth=3000), []),
    ({}, ['note: annotation.csv, row 5 (film.dcm): more than 8 bits, of which 0.5 to 99.5 % become 0 to 255'])])
def test_a_dicom_of_twelve_bits_is_a_note_unless_it_says_how_it_is_shown(data, capsys, tags, words):
    def change(table, images):
        write_dicom(images / 'film.dcm', np.arange(40000, dtype=np.uint16).reshape(200, 200) % 4096, **tags)
        table.loc[3, 'image_name'] = 'film.dcm'
    check(**data(change))
    assert printed(capsys)[:-1] == words


def test_a_doubtful_header_is_a_finding_only_where_it_is_used_and_no_warning(data, capsys, no_warnings):
    def change(table, images):
        table['pixel_spacing'] = [0.1] * 10 + [''] * 2
        for k in (9, 10):
            write_dicom(images / f'{k}.dcm', np.arange(k, k + 40000).reshape(200, 200).astype(np.uint8),
                        PixelSpacing=[143, 143])
            table.loc[k, 'image_name'] = f'{k}.dcm'
    check(**data(change))
    out = [line for line in printed(capsys) if '143 mm per pixel (DICOM PixelSpacing)' in line]
    assert len(out) == 1 and 'row 12 (10.dcm)' in out[0]


def test_labels_count_where_they_are_learned(data, capsys):
    def change(table, images):
        table['split'] = ['train'] * 7 + ['val'] * 5
        table.loc[:6, ['c_x', 'c_y']] = np.nan
    check(**data(change))
    assert 'probably wrong: annotation.csv: c is visible on no image to train on, expected' in printed(capsys)[0]
