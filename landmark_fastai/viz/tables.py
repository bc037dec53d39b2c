"Tables for a manuscript: CSV, and LaTeX with booktabs."

import csv
import re
from collections.abc import Iterable
from io import StringIO
from pathlib import Path

from .. import __version__
from ..files import write_text

Table = tuple[list[str], list[list[str]]]  # header and rows, all as text

FORMS = '.csv', '.tex'
# `[` and `*` are options after `\\`, and `<`, `>` are other characters in the oldest fonts
ESCAPES = str.maketrans({
    '\\': r'\textbackslash{}', '{': r'\{', '}': r'\}', '$': r'\$', '&': r'\&', '#': r'\#', '%': r'\%', '_': r'\_',
    '^': r'\textasciicircum{}', '~': r'\textasciitilde{}', '[': '{[}', '*': '{*}', '<': '$<$', '>': '$>$',
    '|': r'\textbar{}', '"': "''", '±': r'$\pm$', '–': '--', '−': '$-$', '°': r'$^\circ$', '√': r'$\surd$',
    '…': r'\ldots{}', '\u00a0': '~'})
MINUS = re.compile(r'(?<![\w-])-(?=[\d\s.])')  # before a number, or between two readers; a name may have hyphens


def stem(title: str) -> str:
    "The name of the files of a table called `title`."
    return '_'.join(re.findall(r'\w+', title.lower()))


def csv_text(table: Table) -> str:
    "`table` as CSV, cells as they are; it begins with the mark by which Excel knows UTF-8."
    header, rows = table
    csv.writer(text := StringIO(), lineterminator='\n').writerows([header, *rows])
    return '\ufeff' + text.getvalue()


def latex_text(title: str, table: Table) -> str:
    r"`table` as LaTeX, to `\input` into a manuscript that uses booktabs, with `title` as caption."
    header, rows = table
    columns = ''.join('l' if is_text(column) else 'r' for column in zip(*rows, strict=True))
    lines = [' & '.join(map(escaped, row)) + r' \\' for row in (header, *rows)]
    return '\n'.join([
        f'% Written by landmark_fastai {__version__}; \\usepackage{{booktabs}}', r'\begin{table}', r'\centering',
        rf'\caption{{{escaped(title)}}}', rf'\label{{tab:{stem(title)}}}', r'\footnotesize',
        r'\setlength{\tabcolsep}{3pt}', rf'\begin{{tabular}}{{@{{}}{columns}@{{}}}}', r'\toprule', lines[0],
        r'\midrule', *lines[1:], r'\bottomrule', r'\end{tabular}', r'\end{table}', ''])


def is_text(column: Iterable[str]) -> bool:
    "Whether the cells of `column` are words, which are aligned on the left, not numbers."
    return any(cell[:1].isalpha() for cell in column)


def escaped(text: str) -> str:
    "`text` as LaTeX prints it."
    return MINUS.sub('$-$', ' '.join(re.split(r'[\t\r\n]+', text)).translate(ESCAPES))


def write_tables(folder: Path, tables: list[tuple[str, Table]]):
    "Write each of `tables`, with its title, into `folder` as CSV and as LaTeX."
    for title, table in tables:
        for suffix, text in zip(FORMS, (csv_text(table), latex_text(title, table)), strict=True):
            write_text(folder / f'{stem(title)}{suffix}', text)
