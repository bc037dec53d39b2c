"A summary in words and tables."

import numpy as np
from helpers import BLANK, GONE

from landmark_fastai.evaluation.error_table import errors_table, fold_table, headline
from landmark_fastai.evaluation.summary import summarize
from landmark_fastai.viz.report import aligned


def test_headline(apart, scored):
    scores = apart([[1.5], [2.5], [1.5], [2.5]], pixel_spacing=[1] * 4)
    assert headline(summarize(scores)) == (
        'Mean radial error 2.00 mm (95 % interval 1.50 to 2.50) over 4 landmarks of 4 images; 50.0 % within 2 mm.')
    assert headline(summarize(scored([[(9, 9)] * 2], [[(9, 12), GONE]]))) == (
        'Mean radial error 3.00 px over 1 landmark of 1 image, 1 missed; 0.0 % within 2 px.')
    assert headline(summarize(scored([[(9, 9)] * 2], [[BLANK, GONE]]))) == (
        'No error is known: 2 landmarks are visible, and none was found.')


def test_table(scored):
    at = (10, 10)
    scores = scored([[at, at], [at, GONE], [at, at]], [[(10, 14), at], [GONE, GONE], [(10, 12), BLANK]],
                    names=['tip', 'two words'], presence=['two words'], pixel_spacing=[0.5, 0.5, 0.5])
    header, rows = errors_table(summarize(scores, [1, 1.5]))
    assert header == ['landmark', 'n', 'missed', 'mean ± SD, mm', '95 % interval', 'median', 'mean, px', 'SDR 1 mm',
                      'SDR 1.5 mm', 'absent', 'presence']
    assert rows[0] == ['all', '3', '2', '1.00 ± 1.00', '1.00–1.00', '1.00', '2.00', '40.0 %', '40.0 %', '1', '100.0 %']
    assert rows[1] == ['tip', '2', '1', '1.50 ± 0.71', '1.00–2.00', '1.50', '3.00', '33.3 %', '33.3 %', '0', '–']
    assert rows[2] == ['two words', '1', '1', '0.00 ± –', '–', '0.00', '0.00', '50.0 %', '50.0 %', '1', '100.0 %']


def test_a_landmark_called_all_keeps_its_row(apart):
    rows = errors_table(summarize(apart([[1, 3]], names=['all', 'b'])))[1]
    assert [row[:3] for row in rows] == [['all', '2', '2.00 ± 1.41'], ['all', '1', '1.00 ± –'], ['b', '1', '3.00 ± –']]


def test_columns_without_content_are_left_out(apart):
    assert errors_table(summarize(apart([[1], [2]])))[0] == [
        'landmark', 'n', 'mean ± SD, px', '95 % interval', 'median', 'SDR 2 px', 'SDR 5 px', 'SDR 10 px', 'SDR 20 px']


def test_text_is_aligned():
    lines = aligned((['landmark', 'n'], [['all', '1,000'], ['a_long_name', '7']])).split('\n')
    assert lines == ['landmark         n', 'all          1,000', 'a_long_name      7']


def test_text_of_twenty_landmarks_fits_a_terminal(apart):
    names = [f'landmark_of_name_{k:02}' for k in range(20)]
    lines = aligned(errors_table(summarize(apart(np.full((150, 20), 12.34), names=names, pixel_spacing=[0.1] * 150))))
    assert len(lines.split('\n')) == 22 and max(map(len, lines.split('\n'))) <= 120


def test_the_table_of_folds_has_a_row_for_each(apart):
    scores = apart([[1, 2], [3, 4], [5, 6]])
    header, rows = fold_table(scores, {'0.png': 2, '1.png': 1, '2.png': 2}, summarize(scores, [3]))
    assert header == ['images of', 'n', 'mean ± SD, px', '95 % interval', 'median', 'SDR 3 px']
    assert [[row[0], row[1], row[2], row[-1]] for row in rows] == [
        ['all', '6', '3.50 ± 1.87', '50.0 %'], ['fold 1', '2', '3.50 ± 0.71', '50.0 %'],
        ['fold 2', '4', '3.50 ± 2.38', '50.0 %']]
