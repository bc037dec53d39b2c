"Files: whole or not at all."

import sys
from pathlib import Path

import pytest

from landmark_fastai.errors import UsageError
from landmark_fastai.files import (
    atomic,
    atomic_folder,
    check_replaceable,
    check_writable,
    remove_leftovers,
    write_text,
)


def test_new_file_is_in_place_with_nothing_beside_it(tmp_path):
    with atomic(tmp_path / 'log.csv') as temporary: temporary.write_text('a,b')
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [('log.csv', 'a,b')]


def test_old_content_stays_until_the_block_has_ended(tmp_path):
    path = tmp_path / 'best.pth'
    path.write_text('old')
    with atomic(path) as temporary:
        temporary.write_text('new')
        assert path.read_text() == 'old'
    assert path.read_text() == 'new'


@pytest.mark.parametrize('error', [OSError('disk full'), KeyboardInterrupt()])
def test_old_content_stays_when_the_block_raises(tmp_path, error):
    path = tmp_path / 'best.pth'
    path.write_text('old')
    with pytest.raises(type(error)), atomic(path) as temporary:
        temporary.write_text('half')
        raise error
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [('best.pth', 'old')]


def test_failed_first_write_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), atomic(tmp_path / 'best.pth') as temporary:
        temporary.write_text('half')
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_block_that_fails_before_writing_raises_its_own_error(tmp_path):
    with pytest.raises(ZeroDivisionError), atomic(tmp_path / 'best.pth'): raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('name', ['curve.png', 'all.gif', 'best.pth', 'a b.é.csv', 'no_suffix'])
def test_temporary_is_another_name_in_the_same_folder_with_the_same_suffix(tmp_path, name):
    path = tmp_path / name
    with atomic(path) as temporary:
        assert temporary.parent == tmp_path and temporary != path and temporary.suffix in (path.suffix, '.tmp')
        if path.suffix: assert temporary.suffix == path.suffix
        temporary.write_text('x')
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_parent_folders_are_made(tmp_path):
    with atomic(str(tmp_path / 'runs' / 'baseline' / 'log.csv')) as temporary: temporary.write_text('a')
    assert (tmp_path / 'runs' / 'baseline' / 'log.csv').read_text() == 'a'


def test_text_is_utf_8_and_replaces_a_longer_one(tmp_path):
    path = tmp_path / 'config.json'
    write_text(path, 'x' * 1000)
    write_text(path, 'Müller ±1 mm')
    assert path.read_bytes() == 'Müller ±1 mm'.encode()
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_there_comes_back_where_the_new_folder_cannot_take_its_place(tmp_path, monkeypatch):
    folder, rename = tmp_path / 'baseline', Path.rename
    folder.mkdir()
    (folder / 'best.pth').touch()
    def fail(path, target):
        if path.is_dir() and (path / 'new.pth').exists(): raise PermissionError('in use')  # as on a share
        return rename(path, target)
    monkeypatch.setattr(Path, 'rename', fail)
    with pytest.raises(PermissionError), atomic_folder(folder) as new: (new / 'new.pth').touch()
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob('*')] == ['baseline', 'baseline/best.pth']


@pytest.mark.parametrize('name', ['.', '../here', 'below/..'])
def test_the_folder_in_which_this_runs_is_not_replaced(tmp_path, monkeypatch, name):
    (tmp_path / 'here' / 'below').mkdir(parents=True)
    monkeypatch.chdir(tmp_path / 'here')
    with pytest.raises(UsageError, match='the folder in which this runs.*--target'):
        check_replaceable(Path(name), 'target')
    check_replaceable(Path('below'))
    with atomic_folder(Path('below/../below')) as new: (new / 'a').touch()
    assert (tmp_path / 'here' / 'below' / 'a').exists()


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path):
    folder = tmp_path / 'runs' / 'baseline'
    for content in ('old', 'new'):
        with pytest.raises(KeyboardInterrupt), atomic_folder(folder) as new:
            (new / 'half.txt').write_text(content)
            raise KeyboardInterrupt
        assert not folder.exists() if content == 'old' else [path.name for path in folder.iterdir()] == ['old.txt']
        with atomic_folder(folder) as new: (new / f'{content}.txt').touch()
        assert [path.name for path in folder.iterdir()] == [f'{content}.txt']
        assert list(folder.parent.iterdir()) == [folder]


def test_what_a_killed_process_has_left_goes_once_there_is_a_folder_and_nothing_of_others(tmp_path):
    end = f'{"0a" * 16}.tmp'
    mine, others = f'.run.{end}', (f'.run.2.{end}', f'.run_2.{end}', '.run.old.tmp', 'run_2')
    for name in (mine, *others): (tmp_path / name / 'weight').mkdir(parents=True)
    with atomic_folder(tmp_path / 'run'): pass
    assert (tmp_path / mine / 'weight').is_dir()  # it may be all that is left of an earlier run
    with atomic_folder(tmp_path / 'run'): pass
    assert {path.name for path in tmp_path.iterdir()} == {'run', *others}


def test_leftovers_of_a_killed_process_go_and_nothing_else(tmp_path):
    kept = tmp_path / 'fold_1' / 'weight.pth'
    for path in (kept, tmp_path / '.0a.tmp' / 'config.yaml', tmp_path / 'fold_1' / '.0b.tmp.png'):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.rglob('*')) == [kept.parent, kept]


@pytest.mark.parametrize('below', ['', 'sub', 'sub/deep'])
def test_a_file_is_no_folder_to_write_into(tmp_path, below):
    (tmp_path / 'a.csv').touch()
    with pytest.raises(UsageError, match='a.csv is a file, a folder was expected.*--output_dir'):
        check_writable(tmp_path / 'a.csv' / below)


def test_what_can_be_written_to_is_left_as_it_was(tmp_path):
    check_writable(tmp_path / 'new' / 'deep')
    check_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='/proc is a folder of Linux')
@pytest.mark.parametrize('folder', ['/proc/x', '/proc'])
def test_where_even_root_cannot_write_is_not_writable(folder):
    with pytest.raises(UsageError, match='/proc is not writable.*--output_dir'): check_writable(Path(folder))
