"Memory: what is freed is kept by a process that asks for it, and by no other."

import platform
import resource
from statistics import median

import pytest
import torch

from benchmarks.fixtures import in_child
from landmark_fastai import UsageError, cli, train
from landmark_fastai.training import memory
from landmark_fastai.training.memory import keep_freed_memory

on_glibc = pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='only glibc can be told to keep memory')
BLOCK = 2 ** 26  # bytes, more than glibc ever keeps by itself
PAGES = BLOCK // resource.getpagesize()


def faults_of_a_block():
    "How many pages the system hands out, in the median, for a large block that is written to and freed several times."
    faults = []
    for _ in range(32):  # glibc fits an aligned block into the gap of its like only after up to eight attempts
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(BLOCK, dtype=torch.uint8)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    return median(faults)


def measure():
    "In a process of its own: faults of a block after everything is imported, and once memory is kept."
    import landmark_fastai.all  # noqa: F401
    imported = faults_of_a_block()
    keep_freed_memory()
    return imported, faults_of_a_block()


@pytest.mark.slow
@on_glibc
def test_memory_is_kept_once_that_is_asked_for_and_no_import_asks():
    imported, kept = in_child(measure)
    assert imported > PAGES / 2 and kept < PAGES / 10


def test_other_c_libraries_are_left_alone(monkeypatch):
    asked = []
    class Library:  # as on macOS
        def mallopt(self, option, value): asked.append(option)
    monkeypatch.setattr(memory.ctypes, 'CDLL', lambda name: Library())
    keep_freed_memory()
    assert not asked
    Library.gnu_get_libc_version = None
    keep_freed_memory()
    assert asked == [memory.MMAP_MAX, memory.TRIM_THRESHOLD]


def test_only_the_command_line_asks_where_networks_run(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(memory, 'keep_freed_memory', lambda: asked.append('keep'))
    nowhere = str(tmp_path / 'nowhere')
    for command in ('train', 'find_lr', 'check'): assert cli.main([command, '--label_dir', nowhere]) == 2
    folders = ['--image_dir', nowhere, '--output_dir', nowhere]
    assert cli.main(['predict', *folders]) == cli.main(['evaluate', *folders, '--csv', nowhere]) == 2
    with pytest.raises(UsageError): train(label_dir=tmp_path / 'nowhere')
    assert asked == ['keep'] * 4
