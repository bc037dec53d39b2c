"The flags of predict and evaluate: what must be given, what contradicts, and thresholds in any form."

import json
from dataclasses import asdict, fields

import numpy as np
import pytest
import torch
from helpers import refused

from landmark_fastai.config import TrainConfig
from landmark_fastai.flags import to_yaml
from landmark_fastai.predict_config import EvaluateConfig, PredictConfig


def test_what_must_be_given_is_asked_for():
    refused(['image_dir', '--image_dir'], PredictConfig.of, {})
    refused(['csv', '--csv'], EvaluateConfig.of, {'image_dir': 'a', 'output_dir': 'b'})
    refused(['encoder_name', 'weights'], PredictConfig.of,
            {'image_dir': 'a', 'output_dir': 'b', 'encoder_name': 'resnet18'})


EVALUATE = {'image_dir': 'a', 'csv': 'b', 'output_dir': 'c'}


@pytest.mark.parametrize('given, numbers', [
    ('2,2.5,3', [2, 2.5, 3]), ('5', [5]), (5, [5]), (2.5, [2.5]), ([2, 3], [2, 3]), (('2', 3.5), [2, 3.5]),
    (np.array([2, 3]), [2, 3]), (np.array([2.5], np.float32), [2.5]), (np.array(4), [4]), (np.int64(4), [4]),
    (np.float32(0.5), [0.5]), (torch.tensor([1., 2.]), [1, 2])])
def test_thresholds_are_numbers_however_they_are_given(given, numbers):
    made = EvaluateConfig.of(EVALUATE | {'thresholds': given})
    assert made.distances == numbers and all(type(number) is float for number in made.distances)
    assert json.dumps(made.thresholds)  # summary.json tells them


@pytest.mark.parametrize('given', ['', '2,x', '-1', 0, -2.5, [], [2, None], [[2, 3]], [2, 0], ['nan'],
                                   np.array([[2]]), True, np.array([]), float('inf')])
def test_thresholds_that_are_no_positive_numbers_are_refused_at_once(given):
    refused(['thresholds', 'number'], EvaluateConfig.of, EVALUATE | {'thresholds': given})


@pytest.mark.parametrize('text, numbers', [('5', [5]), ('2.5', [2.5]), ('[2, 3.5]', [2, 3.5]), ('2,3.5', [2, 3.5])])
def test_thresholds_in_a_file_are_numbers_too(tmp_path, text, numbers):
    (tmp_path / 'mine.yaml').write_text(f'thresholds: {text}')
    assert EvaluateConfig.of(EVALUATE | {'config': tmp_path / 'mine.yaml'}).distances == numbers


def test_weights_have_no_split_of_a_run():
    refused(["'val'", 'weights', '--model'], EvaluateConfig.of, EVALUATE | {'weights': 'old.pth', 'split': 'val'})
    assert EvaluateConfig.of(EVALUATE | {'weights': 'old.pth', 'split': 'all'}).weights == 'old.pth'


@pytest.mark.parametrize('command, given, needed', [
    (EvaluateConfig, EVALUATE, ['image_dir', 'csv', 'output_dir']), (PredictConfig, {}, ['image_dir', 'output_dir'])])
def test_the_file_of_a_run_is_no_file_of_flags_of_predict_and_evaluate(tmp_path, command, given, needed):
    (tmp_path / 'config.yaml').write_text(to_yaml(TrainConfig()))
    words = [str(tmp_path / 'config.yaml'), 'flags of train', '--model', *needed]
    refused(words, command.of, given | {'config': tmp_path / 'config.yaml'})


def test_what_train_and_evaluate_both_have_may_stand_in_a_file_of_either(tmp_path):
    (tmp_path / 'mine.yaml').write_text('device: cpu\ndecode: argmax')
    made = EvaluateConfig.of(EVALUATE | {'config': tmp_path / 'mine.yaml'})
    assert (made.device, made.decode) == ('cpu', 'argmax')


def test_evaluate_has_every_flag_of_predict():
    assert set(asdict(PredictConfig(image_dir='a', output_dir='b'))) < {each.name for each in fields(EvaluateConfig)}
