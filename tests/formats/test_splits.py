"Which images train, validate and test: never a patient on two sides."

import numpy as np
import pytest

from landmark_fastai.errors import UsageError
from landmark_fastai.formats.splits import split_folds, split_rows


@pytest.mark.parametrize('n, fraction, n_val', [
    (10, 0.2, 2), (11, 0.2, 3), (10, 0.3, 3), (100, 0.07, 7), (2, 0.2, 1), (2, 0.9, 1), (10, 0.99, 9)])
def test_split_sizes(annotated, n, fraction, n_val):
    sides = split_rows(annotated(n), val_fraction=fraction)
    assert (sides == 'val').sum() == n_val and (sides == 'train').sum() == n - n_val


def test_the_seed_alone_decides_the_split(annotated):
    annotations = annotated(40)
    first, again, other = (split_rows(annotations, seed=seed) for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()


@pytest.mark.parametrize('seed', range(20))
def test_whole_patients_are_drawn_until_there_are_enough(annotated, seed):
    patients = list('aaaabbbccd') + list('efghijklmn')
    sides = split_rows(annotated(patient_id=patients), seed=seed)
    val = {p for p, side in zip(patients, sides, strict=True) if side == 'val'}
    train = {p for p, side in zip(patients, sides, strict=True) if side == 'train'}
    assert not val & train and train and val | train == set(patients)
    n_val = (sides == 'val').sum()
    assert n_val >= 4 and any(n_val - patients.count(p) < 4 for p in val)


@pytest.mark.parametrize('seed', range(8))
def test_training_keeps_a_patient_however_large_the_fraction(annotated, seed):
    sides = split_rows(annotated(patient_id=list('aaaaaaaab')), val_fraction=0.95, seed=seed)
    assert set(sides) == {'train', 'val'}


@pytest.mark.parametrize('n_known, n_val', [(0, 3), (5, 3), (8, 2), (10, 3)])
def test_what_has_trained_before_validates_only_where_there_is_nothing_else(annotated, n_known, n_val):
    annotations = annotated(10)
    trained = annotations.image_names[:n_known]
    for seed in range(5):
        sides = split_rows(annotations, 0.3, seed, trained)
        assert (sides == 'val').sum() == n_val and ((sides[:n_known] == 'val').any() == (n_known == 10))


def test_a_patient_of_whom_one_image_has_trained_before_does_not_validate(annotated):
    annotations = annotated(patient_id=list('aabbc'))
    assert split_rows(annotations, 0.2, 0, annotations.image_names[:3:2]).tolist() == ['train'] * 4 + ['val']


def test_the_split_column_wins(annotated):
    given = ['val', 'train', 'test', 'train']
    assert split_rows(annotated(split=given), val_fraction=0.9).tolist() == given


@pytest.mark.parametrize('columns, words', [
    ({'n': 1}, 'only one image, expected at least 2'),
    ({'patient_id': ['p', 'p', 'p']}, 'only one patient, expected at least 2'),
    ({'patient_id': ['p']}, 'only one image'),
    ({'split': ['train', 'test']}, 'no row has split val'),
    ({'split': ['val', 'test']}, 'no row has split train')])
def test_what_cannot_be_split_is_told(annotated, columns, words):
    with pytest.raises(UsageError, match=f'train.csv: {words}'): split_rows(annotated(**columns))


@pytest.mark.parametrize('fraction', [0, 1, -0.2, 20])
def test_a_fraction_is_between_0_and_1(annotated, fraction):
    with pytest.raises(UsageError, match=f'val_fraction is {fraction}'): split_rows(annotated(4), val_fraction=fraction)


# folds

@pytest.mark.parametrize('n, n_folds, sizes', [(10, 5, [2] * 5), (11, 3, [3, 4, 4]), (4, 4, [1] * 4)])
def test_folds_are_of_equal_size_and_each_image_is_in_one(annotated, n, n_folds, sizes):
    folds = split_folds(annotated(n), n_folds)
    assert sorted(np.bincount(folds)[1:]) == sizes and folds.min() == 1 and folds.max() == n_folds


def test_a_patient_is_in_one_fold(annotated):
    patients = list('aaaabbbccddefghi')
    folds = split_folds(annotated(patient_id=patients), 4)
    where = {p: {f for f, q in zip(folds, patients, strict=True) if p == q} for p in patients}
    assert all(len(fold) == 1 for fold in where.values()) and np.bincount(folds).tolist() == [0, 4, 4, 4, 4]


def test_images_to_test_are_in_no_fold(annotated):
    split = ['train', 'test', 'val', 'train', 'test', 'val']
    folds = split_folds(annotated(split=split), 2)
    assert [fold == 0 for fold in folds] == [side == 'test' for side in split]


def test_the_seed_alone_decides_the_folds(annotated):
    first, again, other = (split_folds(annotated(40), 5, seed) for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()


@pytest.mark.parametrize('columns, n_folds, words', [
    ({'n': 4}, 5, 'folds is 5; train.csv has 4 images to train on, expected 2 to 4'), ({'n': 4}, 1, 'folds is 1'),
    ({'patient_id': list('aab')}, 3, 'has 2 patients to train on')])
def test_impossible_folds_are_told(annotated, columns, n_folds, words):
    with pytest.raises(UsageError, match=words): split_folds(annotated(**columns), n_folds)
