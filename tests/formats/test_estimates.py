"What predictions.csv says of points is read back."

import numpy as np
import pytest
from helpers import annotated

from landmark_fastai.errors import UsageError
from landmark_fastai.formats.annotations import read_annotations, read_readers, write_annotations
from landmark_fastai.formats.estimates import read_bounds, read_estimates


@pytest.fixture
def written(tmp_path):
    "A CSV of two images with two landmarks, their bounds, and how often these hold."
    path = tmp_path / 'predictions.csv'
    write_annotations(path, annotated([[[1, 2], [3, 4]]] * 2), {'bound': np.array([[1.5, np.nan], [2, 3]])}, 0.95)
    return path


def test_bounds_and_their_level(written, recwarn):
    annotations = read_annotations(written)
    assert read_estimates(annotations, 'bound') == pytest.approx(np.array([[1.5, np.nan], [2, 3]]), nan_ok=True)
    assert np.isnan(read_estimates(annotations, 'confidence')).all()
    assert read_bounds(annotations).level.tolist() == [0.95, 0.95] and not recwarn.list
    assert read_estimates(annotations.subset([1]), 'bound').tolist() == [[2, 3]]


def test_of_a_reader_those_of_the_readers_rows(written):
    lines = written.read_text().splitlines()
    readers = 'reader', 'AB', 'CD'
    written.write_text('\n'.join(map(','.join, zip(lines, readers, strict=True))))
    found = {reader: read_estimates(each, 'bound')[0, 0] for reader, each in read_readers(written).items()}
    assert found == {'AB': 1.5, 'CD': 2}


@pytest.mark.parametrize('old, new, words', [('1.500', 'wide', ['row 2', 'a_bound', "'wide'"]),
                                             ('0.95', '95', ['row 2', 'bound_level', '95'])])
def test_what_is_no_number_is_told(written, old, new, words):
    written.write_text(written.read_text().replace(old, new))
    annotations = read_annotations(written)
    with pytest.raises(UsageError) as caught:
        read_estimates(annotations, 'bound')
        read_bounds(annotations)
    assert all(word in str(caught.value) for word in words), caught.value
