"`check`: all errors at once, one line for what cannot be checked, the page, and no torch."

import subprocess
import sys
from pathlib import Path

import pytest
from helpers import printed

import cli
from landmark_fastai import UsageError
from landmark_fastai.quality.check import check

ROOT = Path(cli.__file__).parent
DATA = ROOT.parent / 'shared' / 'data'


def outlier(table, images): table.loc[3, 'e_y'] += 40


def test_sound_data_have_no_findings(data, capsys):
    assert check(**data()) == []
    assert printed(capsys)[-1].endswith('12 images, 5 landmarks, 60 visible points; nothing found')


def test_a_notebook_shows_findings_and_links_their_page(data, tmp_path):
    page = tmp_path / 'check.html'
    found = check(**data(outlier), html=str(page))
    html = found._repr_html_()
    assert found and html.count('<tr>') == 1 + len(found) and found.summary in html and f'href="{page}"' in html
    assert '<table' not in check(**data())._repr_html_()


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
    out = printed(capsys)
    assert len(out) == 2 and out[0].startswith('error: annotation.csv: 4 of 12 images ')  # the other is the page's
    for word in (*words, '(rows 3, 6, 7, 10)', 'the first of them is row 3 (dot_1.png): '): assert word in out[0], word
    assert 'data:image' not in (tmp_path / 'check.html').read_text(encoding='utf-8')


def test_images_that_are_all_missing_are_one_line(data, capsys):
    def change(table, images):
        for path in images.iterdir(): path.unlink()
    with pytest.raises(UsageError, match='60 visible points; 1 error'): check(**data(change))
    assert [line[:42] for line in printed(capsys)] == ['error: annotation.csv: 12 of 12 images hav']


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
    assert len(printed(capsys)) == 1


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
    assert printed(capsys)[0].startswith('error: annotation.csv: ' + words)


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
    for words in ('(1 picture in all)', 'Blue rings', 'red dots', 'yellow lines'): assert words in page


def test_checking_needs_no_torch(data, tmp_path):
    code = 'import sys, cli; sys.exit(cli.main(sys.argv[1:]) or (3 if "torch" in sys.modules else 0))'
    argv = [text for name, value in data(outlier).items() for text in (f'--{name}', str(value))]
    done = subprocess.run([sys.executable, '-c', code, 'check', *argv], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and 'does not fit the others' in done.stdout, done.stderr


@pytest.mark.skipif(not DATA.is_dir(), reason='the CT slices are not on this machine')
def test_the_two_typing_errors_of_the_ct_slices_are_the_first_findings(capsys):
    data = dict(label_dir=DATA / 'ct_thorax_20', train_image_dir=DATA / 'ct_thorax_20' / 'images')
    check(**data, train_csv_file='annotation_original.csv')
    first = printed(capsys)[:5]
    for name, landmark in (('ct_33.png', 'landmark_11'), ('ct_51.png', 'landmark_19')):
        assert any(line.startswith('probably wrong') and name in line and f'{landmark} at' in line for line in first)
    check(**data, train_csv_file='annotation.csv')
    assert not any(line.startswith('probably wrong') for line in printed(capsys))


@pytest.mark.parametrize('place', ['table.csv', 'images/a.png', 'images/page.html'])
def test_the_page_takes_the_place_of_no_data(data, tmp_path, place):
    flags = data(lambda *_: None)
    html = Path(flags['train_image_dir']) / 'page.html' if place == 'images/page.html' else tmp_path / place
    with pytest.raises(UsageError, match=html.name): check(**flags, html=str(html))
    assert not html.exists()
