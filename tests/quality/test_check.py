"`check`: every kind of slip is named with its image and landmark, the worst first, without torch."

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from helpers import write_dicom, write_dots
from PIL import Image

import cli
from landmark_fastai import UsageError
from landmark_fastai.quality.check import check

ROOT = Path(cli.__file__).parent
DATA = ROOT.parent / 'shared' / 'data'
NAMES = ('a', 'b', 'c', 'd', 'e')


@pytest.fixture
def data(tmp_path):
    "A function that writes 12 films with five landmarks of one shape, changed; returns the arguments of `check`."
    csv_file, images = write_dots(tmp_path, n=12, names=NAMES, sizes=((200, 200),))
    shape = np.array([[60, 60], [150, 60], [150, 150], [60, 150], [100, 110.]])
    table, rng = pd.read_csv(csv_file), np.random.default_rng(0)
    for k, name in enumerate(NAMES):
        table[[f'{name}_x', f'{name}_y']] = (shape[k] + rng.normal(0, 1.5, (12, 2))).round(1)
    def write(change=lambda table, images: None):
        change(table, images)
        table.to_csv(csv_file, index=False)
        return dict(label_dir=tmp_path, train_image_dir=images, train_csv_file=csv_file.name)
    return write


def lines(capsys): return capsys.readouterr().out.splitlines()


def test_sound_data_have_no_findings(data, capsys):
    assert check(**data()) == []
    assert lines(capsys)[-1].endswith('12 images, 5 landmarks, 60 visible points; nothing found')


def exif(table, images): Image.open(images / 'dot_3.png').save(images / 'dot_3.png', exif=_turned(3))


def _turned(orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    return exif


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
    n, out = len(check(**data(change))), lines(capsys)
    assert all(word in out[0] for word in words), out
    assert len(out) == n + 1 and 'error' not in out[-1]


def colour_everywhere(table, images):
    for path in images.iterdir(): cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (200, 200, 3)))


def deep_everywhere(table, images):
    for k, path in enumerate(sorted(images.iterdir())):
        cv2.imwrite(str(path), np.arange(k, k + 40000, dtype=np.uint16).reshape(200, 200))


def turned_everywhere(table, images):
    for path in images.iterdir(): Image.open(path).save(path, exif=_turned(3))


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
    out = lines(capsys)
    assert 'annotation.csv: 12 of 12 images' in out[0] and words in out[0] and 'row 2 (dot_0.png)' in out[0]
    assert out[-1].endswith(f'60 visible points; 1 {level}')
    page = (tmp_path / 'check.html').read_text(encoding='utf-8')
    assert page.count('data:image/jpeg;base64,') == n_pictures and page.count('class="finding"') == 1


def test_colour_of_all_images_is_one_note_without_a_picture(data, tmp_path):
    findings = check(**data(colour_everywhere), html=str(tmp_path / 'check.html'))
    note, = [each for each in findings if 'colour' in each.what]
    assert '12 of 12 images' in note.what and '--color' in note.what and not note.pictured


def missing(table, images):
    for k in (1, 4, 5, 8): (images / f'dot_{k}.png').unlink()


def resized(table, images): table.loc[[1, 4, 5, 8], 'image_width'] = 180


