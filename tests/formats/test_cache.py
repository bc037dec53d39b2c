"Squares are made once, and a square of another image, or half of one, is never used."

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest

from landmark_fastai.errors import UsageError
from landmark_fastai.formats import cache
from landmark_fastai.formats.cache import SquareCache, choose_place, clear_cache, read_square

SHAPE = 4, 4
GB = 10 ** 9


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    "A cache folder of the test's own."
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'home'))
    return tmp_path / 'home' / 'landmark_fastai' / 'squares'


@pytest.fixture
def paths(tmp_path):
    "Three files, whose 'squares' are filled with their first byte."
    made = [tmp_path / f'{k}.png' for k in range(3)]
    for k, path in enumerate(made): path.write_bytes(bytes([k + 1]))
    return made


class Maker:
    "Makes squares and remembers of what."
    def __init__(self): self.asked = []

    def __call__(self, path):
        self.asked.append(path)
        return np.full(SHAPE, path.read_bytes()[0], np.uint8)


def filled(paths, place, shape=SHAPE):
    "A cache that has just been filled with `paths`, and what makes its squares."
    maker = Maker()
    squares = SquareCache(maker, shape, place)
    squares.fill(paths, [path.name for path in paths])
    return squares, maker


@pytest.mark.parametrize('place', ['ram', 'disk'])
def test_each_square_is_made_once(paths, place):
    squares, maker = filled(paths, place)
    for _ in range(3):
        for k, path in enumerate(paths): np.testing.assert_array_equal(squares[path], np.full(SHAPE, k + 1))
    assert sorted(maker.asked) == paths


def test_without_a_cache_each_look_makes_the_square_anew_and_all_are_tried_first(paths):
    squares, maker = filled(paths, 'none')
    assert sorted(maker.asked) == paths
    assert squares[paths[1]][0, 0] == squares[paths[1]][0, 0] == 2
    assert len(maker.asked) == 5 and not squares.kept.get(paths[1])


def test_a_second_run_finds_the_squares_of_the_first_on_disk(paths):
    filled(paths, 'disk')
    squares, maker = filled(paths, 'disk')
    assert squares[paths[2]][0, 0] == 3 and not maker.asked


@pytest.mark.parametrize('content, time', [([9, 9], 0), ([9], 1)])  # another size, another time
def test_a_changed_image_is_noticed(paths, content, time):
    os.utime(paths[0], (0, 0))
    filled(paths, 'disk')
    paths[0].write_bytes(bytes(content))
    os.utime(paths[0], (time, time))
    squares, maker = filled(paths, 'disk')
    assert maker.asked == [paths[0]] and squares[paths[0]][0, 0] == 9


def test_another_image_size_colour_or_format_is_another_square(paths, monkeypatch):
    filled(paths, 'disk')
    for shape in ((8, 8), (4, 4, 3)): assert filled(paths, 'disk', shape)[1].asked
    monkeypatch.setattr(cache, 'FORMAT', cache.FORMAT + 1)
    assert len(filled(paths, 'disk')[1].asked) == 3


def test_an_image_of_the_same_name_elsewhere_is_another_square(paths, tmp_path):
    filled(paths, 'disk')
    other = tmp_path / 'other' / paths[0].name
    other.parent.mkdir()
    other.write_bytes(bytes([7]))
    os.utime(other, ns=(paths[0].stat().st_mtime_ns,) * 2)
    assert filled([other], 'disk')[0][other][0, 0] == 7


def test_half_a_square_is_never_used(paths, folder):
    filled(paths, 'disk')
    for file in folder.rglob('*'):
        if file.is_file(): file.write_bytes(file.read_bytes()[:7])
    squares, maker = filled(paths, 'disk')
    assert sorted(maker.asked) == paths and squares[paths[0]][3, 3] == 1


def test_a_run_that_is_stopped_while_it_writes_leaves_no_square(paths, folder, monkeypatch):
    def stopped(*_): raise KeyboardInterrupt
    with monkeypatch.context() as patch:
        patch.setattr('landmark_fastai.files.os.replace', stopped)
        with pytest.raises(KeyboardInterrupt): filled(paths, 'disk')
    assert not [file for file in folder.rglob('*') if file.is_file()]
    assert len(filled(paths, 'disk')[1].asked) == 3


def test_what_was_made_before_an_interruption_is_kept(paths):
    broken = Maker()
    def fail_at_the_last(path):
        if path == paths[2]: raise UsageError(f'{path}: broken')
        return broken(path)
    with pytest.raises(UsageError): SquareCache(fail_at_the_last, SHAPE, 'disk').fill(paths, list('abc'))
    assert filled(paths, 'disk')[1].asked == [paths[2]]


