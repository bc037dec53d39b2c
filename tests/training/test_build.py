"What is noted of the images of a run."

from dataclasses import replace

import numpy as np
from helpers import annotated

from landmark_fastai.training.build import data_facts


def test_images_patients_and_labels_are_counted_and_none_is_named():
    known = annotated(np.full((5, 2, 2), 10.), spacing=[[0.1, 0.2], [0.3, 0.2], [np.nan] * 2, [0.2, 0.4], [0.2, 0.2]],
                      state=[[0, 0], [0, 1], [0, 2], [0, 2], [0, 2]])
    known = replace(known, sizes=np.array([[100, 90], [80, 200], [90, 90], [90, 90], [90, 90]]),
                    patient_id=list('aabcd'))
    found = data_facts(known, ['train', 'train', 'train', 'val', 'test'])
    assert list(found.sides.items()) == [('train', 3), ('val', 1), ('test', 1)]
    assert found.patients == {'train': 2, 'val': 1, 'test': 1}
    assert found.sizes == [[80, 90], [100, 200]] and found.spacing == [[0.1, 0.2], [0.3, 0.4]]
    assert found.spacing_sources == {'CSV': 4, '': 1} and found.labels == [[5, 0, 0], [1, 1, 3]]


def test_folds_are_in_their_order_and_what_is_not_known_is_not_there():
    found = data_facts(annotated(np.full((4, 1, 2), 10.)), ['cal', 'fold 10', 'fold 2', 'fold 1'])
    assert list(found.sides) == ['fold 1', 'fold 2', 'fold 10', 'cal']
    assert found.patients is None and found.spacing is None and found.spacing_sources == {'': 4}
