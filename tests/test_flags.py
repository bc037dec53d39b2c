"Flags: what a field of a dataclass accepts, how it is written to a file and read again, and functions of flags."

import inspect
from dataclasses import MISSING, dataclass, fields
from pathlib import Path

import numpy as np
import pytest
from helpers import refused

from landmark_fastai.flags import Flags, check_values, flag, help_text, is_number, read_file, takes, to_yaml


@dataclass(frozen=True, kw_only=True)
class Bake(Flags):
    oven: str = flag(MISSING, 'Which oven.')
    degrees: float = flag(180., 'How hot.', above=0, most=300, original=200.)
    minutes: int = flag(40, 'How long.', least=1)
    cake: str = flag('lemon', 'What.', choices=('lemon', 'apple'))
    fan: bool = flag(False, 'With the fan.')
    guests: str | list | None = flag(None, 'For whom.')
    salt: float = flag(0., 'Any.')
    again: bool = flag(False, 'Once more.', saved=False)
    config: str | None = flag(None, 'File.', saved=False)


def test_what_is_given_wins_over_the_default_and_none_is_not_given():
    made = Bake.of({'oven': 'left', 'minutes': 5, 'degrees': None, 'guests': None})
    assert (made.oven, made.minutes, made.degrees, made.guests) == ('left', 5, 180., None)


@pytest.mark.parametrize('name, value, stored', [
    ('oven', Path('a/b'), 'a/b'), ('oven', '2024', '2024'), ('degrees', 200, 200.), ('minutes', 3, 3),
    ('minutes', np.int64(3), 3), ('degrees', np.float32(0.5), 0.5), ('fan', np.bool_(True), True),
    ('guests', ('a', 'b'), ['a', 'b']), ('guests', np.array([1, 2]), [1, 2]), ('guests', 'a,b', 'a,b'),
    ('fan', True, True), ('oven', '', '')])
def test_values_are_stored_as_the_type_of_the_flag(name, value, stored):
    found = getattr(Bake.of({'oven': 'left', name: value}), name)
    assert found == stored and type(found) is type(stored)


@pytest.mark.parametrize('name, value, words', [
    ('minutes', 1.5, ['minutes', '1.5', 'a whole number', 'at least 1']), ('minutes', True, ['minutes', 'True']),
    ('minutes', 0, ['minutes', '0', 'at least 1']), ('degrees', 'hot', ['degrees', "'hot'", 'a number', 'above 0']),
    ('degrees', 0, ['degrees', 'above 0']), ('degrees', 301, ['degrees', '301', 'at most 300']),
    ('salt', float('nan'), ['salt', 'nan']), ('salt', float('inf'), ['salt', 'inf']),
    ('cake', 'plum', ['cake', "'plum'", 'lemon, apple']), ('fan', 1, ['fan', '1', '--fan', '--nofan']),
    ('oven', 3, ['oven', '3', 'a text']), ('guests', 3, ['guests', 'a text or a list'])])
def test_other_values_are_refused_with_what_was_expected(name, value, words):
    refused(words, Bake.of, {'oven': 'left', name: value})
    refused(words, Bake, **{'oven': 'left', name: value})


def test_an_unknown_flag_proposes_the_nearest_or_lists_all():
    refused(["'minute'", 'did you mean minutes?'], Bake.of, {'oven': 'left', 'minute': 3})
    refused(["'zzz'", 'oven, degrees, minutes'], Bake.of, {'oven': 'left', 'zzz': 3})


def test_what_must_be_given_is_asked_for():
    refused(['oven is missing', '--oven'], Bake.of, {'minutes': 3})


def test_help_tells_choices_and_the_original_recipe():
    texts = {each.name: help_text(each) for each in fields(Bake)}
    assert 'lemon, apple' in texts['cake'] and 'original recipe has 200' in texts['degrees']


def test_a_file_of_flags_comes_back_as_it_was(tmp_path):
    made = Bake.of({'oven': 'lïnks: #1', 'degrees': 1e-3, 'guests': ['a', 'b'], 'again': True})
    (tmp_path / 'bake.yaml').write_text(to_yaml(made), encoding='utf-8')
    again = Bake.of({'config': tmp_path / 'bake.yaml'})
    assert again == Bake.of({'oven': 'lïnks: #1', 'degrees': 1e-3, 'guests': ['a', 'b'], 'config': again.config})
    assert Bake.of({'config': tmp_path / 'bake.yaml', 'degrees': 7}).degrees == 7  # the command line wins


@pytest.mark.parametrize('text, words', [
    ('minute: 3', ["'minute'", 'did you mean minutes?']), ('minutes: ten', ['minutes', "'ten'", 'a whole number']),
    ('again: true', ["'again'"]), ('- 3', ['list', 'epochs: 40']), ('a: [', ['not valid YAML']),
    ('cake: plum', ['cake', 'lemon, apple']), ('3: 4', ['3'])])
def test_a_bad_file_is_named_with_key_and_what_was_expected(tmp_path, text, words):
    (tmp_path / 'bake.yaml').write_text(text)
    refused(['bake.yaml', *words], read_file, Bake, tmp_path / 'bake.yaml')


def test_a_missing_file_is_named(tmp_path):
    refused(['none.yaml', 'YAML'], read_file, Bake, tmp_path / 'none.yaml')


def test_yaml_numbers_with_an_exponent_are_numbers(tmp_path):
    (tmp_path / 'bake.yaml').write_text('degrees: 1e-3\nminutes: 7\noven:\n')
    assert read_file(Bake, tmp_path / 'bake.yaml') == {'degrees': 1e-3, 'minutes': 7}


def test_values_can_be_checked_without_making_flags():
    check_values(Bake, cake='apple', minutes=3)
    refused(['cake', "'plum'"], check_values, Bake, cake='plum', minutes=3)


def test_a_function_of_flags_takes_them_by_name_and_what_must_be_given_also_in_order():
    @takes(Bake)
    def bake(config, hands=()): return config, hands
    config, hands = bake('left', minutes=3, hands=('two',))
    assert (config.oven, config.minutes, hands) == ('left', 3, ('two',))
    names = list(inspect.signature(bake).parameters)
    assert names[0] == 'oven' and {'minutes', 'cake', 'hands'} <= set(names) and 'config' in names
    with pytest.raises(TypeError): bake('left', 3)
    with pytest.raises(TypeError): bake('left', oven='right')
    refused(["'minute'"], bake, 'left', minute=3)


@pytest.mark.parametrize('value, is_one', [(0, True), (-2.5, True), (True, False), ('1', False), (None, False),
                                           (float('nan'), False), (float('inf'), False), ([1], False)])
def test_a_number_is_finite_and_no_truth_value(value, is_one): assert is_number(value) == is_one
