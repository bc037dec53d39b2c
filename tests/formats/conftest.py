"Small annotation CSVs, and a process that has said nothing yet."

import warnings
from dataclasses import replace

import pytest
from helpers import HEADER

from landmark_fastai.formats import images
from landmark_fastai.formats.annotations import read_annotations


@pytest.fixture
def csv_file(tmp_path):
    "A function that writes lines to a CSV and returns its path."
    def write(*lines):
        path = tmp_path / 'train.csv'
        path.write_text('\n'.join(lines) + '\n', encoding='utf-8')
        return path
    return write


@pytest.fixture
def annotated(csv_file):
    "A function that makes annotations of n images, or of one image for each given patient or side."
    def make(n=None, **columns):
        n = n or len(next(iter(columns.values())))
        base = read_annotations(csv_file(HEADER, *(f'{i}.png,100,200,2,1,2,3,4' for i in range(n))))
        return replace(base, **columns)
    return make


@pytest.fixture
def fresh_process(monkeypatch):
    "Nothing has been said yet, and nothing is said unasked."
    monkeypatch.setattr(images, '_said', set())
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        yield
