"""The code of the pages runs: their commands and their Python, in a folder with what they speak of.

With a small network and few epochs, and else as it stands there.
"""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from docs_workplace import ENCODER, prepare, smaller, write_workplace
from helpers import code_of, job_of

import landmark_fastai.all
from docs.flags import pages
from landmark_fastai.export.export import export

ROOT = Path(__file__).parents[1]
PAGES = {page.relative_to(ROOT).as_posix(): page.read_text(encoding='utf-8')
         for page in [ROOT / 'README.md', *pages()]}
TINY = ', '.join(f'{name}={value!r}' for name, value in ENCODER.items())
SMALLER = {  # what a page says, and what is run in its place
    'image_resize=256': 'image_resize=32, batch_size=4', 'landmark_learner(dls': f'landmark_learner(dls, {TINY}',
    'learn.lr_find()': 'learn.lr_find(num_it=12)', 'fit_one_cycle(20': 'fit_one_cycle(1',
    'epochs=40': f'epochs=1, {TINY}'}
# lines that are run elsewhere: by .ci/installed, .ci/run, and the tests of several processes, of demo and of benchmarks
ELSEWHERE = ('pip ', 'python -m venv', 'python3 -m venv', '. .venv', '. runtime', 'runtime/', 'accelerate launch',
             'python -m docs', 'python -m benchmarks', 'python -m pytest', 'python cli.py demo', 'mkdocs ', 'ruff ')


def lines():
    "Every line of the pages' command blocks, once."
    blocks = [block for text in PAGES.values() for block in code_of(text, 'bash')]
    return dict.fromkeys(' '.join(shlex.split(line, comments=True)) for block in blocks for line in block.splitlines())


COMMANDS = [line for line in lines() if line and not line.startswith(ELSEWHERE) and '--cluster' not in line]


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
    "The workplace, not to be changed."
    folder = tmp_path_factory.mktemp('prepared')
    write_workplace(folder)
    return folder


@pytest.fixture
def workplace(prepared, tmp_path, monkeypatch):
    "A copy of it, as the working directory."
    folder = tmp_path / 'workplace'
    shutil.copytree(prepared, folder)
    monkeypatch.chdir(folder)
    return folder


def flags_of(line):
    "The command of a line, and its flags as Fire reads them."
    job = job_of(shlex.split(line)[2 if line.startswith('python') else 1:])
    return job._name, job._given


@pytest.mark.slow
@pytest.mark.parametrize('line', [line for line in COMMANDS if 'bundle' not in line and ' annotate ' not in line])
def test_a_command_of_a_page_runs(line, workplace):
    name, flags = flags_of(line)
    prepare(workplace, name, flags)
    getattr(landmark_fastai.all, name)(**smaller(name, flags))


@pytest.mark.slow
def test_commands_of_bundles_run(workplace):
    lines = [line for line in COMMANDS if 'bundle' in line]
    assert len(lines) >= 2
    for line in lines:
        name, flags = flags_of(line)
        getattr(landmark_fastai.all, name)(**smaller(name, flags))


@pytest.mark.slow
@pytest.mark.parametrize('line', [line for line in COMMANDS if ' annotate ' in line])
def test_a_page_to_click_on_opens(line, workplace):
    name, flags = flags_of(line)
    prepare(workplace, name, flags)
    argv = [sys.executable, str(ROOT / 'cli.py'), *shlex.split(line)[2:], '--no_browser', '--port', '0']
    server = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    address = server.stdout.readline()
    server.kill()  # how it ends is told in tests/annotate
    _, said = server.communicate()
    assert address.startswith('http://127.0.0.1'), said


# --- Python

def smaller_code(code):
    "`code` for a test."
    for said, run in SMALLER.items(): code = code.replace(said, run)
    return code


def python_of(page):
    "The names that are there once the Python of a page has run."
    names = {}
    for code in code_of(PAGES[page], 'python'): exec(compile(smaller_code(code), page, 'exec'), names)
    return names


WITH_PYTHON = [page for page, text in PAGES.items() if code_of(text, 'python')]


@pytest.mark.slow
@pytest.mark.parametrize('page', [page for page in WITH_PYTHON if 'exporting' not in page])
def test_the_python_of_a_page_runs(page, workplace):
    names = python_of(page)
    if page not in ('README.md', 'docs/python.md'): return
    found = names['found']
    assert found.points.shape == (2, 2, 2) and np.isfinite(found.confidence).all()
    if page == 'README.md': return
    assert names['points'].shape == (2, 2) and names['logits'].shape == (2, 32, 32)
    assert (workplace / 'found' / 'predictions.csv').is_file() and names['summary']['overall']['px']['mean'] > 0
    for name in ('found', 'summary', 'measured'): assert '<b>' in names[name]._repr_html_(), name


@pytest.mark.slow
def test_the_python_of_bundles_runs(workplace):
    export(output_dir='bundle')
    names = python_of('docs/exporting.md')
    assert names['found'].points.shape == (2, 2, 2)


def test_what_is_made_smaller_is_there():
    code = ''.join(code_of(PAGES['docs/python.md'], 'python'))
    for said in SMALLER: assert said in code, said
