"The comparison of one stage and two: its splits, its measuring, its table."

import json
from itertools import product

import numpy as np
import pandas as pd
import pytest
from helpers import TINY, write_dots

from benchmarks import refine
from benchmarks.refine import FILMS, VARIANTS, Data, in_minutes, key_of, measure, minute_tables, real, tables
from landmark_fastai import cli


def result(mean, median=1., within=0.5):
    return {'test': dict(mean=mean, median=median, within={str(limit): within for limit in refine.WITHIN},
                         landmarks={'head': f'{mean} {mean + 1}'}), 'highest': dict(mean=10 * mean)}


def test_the_table_has_the_mean_over_the_seeds_and_each_of_them():
    one, _, two = VARIANTS
    found = {key_of(FILMS, one, 0): result(2.), key_of(FILMS, one, 1): result(4.), key_of(FILMS, two, 1): result(1.)}
    table, words = tables(found).split('\n\n')
    assert words == f'Against {one}: 1 of 1 landmarks better beyond chance, 0 worse (1 seed).'
    lines = [[cell.strip() for cell in line.split('|')[1:-1]] for line in table.splitlines()]
    assert lines[2][:5] == [one, '3.00 px', '2.00 · 4.00', '1.00 px', '50.0 %']
    assert lines[3][:3] == [two, '1.00 px', '1.00']
    assert lines[2][-1] == '30.00 px' and lines[0][-1] == 'mean by `--no_shape`'
    assert len(lines) == 4  # without the variant that was not trained
    assert tables({}) == ''
    del found[key_of(FILMS, one, 0)]['highest']  # of a version that had no shape
    assert tables(found).splitlines()[2].split('|')[-2].strip() == ''


def test_the_table_of_minutes_has_means_and_medians_over_the_seeds():
    one, _, two = VARIANTS
    rows = {5: {one: [4., 6.]}, 20: {one: [3.], two: [1.]}}
    found = {key_of(FILMS, variant, seed, minutes): result(mean) | dict(data=FILMS, minutes=minutes)
             for minutes, of in rows.items() for variant, means in of.items() for seed, mean in enumerate(means)}
    table, = minute_tables(found).split('\n\n')
    lines = [[cell.strip() for cell in line.split('|')[1:-1]] for line in table.splitlines()]
    assert lines[0][1:] == ['5 min', '20 min']
    assert [line[1:] for line in lines[2:]] == [['5.00 / 1.00', '3.00 / 1.00'], ['', ''], ['', '1.00 / 1.00']]
    assert minute_tables({}) == ''


def test_minutes_are_epochs_of_both_stages():
    assert in_minutes('one stage, 256 px', 20) == dict(image_resize=256, epochs=192)
    assert in_minutes('two stages, 256 px', 5) == dict(image_resize=256, epochs=20, refine=True, refine_epochs=20)


def test_no_two_trainings_have_one_key():
    keys = [key_of(*of) for of in product(refine.TITLES, VARIANTS, refine.SEEDS, (5, 10, 40))]
    assert len(set(keys)) == len(keys)


def test_a_landmark_is_better_or_worse_beyond_chance():
    random = np.random.default_rng(0)
    def of(*means):
        return {'landmarks': {str(k): ' '.join(map(str, mean + random.random(30))) for k, mean in enumerate(means)}}
    assert refine.beyond_chance([of(1, 1, 5)] * 2, [of(3, 1.05, 2)] * 2) == (1, 1, 3)
    blank = {'landmarks': {name: f'nan {values}' for name, values in of(1, 1, 5)['landmarks'].items()}}
    assert refine.beyond_chance([blank], [blank]) == (0, 0, 3)


def test_leaves_of_one_variety_are_on_one_side(tmp_path, monkeypatch):
    folder = tmp_path / refine.LEAVES
    folder.mkdir()
    names = [f'{k}.jpg' for k in range(30)]
    pd.DataFrame({'image_name': names}).to_csv(folder / 'annotation.csv', index=False)
    pd.DataFrame({'image_name': names[::-1], 'variety': [f'variety {k // 3}' for k in range(30)][::-1]}).to_csv(
        folder / 'metadata.csv', index=False)
    monkeypatch.setattr(refine, 'DATA', tmp_path)
    monkeypatch.setattr(refine, 'RUNS', tmp_path / 'runs')
    split = pd.read_csv(real(refine.LEAVES).csv_file).split.to_numpy().reshape(10, 3)
    assert (split == split[:, :1]).all() and set(split[:, 0]) == {'train', 'val', 'test'}


def test_errors_are_measured_on_the_test_images_alone(tmp_path, monkeypatch):
    csv_file, images = write_dots(tmp_path, split=['train'] * 6 + ['val'] * 2 + ['test'] * 2)
    argv = ['--train_image_dir', str(images), '--label_dir', str(tmp_path), '--train_csv_file', csv_file.name,
            '--output_dir', str(tmp_path / 'runs'), '--experiment_name', 'run', '--epochs', '1', *TINY]
    assert cli.main(['train', *argv]) == 0
    monkeypatch.setattr(refine, 'RUNS', tmp_path / 'runs')
    found = measure(Data(csv_file, images, csv_file, images, 'test'), 'run')
    summary = json.loads((tmp_path / 'runs' / 'run' / 'test' / 'summary.json').read_text())
    assert found['n'] == 4 and found['mean'] == pytest.approx(summary['overall']['px']['mean'], abs=1e-3)
    assert found['landmarks'].keys() == {'head', 'knee'} and found['within'].keys() == {'2', '4', '8'}
