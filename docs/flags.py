"""`python -m docs.flags` writes the tables of flags into the pages of this folder, from their dataclasses.

A page holds the table of a command between `<!-- flags: train -->` and `<!-- /flags -->`.
"""

import re
from dataclasses import MISSING, Field, fields
from pathlib import Path

from landmark_fastai.cli import COMMANDS
from landmark_fastai.config import TrainConfig
from landmark_fastai.files import write_text
from landmark_fastai.flags import Flags, meaning

PAGES = Path(__file__).parent
TABLE = re.compile(r'(<!-- flags: (\w+) -->\n).*?(<!-- /flags -->)', re.DOTALL)


def table(flags: type[Flags]) -> str:
    "The flags of a command as a Markdown table; only `train` has recipes, and runs to go on with."
    columns = {'flag': name, 'default': default, 'original recipe': original, 'when resumed': resumed,
               'meaning': lambda each: meaning(each).replace('|', '\\|')}
    if not issubclass(flags, TrainConfig): del columns['original recipe'], columns['when resumed']
    rows = [list(columns), ['---'] * len(columns)]
    for heading, each_of in sections(flags).items():
        if heading: rows.append([f'**{heading}**', *[''] * (len(columns) - 1)])
        rows += [[cell(each) for cell in columns.values()] for each in each_of]
    return ''.join(f'| {" | ".join(row)} |\n' for row in rows)


def sections(flags: type[Flags]) -> dict[str, list[Field]]:
    "The flags of a command by heading; those of a command with few flags have none."
    found = {}
    for each in fields(flags):
        found.setdefault(each.metadata['group'] if issubclass(flags, TrainConfig) else '', []).append(each)
    return found


def name(each: Field) -> str:
    "The flag as it is typed."
    return f'`--{each.name}`'


def default(each: Field) -> str:
    "Its default, if it has one."
    return 'required' if each.default is MISSING else code(each.default)


def original(each: Field) -> str:
    "Its value in the original recipe where that is another."
    return code(each.metadata['original'])


def resumed(each: Field) -> str:
    "Whether a resumed run may be given another value."
    return 'may change' if each.metadata['may_change'] else ''


def code(value: object) -> str:
    "The value of a flag as a cell: nothing for None, on and off for a switch."
    if value is None: return ''
    if isinstance(value, bool): return 'on' if value else 'off'
    return f'`{value:g}`' if isinstance(value, float) else f'`{value}`'


def with_tables(text: str) -> str:
    "`text`, a page, with its tables as they have to be."
    return TABLE.sub(lambda match: match[1] + table(COMMANDS[match[2]].flags) + match[3], text)


def pages() -> list[Path]:
    "The pages of the documentation, in folders and sub-folders."
    return sorted(page for page in PAGES.rglob('*.md') if page.name != 'LICENSE.md')


if __name__ == '__main__':
    for page in pages(): write_text(page, with_tables(page.read_text(encoding='utf-8')))
