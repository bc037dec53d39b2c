"Definitions: what is wrong with them is one line that names file, name and what was expected; nothing in them runs."

import numpy as np
import pytest
from helpers import write_definitions

from landmark_fastai import UsageError
from landmark_fastai.measure.definitions import Measure, Side, read_definitions, templates

SOUND = '''
name: Long leg
sides:
  right: {prefix: right_}
  left: {prefix: left_, mirror: true}
define:
  knee: midpoint(knee_medial, knee_lateral)
  femur: line(hip, knee)
  tibia: "line(knee, 'ankle joint')"
measure:
  HKA: {value: "angle(tibia, femur)", unit: deg, positive: valgus, tolerance: 1.5, description: the deviation}
  MAD: {value: "distance(knee, line(hip, 'ankle joint')) / 1", unit: mm, classes: {low: [null, 0], high: [0, null]}}
'''


def test_a_file_is_read_into_sides_trees_and_measurements(tmp_path):
    found = read_definitions(write_definitions(tmp_path, SOUND))
    assert found.name == 'Long leg' and found.file == 'definitions.yaml'
    assert found.sides == (Side('right', 'right_'), Side('left', 'left_', mirror=True))
    assert list(found.trees) == ['knee', 'femur', 'tibia', 'HKA', 'MAD']
    assert found.measures[0] == Measure('HKA', 'deg', 'valgus', 1.5, 'the deviation')
    assert found.measures[1].class_of(np.array([-3, 0, 2, np.nan])).tolist() == ['low', 'low', 'high', '']


def test_without_sides_there_is_one_without_a_name(tmp_path):
    found = read_definitions(write_definitions(tmp_path, 'measure: {a: {value: 1, unit: mm}}'))
    assert found.sides == (Side(),) and found.name == 'definitions'


def measured(value, **more):
    "A file that measures `value`, as text."
    entry = {'value': f'"{value}"', 'unit': 'mm'} | more
    return 'measure:\n  here: {' + ', '.join(f'{key}: {text}' for key, text in entry.items()) + '}\n'


@pytest.mark.parametrize('text, words', [
    ('', ['measure']), ('template:', ['measure']), ('- a', ['list']), ('a: [', ['YAML']), ('measure: {}', ['measure']),
    ('measure: 3', ['measure']), ('define: [a]\n' + measured('1'), ['define']),
    ('meassure: {}', ['meassure', 'measure']), (measured('1', unti='mm'), ['here', 'unti', 'unit']),
    ('measure: {here: 3}', ['here', 'value', 'unit']), ('measure: {here: {unit: mm}}', ['here', 'value']),
    ('measure: {here: {value: "1"}}', ['here', 'unit']),
    (measured('1', unit='cm'), ['here', "'cm'", 'deg', 'mm', 'ratio']),
    (measured('1', unit='[mm]'), ['here', 'deg']),
    (measured('1', tolerance='0'), ['here', 'tolerance', '0']), (measured('1', tolerance='yes'), ['here', 'tolerance']),
    (measured('1', positive='3'), ['here', 'positive', '3']),
    (measured('1', classes='[a]'), ['here', 'classes']),
    (measured('1', classes='{a: [2, 1]}'), ['here', 'a', '[2, 1]']),
    (measured('1', classes='{a: [2]}'), ['here', "'a'", '[2]']),
    (measured('distanc(a, b)'), ['here', "'distanc'", 'distance']), (measured('angle(a, b'), ['here', 'angle(a, b']),
    (measured('distance(a)'), ['here', 'distance(a)', 'distance(point, point)', 'distance(point, line)']),
    (measured('distance(a, 3)'), ['here', 'distance(a, 3)', 'value', 'line']),
    (measured('distance(line(a, b), a)'), ['here', 'distance(line, point)', 'distance(point, line)']),
    (measured('midpoint(a, b)'), ['here', 'point', 'value']), (measured('a'), ['here', 'point', 'value']),
    (measured('a + b'), ['here', 'point + point', 'value + value']),
    (measured('angle(a, b)'), ['here', 'angle(line, line)', 'angle(point, point, point)']),
    (measured('centroid(a)'), ['here', 'centroid(a)']), (measured('min(1)'), ['here', 'min(1)']),
    (measured('other(1)'), ['here', 'other', 'side']), (measured('other(1, 2)'), ['here', 'other(1, 2)']),
    (measured('here + 1'), ['here', 'itself']), ('define: {a: b, b: a}\n' + measured('1'), ['a → b → a']),
    ('define: {a: 1, a: 2}\n' + measured('1'), ['a', 'twice']),
    (measured('1') + '  here: {value: 2, unit: mm}', ['here', 'twice']),
    ('define: {here: 1}\n' + measured('1'), ['here', 'once']),
    ('define: {line: 1}\n' + measured('1'), ['line', 'function']),
    ('define: {on: 1}\n' + measured('1'), ['True', 'name']), ('define: {a b: 1}\n' + measured('1'), ["'a b'", 'name']),
    ('define: {a: [1]}\n' + measured('1'), ['a', '[1]']), ('define: {a: ""}\n' + measured('1'), ['a', "''"]),
    ('sides: {right: right_}\n' + measured('1'), ['sides', 'right', 'prefix']),
    ('sides: {right: {mirror: true}}\n' + measured('1'), ['sides', 'right', 'prefix']),
    ('sides: {right: {prefix: r, mirror: 1}}\n' + measured('1'), ['sides', 'right', 'mirror', '1']),
    ('sides: {right: {prefix: r, miror: true}}\n' + measured('1'), ['sides', 'miror', 'mirror']),
    ('sides: {right: {prefix: r}, left: {prefix: r}}\n' + measured('1'), ['sides', 'prefix']),
    ('sides: {3: {prefix: r}}\n' + measured('1'), ['sides', '3', 'name']), ('sides: [a]\n' + measured('1'), ['sides']),
    ('define: {a0: 1, ' + ', '.join(f'a{k}: a{k - 1}' for k in range(1, 3000)) + '}\n' + measured('1'), ['100']),
    ('define: {' + ', '.join(f'a{k}: a{k + 1}' for k in range(3000)) + ', a3000: 1}\n' + measured('1'), ['100']),
    ('sides: {a: {prefix: a}, a_b: {prefix: b}}\nmeasure: {b_c: {value: 1, unit: mm}, c: {value: 1, unit: mm}}',
     ['a_b_c']), ('measure: {image_name: {value: 1, unit: mm}}', ['image_name']),
    ('template: long_log\n' + measured('1'), ['long_log', 'long_leg'])])