def cut_off(table, images):
    for k in (1, 4, 5, 8):
        data = (images / f'dot_{k}.png').read_bytes()
        (images / f'dot_{k}.png').write_bytes(data[:10 if k == 8 else len(data) // 2])  # in the header, in the pixels


@pytest.mark.parametrize('change, words', [
    (missing, ['have no file in', 'images', 'no such file', 'correct image_name or the image folder']),
    (resized, ['have another size than the CSV says', 'the CSV says 180 x 200, the file is 200 x 200']),
    (cut_off, ['cannot be read', 'dot_1.png: cannot be read as an image', 'copy or export it again'])])
def test_an_error_of_many_images_is_one_line_with_their_rows_and_the_whole_first(data, capsys, tmp_path, change, words):
    with pytest.raises(UsageError, match='1 error; train would refuse'):
        check(**data(change), html=str(tmp_path / 'check.html'))
    out = lines(capsys)
    assert len(out) == 2 and out[0].startswith('error: annotation.csv: 4 of 12 images ')  # the other is the page's
    for word in (*words, '(rows 3, 6, 7, 10)', 'the first of them is row 3 (dot_1.png): '): assert word in out[0], word
    assert 'data:image' not in (tmp_path / 'check.html').read_text(encoding='utf-8')


def test_images_that_are_all_missing_are_one_line(data, capsys):
    def change(table, images):
        for path in images.iterdir(): path.unlink()
    with pytest.raises(UsageError, match='60 visible points; 1 error'): check(**data(change))
    assert [line[:42] for line in lines(capsys)] == ['error: annotation.csv: 12 of 12 images hav']


@pytest.mark.parametrize('error', [
    lambda table, images: (images / 'dot_3.png').unlink(), lambda table, images: table.__setitem__(
        'image_width', [200] * 3 + [190] + [200] * 8),
    lambda table, images: (images / 'dot_3.png').write_bytes((images / 'dot_3.png').read_bytes()[:200])])
def test_an_image_with_an_error_has_no_other_findings(data, capsys, error):
    def change(table, images):
        outlier(table, images)
        table.loc[3, ['a_x', 'a_y']] = 1
        table['pixel_spacing'] = [0.143] * 3 + [143] + [0.143] * 8
        error(table, images)
    with pytest.raises(UsageError, match='; 1 error'): check(**data(change))
    assert len(lines(capsys)) == 1


def copies(table, images):
    for k in (2, 6, 9): (images / f'dot_{k}.png').write_bytes((images / 'dot_0.png').read_bytes())


def test_each_group_of_the_same_pixels_is_one_finding_without_a_picture(data, capsys, tmp_path):
    def change(table, images):
        copies(table, images)
        duplicate(table, images)
        table['split'] = ['train'] * 9 + ['val'] * 3
    check(**data(change), html=str(tmp_path / 'check.html'))
    out = lines(capsys)
    assert out[0].startswith('probably wrong: annotation.csv, row 2 (dot_0.png): the same pixels as row 4 (dot_2.png), '
                             'row 8 (dot_6.png), row 11 (dot_9.png), across sides of the split (train, val)')
    assert out[1] == 'look at it: annotation.csv, row 5 (dot_3.png): the same pixels as row 7 (dot_5.png)'
    assert len(out) == 4 and 'data:image' not in (tmp_path / 'check.html').read_text(encoding='utf-8')


def test_many_groups_of_the_same_pixels_are_one_line(data, capsys):
    def change(table, images):
        for k in range(0, 8, 2): (images / f'dot_{k + 1}.png').write_bytes((images / f'dot_{k}.png').read_bytes())
    check(**data(change))
    assert lines(capsys)[0] == ('look at it: annotation.csv: 8 of 12 images have the same pixels as another; the first '
                                'of them is row 2 (dot_0.png)')


def test_three_of_a_kind_are_told_one_by_one(data, capsys):
    check(**data(border))
    out = lines(capsys)[:-1]
    assert [('a lies within' in line, f'row {k} (dot_{k - 2}.png)' in line) for k, line in enumerate(out, 5)] == [
        (True, True)] * 3


def test_levels_are_counted_by_their_names(data, capsys):
    def change(table, images):
        outlier(table, images)
        deep(table, images)
        border(table, images)
    check(**data(change))
    assert lines(capsys)[-1].endswith('; 1 probably wrong, 3 to look at, 1 note')


@pytest.mark.parametrize('tags, words', [
    (dict(WindowCenter=2000, WindowWidth=3000), []),
    ({}, ['note: annotation.csv, row 5 (film.dcm): more than 8 bits, of which 0.5 to 99.5 % become 0 to 255'])])
def test_a_dicom_of_twelve_bits_is_a_note_unless_it_says_how_it_is_shown(data, capsys, tags, words):
    def change(table, images):
        write_dicom(images / 'film.dcm', np.arange(40000, dtype=np.uint16).reshape(200, 200) % 4096, **tags)
        table.loc[3, 'image_name'] = 'film.dcm'
    check(**data(change))
    assert lines(capsys)[:-1] == words


def test_a_doubtful_header_is_a_finding_only_where_it_is_used_and_no_warning(data, capsys, no_warnings):
    def change(table, images):
        table['pixel_spacing'] = [0.1] * 10 + [''] * 2
        for k in (9, 10):
            write_dicom(images / f'{k}.dcm', np.arange(k, k + 40000).reshape(200, 200).astype(np.uint8),
                        PixelSpacing=[143, 143])
            table.loc[k, 'image_name'] = f'{k}.dcm'
    check(**data(change))
    out = [line for line in lines(capsys) if '143 mm per pixel (DICOM PixelSpacing)' in line]
    assert len(out) == 1 and 'row 12 (10.dcm)' in out[0]


def test_all_errors_are_told_at_once_and_end_with_two(data, capsys):
    def change(table, images):
        outlier(table, images)
        (images / 'dot_1.png').unlink()
        (images / 'dot_2.png').write_bytes((images / 'dot_2.png').read_bytes()[:200])
        table.loc[4, 'image_width'] = 180
    arguments = [text for name, value in data(change).items() for text in (f'--{name}', str(value))]
    assert cli.main(['check', *arguments]) == 2
    out, err = capsys.readouterr()
    told = [line for line in out.splitlines() if line.startswith('error: ')]
    assert len(told) == 3 and 'row 3 (dot_1.png): no such file' in told[0] + told[1] + told[2]
    assert '(dot_2.png)' in ''.join(told) and 'the CSV says 180 x 200' in ''.join(told)
    assert 'e at ' in out and err.count('\n') == 1 and '3 errors' in err


def one_side(table, images): table['split'] = 'train'


def one_patient(table, images): table['patient_id'] = 'p'


@pytest.mark.parametrize('change, words', [(one_side, 'no row has split val'), (one_patient, 'only one patient')])
def test_a_split_that_cannot_be_is_an_error(data, capsys, change, words):
    with pytest.raises(UsageError, match='1 error; train would refuse'): check(**data(change))
    assert lines(capsys)[0].startswith('error: annotation.csv: ' + words)


def test_labels_count_where_they_are_learned(data, capsys):
    def change(table, images):
        table['split'] = ['train'] * 7 + ['val'] * 5
        table.loc[:6, ['c_x', 'c_y']] = np.nan
    check(**data(change))
    assert 'probably wrong: annotation.csv: c is visible on no image to train on, expected' in lines(capsys)[0]


@pytest.mark.parametrize('arguments, words', [
    ({'n_landmarks': 3}, 'expected 3'), ({'train_csv_file': 'no.csv'}, 'no.csv'),
    ({'train_image_dir': 'nowhere'}, 'nowhere: no such folder'), ({'html': '.'}, "html is '.', a folder")])
def test_what_cannot_be_checked_is_one_line(data, capsys, arguments, words):
    argv = [text for name, value in (data() | arguments).items() for text in (f'--{name}', str(value))]
    assert cli.main(['check', *argv]) == 2
    out, err = capsys.readouterr()
    assert err.startswith('error: ') and words in err and err.count('\n') == 1 and not out


def test_the_page_is_whole_and_escapes_names(data, tmp_path):
    def change(table, images):
        outlier(table, images)
        (images / 'dot_3.png').rename(images / '<b>&.png')
        table.loc[3, 'image_name'] = '<b>&.png'
        table.rename(columns={'e_x': '<i>_x', 'e_y': '<i>_y'}, inplace=True)
    check(**data(change), html=str(tmp_path / 'check.html'))
    page = (tmp_path / 'check.html').read_text(encoding='utf-8')
    assert '<b>' not in page and '<i>' not in page and '&lt;b&gt;&amp;.png' in page
    assert page.count('data:image/jpeg;base64,') == 1 and 'http' not in page.replace('http-equiv', '')


def test_the_page_explains_what_its_pictures_show(data, tmp_path):
    check(**data(outlier), html=str(tmp_path / 'check.html'))
    page = (tmp_path / 'check.html').read_text(encoding='utf-8')
    for mark in ('Blue rings', 'red dots', 'yellow lines'): assert mark in page


def test_checking_needs_no_torch(data, tmp_path):
    code = 'import sys, cli; sys.exit(cli.main(sys.argv[1:]) or (3 if "torch" in sys.modules else 0))'
    argv = [text for name, value in data(outlier).items() for text in (f'--{name}', str(value))]
    done = subprocess.run([sys.executable, '-c', code, 'check', *argv], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and 'does not fit the others' in done.stdout, done.stderr


@pytest.mark.skipif(not DATA.is_dir(), reason='the CT slices are not on this machine')
def test_the_two_typing_errors_of_the_ct_slices_are_the_first_findings(capsys):
    data = dict(label_dir=DATA / 'ct_thorax_20', train_image_dir=DATA / 'ct_thorax_20' / 'images')
    check(**data, train_csv_file='annotation_original.csv')
    first = lines(capsys)[:5]
    for name, landmark in (('ct_33.png', 'landmark_11'), ('ct_51.png', 'landmark_19')):
        assert any(line.startswith('probably wrong') and name in line and f'{landmark} at' in line for line in first)
    check(**data, train_csv_file='annotation.csv')
    assert not any(line.startswith('probably wrong') for line in lines(capsys))


@pytest.mark.parametrize('place', ['table.csv', 'images/a.png', 'images/page.html'])
def test_the_page_takes_the_place_of_no_data(data, tmp_path, place):
    flags = data(lambda *_: None)
    html = Path(flags['train_image_dir']) / 'page.html' if place == 'images/page.html' else tmp_path / place
    with pytest.raises(UsageError, match=html.name): check(**flags, html=str(html))
    assert not html.exists()
