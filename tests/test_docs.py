"The documentation is true: flags, command lines, files of flags, links and tables are those that there are."

import re
import shlex
import subprocess
from dataclasses import fields
from pathlib import Path

import imageio.v3 as iio
import pytest
import yaml
from helpers import check_links, code_of, job_of

from benchmarks import __main__ as benchmarks
from benchmarks import accuracy_tables, cluster, floors, refine
from benchmarks.timing import RESULTS, insert, rows_by_key
from docs import formats as formats_of_docs
from docs import pictures, tutorials
from docs import templates as templates_of_docs
from docs.flags import pages, with_tables
from landmark_fastai import __version__
from landmark_fastai.cli import COMMANDS, check_words
from landmark_fastai.config import TrainConfig
from landmark_fastai.convert.table import FORMATS
from landmark_fastai.flags import known, read_file
from landmark_fastai.measure.definitions import read_definitions, templates

ROOT = Path(__file__).parents[1]
README = ROOT / 'README.md'
TEXTS = {page.relative_to(ROOT).as_posix().removeprefix('docs/'): page.read_text(encoding='utf-8')
         for page in [*sorted(ROOT.glob('*.md')), *pages()]} | {
    f'tutorials/{each.name}': tutorials.text(each) for each in tutorials.tutorials()}
# of accelerate, of the benchmarks and of pip
OF_OTHERS = {'index', 'find', 'dest', 'multi_gpu', 'num_processes', 'num_machines', 'machine_rank', 'main_process_ip',
             'main_process_port', 'mixed_precision', 'dynamo_backend', 'cpu', 'quick', 'against', 'help',
             'version', 'strict', 'no', 'name', 'value'}
PROGRAMS = r'(?:python cli\.py|landmark-fastai|accelerate launch [^`\n]* cli\.py)'


# --- the README

def test_the_readme_is_short_and_begins_with_a_picture_and_two_commands():
    lines = TEXTS['README.md'].splitlines()
    assert len(lines) <= 150
    screen = '\n'.join(lines[:30])
    assert 'docs/images/demo.png' in screen and 'cli.py demo' in screen and 'cli.py train' in screen


# --- flags and commands

@pytest.mark.parametrize('page', pages(), ids=lambda page: page.name)
def test_tables_of_flags_are_those_of_the_dataclasses(page):
    text = page.read_text(encoding='utf-8')
    assert with_tables(text) == text, 'python -m docs.flags writes them anew'


def test_every_command_but_find_lr_has_its_table():
    described = {name for text in TEXTS.values() for name in re.findall('<!-- flags: (.*?) -->', text)}
    assert described == set(COMMANDS) - {'find_lr'}


def commands():
    "Every command line of a page, as its arguments."
    for page, text in TEXTS.items():
        quoted = re.findall(rf'`{PROGRAMS} ([^`\n]+)`', text)
        lines = [line for block in code_of(text, 'bash') for line in block.splitlines()]
        for arguments in quoted + [found[1] for line in lines if (found := re.search(rf'{PROGRAMS} (.*)', line))]:
            if not arguments.endswith('…'): yield pytest.param(shlex.split(arguments, comments=True),
                                                               id=f'{page}: {arguments}')


@pytest.mark.parametrize('argv', list(commands()))
def test_every_command_line_is_one(argv):
    name = argv[0]
    check_words(argv)
    job = job_of(argv)
    assert job._name == name and known(fields(COMMANDS[name].flags), job._given) == job._given


@pytest.mark.parametrize('script', sorted((ROOT / 'docs' / 'examples').glob('*.sh')), ids=lambda script: script.name)
def test_scripts_are_scripts_and_their_commands_are_commands(script):
    assert subprocess.run(['bash', '-n', script], capture_output=True).stderr == b''
    text = script.read_text(encoding='utf-8').replace('\\\n', ' ')
    line, = re.findall(r"cli\.py ([^'\n]+)", text)
    check_words(shlex.split(re.sub(r'\$\(\(.*?\)\)', '8', line)))


@pytest.mark.parametrize('page', TEXTS)
def test_every_flag_is_one(page):
    flags = {each.name for command in COMMANDS.values() for each in fields(command.flags)}
    named = set(re.findall(r'--(\w+)', re.sub('<!--.*?-->', '', TEXTS[page])))
    assert {name for name in named if name not in flags and name.removeprefix('no') not in flags} <= OF_OTHERS