def test_each_mistake_is_one_line_with_file_name_and_what_was_expected(tmp_path, text, words):
    path = write_definitions(tmp_path, text)
    with pytest.raises(UsageError) as caught: read_definitions(path)
    message = str(caught.value)
    assert '\n' not in message and path.name in message.split(':')[0], message
    assert all(word in message for word in words), message


@pytest.mark.parametrize('text', [
    "__import__('os').system('true')", 'abs.__class__', 'a.b', 'a[0]', '[1, 2]', '(1, 2)', '{1}', 'abs(*a)',
    'abs(x=1)', '(lambda: 1)()', '9 ** 9 ** 9', '1 if a else b', 'a and b', 'not a', '1 < 2', 'a // 2', 'a % 2', '~1',
    'a @ b', '1j', 'True', 'None', '...', "b'a'", "f'{a}'", 'a := 1', 'a = 1', 'await a', 'eval(1)', 'exec(1)',
    '9' * 400, '9' * 5000, '1e999', '(' * 300 + '1' + ')' * 300, '-' * 450 + '1', '-' * 101 + '1',
    'abs(' * 110 + '1' + ')' * 110, '1 +', 'line(a, b))', '#', 'a b', 'import os', '\x00'])
def test_what_is_not_in_the_list_is_refused_and_does_not_run(tmp_path, text):
    path = write_definitions(tmp_path, 'measure:\n  here:\n    unit: mm\n    value: ' + _quoted(text))
    with pytest.raises(UsageError, match='definitions.yaml'): read_definitions(path)


def _quoted(text): return '"' + text.replace('\\', '\\\\').replace('"', '\\"').replace('\x00', '\\0') + '"'


def test_missing_files_and_templates_are_told_with_the_nearest(tmp_path):
    with pytest.raises(UsageError, match='nowhere.yaml'): read_definitions(tmp_path / 'nowhere.yaml')
    with pytest.raises(UsageError, match='hip_arthroplasty'): read_definitions('hip_artroplasty')


def test_a_selection_keeps_what_it_needs_and_its_order(tmp_path):
    found = read_definitions(write_definitions(tmp_path, SOUND))
    chosen = found.only(['MAD'])
    assert [measure.name for measure in chosen.measures] == ['MAD'] and list(chosen.trees) == ['MAD', 'knee']
    assert [measure.name for measure in found.only(['MAD', 'HKA', 'MAD']).measures] == ['MAD', 'HKA']
    with pytest.raises(UsageError, match="'HKa'.*HKA"): found.only(['HKa'])


def test_a_file_may_change_a_template(tmp_path):
    path = write_definitions(tmp_path, 'template: long_leg\nsides:\ndefine: {hip: femoral_head}\n'
                                       'measure: {MAD: null, twice: {value: 2 * HKA, unit: deg}}')
    template, found = read_definitions('long_leg'), read_definitions(path)
    names = [measure.name for measure in found.measures]
    assert 'MAD' not in names and names[-1] == 'twice' and names[0] == template.measures[0].name
    assert found.sides == (Side(),) and 'hip' in found.trees and len(template.sides) == 2
    assert found.file == 'definitions.yaml'


@pytest.mark.parametrize('name', templates())
def test_templates_are_sound_and_each_measurement_has_a_source(name):
    found = read_definitions(name)
    assert found.measures and all(measure.source and measure.description for measure in found.measures)
