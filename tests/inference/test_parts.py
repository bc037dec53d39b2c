"Parts of predictions as Parquet: what is read is what was written, to the last bit."

import numpy as np
import pytest
from helpers import predicted, refused

from landmark_fastai.errors import UsageError
from landmark_fastai.formats.annotations import ABSENT, UNLABELLED, VISIBLE
from landmark_fastai.inference.parts import add_file, add_part, job_of, to_parquet
from landmark_fastai.inference.predictions import ImageFacts, Predictions
from landmark_fastai.inference.predictor import Prediction

pytest.importorskip('pyarrow', reason='pyarrow, which comes with Ray, is not installed')
NAMES = ['ä/1.png', '=2.png', 'bad.png']


@pytest.fixture
def whole():
    "Predictions of two images, and one that failed."
    both = predicted([[[1 / 3, 2e-17], [np.nan, np.nan]], [[5, 6], [7, 8]]], [[VISIBLE, ABSENT], [UNLABELLED, VISIBLE]],
                     confidence=0.1 + 0.2, spread=np.pi)
    both = both._replace(state=both.state.astype(np.uint8), stage=np.array([['first', ''], ['both', 'refined']]))
    predictions = Predictions(['head', 'knee'], NAMES)
    for name, spacing, *prediction in zip(NAMES, ((0.1, 0.2), (np.nan, np.nan)), *both, strict=False):
        predictions.add(name, Prediction(*prediction), ImageFacts(spacing, 'DICOM' * (name == '=2.png'), None),
                        [1 / 7, 0., 1., 2.])
    predictions.failed['bad.png'] = UsageError('bad.png: cut\noff')
    return predictions


def test_a_part_holds_everything_to_the_last_bit(whole):
    read = Predictions(whole.names, NAMES)
    add_part(read, to_parquet(whole, 'a job'), set(NAMES))
    assert read.done == whole.done == NAMES[:2] and read.looks == whole.looks
    for field, mine, theirs in zip(Prediction._fields, whole.stacked(), read.stacked(), strict=True):
        assert mine.shape == theirs.shape and (theirs.dtype == mine.dtype or field == 'stage'), field
        np.testing.assert_array_equal(theirs, mine)
    for name, facts in whole.facts.items():
        np.testing.assert_array_equal(read.facts[name].spacing, facts.spacing)
        assert read.facts[name][1:] == facts[1:]
    assert read.failed == {'bad.png': 'bad.png: cut off'}


def test_a_part_adds_nothing_twice_and_nothing_else(whole):
    part = to_parquet(whole, 'a job')
    read, left = Predictions(whole.names, NAMES[1:]), {*NAMES[1:], 'later.png'}
    add_part(read, part, left)
    kept = read.found[NAMES[1]]
    add_part(read, part, left)
    assert left == {'later.png'} and list(read.failed) == ['bad.png']
    assert read.found[NAMES[1]] is kept and NAMES[0] not in read.found


def test_a_part_of_failures_alone_is_one():
    nothing = Predictions(['head'], ['a.png'], failed={'a.png': 'broken'})
    read = Predictions(['head'], ['a.png'])
    add_part(read, to_parquet(nothing, ''), {'a.png'})
    assert read.failed == nothing.failed and not len(read)


def test_the_file_of_a_part_tells_its_job_and_one_that_is_broken_is_named(whole, tmp_path):
    path, part = tmp_path / '000001.parquet', to_parquet(whole, 'a job')
    path.write_bytes(part)
    assert job_of(path) == 'a job'
    read = Predictions(whole.names, NAMES)
    add_file(read, path, set(NAMES))
    assert read.done == whole.done
    for broken in (part[:-20], b''):
        path.write_bytes(broken)
        refused([str(path), 'cannot be read', 'remove it'], job_of, path)
        refused([str(path), 'cannot be read', 'remove it'], add_file, read, path, set(NAMES))
