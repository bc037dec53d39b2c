"The tutorials: what is written is what is shown, and all of it runs."

import re

import nbformat
import pytest
from helpers import check_links

from docs.tutorials import FOLDER, ROOT, executed, kept_text, notebook_file, read, text, tutorials

each_tutorial = pytest.mark.parametrize('tutorial', tutorials(), ids=lambda tutorial: tutorial.stem)
LARGEST = 1.5e6  # bytes of a notebook, pictures included


def cells(notebook):
    "Kind and content of the cells of a notebook."
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


@each_tutorial
def test_a_notebook_is_its_tutorial_with_the_outputs(tutorial):
    notebook = nbformat.read(notebook_file(tutorial), as_version=4)
    nbformat.validate(notebook)
    assert cells(notebook) == cells(read(tutorial)), f'python -m docs.tutorials {tutorial.stem} writes it anew'
    code = [cell for cell in notebook.cells if cell.cell_type == 'code']
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not any(output.output_type == 'error' for cell in code for output in cell.outputs)


@each_tutorial
def test_outputs_are_small_and_tell_nothing_of_a_machine(tutorial):
    content = notebook_file(tutorial).read_text(encoding='utf-8')
    assert len(content) < LARGEST
    said = [line for line in content.splitlines() if '"image/png"' not in line]
    assert not re.findall(r'/(?:root|home|tmp|Users|usr)/\S*|Warning\b|\d it/s|\d+:\d\d left', '\n'.join(said))


@each_tutorial
def test_a_tutorial_begins_with_its_number_and_ends_with_where_to_go_on(tutorial):
    lines = text(tutorial).splitlines()
    assert lines[0].startswith(f'# {tutorial.stem[0]}. ')
    assert [line for line in lines if line.startswith('## ')][-1] == '## Where to go on'
    assert f'(docs/tutorials/{notebook_file(tutorial).name})' in (ROOT / 'README.md').read_text(encoding='utf-8')


@each_tutorial
def test_links_lead_to_pages_and_their_headings(tutorial):
    check_links(tutorial, text(tutorial))


def test_each_notebook_has_its_tutorial():
    assert {notebook_file(tutorial) for tutorial in tutorials()} == set(FOLDER.glob('*.ipynb'))


@pytest.mark.slow
@each_tutorial
def test_a_tutorial_runs(tutorial, tmp_path):
    executed(tutorial, tmp_path)


# --- what is kept

@pytest.mark.parametrize('said, kept', [
    ('epoch 1/2  radius 3  00:12 left\n', 'epoch 1/2  radius 3\n'),
    ('a\r\nb', 'a\nb'),
    ('on this CPU an epoch takes about 00:01 and all 9 about 00:09; x is faster\nb\n', 'b\n'),
    ('\x1b[31mred\x1b[0m', 'red'),
    ('<tr><th>dice</th>\n<th>time</th></tr><td>0.5</td><td>00:03</td>', '<tr><th>dice</th></tr><td>0.5</td>')])
def test_what_is_another_in_each_run_is_not_kept(said, kept): assert kept_text(said) == kept


def test_a_command_that_fails_in_a_cell_is_an_error(tmp_path):
    tutorial = tmp_path / '1_wrong.py'
    tutorial.write_text('# %%\n# !landmark-fastai trian --n_landmarks 2\n')
    with pytest.raises(RuntimeError, match="(?s)trian.*'trian' is no command"): executed(tutorial, tmp_path)
