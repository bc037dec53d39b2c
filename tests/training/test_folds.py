"Cross-validation: each image is judged by the model that did not see it, and the folds together are an ensemble."

import json
import shutil
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from helpers import TINY, write_dots

from landmark_fastai import UsageError, cli, load
from landmark_fastai.config import read_config
from landmark_fastai.evaluation.validation import evaluate_again, evaluate_folds
from landmark_fastai.files import write_text
from landmark_fastai.flags import to_yaml
from landmark_fastai.formats.annotations import read_annotations
from landmark_fastai.model.facts import FIRST, FOLDS, read_facts
from landmark_fastai.training import folds
from landmark_fastai.training.train import train

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def validated(tmp_path_factory):
    "A cross-validation of nine dots by three patients, and one film to test: its folder. Not to be changed."
    folder = tmp_path_factory.mktemp('folds')
    split = ['train'] * 6 + ['val'] * 3 + ['test']
    csv_file, images = write_dots(folder, patient_id=list('aaabbbcccd'), split=split)
    table = pd.read_csv(csv_file)
    table.loc[0, ['head_x', 'head_y']] = -1  # absent
    table.to_csv(csv_file, index=False)
    return run_folds(csv_file, images, folder / 'runs')


def run_folds(csv_file, images, output_dir, *argv):
    "Cross-validate from the command line with three folds; returns the folder."
    assert cli.main(['train', '--train_image_dir', str(images), '--label_dir', str(csv_file.parent),
                     '--train_csv_file', csv_file.name, '--output_dir', str(output_dir), *TINY, '--epochs', '1',
                     '--folds', '3', *argv]) == 0
    return output_dir / 'baseline'


def test_every_fold_is_a_whole_run_and_no_patient_is_on_both_sides(validated):
    folds = pd.read_csv(validated / 'split.csv', index_col='image_name')
    assert folds.split.value_counts().to_dict() == {'train': 9, 'test': 1} and folds.fold['dot_9.png'] == 0
    assert sorted(folds.fold[folds.split == 'train'].value_counts()) == [3, 3, 3]
    for k in (1, 2, 3):
        split = pd.read_csv(validated / f'fold_{k}' / 'split.csv', index_col='image_name').split
        assert (split == 'val').equals(folds.fold == k) and split['dot_9.png'] == 'test'
        assert (validated / f'fold_{k}' / 'report.html').is_file()
        assert len({'aaabbbccc'[int(name[4])] for name in split.index[split == 'val']}) == 1


def test_images_that_are_in_no_fold_are_called_as_the_csv_calls_them():
    annotations, fold_of = SimpleNamespace(split=['train', 'cal', 'val', 'test']), np.array([1, 0, 2, 0])
    assert folds.sides_of(annotations, fold_of).tolist() == ['train', 'cal', 'train', 'test']
    assert folds.fold_split(fold_of, 2).tolist() == ['train', 'test', 'val', 'test']


def test_each_image_is_judged_by_the_model_that_did_not_see_it(validated):
    together = pd.read_csv(validated / 'cross_validation' / 'predictions.csv', index_col='image_name')
    each = [pd.read_csv(validated / f'fold_{k}' / 'validation' / 'predictions.csv', index_col='image_name')
            for k in (1, 2, 3)]
    pd.testing.assert_frame_equal(together.sort_index(), pd.concat(each).sort_index())
    summary = json.loads((validated / 'cross_validation' / 'summary.json').read_text())
    means = [pd.read_csv(validated / f'fold_{k}' / 'validation' / 'distances.csv') for k in (1, 2, 3)]
    distances = pd.concat(means)[['head_px', 'knee_px']].to_numpy()
    assert summary['n_images'] == 9
    assert summary['overall']['px']['mean'] == pytest.approx(np.nanmean(distances), abs=1e-3)


