"Tables for a manuscript: every cell as in the report, and LaTeX that prints what it was given."

import csv
import re
import shutil
import subprocess

import pytest

from landmark_fastai.viz.tables import csv_text, escaped, latex_text, write_tables

TABLE = ['landmark', 'n', 'mean ± SD, mm', 'SDR 2 mm'], [['all', '1,200', '0.90 ± 0.80', '86.4 %'],
                                                         ['a_b', '600', '–', '50.0 %']]
NASTY = ['a_b', '50%', '#1', r'\cmd', 'x & y', '{z}', '$5$', 'a^2', '~n', '[first]', '*', 'a|b', '<i>', '"q"']


def test_csv_has_the_cells_and_is_read_as_utf_8_by_excel():
    text = csv_text(TABLE)
    assert text.encode()[:3] == b'\xef\xbb\xbf'
    assert list(csv.reader(text[1:].splitlines())) == [TABLE[0], *TABLE[1]]
    assert text.splitlines()[1] == 'all,"1,200",0.90 ± 0.80,86.4 %'


def test_latex_is_a_booktabs_table_with_caption_and_label():
    assert latex_text('Bounds of 90 %', TABLE).splitlines()[1:] == [
        r'\begin{table}', r'\centering', r'\caption{Bounds of 90 \%}', r'\label{tab:bounds_of_90}', r'\footnotesize',
        r'\setlength{\tabcolsep}{3pt}', r'\begin{tabular}{@{}lrrr@{}}', r'\toprule',
        r'landmark & n & mean $\pm$ SD, mm & SDR 2 mm \\', r'\midrule', r'all & 1,200 & 0.90 $\pm$ 0.80 & 86.4 \% \\',
        r'a\_b & 600 & -- & 50.0 \% \\', r'\bottomrule', r'\end{tabular}', r'\end{table}']


@pytest.mark.parametrize('text, latex', [
    ('a_b', r'a\_b'), ('50%', r'50\%'), ('#1', r'\#1'), (r'\cmd', r'\textbackslash{}cmd'), ('x & y', r'x \& y'),
    ('{z}', r'\{z\}'), ('$5$', r'\$5\$'), ('a^2', r'a\textasciicircum{}2'), ('~n', r'\textasciitilde{}n'),
    ('[95\u00a0%]', r'{[}95~\%]'), ('*', '{*}'), ('< 0.001', '$<$ 0.001'), ('12°', r'12$^\circ$'),
    ('1.0–2.0', '1.0--2.0'), ('-0.50 [-1.00, 0.25]', '$-$0.50 {[}$-$1.00, 0.25]'), ('AB - CD', 'AB $-$ CD'),
    ('L1-2', 'L1-2'), ('mid-point x', 'mid-point x'), ('1e-05', '1e-05'), ('two\nlines', 'two lines')])
def test_latex_prints_the_text(text, latex):
    assert escaped(text) == latex


def test_files_are_called_like_their_tables(tmp_path):
    write_tables(tmp_path / 'tables', [('Measurements: limits of agreement', TABLE), ('Bounds of 92.5 %', TABLE)])
    assert sorted(path.name for path in (tmp_path / 'tables').iterdir()) == [
        'bounds_of_92_5.csv', 'bounds_of_92_5.tex', 'measurements_limits_of_agreement.csv',
        'measurements_limits_of_agreement.tex']
    assert (tmp_path / 'tables' / 'bounds_of_92_5.csv').read_text(encoding='utf-8') == csv_text(TABLE)


@pytest.mark.skipif(not shutil.which('pdflatex'), reason='there is no pdflatex')
def test_pdflatex_takes_it(tmp_path):
    rows = [[name, '1', '0.90 ± 0.80', '12°'] for name in NASTY]
    write_tables(tmp_path, [('A_title of 50 %', (TABLE[0], rows))])
    (tmp_path / 'paper.tex').write_text('\\documentclass{article}\\usepackage{booktabs}\\begin{document}'
                                        '\\input{a_title_of_50}\\end{document}', encoding='utf-8')
    ran = subprocess.run(['pdflatex', '-interaction=nonstopmode', '-halt-on-error', 'paper.tex'], cwd=tmp_path,
                         capture_output=True, text=True)
    assert ran.returncode == 0 and not re.search('^!', ran.stdout, re.M), ran.stdout[-2000:]
