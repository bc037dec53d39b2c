"The report: one file that shows what it was given, and runs nothing of it."

from base64 import b64decode
from html.parser import HTMLParser

import numpy as np
import pytest

from landmark_fastai.viz.figures import plot_boxes
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


ERRORS = 'Errors', (['landmark', 'mean ± SD, mm'], [['all', '0.90 ± 0.80'], ['tip', '0.70 ± 0.60']])
SUMMARY = {'n_images': 20, 'unit': 'mm', 'n_without_spacing': 0, 'interval_over': 'patients', 'overall': {}}


@pytest.fixture
def report(tmp_path):
    "A function that writes a report and reads it as a `Page`."
    def make(title='Evaluation', subtitle='of a run', verdict='Mean radial error 0.90 mm.', tables=(ERRORS,),
             figures=(), settings=None, notes=(), summary=SUMMARY):
        path = tmp_path / 'out' / 'report.html'
        write_report(path, title, subtitle, verdict, tables, figures, settings or {}, notes, 'report.html',
                     summary=summary, resamples=2000)
        return Page(path.read_text(encoding='utf-8'))
    return make


def test_verdict_table_notes_and_settings_are_shown(report):
    page = report(notes=['12 of these images were trained on.'], settings={
        'epochs': 120, 'flip_pairs': None, 'landmarks': ['a', 'b'], 'versions': {'torch': '2.12', 'python': '3.12'}})
    for text in ('Evaluation', 'of a run', 'Mean radial error 0.90 mm.', '12 of these images were trained on.',
                 'Errors landmark mean ± SD, mm all 0.90 ± 0.80 tip 0.70 ± 0.60', '2,000 resamples', 'epochs 120',
                 'flip_pairs –', 'landmarks a, b', 'versions torch 2.12, python 3.12', 'research only'):
        assert text in page.text
    assert len(page.attributes('tr')) == 1 + 2 + 4


def test_content_stands_in_order(report, tmp_path):
    write_png(tmp_path / 'a.png', np.zeros((2, 2, 3), np.uint8))
    figures = [('First figure', 'of errors', tmp_path / 'a.png'), ('Second figure', 'of curves', tmp_path / 'a.png')]
    text = report(figures=figures, notes=['a note'], settings={'epochs': 120}).text
    parts = ['of a run', 'Mean radial error', 'a note', 'tip', 'First figure', 'of errors', 'Second figure',
             'epochs 120', 'What these numbers mean', 'not a medical device']
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


@pytest.mark.parametrize('evil', EVIL)
def test_nothing_of_the_data_becomes_markup(report, tmp_path, evil):
    write_png(tmp_path / '1.png', np.zeros((2, 2, 3), np.uint8))
    tame = report(figures=[('x', 'x', tmp_path / '1.png')], notes=['x'], settings={'x': ['x'], 'y': {'x': 'x'}},
                  tables=[('x', (['x'], [['x']]))])
    page = report(evil, evil, evil, [(evil, ([evil], [[evil]]))], [(evil, evil, tmp_path / '1.png')],
                  {evil: [evil], 'y': {evil: evil}}, [evil])
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in tame.tags]
    assert page.texts.count(evil) >= 11 and page.attributes('img')[0]['alt'] == evil


def test_file_needs_nothing_else(report, tmp_path):
    write_png(tmp_path / 'a.png', np.zeros((2, 2, 3), np.uint8))
    page = report(figures=[('x', 'x', tmp_path / 'a.png')])
    assert b64decode(page.attributes('img')[0]['src'].removeprefix('data:image/png;base64,')) == (
        tmp_path / 'a.png').read_bytes()
    assert not {tag for tag, _ in page.tags} & {'script', 'link', 'iframe', 'object'}
    assert not any('url(' in text or '@import' in text for text in page.texts)
    assert all(attrs[name].startswith('data:') for _, attrs in page.tags for name in attrs if name in ('href', 'src'))


def test_explanations_fit_the_numbers(report):
    assert 'Millimetres' in (text := report().text) and 'other patients like these' in text
    assert 'Presence' not in text and 'no known spacing' not in text
    assert '5 of 20 images have no known spacing' in report(summary=SUMMARY | {'n_without_spacing': 5}).text
    overall = {'presence': {'n': 9, 'accuracy': 0.5}}
    text = report(summary=SUMMARY | {'unit': 'px', 'interval_over': 'images', 'overall': overall}).text
    assert 'Presence' in text and 'other images like these' in text and 'Millimetres' not in text


def test_failed_report_leaves_the_old_one(report, tmp_path):
    report(title='old')
    before = (tmp_path / 'out' / 'tables' / 'errors.csv').read_bytes()
    with pytest.raises(FileNotFoundError):
        report(title='new', tables=[('Errors', (['n'], [['1']]))], figures=[('x', 'x', tmp_path / 'gone.png')])
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['report.html', 'tables']
    assert (tmp_path / 'out' / 'tables' / 'errors.csv').read_bytes() == before
    assert '<h1>old</h1>' in (tmp_path / 'out' / 'report.html').read_text(encoding='utf-8')


def test_tables_stand_in_their_order(report):
    page = report(tables=[ERRORS, ('Folds', (['images of', 'n'], [['all', '30'], ['<fold> 1', '15']]))])
    assert 'Folds images of n all 30 <fold> 1 15' in page.text and 'fold' not in [tag for tag, _ in page.tags]
    assert page.text.index('Errors') < page.text.index('Folds')


def test_tables_can_be_taken_from_the_page_and_beside_it(report, tmp_path):
    links = report(tables=[('Bounds of 90 %', (['landmark', 'n', 'mean ± SD, mm', 'within'],
                                               [['a_b', '1,200', '0.70 ± 0.60', '86.4 %']]))]).attributes('a')
    assert [link['download'] for link in links] == ['bounds_of_90.csv', 'bounds_of_90.tex']
    for link in links:
        content = b64decode(link['href'].partition('base64,')[2])
        assert content == (tmp_path / 'out' / 'tables' / link['download']).read_bytes()
        for number in ('1,200', '0.70', '0.60', '86.4'): assert number in content.decode()


def test_figures_for_print_are_linked_where_they_lie_beside_the_page(report, tmp_path):
    folder, elsewhere = tmp_path / 'out' / 'figures of a run', tmp_path / 'run'
    for each in (folder, elsewhere): plot_boxes(np.ones((5, 1)), ['a'], 'mm', each / 'boxes.png')
    write_png(folder / 'curve.png', np.zeros((2, 6, 3), np.uint8))
    figures = [('x', 'x', folder / 'boxes.png'), ('x', 'x', elsewhere / 'boxes.png'), ('x', 'x', folder / 'curve.png')]
    page = report(tables=(), figures=figures)
    assert [link['href'] for link in page.attributes('a')] == [
        f'figures%20of%20a%20run/boxes.{form}' for form in ('png', 'svg', 'pdf')]
    assert [image['width'] for image in page.attributes('img')] == ['1033', '1033', '6']  # half of 17.5 cm at 300 dpi
