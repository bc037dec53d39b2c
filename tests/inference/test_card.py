"Model cards: what is known is told, what is not known is said to be, and nobody is named."

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import refused
from markdown_it import MarkdownIt

from landmark_fastai.config import TrainConfig
from landmark_fastai.inference.card_limits import limits
from landmark_fastai.inference.card_words import LICENCE, card_text
from landmark_fastai.inference.model_card import write_card
from landmark_fastai.model.facts import (
    CAL,
    FIRST,
    FOLDS,
    BoundFacts,
    DataFacts,
    ModelFacts,
    ShapeFacts,
    read_facts,
    write_facts,
)

DATA = DataFacts(sides={'train': 60, 'val': 12, 'test': 8}, patients={'train': 50, 'val': 10, 'test': 8},
                 sizes=[[900, 700], [1000, 700]], spacing=[[0.1, 0.1], [0.2, 0.2]],
                 spacing_sources={'CSV': 79, '': 1}, labels=[[80, 0, 0], [70, 4, 6]])
FACTS = ModelFacts(['hip', 'a|b'], [0.5] * 3, [0.5] * 3, presence=['a|b'], data='c0ffee', images=DATA,
                   versions={'landmark_fastai': '0.5.0'}, git_commit='1234abcd')
SHAPE = ShapeFacts([[0., 1.], [1., 0.]], [[1., 0., 0., 0.]], [0.1], 0.01)
SECTIONS = ['Model details', 'Intended use', 'Data', 'Performance', 'Bounds', 'Limits', 'Licence']


def entry(mean=2., n=12, **more):
    errors = {'n': n, 'n_missed': 1, 'n_images': n, 'mean': mean, 'sd': 1., 'median': 1.5, 'ci_low': 1., 'ci_high': 3.}
    return {'n_scored': n, 'n_missed': 1, 'n_absent': 0, 'px': errors, 'mm': errors | {'mean': mean / 10},
            'success_rate': {'2': 0.5, '4': 1.}} | more


def summary(**changes):
    known = {'n_images': 12, 'unit': 'mm', 'thresholds': [2, 4], 'n_without_spacing': 0, 'interval_over': 'patients',
             'n_failed': 0, 'overall': entry(), 'landmarks': {'hip': entry(3.), 'a|b': entry(1.)}, 'bounds': []}
    return known | changes


def bounds(n, source=CAL): return {FIRST: BoundFacts([[1.] * n] * 2, source, [[1.] * (4 if source == CAL else 3)] * n)}


def card(config=None, facts=FACTS, found=None, licence='somewhere; unknown'):
    return card_text(config or TrainConfig(experiment_name='hips'), facts, found, licence)


def rows_of(text):
    "The cells of each row of the tables of a card, as a browser shows them."
    html = MarkdownIt('gfm-like', {'linkify': False}).render(text)
    return [re.findall('<t[dh].*?>(.*?)</t[dh]>', row) for row in re.findall('<tr>(.*?)</tr>', html, re.S)]


def test_the_sections_are_those_of_a_model_card():
    text = card(found=summary())
    assert text.startswith('# Model card: hips\n')
    assert re.findall('^## (.*)', text, re.M) == SECTIONS and '\n\n\n' not in text


def test_data_and_errors_are_told_in_both_units():
    rows = rows_of(card(found=summary()))
    assert ['train', '60', '50', 'trained the network'] in rows and ['test', '8', '8', 'took no part'] in rows
    assert ['a|b', '70', '4', '6', 'yes', 'yes'] in rows and ['hip', '80', '0', '0', 'no', 'yes'] in rows
    assert ['hip', '12', '3.00', '1.00', '1.00 to 3.00', '1.50'] in rows  # px
    assert ['hip', '12', '0.30', '1.00', '1.00 to 3.00', '1.50'] in rows  # mm
    assert ['hip', '50.0 %', '100.0 %', '1'] in rows and ['commit of landmark_fastai', '1234abcd'] in rows
    assert 'width 900 to 1000 px, height 700 px. Pixel spacing: 0.1 to 0.2 mm (CSV: 79 images, not known: 1' in card()


def test_without_spacing_errors_are_in_px_alone():
    entries = {name: {key: value for key, value in entry().items() if key != 'mm'} for name in ('hip', 'a|b')}
    text = card(found=summary(unit='px', overall=entries['hip'], landmarks=entries))
    assert 'mean, px' in text and 'mean, mm' not in text and 'within 2 px' in text and 'Millimetres' not in text


def test_what_is_not_known_is_said():
    text = card(facts=ModelFacts(['hip'], [0.5] * 3, [0.5] * 3))
    for words in ('Numbers, sizes and spacings of the images are not known', 'Not measured', 'Its errors were not',
                  'None: there were no images', 'it was not run from a git checkout'):
        assert words in text, words
    assert ['hip', 'not known', 'not known', 'not known', 'no', 'yes'] in rows_of(text)
    assert text.count('**To be filled in') == 5
    assert 'not a medical device' in text


def test_weights_of_others_are_told_without_their_path():
    for given, words in (({'encoder_weights': '/home/me/w.pth'}, 'from a file, of which nothing is known'),
                         ({'from_run': '/home/me/runs/x', 'encoder_weights': 'none'}, 'those of an earlier run'),
                         ({'encoder_weights': 'none'}, 'it began with random numbers'), ({}, 'somewhere; unknown')):
        text = card(TrainConfig(**given))
        assert words in text and '/home' not in text
        assert ('somewhere' in text) == (not given)
    assert f'license = "{LICENCE}"' in (Path(__file__).parents[2] / 'pyproject.toml').read_text()


