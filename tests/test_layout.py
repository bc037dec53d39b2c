"The layout: packages one level deep, arrows one way, and no torch where none is needed."

import subprocess
import sys
from pathlib import Path

import pytest

from docs.architecture import DIAGRAM, PACKAGE, PAGE, diagram, imported, of_all, room, with_table

ROOT = Path(__file__).parents[1]
BASE = {'config', 'conformal', 'errors', 'files', 'flags', 'inherit', 'output_folder', 'predict_config', 'processes',
        'reader_config', 'threads', '__init__'}
MAY_USE = {  # beside itself and the base; `learner` and the two packages it stands between are one room of fastai's
    'formats': set(), 'geometry': set(), 'viz': set(), 'quality': {'formats', 'viz'},
    'measure': {'formats', 'quality', 'viz'}, 'convert': {'formats', 'measure', 'viz'},
    'annotate': {'formats', 'quality', 'viz', 'model', 'inference'}, 'data': {'formats', 'geometry'},
    'model': {'data', 'formats', 'geometry'}, 'callbacks': {'model', 'data', 'formats', 'geometry', 'viz'},
    'learner': {'callbacks', 'model', 'data', 'formats', 'geometry'},
    'cluster': set(), 'inference': {'cluster', 'learner', 'model', 'data', 'formats', 'geometry', 'quality', 'viz'},
    'evaluation': {'measure', 'inference', 'model', 'data', 'formats', 'geometry', 'viz'},
    'export': {'inference', 'model', 'data', 'formats', 'geometry'},
    'training': {'evaluation', 'inference', 'learner', 'callbacks', 'model', 'data', 'formats', 'geometry', 'viz'},
} | dict.fromkeys(BASE, set()) | {'__init__': {'all'}}
EVERYTHING = {'cli', 'all', '__main__'}


@pytest.mark.parametrize('path', sorted(PACKAGE.rglob('*.py')), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrows_go_one_way_and_packages_lie_one_level_deep(path):
    assert len(path.relative_to(PACKAGE).parts) <= 2
    if room(path) in EVERYTHING: return
    beyond = set(imported(path)) - MAY_USE[room(path)] - BASE - {room(path)}
    assert not beyond, f'{room(path)} must not use {beyond}'


def test_the_page_of_the_architecture_is_what_the_imports_say():
    text, drawn = PAGE.read_text(encoding='utf-8'), DIAGRAM.read_text(encoding='utf-8')
    assert (with_table(text), diagram()) == (text, drawn), 'python -m docs.architecture writes them anew'
    assert {*of_all(), '__init__'} == BASE


@pytest.mark.parametrize('name', ['config', 'predict_config', 'reader_config', 'cli', 'model.facts', 'formats',
                                  'quality', 'viz', 'annotate', 'geometry.frame', 'data.sample', 'measure', 'convert',
                                  'cluster', 'inference.card_words'])
def test_there_is_no_torch_where_none_is_needed(name):
    folder = PACKAGE / name
    modules = [f'{name}.{path.stem}' for path in folder.glob('[a-z]*.py')] if folder.is_dir() else [name]
    code = f'import sys, importlib\nfor name in {modules}: importlib.import_module("landmark_fastai." + name)\n' \
           'print({"torch", "fastai", "pandas"} & set(sys.modules))'
    found = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT)
    assert found.returncode == 0 and 'torch' not in found.stdout and 'fastai' not in found.stdout, found
    if 'config' in name: assert found.stdout == 'set()\n'


def test_the_tests_mirror_the_tree():
    mine = Path(__file__).parent
    folders = {path.name for path in mine.iterdir() if path.is_dir() and path.name != '__pycache__'}
    packages = {path.parent.name for path in PACKAGE.glob('*/__init__.py')}
    assert folders == packages | {'benchmarks'}
    for path in mine.rglob('test_*.py'):
        assert '\nfrom test_' not in path.read_text(encoding='utf-8'), f'{path} imports a test'
