"The report of an evaluation: one HTML file that needs no other file, no network and no script."

from base64 import b64encode
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from . import __version__
from .files import write_text
from .scores import DASH, RESAMPLES, in_words, table


def write_report(path, title, subtitle, summary, figures, config, notes):
    """Write the report of `summary` (of `scores.summarize`) to `path`, pictures included.

    `figures` are (title, explanation, path of a PNG), in the order in which they are shown, `config` is the dict of
    settings, and `notes` are sentences that a reader of the numbers has to know.
    """
    header, rows = table(summary)
    pictures = [(name, text, b64encode(Path(png).read_bytes()).decode()) for name, text, png in figures]
    settings = {name: _plain(value) for name, value in config.items()}
    html = _template().render(
        title=title, subtitle=subtitle, verdict=in_words(summary), notes=notes, header=header, rows=rows,
        figures=pictures, settings=settings, summary=summary, resamples=RESAMPLES, version=__version__)
    write_text(path, html)


def _template():
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True,
                              lstrip_blocks=True, undefined=StrictUndefined)
    return environment.get_template('report.html')


def _plain(value):
    "Return a setting as people write it."
    if value is None: return DASH
    if isinstance(value, dict): return ', '.join(f'{name} {_plain(part)}' for name, part in value.items())
    if isinstance(value, list | tuple): return ', '.join(map(_plain, value))
    return str(value)
