"The flags of a run: recipes, what it starts from and hands on, its file, and what a resumed one may change."

import json
import shutil
from dataclasses import fields, replace

import pandas as pd
import pytest
import torch
import yaml
from helpers import TINY, refused, write_dots

import landmark_fastai
from landmark_fastai import cli
from landmark_fastai.config import RECIPES, TrainConfig, is_run, read_config, resumed
from landmark_fastai.data.augmentation import STRENGTHS
from landmark_fastai.flags import to_yaml
from landmark_fastai.geometry.decoding import DECODERS
from landmark_fastai.learner import OPTIMIZERS
from landmark_fastai.model.facts import (
    BoundFacts,
    CropFacts,
    ModelFacts,
    ShapeFacts,
    git_commit,
    read_facts,
    write_facts,
)
from landmark_fastai.model.losses import LOSSES
from landmark_fastai.training.build import make_learner

ORIGINAL = dict(
    image_resize=512, batch_size=8, epochs=350, arch='unet', encoder_name='resnet101', encoder_weights='imagenet',
    loss='bce', dice_weight=1, bce_weight=1, spatial_weight=1,
    erosion_schedule='fixed', dilation_iters=65, erosion_freq=50, erosion_iters=10,
    optimizer='torch_adam', lr=1e-4, weight_decay=0, schedule='constant', ema=0, augment='none', elastic=0,
    decode='argmax', shape=False, normalization='imagenet', color=True, drop_last=False)


def values(config, names=ORIGINAL): return {name: getattr(config, name) for name in names}


# --- recipes

def test_original_is_the_original_system_to_the_number():
    assert values(TrainConfig.of({'recipe': 'original'})) == ORIGINAL


def test_default_keeps_what_a_run_of_the_original_costs():
    names = 'image_resize', 'batch_size', 'epochs', 'arch'
    assert values(TrainConfig(), names) == {name: ORIGINAL[name] for name in names}


@pytest.mark.parametrize('recipe', ['original', 'default'])
def test_a_given_flag_wins_over_the_recipe_also_where_it_is_zero_or_false(recipe):
    given = {'epochs': 7, 'encoder_name': 'resnet18', 'lr': 0.5, 'loss': 'dice', 'dilation_iters': 0,
             'weight_decay': 0., 'color': False, 'drop_last': False}
    plain = TrainConfig.of({'recipe': recipe})
    assert TrainConfig.of({'recipe': recipe} | given) == replace(plain, **given)
    assert TrainConfig.of({'recipe': recipe} | dict.fromkeys(given)) == plain  # None is not given


def test_encoder_weights_of_none_are_none_as_in_smp():
    assert TrainConfig.of({'encoder_weights': None}).encoder_weights == 'none'


@pytest.mark.parametrize('given, side', [
    ({}, 512), ({'refine': True}, 256), ({'refine': True, 'recipe': 'original'}, 256),
    ({'refine': True, 'image_resize': 512}, 512)])
def test_the_first_of_two_stages_is_smaller_unless_its_side_is_given(given, side):
    assert TrainConfig.of(given).image_resize == side


def test_recipes_set_the_same_flags():
    assert RECIPES['default'].keys() == RECIPES['original'].keys()
    assert TrainConfig.of({'recipe': 'default'}) == TrainConfig()


def test_flags_win_over_a_file_and_both_over_a_recipe(tmp_path):
    (tmp_path / 'mine.yaml').write_text('recipe: original\nlr: 1e-3\nepochs: 9\n')
    of_file = {'config': tmp_path / 'mine.yaml'}
    made = TrainConfig.of(of_file | {'epochs': 11})
    assert (made.loss, made.lr, made.epochs, made.encoder_name) == ('bce', 1e-3, 11, 'resnet101')
    made = TrainConfig.of(of_file | {'recipe': 'default'})
    assert (made.loss, made.lr, made.epochs) == ('dice_bce_spatial', 1e-3, 9)
    resumed = of_file | {'resume': True, 'output_dir': str(tmp_path)}  # where nothing is yet
    assert replace(TrainConfig.of(resumed), resume=False) == TrainConfig.of(of_file | {'output_dir': str(tmp_path)})


def test_a_recipe_beside_a_file_that_says_all_of_it_is_refused(tmp_path):
    run = write_run(tmp_path / 'run')
    assert TrainConfig.of({'config': run / 'config.yaml', 'recipe': 'default'}).loss == 'dice_bce_spatial'
    refused(['recipe original', 'config.yaml'], TrainConfig.of, {'config': run / 'config.yaml', 'recipe': 'original'})


def test_null_in_a_file_is_what_none_is_in_python(tmp_path):
    (tmp_path / 'mine.yaml').write_text('encoder_weights: null\nlr: null\n')
    made = TrainConfig.of({'config': tmp_path / 'mine.yaml'})
    assert (made.encoder_weights, made.lr) == ('none', TrainConfig.lr)


