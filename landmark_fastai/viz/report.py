"The report of an evaluation: one HTML file that needs no other file, no network and no script."

from base64 import b64encode
from collections.abc import Iterable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .. import __version__
from ..files import write_text

DASH = '–'  # where there is no value

Table = tuple[list[str], list[list[str]]]  # header and rows, all as text
Figure = tuple[str, str, Path]  # title, explanation and PNG file

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
    """Write a report to `path`, pictures included.

    `verdict` is the result in a sentence, `tables` are (title, table), `figures` are in the order in which they are
    shown, `notes` are sentences that a reader of the numbers has to know. The explanations at the end are those of the
    `template`, report.html or agreement.html, and fit the values that it has `explained`.
    """
    pictures = [(name, text, b64encode(Path(png).read_bytes()).decode()) for name, text, png in figures]
    html = render(template, title=title, subtitle=subtitle, verdict=verdict, notes=notes, tables=tables,
                  figures=pictures, settings={name: _plain(value) for name, value in settings.items()}, **explained)
    write_text(path, html)


def figures_in(folder: Path, figures: Iterable[tuple[str, str, str]]) -> list[Figure]:
    "Those of `figures`, `FIGURES` or `CURVES`, that are in `folder`, as `write_report` takes them."
    return [(title, text, folder / file) for file, title, text in figures if (folder / file).exists()]


def render(template: str, **values) -> str:
    "The page of the file `template`, in templates, with `values`, which are escaped."
    loader = FileSystemLoader(Path(__file__).parent / 'templates')
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True,
                              undefined=StrictUndefined)
    return environment.get_template(template).render(version=__version__, **values)


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