def test_what_one_model_knows_of_a_landmark_is_said_of_all(validated, tmp_path):
    "head is absent on one image, so one of the models has never seen it absent; knee is flat in another."
    known = [read_facts(validated / f'fold_{k}').presence for k in (1, 2, 3)]
    assert sorted(known) == [[], ['head'], ['head']] and read_facts(validated).presence == ['head']
    annotations = read_annotations(validated.parents[1] / 'annotation.csv').subset(range(9))
    evaluations = []
    for k in (1, 2, 3):
        of_fold = pd.read_csv(validated / f'fold_{k}' / 'split.csv').split
        rows = annotations.subset(np.flatnonzero(of_fold[:9] == 'val'))
        evaluation = evaluate_again(config_of(validated / f'fold_{k}'), rows)
        facts = replace(evaluation.predictor.facts, flat=['knee'] if k == 2 else [])
        evaluations.append(replace(evaluation, predictor=evaluation.predictor.with_facts(facts)))
    config = replace(read_config(validated), output_dir=str(tmp_path), experiment_name='again')
    folds = pd.read_csv(validated / 'split.csv').fold.to_numpy()[:9]
    before = [asdict(evaluation.predictor.facts) for evaluation in evaluations]
    write_text(config.folder / 'config.yaml', to_yaml(config))
    summary = evaluate_folds(config, read_facts(validated), annotations, folds, evaluations, annotations.new_empty())
    assert before == [asdict(evaluation.predictor.facts) for evaluation in evaluations]
    assert read_facts(config.folder).flat == ['knee']
    assert any('knee' in note and 'no place' in note for note in
               json.loads((config.folder / 'cross_validation' / 'summary.json').read_text())['notes'])
    assert summary['overall']['n_absent'] == 1  # scored, by the model that cannot tell it, too


def config_of(run):
    "The flags of `run`, in the folder where it lies."
    return replace(read_config(run), output_dir=str(run.parent), experiment_name=run.name)


def test_bounds_are_from_the_images_that_a_fold_has_not_seen(validated):
    known = read_facts(validated).bounds
    table = pd.read_csv(validated / 'cross_validation' / 'distances.csv')
    assert known.keys() == {FIRST} and known[FIRST].source == FOLDS
    # images of a patient are no independent ones: three patients
    assert len(known[FIRST].scores[1]) == 3 and len(known[FIRST].looks) == len(table) == 9
    assert {len(look) for look in known[FIRST].looks} == {3}  # the ensemble expects other errors than its models
    assert np.isnan(load(validated).predict(sorted((validated.parents[1] / 'images').iterdir())[:2]).bound).all()


def test_the_model_card_tells_of_all_folds(validated):
    text = (validated / 'model_card.md').read_text(encoding='utf-8')
    assert '| fold 2 | 3 | 1 | validated one network, and trained the others |' in text
    assert '| test | 1 | 1 | took no part |' in text and '| head | 9 | 1 | 0 | yes |' in text
    assert 'Measured on the 9 images of all folds' in text and 'The errors are of 3 patients' in text
    assert (validated / 'fold_2' / 'model_card.md').is_file()


def test_one_table_has_a_row_for_each_fold(validated, capsys, tmp_path):
    report = (validated / 'report.html').read_text()
    assert 'cross-validation with 3 folds' in report and '<h2>Folds</h2>' in report
    assert all(f'<td>fold {k}</td>' in report for k in (1, 2, 3))


def test_the_folds_are_an_ensemble(validated, tmp_path, capsys):
    images = validated.parents[1] / 'images'
    model = load(validated)
    assert len(model.engine.models) == 3 and model.engine.network.can_be_absent.tolist() == [True, False]
    assert cli.main(['predict', '--model', str(validated), '--image_dir', str(images), '--output_dir',
                     str(tmp_path / 'found')]) == 0
    assert 'Spread of the models, mean in original px: ' in capsys.readouterr().out
    found = pd.read_csv(tmp_path / 'found' / 'predictions.csv')
    assert found.knee_spread.notna().all() and (found.knee_spread > 0).any()
    assert cli.main(['evaluate', '--model', str(validated), '--image_dir', str(images), '--csv',
                     str(validated.parents[1] / 'annotation.csv'), '--split', 'test', '--output_dir',
                     str(tmp_path / 'tested')]) == 0
    assert 'spread, px' in capsys.readouterr().out
    with pytest.raises(UsageError, match='ensemble of 3 models is not trained on'): model.learner()


