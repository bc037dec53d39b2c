"""Definitions of measurements: a YAML file, or a template of the package by its name.

All that can be wrong is told when a file is read, before any image is looked at; what landmarks there are, only a CSV
tells: see `binding`.
"""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import UsageError
from ..flags import nearest, read_yaml
from .expressions import Tree, names_in, parse
from .functions import FUNCTIONS
from .kinds import check_kinds, uses_other

TEMPLATES = Path(__file__).parent / 'templates'
UNITS = 'deg', 'mm', 'px', 'ratio', '%'
KEYS = 'name', 'description', 'template', 'sides', 'define', 'measure'
OF_SIDE = 'prefix', 'mirror'
OF_MEASURE = 'value', 'unit', 'positive', 'tolerance', 'description', 'source', 'classes'


@dataclass(frozen=True)
class Side:
    "A side of the body: its landmarks have the `prefix`, and a `mirror`ed one is looked at in a mirror."
    name: str = ''
    prefix: str = ''
    mirror: bool = False


@dataclass(frozen=True)
class Measure:
    "A measurement."
    name: str
    unit: str                        # of `UNITS`
    positive: str = ''               # what a value above 0 means
    tolerance: float | None = None   # difference that does not matter, in the unit
    description: str = ''
    source: str = ''                 # where it was published
    classes: tuple[tuple[str, float, float], ...] = ()  # name, least and largest value; the first that fits counts

    def class_of(self, values: np.ndarray) -> np.ndarray:
        "The class of each of `values`, an object array of their shape, '' where it is in none."
        classes = np.full(np.shape(values), '', object)
        for name, least, most in reversed(self.classes):  # the first that fits counts
            classes = np.where((least <= values) & (values <= most), name, classes)
        return classes


@dataclass(frozen=True)
class Definitions:
    "What is measured, and how."
    file: str                # for messages
    name: str
    sides: tuple[Side, ...]  # one without a name where the file has none
    trees: dict[str, Tree]   # what is defined and what is measured, by name
    measures: tuple[Measure, ...]

    def only(self, names: list[str]) -> 'Definitions':
        "Those of the measurements called `names`, in that order, and what they need. Raises UsageError."
        by_name, names = {measure.name: measure for measure in self.measures}, list(dict.fromkeys(names))
        for name in names:
            if name not in by_name:
                raise UsageError(f'measurements has {name!r}, which {self.file} does not{nearest(name, list(by_name))}')
        needed = names.copy()
        for name in needed: needed += [each for each in names_in(self.trees[name])
                                       if each in self.trees and each not in needed]
        return replace(self, trees={name: self.trees[name] for name in needed},
                       measures=tuple(by_name[name] for name in names))


def column_of(side: Side, measure: Measure) -> str:
    "The column of a measurement in a table with a row an image: right_HKA, or HKA without sides."
    return '_'.join(filter(None, (side.name, measure.name)))


def class_column(column: str) -> str:
    "The column of the class of the value in `column`."
    return f'{column}_class'


def templates() -> list[str]:
    "The names of the templates."
    return sorted(path.stem for path in TEMPLATES.glob('*.yaml'))


def read_definitions(source: str | Path, chosen: list[str] | None = None) -> Definitions:
    """The definitions of the file `source`, or of the template of that name; of the measurements `chosen`, if given.

    Raises UsageError with file, name and what was expected for all that is wrong in it.
    """
    definitions = _read(find(source))
    return definitions if chosen is None else definitions.only(chosen)


def _read(path):
    values = read_yaml(path, 'a YAML file of definitions')
    with told_of(path.name):
        values = completed(values)
        names = {part: values.get(part) or {} for part in ('define', 'measure')}
        if not names['measure']:
            raise UsageError('nothing to measure; expected measure: and under it such as '
                             'HKA: {value: "angle(tibia, femur)", unit: deg}')
        _check_names(**names)
        trees, measures = {}, []
        for name, text in names['define'].items():
            with told_of(f'define {name}'): trees[name] = parse(_expression(text))
        for name, entry in names['measure'].items():
            with told_of(f'measure {name}'):
                measures.append(_measure(name, entry))
                trees[name] = parse(_expression(entry['value']))
        with told_of('sides'): sides = _sides(values.get('sides'))
        _check_columns(sides, measures)
        check_kinds(trees, names['measure'])
        for name, tree in trees.items():
            if uses_other(tree) and len(sides) != 2:
                raise UsageError(f'{name}: other(…) without another side, expected two sides')
        return Definitions(path.name, str(values.get('name') or path.stem), sides, trees, tuple(measures))


def find(source: str | Path) -> Path:
    "The file of definitions that `source` is, or that of the template of that name. Raises UsageError."
    if str(source) in templates(): return TEMPLATES / f'{source}.yaml'
    if Path(source).is_file(): return Path(source)
    raise UsageError(f'{source} is neither a YAML file of definitions nor a template'
                     f'{nearest(str(source), templates())}')


