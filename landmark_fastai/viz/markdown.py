"Markdown: a page from a template, in which no text of a user is taken for mark-up."

import re
from typing import Any

from .. import __version__
from .report import templates
from .tables import Table

# an underscore within a word marks nothing up, and stays as it is read
SPECIAL = re.compile(r'([\\`*\[\]<>|~$&#]|(?<![^\W_])_|_(?![^\W_]))')


class Marked(str):
    "Text that is Markdown already."


def escaped(value: Any) -> str:
    "`value` as Markdown prints it, in a line or a cell of a table; `Marked` text as it is."
    return value if isinstance(value, Marked) else SPECIAL.sub(r'\\\1', ' '.join(str(value).split()))


def markdown_table(table: Table) -> Marked:
    "`table` as Markdown; columns of numbers are aligned to the right."
    header, rows = table
    marks = ['---' if any(cell[:1].isalpha() for cell in column) else '---:' for column in zip(*rows, strict=True)]
    lines = [map(escaped, header), marks, *(map(escaped, row) for row in rows)]
    return Marked('\n'.join(f'| {" | ".join(cells)} |' for cells in lines))


def render_markdown(template: str, **values) -> str:
    "The page of the file `template`, in templates, with `values`, which are escaped; no two blank lines in a row."
    page = templates(finalize=escaped).get_template(template).render(version=__version__, **values)
    return re.sub(r'\n{3,}', '\n\n', page).strip() + '\n'
