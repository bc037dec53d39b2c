"""`python -m docs.tutorials [NAME…]` executes the tutorials anew and keeps what they show.

A tutorial is written as `docs/tutorials/<n>_<name>.py`, in jupytext's percent format; the `.ipynb` beside it has the
same cells and their outputs, without what is another one in each run, such as times.
"""

import base64
import io
import os
import re
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image
from traitlets.config import Config

from landmark_fastai.files import write_text

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / 'docs' / 'tutorials'
LONGEST = 900  # seconds that a cell may take, on a busy machine
NOT_KEPT = [  # of texts and tables: what is another one in each run, or on a screen alone
    re.compile(r'\x1b\[[0-9;]*m'),
    re.compile(r'on this CPU an epoch takes .*\n'),
    re.compile(r'  [\d:]+ left\b'),
    re.compile(r'(?<=</th>)\s*<th>time</th>|<td>\d\d:\d\d</td>'),  # fastai's column
    re.compile(r'^\s*<style>.*?</style>', re.DOTALL),
]
UNHEARD = (  # warnings of libraries about each other, and what a tutorial says itself
    'ignore::FutureWarning,ignore::DeprecationWarning,ignore:IProgress not found,ignore:load_learner')
COLOURS = 256  # of a picture that is kept: a film has no more greys


def tutorials() -> list[Path]:
    "The tutorials as they are written."
    return sorted(FOLDER.glob('[0-9]_*.py'))


def notebook_file(tutorial: Path) -> Path:
    "The notebook that belongs to a `tutorial`."
    return tutorial.with_suffix('.ipynb')


def read(tutorial: Path) -> NotebookNode:
    "The cells of a `tutorial`, numbered, without outputs."
    notebook = jupytext.read(tutorial)
    notebook.metadata.pop('jupytext', None)
    for number, cell in enumerate(notebook.cells): cell.id = f'cell-{number}'  # jupytext's are random
    return notebook


def text(tutorial: Path) -> str:
    "A `tutorial` as a page: its Markdown, and the command lines of its cells as blocks of bash."
    parts = []
    for cell in read(tutorial).cells:
        source = re.sub(r'\\\n\s*', '', cell.source)  # a command that goes on in the next line
        commands = [line.removeprefix('!') for line in source.splitlines() if line.startswith('!')]
        if cell.cell_type == 'markdown': parts.append(source)
        elif commands: parts.append('\n'.join(['```bash', *commands, '```']))
    return '\n\n'.join(parts) + '\n'


def executed(tutorial: Path, folder: Path) -> NotebookNode:
    """The notebook of a `tutorial` with its outputs, executed in `folder`.

    It imports this checkout, and finds the command `landmark-fastai` of it. Raises CellExecutionError where a cell
    fails, and RuntimeError where a command in a cell does.
    """
    notebook = read(tutorial)
    with TemporaryDirectory() as own:
        write_command(Path(own) / 'landmark-fastai')
        env = os.environ | {'PATH': f'{own}{os.pathsep}{os.environ["PATH"]}', 'PYTHONPATH': str(ROOT),
                            'IPYTHONDIR': own, 'PYTHONUNBUFFERED': '1', 'PYTHONWARNINGS': UNHEARD}
        # a kernel on the network would take commands unencrypted
        no_ports = Config({'KernelManager': {'transport': 'ipc', 'ip': f'{own}/kernel'}})
        NotebookClient(notebook, timeout=LONGEST, kernel_name='python3', record_timing=False, coalesce_streams=True,
                       config=no_ports, resources={'metadata': {'path': str(folder)}}).execute(env=env)
    for cell in notebook.cells:
        for said in map(said_in, cell.get('outputs', ())):
            if re.search(r'^(error: |Traceback)', said, re.MULTILINE): raise RuntimeError(f'{cell.source}\n{said}')
    return notebook


def write_command(path: Path):
    "Write `landmark-fastai` as it would be installed; on a pipe it draws no bars of progress."
    path.write_text(f'#!/bin/sh\n{shlex.quote(sys.executable)} -m landmark_fastai "$@" 2>&1 | cat\n')
    path.chmod(0o755)


def said_in(output: NotebookNode) -> str:
    "The text of an output of a cell, '' of a picture alone."
    return output.get('text', '') or output.get('data', {}).get('text/plain', '')


# --- what is kept of the outputs

def kept(notebook: NotebookNode) -> NotebookNode:
    "`notebook` with the outputs as they are kept, see above."
    for cell in notebook.cells:
        cell.metadata.pop('execution', None)
        if cell.cell_type == 'code': cell.outputs = list(kept_outputs(cell.outputs))
    notebook.metadata = {'kernelspec': notebook.metadata.kernelspec, 'language_info': {'name': 'python'}}
    return notebook


def kept_outputs(outputs: list[NotebookNode]) -> Iterator[NotebookNode]:
    "The outputs of a cell as they are kept, without those of which nothing is."
    for output in outputs:
        if output.output_type == 'stream':
            output.text = kept_text(output.text)
            if not output.text.strip(): continue
        data = output.get('data', {})
        for kind in ('text/plain', 'text/html'):
            if kind in data: data[kind] = kept_text(data[kind])
        if 'text/html' in data:
            data.pop('text/markdown', None)  # the same again
            if not re.sub('<.*?>', '', data['text/html']).strip(): continue  # a bar that is gone
        if 'image/png' in data: data['image/png'] = kept_picture(data['image/png'])
        data.pop('image/jpeg', None)  # the same picture again
        yield output


def kept_text(said: str) -> str:
    "`said` without what is not kept."
    said = said.replace('\r\n', '\n')
    for pattern in NOT_KEPT: said = pattern.sub('', said)
    return said


def kept_picture(png: str) -> str:
    "A picture, base64, with fewer colours: half as large, and hardly another one to look at."
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert('RGB')
    small = io.BytesIO()
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(small, 'PNG', optimize=True)
    return base64.b64encode(small.getvalue()).decode()


def main(names: list[str]):
    "Execute the tutorials called `names`, all if there are none, and say how long each took."
    for tutorial in tutorials():
        if names and tutorial.stem not in names: continue
        start, worked = time.monotonic(), sum(os.times()[:4])  # of ended kernels and their commands, too
        with TemporaryDirectory() as folder: notebook = executed(tutorial, Path(folder))
        write_text(notebook_file(tutorial), nbformat.writes(kept(notebook)) + '\n')
        print(f'{notebook_file(tutorial).relative_to(ROOT)}: {time.monotonic() - start:.0f} s, of which one core would '
              f'take {sum(os.times()[:4]) - worked:.0f} s', flush=True)


if __name__ == '__main__': main(sys.argv[1:])
