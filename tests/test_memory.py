"Memory: kept between the steps of a fit, and given back after it."

import platform
import resource

import pytest
import torch
from fastai.callback.core import Callback

from landmark_fastai import memory

on_glibc = pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='only glibc can be told to keep memory')
BLOCK = 2 ** 26  # bytes, more than glibc ever keeps by itself
PAGES = BLOCK // resource.getpagesize()


def faults_of_a_block():
    "How many pages the system hands out, at least, for a large block that is written to and freed several times."
    faults = []
    for _ in range(4):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(BLOCK, dtype=torch.uint8)
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    return min(faults)


class Blocks(Callback):
    "Faults of a block after each batch."
    def __init__(self): self.faults = []

    def after_batch(self): self.faults.append(faults_of_a_block())


@on_glibc
def test_a_fit_keeps_its_memory_and_gives_it_back(make_learner):
    learn, blocks = make_learner(), Blocks()
    learn.fit(1, 1e-3, cbs=blocks)
    assert min(blocks.faults) < PAGES / 10  # not in each batch: between two, others may take what was kept
    assert faults_of_a_block() > PAGES / 2


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