def test_choices_are_those_that_the_code_knows():
    choices = {each.name: set(each.metadata['choices']) for each in fields(TrainConfig)}
    known = dict(loss=LOSSES, decode=DECODERS, augment=STRENGTHS, optimizer=OPTIMIZERS)
    assert {name: choices[name] for name in known} == {name: set(names) for name, names in known.items()}


# --- the file of a run

def write_run(folder, **given):
    "Write `config.yaml` and `model.json` of a run that was given these flags; returns the folder."
    folder.mkdir(parents=True)
    (folder / 'config.yaml').write_text(to_yaml(TrainConfig.of(given)))
    write_facts(folder, ModelFacts(['a'], [0.5] * 3, [0.5] * 3))
    return folder


def test_the_file_of_a_run_is_its_flags_and_a_file_of_flags(tmp_path):
    given = dict(epochs=3, flip_pairs='a:b', pixel_spacing=0.2, experiment_name='2024')
    run = write_run(tmp_path / 'run', **given)
    assert read_config(run) == TrainConfig.of(given) == replace(
        TrainConfig.of({'config': run / 'config.yaml'}), config=None)
    held = yaml.safe_load((run / 'config.yaml').read_text())
    assert set(held) == {each.name for each in fields(TrainConfig)} - {'config', 'resume', 'overwrite', 'clear_cache'}


def test_a_folder_that_is_no_run_is_refused_in_one_line(tmp_path):
    refused(['none', 'no such folder'], read_config, tmp_path / 'none')
    refused([str(tmp_path), 'config.yaml'], read_config, tmp_path)
    for text, words in (('epochs: 3\n', ['lacks', 'encoder_name']), ('epoch: 3\n', ["'epoch'", 'epochs'])):
        (tmp_path / 'config.yaml').write_text(text)
        refused(['config.yaml', *words], read_config, tmp_path)


def test_a_flag_that_is_newer_than_a_run_has_its_default(tmp_path):
    run = write_run(tmp_path / 'run', epochs=3, elastic=0.01)
    text = (run / 'config.yaml').read_text()
    (run / 'config.yaml').write_text(text.replace('elastic: 0.01\n', ''))
    assert read_config(run) == TrainConfig(epochs=3)


def test_a_run_of_version_0_4_is_refused_in_one_line_that_says_so(tmp_path, capsys):
    (tmp_path / 'config.json').write_text('{"epochs": 3}')
    for argv in (['predict', '--image_dir', '.', '--output_dir', 'x', '--model', str(tmp_path)],
                 ['train', '--from_run', str(tmp_path)],
                 ['train', '--resume', '--output_dir', str(tmp_path.parent), '--experiment_name', tmp_path.name]):
        assert cli.main(argv) == 2
        line, = capsys.readouterr().err.splitlines()
        assert '0.4' in line and str(tmp_path) in line


def test_facts_come_back_as_they_were_and_a_newer_format_is_refused(tmp_path):
    facts = ModelFacts(['a', 'ü'], [0.5] * 3, [0.25] * 3, presence=['a'], calibration=[1.5, 2.], flat=['ü'], data='1f')
    write_facts(tmp_path, facts)
    assert read_facts(tmp_path) == facts
    path = tmp_path / 'model.json'
    text = path.read_text(encoding='utf-8')
    path.write_text(text.replace('"format": 1', '"format": 2'), encoding='utf-8')
    refused(['model.json', 'format 2'], read_facts, tmp_path)
    path.write_text('{"format": 1}')
    refused(['model.json', 'landmarks'], read_facts, tmp_path)
    path.write_text('nonsense')
    refused(['model.json', 'damaged'], read_facts, tmp_path)


CROP = {'film': 512, 'jitter': 0.2, 'first_variance': [1.], 'variance': [1.]}
SHAPE = {'mean': [[0., 1.]], 'modes': [[1., 0.]], 'variances': [0.1], 'rest': 0.01}
BOUND = {'scores': [[0., 1.]], 'source': 'cal', 'looks': [[1., 2.], [1., 2.]]}


def test_facts_that_can_be_are_read(tmp_path):
    facts = ModelFacts(['a'], [0.5] * 3, [0.5] * 3, calibration=[2.], crop=CropFacts(**CROP), shape=ShapeFacts(**SHAPE),
                       bounds={'first': BoundFacts(**BOUND)})
    write_facts(tmp_path, facts)
    assert read_facts(tmp_path) == facts


