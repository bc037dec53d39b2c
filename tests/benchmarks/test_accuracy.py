"The benchmark of accuracy: a plan goes on where it was stopped, and no image of the test fold takes part in a choice."

import numpy as np
import pandas as pd
import pytest
from helpers import write_dots

from benchmarks import accuracy
from benchmarks.accuracy import parts, run_all, write_split
from benchmarks.accuracy_plans import PLANS, Training
from benchmarks.accuracy_tables import comparison, headline
from benchmarks.timing import RESULTS, rows_by_key


def test_a_fifth_tests_and_a_fifth_validates():
    assert [list(parts(53)).count(part) for part in ('test', 'val', 'train')] == [11, 10, 32]
    assert list(parts(53)) == list(parts(53))
    assert set(np.flatnonzero(parts(53) == 'test')) == set(np.random.default_rng(0).permutation(53)[:11])


@pytest.fixture
def data(tmp_path, monkeypatch):
    "A data set called dots, where the benchmark looks for its own."
    write_dots(tmp_path / 'dots', n=15)
    monkeypatch.setattr(accuracy, 'DATA', tmp_path)
    return tmp_path


def test_fewer_training_images_are_the_first_and_nothing_else_changes(data):
    everything, few = (pd.read_csv(write_split('dots', n, data)) for n in (None, 4))
    assert few.split.tolist().count('train') == 4 and everything.split.tolist().count('train') == 9
    for side in ('val', 'test'):
        assert few[few.split == side].image_name.tolist() == everything[everything.split == side].image_name.tolist()


def test_no_two_trainings_have_one_key():
    keys = [training.key for plan in PLANS.values() for training in plan]
    assert len(set(keys)) == len(keys)


def three_seeds():
    "Results of both recipes with three seeds: errors of 20, 30 and 40 px against 5, 6 and 7, twice those on test."
    def result(error, rank): return {'val': dict(mean=error, confidence_rank=rank)} | {
        'test': dict(mean=2 * error, confidence_rank=rank)}
    found = {}
    for (original, default), errors in zip(pairs_of(PLANS['compare'])[:3], ((20, 5), (30, 6), (40, 7)), strict=True):
        found |= {original.key: result(errors[0], 0.), default.key: result(errors[1], -errors[1] / 10)}
    return found


def test_the_table_has_the_means_over_the_seeds():
    found = three_seeds()
    lines = comparison(found).splitlines()
    assert '| ct_thorax_20 | 1 | val | 30.00 px | **6.00 px** | 0.20 | -0.60 |' in lines
    assert '| ct_thorax_20 | mean of 3 | test | 60.00 px | **12.00 px** | 0.20 | -0.60 |' in lines
    del found[PLANS['compare'][4].key]  # half a pair says nothing
    assert '| ct_thorax_20 | mean of 2 | val | 25.00 px | **5.50 px** | 0.22 | -0.55 |' in comparison(found)


def test_the_headline_is_the_mean_on_the_test_images():
    found = three_seeds()
    assert headline(found).splitlines()[2:] == [
        '| CT slices of the thorax, 20 landmarks, 32 to train on | 3 | 60.00 px | **12.00 px** |']
    del found[PLANS['compare'][4].key]
    assert '| 2 | 50.00 px | **11.00 px** |' in headline(found)


def test_tables_are_rewritten_in_the_page_and_in_the_readme(tmp_path):
    text = 'before\n<!-- accuracy -->\nold\n<!-- /accuracy -->\nafter\n'
    (tmp_path / 'docs' / 'images').mkdir(parents=True)
    encoders = '<!-- encoders -->\n<!-- /encoders -->\n'
    (tmp_path / 'README.md').write_text(text, encoding='utf-8')
    (tmp_path / 'docs' / 'results.md').write_text(text + encoders, encoding='utf-8')
    accuracy.write_tables(tmp_path, RESULTS)
    readme, page = ((tmp_path / name).read_text(encoding='utf-8') for name in ('README.md', 'docs/results.md'))
    for written in (readme, page):
        assert written.startswith('before\n<!-- accuracy -->\n|') and '<!-- /accuracy -->\nafter\n' in written
    assert '`timm-tf_efficientnet_lite1`' in page.partition('<!-- encoders -->')[2]
    assert readme.count('\n') < 10 < page.count('\n') and 'changed in the default recipe' in page
    assert (tmp_path / 'docs' / 'images' / 'recipes.png').is_file()


def pairs_of(plan): return list(zip(plan[::2], plan[1::2], strict=True))


def test_plans_are_run_before_their_tables_are_written(tmp_path, monkeypatch, capsys):
    done = []
    monkeypatch.setattr(accuracy, 'run_all', lambda trainings, folder: done.append([each.key for each in trainings]))
    monkeypatch.setattr(accuracy, 'write_tables', lambda folder: done.append(folder))
    monkeypatch.setattr(accuracy, 'DATA', tmp_path)
    assert accuracy.main(['table', 'long', '--results', str(tmp_path)]) == 0
    assert done == [[PLANS['long'][0].key], tmp_path]
    monkeypatch.setattr(accuracy, 'DATA', tmp_path / 'nowhere')
    assert accuracy.main(['long', 'table']) == 2 and len(done) == 2
    assert 'nowhere is not here: nothing can be trained' in capsys.readouterr().err


@pytest.mark.slow
def test_a_training_is_measured_on_both_sides_and_a_plan_goes_on_where_it_was(data, monkeypatch):
    small = dict(encoder_name='resnet18', encoder_weights='none', batch_size=4)
    plan = [Training('dots', epochs=1, image_resize=64, variant=small | dict(loss=loss)) for loss in ('bce', 'dice')]
    run_all(plan[:1], data / 'results', data / 'runs')
    first = rows_by_key('accuracy', data / 'results')[plan[0].key]
    assert len(first['mean_error_px']) == first['best_epoch'] == 1
    assert first['val']['n'] == first['test']['n'] == 6 and first['val']['mean'] == pytest.approx(
        first['mean_error_px'][0], abs=1e-3)
    trained, train = [], accuracy.train
    monkeypatch.setattr(accuracy, 'train', lambda **flags: trained.append(flags['loss']) or train(**flags))
    run_all(plan, data / 'results', data / 'runs')
    saved = rows_by_key('accuracy', data / 'results')
    assert trained == ['dice'] and list(saved) == [training.key for training in plan]
    assert saved[plan[0].key] == first