def test_a_fold_that_is_missing_is_named(validated, tmp_path):
    for name in ('config.yaml', 'model.json'): shutil.copy(validated / name, tmp_path)
    with pytest.raises(UsageError, match='fold_1'): load(tmp_path)


def test_mistakes_leave_an_earlier_cross_validation_alone(tmp_path, capsys):
    csv_file, images = write_dots(tmp_path, n=6)
    folder = run_folds(csv_file, images, tmp_path / 'runs', '--batch_size', '2')
    before = sorted(folder.rglob('*'))
    arguments = dict(train_image_dir=images, label_dir=tmp_path, train_csv_file=csv_file.name, folds=3,
                     output_dir=tmp_path / 'runs', image_resize=64, encoder_weights='none')
    for wrong, words in ((dict(), 'exists; pass --overwrite'), (dict(overwrite=True, folds=7), 'folds is 7'),
                         (dict(overwrite=True, batch_size=5), 'batch_size is 5'),
                         (dict(overwrite=True, batch_size=2, encoder_name='resnet17'), 'resnet17')):
        with pytest.raises(UsageError, match=words): train(**arguments | wrong)
    assert sorted(folder.rglob('*')) == before


@pytest.mark.parametrize('patients, argv, words', [
    ('aaaaabbbbcccc', ['--batch_size', '6'], 'batch_size is 6, but the training set has 5 images'),
    ('aaaaabbbbcccc', ['--batch_size', '5', '--refine'], 'an epoch of the second stage has 7 crops')])
def test_a_later_fold_that_cannot_be_trained_is_told_before_the_first(tmp_path, capsys, patients, argv, words):
    csv_file, images = write_dots(tmp_path, n=13, patient_id=list(patients))
    table = pd.read_csv(csv_file)
    table.loc[:2, ['knee_x', 'knee_y']] = np.nan
    table.to_csv(csv_file, index=False)
    flags = [*TINY, '--epochs', '1']
    assert cli.main(['train', '--train_image_dir', str(images), '--label_dir', str(tmp_path), '--train_csv_file',
                     csv_file.name, '--output_dir', str(tmp_path / 'runs'), *flags, '--folds', '2', *argv]) == 2
    assert words in capsys.readouterr().err and not (tmp_path / 'runs').exists()


def test_a_cross_validation_that_was_stopped_goes_on(dots, tmp_path, monkeypatch):
    arguments = dict(train_image_dir=dots[1], label_dir=dots[0].parent, train_csv_file=dots[0].name, folds=2, epochs=2,
                     output_dir=tmp_path, image_resize=64, batch_size=4, encoder_weights='none',
                     encoder_name='timm-mobilenetv3_small_minimal_100')
    whole = train(**arguments, experiment_name='whole')
    once, trained = folds.train_run, []
    def stop_at_second(config, split, cbs):
        trained.append(config.experiment_name)
        if trained == ['fold_1', 'fold_2']: raise KeyboardInterrupt
        return once(config, split, cbs)
    monkeypatch.setattr(folds, 'train_run', stop_at_second)
    with pytest.raises(KeyboardInterrupt): train(**arguments, experiment_name='stopped')
    before = {path: path.read_bytes() for path in (tmp_path / 'stopped').rglob('*') if path.is_file()}
    csv_text = dots[0].read_text()
    dots[0].write_text(csv_text[:csv_text.rstrip().rindex('\n') + 1])  # without its last row
    with pytest.raises(UsageError, match='other annotations or another split'):
        train(resume=True, output_dir=tmp_path, experiment_name='stopped')
    dots[0].write_text(csv_text)
    with pytest.raises(UsageError, match='epochs 2, not 3'):
        train(resume=True, output_dir=tmp_path, experiment_name='stopped', epochs=3)
    assert before == {path: path.read_bytes() for path in (tmp_path / 'stopped').rglob('*') if path.is_file()}
    again = train(resume=True, output_dir=tmp_path, experiment_name='stopped')
    assert trained == ['fold_1', 'fold_2', 'fold_2'] and again == whole
    with pytest.raises(UsageError, match='is finished, all 2 folds'):
        train(resume=True, output_dir=tmp_path, experiment_name='stopped')