@pytest.mark.parametrize('name, value', [
    ('landmarks', 'a'), ('landmarks', []), ('landmarks', ['a', 'a']), ('landmarks', [['a']]), ('mean', [0.5]),
    ('std', [0.5, 0.5, 0]), ('std', ['a', 'b', 'c']), ('calibration', [1., 2.]), ('calibration', 1.),
    ('calibration', [-1.]), ('calibration', [0.]), ('presence', ['b']), ('flat', None),
    ('median_pixel_spacing', [0.1]), ('median_pixel_spacing', [-1, 1]),
    *(('crop', CROP | change) for change in ({'film': True}, {'film': 0}, {'jitter': -0.2}, {'variance': [0.]},
                                             {'first_variance': [1., 1.]}, {'more': 1})),
    *(('shape', SHAPE | change) for change in ({'mean': [[0., 1.]] * 2}, {'modes': [[1.]]}, {'variances': [0.]},
                                               {'rest': 0.}, {'rest': None}, {'more': 1})),
    *(('bounds', {'first': BOUND | change}) for change in ({'scores': []}, {'scores': [[-1.]]}, {'source': 'all'},
                                                           {'looks': [[1.], [1., 2.]]}))])
def test_facts_that_cannot_be_are_refused(tmp_path, name, value):
    write_facts(tmp_path, ModelFacts(['a'], [0.5] * 3, [0.5] * 3))
    text = json.dumps(json.loads((tmp_path / 'model.json').read_text()) | {name: value})
    (tmp_path / 'model.json').write_text(text)
    refused(['model.json', name], read_facts, tmp_path)


def test_overwriting_asks_for_a_run_of_our_own(finished, tmp_path):
    assert is_run(finished) and not is_run(tmp_path)
    (tmp_path / 'config.yaml').write_text('other: 1')
    assert not is_run(tmp_path)


# --- resuming

@pytest.mark.parametrize('given', [
    {}, {'weight_decay': 0}, {'weight_decay': 0.}, {'lr': 0.5}, {'device': 'cpu', 'num_workers': 1, 'cache': 'ram'},
    {'epochs': 9}, {'n_landmarks': 1}])
def test_a_resumed_run_takes_equal_values_and_those_that_may_change(tmp_path, given):
    write_run(tmp_path / 'baseline', epochs=9, weight_decay=0, lr=0.5)
    found = resumed({'output_dir': str(tmp_path), 'resume': True} | given)
    assert found.resume and (found.epochs, found.weight_decay, found.lr) == (9, 0., 0.5)
    for name, value in given.items(): assert getattr(found, name) == value


def test_a_run_that_was_moved_is_resumed_where_it_is(tmp_path):
    write_run(tmp_path / 'old' / 'baseline', output_dir=str(tmp_path / 'old'))
    (tmp_path / 'old' / 'baseline').rename(tmp_path / 'moved')
    found = resumed({'output_dir': str(tmp_path), 'experiment_name': 'moved', 'resume': True})
    assert found.folder == tmp_path / 'moved'


@pytest.mark.parametrize('given, words', [
    ({'weight_decay': 0.1}, ['weight_decay 0.0', '0.1']), ({'loss': 'dice'}, ["loss 'dice_bce_spatial'", "'dice'"]),
    ({'epochs': 10}, ['epochs 9', '10', '--from_run']), ({'epochs': 8}, ['epochs 9', '8']),
    ({'overwrite': True}, ['resume', 'overwrite'])])
def test_a_resumed_run_refuses_other_values(tmp_path, given, words):
    write_run(tmp_path / 'baseline', epochs=9, weight_decay=0)
    refused(words, resumed, {'output_dir': str(tmp_path), 'resume': True} | given)


def test_more_epochs_need_schedules_that_do_not_know_their_number(tmp_path):
    run = write_run(tmp_path / 'baseline', recipe='original', epochs=9)
    given = {'output_dir': str(tmp_path), 'resume': True, 'epochs': 12}
    assert resumed(given) == replace(read_config(run), epochs=12, resume=True, output_dir=str(tmp_path))
    refused(['epochs 9', '8'], resumed, given | {'epochs': 8})
    write_run(tmp_path / 'two', recipe='original', epochs=9, refine=True)  # crops would show other parts than before
    refused(['epochs 9', 'refine'], resumed, given | {'experiment_name': 'two'})


def test_nothing_to_resume_is_a_new_run(tmp_path):
    assert resumed({'output_dir': str(tmp_path), 'resume': True}) is None
    assert TrainConfig.of({'output_dir': str(tmp_path), 'resume': True, 'epochs': 4}).epochs == 4


# --- starting from another run

def train(csv_file, images, output_dir, *argv):
    "Train from the command line; returns the exit code."
    return cli.main(['train', '--train_image_dir', str(images), '--label_dir', str(csv_file.parent),
                     '--train_csv_file', csv_file.name, '--output_dir', str(output_dir), *map(str, argv)])