def test_a_square_that_is_removed_meanwhile_is_made_anew(paths):
    squares, maker = filled(paths, 'disk')
    clear_cache()
    assert squares[paths[1]][0, 0] == 2 and maker.asked.count(paths[1]) == 2
    clear_cache()  # nothing there is no mistake


def test_another_run_may_clear_the_cache_while_this_one_fills_it(paths, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr('landmark_fastai.files.os.replace', lambda *_: (clear_cache(), os.stat('gone'))[1])
        squares, _ = filled(paths, 'disk')
    assert [squares[path][0, 0] for path in paths] == [1, 2, 3]


def test_a_broken_file_is_named_by_its_place_in_the_csv(paths):
    def fail(path): raise UsageError(f'{path.name}: cannot be read')
    for place in ('ram', 'disk', 'none'):
        with pytest.raises(UsageError, match='^csv, row 2: 0.png: cannot be read$'):
            SquareCache(fail, SHAPE, place).fill(paths, ['csv, row 2', 'csv, row 3', 'csv, row 4'])


FILL = """
import sys, numpy as np
from pathlib import Path
from landmark_fastai.formats.cache import SquareCache
folder = Path(sys.argv[1])
paths = [folder / f'{k}.film' for k in range(200)]
squares = SquareCache(lambda path: np.full((64, 64), path.read_bytes()[0], np.uint8), (64, 64), 'disk')
squares.fill(paths, paths)
assert all((squares[path] == k).all() for k, path in enumerate(paths))
assert 'torch' not in sys.modules
"""


def test_two_runs_may_start_at_once(tmp_path, folder):
    for k in range(200): (tmp_path / f'{k}.film').write_bytes(bytes([k]))
    command = [sys.executable, '-c', FILL, str(tmp_path)]
    with ThreadPoolExecutor() as pool: runs = list(pool.map(lambda _: subprocess.run(command), range(2)))
    assert [run.returncode for run in runs] == [0, 0]
    files = [file for file in folder.rglob('*') if file.is_file()]
    assert len(files) == 200 and not [file for file in files if file.name.startswith('.')]
    assert all(len(np.unique(read_square(file, (64, 64)))) == 1 for file in files)


@pytest.mark.skipif(os.name == 'nt', reason='Windows has other rights')
def test_images_of_patients_are_for_the_eyes_of_the_user_alone(paths, folder):
    filled(paths, 'disk')
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_cache_folder_that_cannot_be_written_is_a_clear_error(paths, tmp_path):
    (tmp_path / 'home').write_text('no folder')
    with pytest.raises(UsageError, match='home.* not writable .*--cache ram'): filled(paths, 'disk')


# --- where

def test_auto_takes_memory_while_half_of_it_is_enough(monkeypatch):
    monkeypatch.setattr(psutil, 'virtual_memory', lambda: type('Memory', (), {'available': 8 * GB}))
    monkeypatch.setattr(cache, 'free_space', lambda folder: 100 * GB)
    assert choose_place('auto', 4 * GB, 4 * GB) == 'ram'
    assert choose_place('auto', 4 * GB + 1, 4 * GB + 1) == 'disk'
    assert choose_place('auto', 100 * GB + 1, 100 * GB + 1) == 'none'
    assert choose_place('auto', 100 * GB + 1, 100 * GB) == 'disk'  # what is there already needs no space
    assert [choose_place(mode, 10 ** 15, 10 ** 15) for mode in ('ram', 'disk', 'none')] == ['ram', 'disk', 'none']


def test_squares_that_are_on_disk_already_need_no_space(paths, monkeypatch):
    asked = []
    monkeypatch.setattr(cache, 'choose_place', lambda *args: asked.append(args) or 'disk')
    for there in ([], paths[:2], paths):
        squares, _ = filled(there, 'disk')
        assert squares.allocate('auto', paths) == 48 and squares.place == 'disk'
    assert asked == [('auto', 48, 48), ('auto', 48, 16), ('auto', 48, 0)]


def test_processes_of_one_machine_share_one_copy(monkeypatch):
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '2')
    assert choose_place('auto', 100, 100) == 'disk'


def test_a_folder_that_cannot_be_written_has_no_space(tmp_path, monkeypatch):
    assert cache.free_space(tmp_path / 'not' / 'yet') > 0
    monkeypatch.setattr(os, 'access', lambda *_: False)
    assert cache.free_space(tmp_path) == 0
