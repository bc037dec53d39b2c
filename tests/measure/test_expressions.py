"Texts of definitions as trees: precedence, names, and that any text is a tree or one clear refusal."

import contextlib

import pytest
import yaml
from helpers import write_definitions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from landmark_fastai import UsageError
from landmark_fastai.measure.definitions import KEYS, OF_MEASURE, OF_SIDE, read_definitions
from landmark_fastai.measure.expressions import Call, Name, Number, names_in, parse
from landmark_fastai.measure.functions import FUNCTIONS


def test_a_text_becomes_numbers_names_and_calls():
    assert parse(' 2.5 ') == Number(2.5) and parse('hip') == Name('hip') and parse("'A point'") == Name('A point')
    assert parse('abs(a)*2') == Call('*', (Call('abs', (Name('a'),), 'abs(a)'), Number(2)), 'abs(a) * 2')
    assert parse('a - b * c').function == '-' and parse('(a - b) * c').function == '*'
    assert parse('-a') == Call('-', (Number(0), Name('a')), '-a') and parse('+a') == Name('a')


def test_names_are_told_once_from_left_to_right():
    assert names_in(parse("distance(b, line(a, 'c d')) + b / 2")) == ['b', 'a', 'c d']


words = st.sampled_from([*FUNCTIONS, 'a', 'b', "'c d'", '1', '.5', '(', ')', ',', '+', '-', '*', '/', '**', '.', '[',
                         ']', 'lambda', ':', '=', '"', '\\', '\n', ' ', 'é', '²', '\u202e', '{', '#', '__import__'])


@given(text=st.one_of(st.lists(words, max_size=20).map(''.join), st.text(max_size=30)))
@settings(max_examples=300)
def test_any_text_is_a_tree_or_refused(text):
    try: tree = parse(text)
    except UsageError: return
    assert isinstance(tree, Call | Name | Number) and names_in(tree) is not None


scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(
    ['a', 'line(a, b)', 'distance(a, b)', 'mm', 'deg', 'right_', 'long_leg', '', 'b + a']))
keys = st.one_of(st.sampled_from([*KEYS, *OF_MEASURE, *OF_SIDE, 'a', 'b', 'right']), scalars)
files = st.recursive(scalars, lambda inner: st.one_of(
    st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=4)), max_leaves=15)


@given(content=st.dictionaries(st.sampled_from(KEYS), files, min_size=1))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_is_one_of_definitions_or_refused(tmp_path, content):
    path = write_definitions(tmp_path, yaml.safe_dump(content))
    with contextlib.suppress(UsageError): read_definitions(path)


@pytest.mark.parametrize('text', ['[' * 3000, 'a: &x [*x]', '{[1]: 2}', 'a: !!python/object:os.system x', '? [a]\n: b',
                                  'measure: &m {a: *m}', '\t- x', 'a: 2001-99-99', '&a [*a, *b]'])
def test_odd_yaml_is_refused(tmp_path, text):
    with pytest.raises(UsageError, match='definitions.yaml'): read_definitions(write_definitions(tmp_path, text))