def test_a_run_starts_from_the_network_of_another(finished, dots):
    made = TrainConfig.of({'from_run': finished, 'epochs': 3})
    assert (made.encoder_name, made.image_resize, made.arch, made.color) == ('resnet18', 64, 'unet', False)
    assert (made.encoder_weights, made.epochs) == ('none', 3)
    assert (made.batch_size, made.lr) == (8, 3e-3)  # of the recipe, not of the run
    assert TrainConfig.of({'from_run': finished, 'image_resize': 96}).image_resize == 96
    where = dict(label_dir=dots[0].parent, train_csv_file=dots[0].name, train_image_dir=dots[1], batch_size=4)
    learn = make_learner(TrainConfig.of({'from_run': finished} | where))
    best = torch.load(finished / 'weight' / 'best.pth', weights_only=True)
    assert all(torch.equal(value, best[key]) for key, value in learn.model.state_dict().items())


def test_a_run_starts_from_another_with_all_its_flags(finished):
    made, of_file = (TrainConfig.of({'from_run': finished} | more)
                     for more in ({}, {'config': finished / 'config.yaml'}))
    assert made.encoder_weights == of_file.encoder_weights == 'none' and of_file.epochs == read_config(finished).epochs


def test_a_cross_validation_is_no_run_to_start_from(tmp_path):
    run = write_run(tmp_path / 'run', folds=3)
    refused([str(run), 'cross-validation', 'fold_1'], TrainConfig.of, {'from_run': run})


def test_training_goes_on_from_another_run(finished, dots, tmp_path):
    assert train(*dots, tmp_path, '--from_run', finished, '--batch_size', 4, '--epochs', 1) == 0
    assert read_config(tmp_path / 'baseline').from_run == str(finished)
    assert len(pd.read_csv(tmp_path / 'baseline' / 'train_results' / 'training_log.csv')) == 1


def test_the_run_to_start_from_is_not_overwritten(finished, dots, capsys):
    assert train(*dots, finished.parent, '--from_run', finished, '--batch_size', 4, '--epochs', 1, '--overwrite') == 2
    assert 'which would be replaced; pass another --experiment_name' in capsys.readouterr().err
    assert (finished / 'weight' / 'best.pth').exists()


@pytest.mark.parametrize('argv, words', [
    (['--encoder_name', 'resnet34'], ["encoder_name is 'resnet34'", "was trained with 'resnet18'"]),
    (['--color'], ['color is True', 'was trained with False']),
    (['--experiment_name', 300 * 'a'], ['experiment_name', '300', '200']),
    (['--encoder_weights', 'imagenet'], ['encoder_weights beside from_run']),
    (['--from_run', '/nowhere'], ['/nowhere', 'no such folder']),
    (['--train_csv_file', 'other.csv'], ['other.csv has the 3 landmarks a, b, c', 'the 2 landmarks head, knee']),
])
def test_what_does_not_fit_the_other_run_is_one_clear_line(finished, tmp_path, capsys, argv, words):
    csv_file, images = write_dots(tmp_path)
    shutil.copy(write_dots(tmp_path / 'other', names=('a', 'b', 'c'))[0], tmp_path / 'other.csv')
    assert train(csv_file, images, tmp_path / 'runs', '--from_run', finished, '--batch_size', 4, *argv) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and all(word in lines[0] for word in words), lines
    assert not (tmp_path / 'runs').exists()


@pytest.mark.slow
def test_absence_is_learned_where_it_was_seen_by_a_loss_that_sees_it(tmp_path):
    csv_file, images = write_dots(tmp_path, split=['train'] * 8 + ['val'] * 2)
    table = pd.read_csv(csv_file)
    table.loc[0, ['knee_x', 'knee_y']] = -1
    table.loc[9, ['head_x', 'head_y']] = -1  # on a validation image: not learned
    table.to_csv(csv_file, index=False)
    assert train(csv_file, images, tmp_path / 'runs', *TINY, '--epochs', 1) == 0
    assert read_facts(tmp_path / 'runs' / 'baseline').presence == ['knee']
    argv = ['--epochs', 1, '--loss', 'spatial_ce', '--experiment_name', 'blind']
    with pytest.warns(UserWarning, match='cannot learn absence'):
        assert train(csv_file, images, tmp_path / 'runs', *TINY, *argv) == 0
    assert read_facts(tmp_path / 'runs' / 'blind').presence == []


def test_unknown_arguments_are_refused_in_python_too():
    refused(["'epoch'", 'epochs'], landmark_fastai.train, epoch=3)


def test_a_machine_without_git_has_no_commit(monkeypatch):
    monkeypatch.setenv('PATH', '')
    assert git_commit() is None