def test_epochs_are_told_as_they_were_chosen():
    def told(**given): return dict(row for row in rows_of(card(TrainConfig(**given))) if len(row) == 2)['epochs']
    assert told(epochs=40) == '40' and told(epochs=40, schedule='fine_tune') == '41'
    assert told(epochs=40, refine=True, refine_epochs=30) == '40 and 30 of the second stage'
    assert told(epochs=9, minutes=60.) == '9, as many as fitted into 60 minutes'
    assert told(minutes=60., folds=3) == 'as many as fitted into 60 minutes for all folds'
    assert 'stops after 5 without' in told(epochs=40, early_stop=5)


def said(found=None, config=None, **changes):
    "The limits of a model whose facts have these `changes`."
    return ' '.join(limits(config or TrainConfig(), replace(FACTS, **changes), found))


def test_limits_say_what_the_errors_are_of():
    text = said(summary())
    assert 'validation images. These chose the epoch' in text and 'The errors on the test part, 8 images' in text
    assert '10 patients' in text and 'up to 25.9 % of patients' in text  # 1 - 0.05 ** (1 / 10)
    assert 'same patient' not in text and 'which is little' not in text
    folds = replace(DATA, sides={'fold 1': 10, 'fold 2': 10, 'fold 3': 9}, patients=None)
    text = said(summary(n_images=29, n_failed=2), TrainConfig(folds=3), images=folds)
    assert 'one network at a time' in text and 'Each of its networks was trained on 19 images' in text
    assert 'No image was kept' in text and 'same patient' in text and '2 images that could not be read' in text
    assert 'up to 9.8 % of images' in text  # 1 - 0.05 ** (1 / 29)


def test_limits_name_landmarks():
    text = said(summary(landmarks={'hip': entry(), 'a|b': entry(n_scored=0, n_missed=0)}), flat=['hip'])
    assert 'On every image it marks hip, also' in text and 'sees no place for hip' in text
    assert 'No image with a label tells the error of a|b.' in text
    assert 'fits the shape' not in text and 'fits the shape of the others' in said(shape=SHAPE)
    assert 'marks every landmark' in said(presence=[]) and 'On every image' not in said(presence=FACTS.landmarks)
    assert 'those at the detector' in said(images=replace(DATA, spacing_sources={'ImagerPixelSpacing (detector)': 80}))


def test_bounds_are_told_with_their_source_and_how_often_they_held():
    held = [{'level': 0.9, 'n': 24, 'within': 0.875, 'median_px': 4.25}]
    text = card(facts=replace(FACTS, bounds=bounds(12)), found=summary(bounds=held))
    assert ['90 %', '2 of 2', '87.5 %', '24', '4.25'] in rows_of(text)
    assert ['95 %', '0 of 2', 'not measured', '–', '–'] in rows_of(text)  # 19 images are needed
    assert 'took no part in the training (12 images for a landmark)' in text
    assert 'contrast, grain, expected errors; no warning' in text
    text = card(facts=replace(FACTS, bounds=bounds(12, FOLDS)), found=summary())
    assert 'approximate' in text and 'contrast, grain; no warning' in text
    assert 'There is no bound' in said(bounds=bounds(8)) and 'There is no bound' in said()


# --- of a run

def test_the_card_of_a_run_names_no_image_and_no_folder(finished):
    text = (finished / 'model_card.md').read_text(encoding='utf-8')
    assert 'dot_' not in text and str(finished.parents[1]) not in text and 'annotation.csv' not in text
    assert ['head', '10', '0', '0', 'no'] in [row[:5] for row in rows_of(text)]
    measured = json.loads((finished / 'validation' / 'summary.json').read_text())
    assert f'{measured["overall"]["px"]["mean"]:.2f}' in text and f'{measured["overall"]["mm"]["mean"]:.2f}' in text
    assert read_facts(finished).data in text


def test_it_can_be_written_elsewhere_and_of_an_older_run(finished, tmp_path):
    write_card(finished, tmp_path / 'bundle')
    assert (tmp_path / 'bundle' / 'model_card.md').read_bytes() == (finished / 'model_card.md').read_bytes()
    for name in ('config.yaml', 'model.json'): shutil.copy(finished / name, tmp_path)
    values = json.loads((tmp_path / 'model.json').read_text())
    del values['images']
    (tmp_path / 'model.json').write_text(json.dumps(values))
    write_card(tmp_path, tmp_path)
    text = (tmp_path / 'model_card.md').read_text(encoding='utf-8')
    assert 'a version that did not note them' in text and 'Its errors were not measured' in text
    (tmp_path / 'validation').mkdir()
    (tmp_path / 'validation' / 'summary.json').write_text('{')
    refused(['summary.json', 'damaged'], write_card, tmp_path, tmp_path)


@pytest.mark.parametrize('change', [
    {'sides': {'train': 'x'}}, {'patients': 3}, {'sizes': [[1, 2]]}, {'spacing': [[1.], [1.]]}, {'labels': [[1, 2, 3]]},
    {'more': 1}])
def test_images_that_cannot_be_are_refused(tmp_path, change):
    write_facts(tmp_path, FACTS)
    assert read_facts(tmp_path) == FACTS
    values = json.loads((tmp_path / 'model.json').read_text())
    values['images'] |= change
    (tmp_path / 'model.json').write_text(json.dumps(values))
    refused(['model.json', 'images'], read_facts, tmp_path)
