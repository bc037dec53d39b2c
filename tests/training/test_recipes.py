"Recipes: what a flag is where it is not given."

import pytest
from landmark_fastai.training.recipes import RECIPES, fill

from landmark_fastai.errors import UsageError

ORIGINAL = dict(
    image_resize=512, batch_size=8, epochs=350, arch='unet', encoder_name='resnet101', encoder_weights='imagenet',
    loss='bce', dice_weight=1, bce_weight=1, spatial_weight=1,
    erosion_schedule='fixed', dilation_iters=65, erosion_freq=50, erosion_iters=10,
    optimizer='torch_adam', lr=1e-4, weight_decay=0, schedule='constant', ema=0, augment='none', elastic=0,
    decode='argmax', normalization='imagenet', color=True, drop_last=False)


def test_original_is_the_original_system_to_the_number():
    assert fill('original', {}) == ORIGINAL


def test_default_answers_every_flag_that_the_original_does():
    assert fill('default', {}).keys() == ORIGINAL.keys()
    assert None not in fill('default', {}).values()


def test_default_keeps_what_a_run_of_the_original_costs():
    names = 'image_resize', 'batch_size', 'epochs', 'arch'
    assert {name: fill('default', {})[name] for name in names} == {name: ORIGINAL[name] for name in names}


@pytest.mark.parametrize('recipe', ['original', 'default'])
def test_given_flag_wins_over_the_recipe(recipe):
    given = {'epochs': 7, 'encoder_name': 'resnet18', 'lr': 0.5, 'loss': 'dice'}
    assert fill(recipe, given) == fill(recipe, {}) | given


@pytest.mark.parametrize('recipe', ['original', 'default'])
def test_none_is_filled_from_the_recipe(recipe):
    assert fill(recipe, dict.fromkeys(ORIGINAL)) == fill(recipe, {})


@pytest.mark.parametrize('recipe', ['original', 'default'])
@pytest.mark.parametrize('name, value', [
    ('dilation_iters', 0), ('erosion_iters', 0), ('weight_decay', 0.), ('color', False), ('drop_last', False),
    ('loss', ''),
])
def test_zero_false_and_empty_are_given_flags(recipe, name, value):
    assert fill(recipe, {name: value})[name] is value


def test_argument_that_is_in_no_recipe_passes_through():
    filled = fill('default', {'seed': 0, 'n_landmarks': None, 'experiment_name': 'hip', 'epochs': None})
    assert filled['seed'] == 0 and filled['experiment_name'] == 'hip' and filled['epochs'] == 350
    assert filled['n_landmarks'] is None  # left out means: as the header says


def test_filling_changes_neither_recipe_nor_flags():
    flags, before = {'epochs': 1, 'lr': None}, {name: dict(recipe) for name, recipe in RECIPES.items()}
    fill('original', flags)['batch_size'] = 99
    assert flags == {'epochs': 1, 'lr': None} and RECIPES == before


def test_unknown_recipe_says_what_there_is():
    with pytest.raises(UsageError, match="'fast'.*original, default"): fill('fast', {})
