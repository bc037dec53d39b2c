"What is noted of the images of a run."

from dataclasses import replace

import numpy as np
from helpers import annotated, write_dots

from landmark_fastai.config import TrainConfig
from landmark_fastai.formats.annotations import read_annotations
from landmark_fastai.inference.shape_model import learn_shape
from landmark_fastai.training.build import data_facts
from landmark_fastai.training.folds import prepare
from landmark_fastai.training.run import prepare as prepare_run


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


def test_the_shape_is_that_of_the_images_that_are_trained_on(tmp_path):
    csv_file, images = write_dots(tmp_path, 16, 'abcd', split=['train'] * 12 + ['val'] * 3 + ['test'])
    config = TrainConfig(train_image_dir=images, label_dir=tmp_path, train_csv_file=csv_file.name,
                         output_dir=tmp_path, device='cpu', image_resize=64, encoder_name='resnet18',
                         encoder_weights='none')
    points = read_annotations(csv_file).points
    assert prepare_run(config, 'cpu', None)[1].shape == learn_shape(points[:12])
    original = replace(config, shape=False)
    assert prepare_run(original, 'cpu', None)[1].shape is None
    fold_of = np.arange(16) % 4  # 0 is in no fold
    facts = prepare(replace(config, folds=3), fold_of)[1]
    assert facts.shape == learn_shape(points[fold_of > 0]) is not None
    assert prepare(replace(original, folds=3), fold_of)[1].shape is None