def test_files_of_flags_are_read(tmp_path):
    blocks = [block for text in TEXTS.values() for block in code_of(text, 'yaml')]
    for block in blocks:
        (tmp_path / 'flags.yaml').write_text(block, encoding='utf-8')
        assert read_file(TrainConfig, tmp_path / 'flags.yaml')
    assert blocks


def test_files_of_definitions_are_read(tmp_path):
    blocks = code_of(TEXTS['measuring.md'], 'yml')
    for block in blocks:
        (tmp_path / 'definitions.yaml').write_text(block, encoding='utf-8')
        assert read_definitions(tmp_path / 'definitions.yaml').measures
    assert len(blocks) == 2


def test_functions_and_templates_are_those_of_the_package():
    text = TEXTS['measuring.md']
    assert templates_of_docs.with_texts(text) == text, 'python -m docs.templates writes them anew'
    assert set(templates_of_docs.FIGURES) == set(templates())


def test_the_table_of_formats_is_that_of_the_package():
    assert formats_of_docs.with_table(TEXTS['converting.md']) == TEXTS['converting.md'], 'python -m docs.formats'


@pytest.mark.parametrize('name', templates())
def test_the_picture_of_a_template_is_what_measure_draws(name):
    shown = iio.imread(ROOT / 'docs' / 'images' / f'measure_{name}.png')
    drawn = templates_of_docs.picture(name)
    assert shown.shape == drawn.shape and abs(shown.astype(int) - drawn).mean() < 1  # rounding of another machine


# --- links and numbers

@pytest.mark.parametrize('page', [page.name for page in ROOT.glob('*.md')])
def test_links_lead_somewhere(page):
    "Those of pages at the top: those of the site are looked at when it is built, see test_site.py."
    check_links(ROOT / page, TEXTS[page])


def test_modules_are_where_they_are_said_to_be():
    package = ROOT / 'landmark_fastai'
    for path in re.findall(r'`([a-z_]+/[a-z_]*(?:\.py)?)`', TEXTS['architecture.md']):
        assert (package / path).exists() or (ROOT / path).exists(), path
    packages = {path.parent.name for path in package.glob('*/__init__.py')}
    assert packages <= set(re.findall(r'^\| `([a-z]+)/`', TEXTS['architecture.md'], re.M))


def test_the_way_of_the_data_is_as_it_is_drawn():
    drawn = pictures.data_flow()
    assert (ROOT / 'docs' / 'images' / 'data_flow.svg').read_text(encoding='utf-8') == drawn, 'python -m docs.pictures'


def test_the_radii_that_are_told_are_those_of_the_recipes():
    told = re.findall(r'recipe (\w+)` \| ([\d, ]+) \|', TEXTS['explanation/dilation_erosion.md'])
    assert {recipe: [int(radius) for radius in radii.split(',')] for recipe, radii in told} == {
        'original': sorted(set(pictures.stairs('original')), reverse=True),
        'default': sorted(set(pictures.stairs('default')), reverse=True)[:-1]}  # the last one has a column of its own


def test_the_citation_is_of_this_version_and_names_the_paper():
    cited = yaml.safe_load((ROOT / 'CITATION.cff').read_text(encoding='utf-8'))
    assert str(cited['version']) == __version__ and cited['references'][0]['url'] in TEXTS['README.md']


def test_every_format_is_told_of_in_words():
    section = TEXTS['converting.md'].partition('## Of each format')[2]
    with_more = {'csv', 'dicom_sr'}  # than a row
    assert set(re.findall(r'^\| `(\w+)` \|', section, re.M)) == set(FORMATS) - with_more


def test_tables_of_numbers_are_those_that_were_measured():
    found = rows_by_key('accuracy')
    assert insert(TEXTS['README.md'], accuracy_tables.headline(found), 'accuracy') == TEXTS['README.md']
    assert insert(TEXTS['results.md'], accuracy_tables.all_tables(found, RESULTS), 'accuracy') == TEXTS['results.md']
    assert insert(TEXTS['results.md'], accuracy_tables.by_encoder(found), 'encoders') == TEXTS['results.md']
    assert insert(TEXTS['results.md'], floors.tables(rows_by_key('floors')), 'floors') == TEXTS['results.md']
    assert insert(TEXTS['refining.md'], refine.all_tables(rows_by_key('refine')), 'refine') == TEXTS['refining.md']
    assert insert(TEXTS['benchmarks.md'], benchmarks.table()) == TEXTS['benchmarks.md']
    assert insert(TEXTS['scaling.md'], cluster.table(rows_by_key('cluster')), 'cluster') == TEXTS['scaling.md']
