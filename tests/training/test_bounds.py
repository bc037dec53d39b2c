"Bounds from the rows of a CSV that are for that: trained, predicted, evaluated."

import json

import cv2
import numpy as np
import pandas as pd
import pytest
from helpers import TINY, write_dots

from landmark_fastai import cli
from landmark_fastai.inference.bounds import factor
from landmark_fastai.inference.loading import load
from landmark_fastai.model.facts import BOTH, FIRST, read_facts

pytestmark = pytest.mark.slow
SIDES = ['train'] * 8 + ['val'] * 4 + ['cal'] * 20 + ['test'] * 12


@pytest.fixture(scope='module')
def bounded(tmp_path_factory):
    "The folder of a run of two stages with 20 images for its bounds; the images are in `images` beside the CSV above."
    folder = tmp_path_factory.mktemp('bounded')
    csv_file, images = write_dots(folder, n=len(SIDES), split=SIDES, pixel_spacing=[0.5] * len(SIDES))
    assert cli.main(['train', '--train_image_dir', str(images), '--label_dir', str(folder), '--train_csv_file',
                     csv_file.name, '--output_dir', str(folder / 'runs'), *TINY, '--epochs', '2', '--refine',
                     '--refine_resize', '64', '--refine_epochs', '1']) == 0
    return folder / 'runs' / 'baseline', csv_file, images


def run(command, *argv): return cli.main([command, *map(str, argv)])


def test_both_stages_have_a_score_of_each_image_that_is_for_bounds(bounded):
    run_folder, csv_file, images = bounded
    facts = read_facts(run_folder)
    assert facts.bounds.keys() == {FIRST, BOTH}
    table = pd.read_csv(csv_file).set_index('image_name')
    for refine, stage in ((False, FIRST), (True, BOTH)):
        known = facts.bounds[stage]
        assert known.source == 'cal' and [len(scores) for scores in known.scores] == [20, 20] and len(known.looks) == 20
        names = table.index[np.array(SIDES) == 'cal']
        found = load(run_folder, refine=refine).predict([images / name for name in names])
        errors = np.hypot(found.points[:, 0, 0] - table.head_x[names], found.points[:, 0, 1] - table.head_y[names])
        np.testing.assert_allclose(known.scores[0], sorted(errors / found.expected_error[:, 0]), rtol=1e-3)


def test_bounds_are_predicted_in_px_and_mm_and_not_where_images_are_too_few(bounded, tmp_path, capsys):
    run_folder, csv_file, images = bounded
    spacing = ['--pixel_spacing', 0.5]
    assert run('predict', '--model', run_folder, '--image_dir', images, '--output_dir', tmp_path / 'a', *spacing) == 0
    said = capsys.readouterr().out
    assert 'Bounds hold for 90 % of points' in said and 'may not hold' not in said
    table = pd.read_csv(tmp_path / 'a' / 'predictions.csv')
    scale = factor(read_facts(run_folder).bounds[BOTH].scores[1], 0.9)
    np.testing.assert_allclose(table.knee_bound, table.knee_expected_error * scale, rtol=0.01, atol=0.002)
    np.testing.assert_allclose(table.knee_bound_mm, table.knee_bound / 2, atol=0.002)
    assert run('predict', '--model', run_folder, '--image_dir', images, '--output_dir', tmp_path / 'b', '--level', 0.96,
               '--no_overlays') == 0
    assert 'No bounds of head, knee: 20 calibration images, 24 are needed' in capsys.readouterr().out
    assert not [column for column in pd.read_csv(tmp_path / 'b' / 'predictions.csv') if 'bound' in column]
    assert np.isnan(load(run_folder).predict(images / table.image_name[0], tta=True).bound).all()


def test_darker_films_draw_a_warning(bounded, tmp_path, capsys):
    run_folder, _, images = bounded
    for path in sorted(images.iterdir())[-12:]:
        (tmp_path / 'dark').mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / 'dark' / path.name), cv2.imread(str(path), 0) // 3)
    dark, out = tmp_path / 'dark', tmp_path / 'out'
    assert run('predict', '--model', run_folder, '--image_dir', dark, '--output_dir', out) == 0
    said = capsys.readouterr().out
    assert 'Bounds may not hold' in said and 'brightness' in said


def test_an_evaluation_says_how_often_bounds_hold(bounded, tmp_path, capsys):
    run_folder, csv_file, images = bounded
    assert run('evaluate', '--model', run_folder, '--image_dir', images, '--csv', csv_file, '--split', 'test',
               '--output_dir', tmp_path / 'out') == 0
    report = (tmp_path / 'out' / 'report.html').read_text(encoding='utf-8')
    assert 'Bounds of 90 %' in report and 'How often bounds hold' in report
    assert (tmp_path / 'out' / 'figures' / 'coverage.png').is_file()
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert summary['settings']['level'] == 0.9
    predicted, distances = (pd.read_csv(tmp_path / 'out' / f'{name}.csv') for name in ('predictions', 'distances'))
    within = [distances[f'{name}_px'] <= predicted[f'{name}_bound'] for name in ('head', 'knee')]
    told, = (row for row in summary['bounds'] if row['level'] == 0.9)
    assert told['n'] == 24 and told['within'] == pytest.approx(np.mean(within))
    bounds = predicted[['head_bound', 'knee_bound']].to_numpy()
    assert told['median_px'] == pytest.approx(np.median(bounds), abs=0.001)


def test_the_model_card_tells_bounds_and_what_they_are_from(bounded):
    text = (bounded[0] / 'model_card.md').read_text(encoding='utf-8')
    assert '| cal | 20 | not known | made the bounds, and nothing else |' in text and 'both stages together' in text
    assert 'took no part in the training (20 images for a landmark)' in text
    summary = json.loads((bounded[0] / 'validation' / 'summary.json').read_text())
    held, = (row for row in summary['bounds'] if row['level'] == 0.9)
    assert f'| 90 % | 2 of 2 | {100 * held["within"]:.1f} % | 8 |' in text
