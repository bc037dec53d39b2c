"The report: one file that shows what it was given, and runs nothing of it."

import copy
from base64 import b64decode
from html.parser import HTMLParser

import numpy as np
import pytest

from landmark_fastai.viz.overlays import write_png
from landmark_fastai.viz.report import write_report

EVIL = ['<script>alert(1)</script>', '"&\'', '</td><b>bold', '{{ 7 * 7 }}']


class Page(HTMLParser):
    "The tags of a page, with their attributes, and its text; entities are resolved."
    def __init__(self, html):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs): self.tags.append((tag, dict(attrs)))

    def handle_data(self, data): self.texts.append(data)

    @property
    def text(self): return ' '.join(' '.join(self.texts).split())

    def attributes(self, tag): return [attrs for name, attrs in self.tags if name == tag]


def errors(**changes):
    values = {'n': 30, 'n_missed': 0, 'n_images': 20, 'mean': 1.57, 'sd': 0.8, 'median': 1.3, 'ci_low': 1.4,
              'ci_high': 1.8}
    return values | changes


@pytest.fixture
def summary():
    entry = {'n_scored': 30, 'n_missed': 0, 'n_absent': 0, 'px': errors(), 'mm': errors(mean=0.9),
             'success_rate': {'2': 0.79, '4': 1.0}, 'spread': None}
    return {'n_images': 20, 'n_landmarks': 1, 'unit': 'mm', 'thresholds': [2, 4], 'n_without_spacing': 0,
            'interval_over': 'patients', 'overall': entry, 'landmarks': {'tip': copy.deepcopy(entry)}}


@pytest.fixture
def report(tmp_path, summary):
    "A function that writes a report and reads it as a `Page`."
    def make(title='Evaluation', subtitle='of a run', summary=summary, figures=(), config=None, notes=(), tables=()):
        path = tmp_path / 'out' / 'report.html'
        write_report(path, title, subtitle, summary, figures, config or {}, notes, tables)
        return Page(path.read_text(encoding='utf-8'))
    return make


def test_verdict_table_notes_and_settings_are_shown(report):
    page = report(notes=['12 of these images were trained on.'], config={
        'epochs': 120, 'flip_pairs': None, 'landmarks': ['a', 'b'], 'versions': {'torch': '2.12', 'python': '3.12'}})
    for text in ('Evaluation', 'of a run', 'Mean radial error 0.90 mm (95 % interval 1.40 to 1.80) over 30 landmarks '
                 'of 20 images; 79.0 % within 2 mm.', '12 of these images were trained on.', '0.90 ± 0.80', '100.0 %',
                 'epochs 120', 'flip_pairs –', 'landmarks a, b', 'versions torch 2.12, python 3.12', 'research only'):
        assert text in page.text
    assert len(page.attributes('tr')) == 1 + 2 + 4


def test_content_stands_in_order(report, tmp_path):
    write_png(tmp_path / 'a.png', np.zeros((2, 2, 3), np.uint8))
    figures = [('First figure', 'of errors', tmp_path / 'a.png'), ('Second figure', 'of curves', tmp_path / 'a.png')]
    text = report(figures=figures, notes=['a note'], config={'epochs': 120}).text
    parts = ['of a run', 'Mean radial error', 'a note', 'tip', 'First figure', 'of errors', 'Second figure',
             'epochs 120', 'What these numbers mean', 'not a medical device']
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


@pytest.mark.parametrize('evil', EVIL)
def test_nothing_of_the_data_becomes_markup(report, summary, tmp_path, evil):
    write_png(tmp_path / '1.png', np.zeros((2, 2, 3), np.uint8))
    tame = report(figures=[('x', 'x', tmp_path / '1.png')], notes=['x'], config={'x': ['x'], 'y': {'x': 'x'}})
    page = report(evil, evil, summary | {'landmarks': {evil: summary['landmarks']['tip']}},
                  [(evil, evil, tmp_path / '1.png')], {evil: [evil], 'y': {evil: evil}}, [evil])
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in tame.tags]
    assert page.texts.count(evil) >= 7 and page.attributes('img')[0]['alt'] == evil


def test_file_needs_nothing_else(report, tmp_path):
    write_png(tmp_path / 'a.png', np.zeros((2, 2, 3), np.uint8))
    page = report(figures=[('x', 'x', tmp_path / 'a.png')])
    assert b64decode(page.attributes('img')[0]['src'].removeprefix('data:image/png;base64,')) == (
        tmp_path / 'a.png').read_bytes()
    assert not {tag for tag, _ in page.tags} & {'script', 'link', 'iframe', 'object'}
    assert not any('url(' in text or '@import' in text for text in page.texts)
    assert [name for _, attrs in page.tags for name in attrs if name in ('href', 'src')] == ['src']


def test_explanations_fit_the_numbers(report, summary):
    assert 'Millimetres' in (text := report().text) and 'other patients like these' in text
    assert 'Presence' not in text and 'no known spacing' not in text
    assert '5 of 20 images have no known spacing' in report(summary=summary | {'n_without_spacing': 5}).text
    for entry in (summary['overall'], summary['landmarks']['tip']): entry['presence'] = {'n': 9, 'accuracy': 0.5}
    text = report(summary=summary | {'unit': 'px', 'interval_over': 'images'}).text
    assert 'Presence' in text and 'other images like these' in text and 'Millimetres' not in text


def test_failed_report_leaves_the_old_one(report, tmp_path):
    report(title='old')
    with pytest.raises(FileNotFoundError): report(title='new', figures=[('x', 'x', tmp_path / 'gone.png')])
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['report.html']
    assert '<h1>old</h1>' in (tmp_path / 'out' / 'report.html').read_text(encoding='utf-8')


def test_more_tables_follow_the_errors(report):
    page = report(tables=[('Folds', (['images of', 'n'], [['all', '30'], ['<fold> 1', '15']]))])
    assert 'Folds images of n all 30 <fold> 1 15' in page.text and 'fold' not in [tag for tag, _ in page.tags]
    assert page.text.index('Errors') < page.text.index('Folds')
