"Memory: kept between the steps of a fit, and given back after it."

import platform
import resource
from statistics import median
from types import SimpleNamespace

import pytest
import torch

from benchmarks.fixtures import in_child
from benchmarks.fixtures import memory as in_use
from landmark_fastai.training import memory

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
    "In a process of its own: faults of a block while memory is kept, and memory in use before and after, in blocks."
    keep = memory.KeepMemory()
    keep.learn = SimpleNamespace(dls=SimpleNamespace(device=torch.device('cpu')))
    torch.ones(1)
    before = in_use()
    keep.before_fit()
    kept = faults_of_a_block()
    most = in_use()
    keep.after_fit()
    return kept, [(m - before) * 2**20 / BLOCK for m in (most, in_use())]


@on_glibc
def test_memory_is_kept_during_a_fit_and_given_back_after_it():
    kept, (most, after) = in_child(measure)
    assert kept < PAGES / 10 and most > 0.9 and after < 0.1


def test_other_c_libraries_and_devices_are_left_alone(make_learner, monkeypatch):
    told = []
    class Library:
        def mallopt(self, option, value): told.append(option)
        def malloc_trim(self, pad): told.append('trim')
    monkeypatch.setattr(memory, 'GLIBC', Library())
    learn = make_learner()
    learn.fit(1, 1e-3)
    assert told == [*memory.KEEP, *memory.GIVE_BACK, 'trim']
    monkeypatch.setattr(memory, 'GLIBC', None)
    learn.fit(1, 1e-3)  # as on macOS
    assert len(told) == 6
