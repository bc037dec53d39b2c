"""A report: one HTML file that shows all without another file, network or script.

Its tables can be taken from the page, and lie beside it too. Figures for print lie beside it alone, and it has links to
them: with them inside, a page to be mailed would be much larger.
"""

from base64 import b64encode
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from .. import __version__
from ..files import write_text
from .paper import DPI
from .paper import FORMS as FIGURE_FORMS
from .tables import FORMS as TABLE_FORMS
from .tables import Table, csv_text, latex_text, stem, write_tables

DASH = '–'  # where there is no value

Figure = tuple[str, str, Path]  # title, explanation and PNG file


class Link(NamedTuple):
    "What can be taken of a figure or table."
    text: str
    href: str
    file: str = ''  # the name that it gets, where it is in the page


# file, title and explanation of what `evaluate` draws, and of the curves of a run that a report shows
FIGURES = (
    ('cumulative.png', 'Cumulative error', 'The share of the landmarks (vertical) that lie within a distance '
     '(horizontal) of the annotated point: the further to the upper left, the better.'),
    ('boxes.png', 'Error of each landmark', 'The line in a box is the median, the box holds the middle half of the '
     'images, the whiskers reach to the last value within 1.5 times its length; dots lie beyond.'),
    ('vectors.png', 'Direction of the errors', 'Each dot is an image: where the prediction lies as seen from the '
     'annotated point in the centre. A cloud beside the centre is a bias, a long one an ill-defined direction.'),
    ('confidence.png', 'Confidence', 'Each dot is a landmark of an image, the line the median error of each tenth '
     'of them. Where it falls to the right, the confidence tells where to look; where it is flat, it does not.'),
    ('coverage.png', 'Bounds', 'How often bounds hold, against how often they say so: on the diagonal they are true, '
     'above it they are wider than need be. Thin lines are landmarks, which scatter by chance.'),
    ('measurements.png', 'Measurements', 'Each dot is an image: how far the model is from the truth (vertical) over '
     'the mean of both. The line is the bias, 95 % of the differences lie between the broken lines.'),
    ('worst.png', 'Worst images', 'The images with the largest mean error: blue rings are the truth, red dots the '
     'prediction. Look here first for wrong annotations and for kinds of images that the training lacked.'))
CURVES = (
    ('loss_curve.png', 'Loss during the training', 'Faint vertical lines are erosions of the masks, at which the loss '
     'jumps since the task becomes harder.'),
    ('mean_landmark_error.png', 'Validation error during the training', 'The weights of the best epoch were kept.'))


def write_report(path: Path, title: str, subtitle: str, verdict: str, tables: list[tuple[str, Table]],
                 figures: list[Figure], settings: dict, notes: list[str], template: str, **explained):
    """Write a report to `path`, pictures included, and `tables/` beside it.

    `verdict` is the result in a sentence, `tables` are (title, table), `figures` are in the order in which they are
    shown, `notes` are sentences that a reader of the numbers has to know. The explanations at the end are those of the
    `template`, report.html or agreement.html, and fit the values that it has `explained`.
    """
    pictures = [(name, text, b64encode(png.read_bytes()).decode(), _shown_width(png), _figure_links(png, path.parent))
                for name, text, png in figures]
    html = render(template, title=title, subtitle=subtitle, verdict=verdict, notes=notes, figures=pictures,
                  tables=[(name, table, _table_links(name, table)) for name, table in tables],
                  settings={name: _plain(value) for name, value in settings.items()}, **explained)
    write_tables(path.parent / 'tables', tables)
    write_text(path, html)


def figures_in(folder: Path, figures: Iterable[tuple[str, str, str]]) -> list[Figure]:
    "Those of `figures`, `FIGURES` or `CURVES`, that are in `folder`, as `write_report` takes them."
    return [(title, text, folder / file) for file, title, text in figures if (folder / file).exists()]


def beside_report(figures: Iterable[str], tables: Iterable[str]) -> list[str]:
    "The files of `figures` and `tables` of a report, patterns as their names may be, in the folder in which it is."
    return [*(f'figures/{Path(name).stem}{form}' for name, form in product(figures, FIGURE_FORMS)),
            *(f'tables/{name}{form}' for name, form in product(tables, TABLE_FORMS))]


def _table_links(title, table):
    "Both forms of `table`, within the page."
    forms = ('CSV', 'text/csv', csv_text(table)), ('LaTeX', 'text/x-tex', latex_text(title, table))
    return [Link(text, f'data:{kind};charset=utf-8;base64,{b64encode(content.encode()).decode()}', stem(title) + form)
            for (text, kind, content), form in zip(forms, TABLE_FORMS, strict=True)]


def _figure_links(png, folder):
    "The forms of the figure `png`, where it has them all, below `folder`."
    files = [png.with_suffix(form) for form in FIGURE_FORMS]
    if not png.is_relative_to(folder) or not all(file.exists() for file in files): return []
    return [Link(file.suffix[1:].upper(), quote(file.relative_to(folder).as_posix())) for file in files]


def _shown_width(png):
    "The width of a figure on the page, CSS px: one for print is sharp on any screen, half as wide as it has pixels."
    with Image.open(png) as image: width, (dpi, _) = image.width, image.info.get('dpi', (0, 0))
    return width // 2 if round(dpi) == DPI else width


def render(template: str, **values) -> str:
    "The page of the file `template`, in templates, with `values`, which are escaped."
    return templates(autoescape=True).get_template(template).render(version=__version__, **values)


def templates(**options) -> Environment:
    "The files in templates, filled in with these `options` of jinja2; a value that is missing is a mistake."
    loader = FileSystemLoader(Path(__file__).parent / 'templates')
    return Environment(loader=loader, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined, **options)


def aligned(table: Table) -> str:
    "The header and rows of `table` as aligned lines."
    header, rows = table
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in (header, *rows)]
    return '\n'.join('  '.join(line) for line in lines)


def fixed(value: float | None) -> str:
    "`value` with two decimals, a dash for None and NaN."
    return DASH if value is None or value != value else f'{value:.2f}'


def percent(share: float | None) -> str:
    "`share` in per cent, a dash for None and NaN."
    return DASH if share is None or share != share else f'{100 * share:.1f} %'


def counted(n: int, thing: str) -> str:
    "How many there are of a `thing`."
    return f'{n:,} {thing}' + ('' if n == 1 else 's')


def _plain(value) -> str:
    "A setting as people write it."
    if value is None: return DASH
    if isinstance(value, dict): return ', '.join(f'{name} {_plain(part)}' for name, part in value.items())
    if isinstance(value, list | tuple): return ', '.join(map(_plain, value))
    return str(value)