def completed(values: dict) -> dict:
    "The `values` of a file over those of the template that it names, if any. Raises UsageError."
    _check_keys(values, KEYS, 'key')
    for part in ('define', 'measure', 'sides'):
        if not isinstance(values.get(part) or {}, dict): raise UsageError(f'{part} is no list of names and values')
    if values.get('template') is None: return values
    if values['template'] not in templates():
        raise UsageError(f'template is {values["template"]!r}{nearest(str(values["template"]), templates())}')
    below = read_yaml(TEMPLATES / f'{values["template"]}.yaml', 'a template')
    merged = below | values
    for part in ('define', 'measure'):
        both = below.get(part, {}) | (values.get(part) or {})
        merged[part] = {name: entry for name, entry in both.items() if entry is not None}
    return merged


@contextmanager
def told_of(where: str) -> Iterator[None]:
    "Say `where` in front of a UsageError."
    try: yield
    except UsageError as e: raise UsageError(f'{where}: {e}') from None


# --- parts of a file

def _check_keys(entry, known, what):
    for key in entry:
        if key not in known: raise UsageError(f'no {what} is called {key!r}{nearest(str(key), known)}')


def _check_names(define, measure):
    for part, names in (('define', define), ('measure', measure)):
        for name in names:
            if not isinstance(name, str) or not name.isidentifier():
                raise UsageError(f'{part} {name!r}: expected a name of letters, digits and _, in quotes if it is a '
                                 'word of YAML such as "on"')
            if name in FUNCTIONS: raise UsageError(f'{part} {name}: a function is called so, expected another name')
    for name in measure:
        if name in define: raise UsageError(f'{name} is defined and measured, expected each name once')


def _check_columns(sides, measures):
    "Raise UsageError where two columns of the wide table would have one name."
    columns = ['image_name']
    columns += [column_of(side, measure) for side in sides for measure in measures]
    columns += [class_column(column_of(side, measure)) for side in sides for measure in measures if measure.classes]
    twice = [name for name, n in Counter(columns).items() if n > 1]
    if twice: raise UsageError(f'two columns of the wide table would be called {twice[0]}; rename a measurement')


def _expression(text):
    if isinstance(text, str) and text.strip(): return text
    if isinstance(text, int | float) and not isinstance(text, bool): return str(text)
    raise UsageError(f'{text!r}; expected a text such as "line(hip, knee)"')


def _measure(name, entry):
    if not isinstance(entry, dict): raise UsageError(f'{entry!r}; expected {{value: "…", unit: …}}')
    _check_keys(entry, OF_MEASURE, 'key of a measurement')
    for key in ('value', 'unit'):
        if key not in entry: raise UsageError(f'{key} is missing; expected value and unit')
    if entry['unit'] not in UNITS: raise UsageError(f'unit is {entry["unit"]!r}; expected one of {", ".join(UNITS)}')
    tolerance = entry.get('tolerance')
    if tolerance is not None and (not _is_number(tolerance) or not 0 < tolerance < math.inf):
        raise UsageError(f'tolerance is {tolerance!r}; expected a number above 0, in the unit of the measurement')
    texts = {key: _text(key, entry.get(key, '')) for key in ('positive', 'description', 'source')}
    return Measure(name, entry['unit'], tolerance=tolerance, classes=_classes(entry.get('classes') or {}), **texts)


def _text(key, value):
    if isinstance(value, str): return ' '.join(value.split())
    raise UsageError(f'{key} is {value!r}; expected a text')


def _is_number(value): return isinstance(value, int | float) and not isinstance(value, bool)


def _classes(entry):
    if not isinstance(entry, dict): raise UsageError(f'classes is {entry!r}; expected such as {{normal: [80, 84]}}')
    found = []
    for name, limits in entry.items():
        if not isinstance(name, str) or not isinstance(limits, list) or len(limits) != 2:
            raise UsageError(f'classes has {name!r}: {limits!r}; expected a name and [least, largest]')
        least, most = (end if each is None else each for each, end in zip(limits, (-math.inf, math.inf), strict=True))
        if not _is_number(least) or not _is_number(most) or not least <= most:
            raise UsageError(f'class {name} is {limits!r}; expected [least, largest], blank (null) for no limit')
        found.append((name, least, most))
    return tuple(found)


def _sides(entry):
    if not entry: return (Side(),)
    found = []
    for name, side in entry.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise UsageError(f'{name!r}; expected a name such as right')
        if not isinstance(side, dict): raise UsageError(f'{name} is {side!r}; expected {{prefix: {name}_}}')
        _check_keys(side, OF_SIDE, f'key of {name}')
        prefix, mirror = side.get('prefix'), side.get('mirror', False)
        if not isinstance(prefix, str): raise UsageError(f'prefix of {name} is {prefix!r}; expected such as {name}_')
        if not isinstance(mirror, bool): raise UsageError(f'mirror of {name} is {mirror!r}; expected true or false')
        found.append(Side(name, prefix, mirror))
    if len({side.prefix for side in found}) < len(found):
        raise UsageError('two have one prefix, expected prefixes that differ')
    return tuple(found)
