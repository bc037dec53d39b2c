"""`python -m docs.formats` writes the table of what each format can say into converting.md.

The page holds it between `<!-- formats -->` and `<!-- /formats -->`.
"""

import re
from pathlib import Path

from landmark_fastai.convert.table import FORMATS, Format
from landmark_fastai.files import write_text

PAGE = Path(__file__).parent / 'converting.md'
TABLE = re.compile(r'(<!-- formats -->\n).*?(<!-- /formats -->)', re.DOTALL)
COLUMNS = {  # heading: what is in the cell of a format
    'the format of': lambda form: form.tool,
    'a file': lambda form: 'for each image' if form.suffix else 'for all',
    '(0, 0) is': lambda form: f'the {"corner" if form.is_corner else "centre"}',
    'absent': lambda form: form.absent, 'names': lambda form: form.names, 'fractions': lambda form: form.fractions,
    'size of images': lambda form: form.sizes, 'mm per px': lambda form: form.spacing,
    'patient, split': lambda form: form.write is None}


def table() -> str:
    "The formats as a Markdown table."
    rows = [['', *COLUMNS], ['---'] * (len(COLUMNS) + 1)]
    rows += [[f'`{name}`', *(cell(form, of) for of in COLUMNS.values())] for name, form in FORMATS.items()]
    return ''.join(f'| {" | ".join(row)} |\n' for row in rows)


def cell(form: Format, of) -> str:
    "A cell of the table."
    value = of(form)
    return value if isinstance(value, str) else 'yes' if value else '–'


def with_table(text: str) -> str:
    "`text`, the page, with its table as it has to be."
    return TABLE.sub(lambda match: match[1] + table() + match[2], text)


if __name__ == '__main__': write_text(PAGE, with_table(PAGE.read_text(encoding='utf-8')))
