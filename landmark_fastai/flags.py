"""Flags as fields of dataclasses: what each means, what it accepts, and whether a resumed run may change it.

`config` declares them. From the fields come the command line and its help, the tables of the documentation, validation,
`config.yaml` and the rules of `--resume`. No torch here: mistakes are told at once.
"""

import inspect
import os
from collections.abc import Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import wraps
from math import isfinite
from numbers import Integral, Real
from pathlib import Path
from typing import Any, get_args

from .errors import UsageError
from .processes import check_single_process

FEW = 12  # names that a message still lists
KINDS = {bool: 'true or false', int: 'a whole number', float: 'a number', str: 'a text', list: 'a list'}


def flag(default: Any, help: str, *, group: str = '', choices: tuple = (), least: float | None = None,
         above: float | None = None, most: float | None = None, below: float | None = None,
         multiple_of: int | None = None, original: Any = None, none: Any = None, may_change: bool = False,
         saved: bool = True) -> Any:
    """A field with a `default` (MISSING where it must be given), its `help`, and what it accepts.

    `group` is the heading under which the documentation lists it, `original` its value in the original recipe where
    that is another, `none` what None means where it is not that the flag is left out, `may_change` says that a resumed
    run may be given another value, `saved` that `config.yaml` holds it.
    """
    bounds = {'at least': least, 'above': above, 'at most': most, 'below': below, 'a multiple of': multiple_of}
    return field(default=default, metadata=dict(
        help=help, group=group, choices=choices, original=original, none=none, may_change=may_change, saved=saved,
        bounds={words: bound for words, bound in bounds.items() if bound is not None}))


@dataclass(frozen=True, kw_only=True)
class Flags:
    "Base of the flags of a command: every value is checked when one is made. Raises UsageError."

    def __post_init__(self):
        for each in fields(self): object.__setattr__(self, each.name, checked(each, getattr(self, each.name)))
        self.check()

    def check(self):
        "Raise UsageError for flags that contradict each other; for subclasses."

    @classmethod
    def of(cls, given: dict) -> 'Flags':
        "The flags that were `given` over those of the file that its `config` names, if any, over the defaults."
        return cls.complete(read_file(cls, given['config']) if given.get('config') else {}, known(fields(cls), given))

    @classmethod
    def complete(cls, of_file: dict, given: dict) -> 'Flags':
        "The flags of a file, those that were `given`, which win, and defaults."
        values = of_file | given
        missing = [each.name for each in fields(cls) if each.default is MISSING and each.name not in values]
        if missing: raise UsageError(f'{missing[0]} is missing; pass --{missing[0]}')
        return cls(**values)


def known(flags: Sequence[Field], values: dict) -> dict:
    "Those of `values` that are given (None is not), checked. Raises UsageError, also for a name not among `flags`."
    by_name = {each.name: each for each in flags}
    for name in values:
        if name in by_name: continue
        raise UsageError(f'{name!r} is no flag of this command{nearest(str(name), list(by_name))}')
    values = {name: by_name[name].metadata['none'] if value is None else value for name, value in values.items()}
    return {name: checked(by_name[name], value) for name, value in values.items() if value is not None}


def nearest(name: str, names: Sequence[str], prefix: str = '') -> str:
    "A proposal for a mistyped `name`, to end a message: what it may have meant, all `names`, or where they are told."
    import difflib  # here, as `yaml` below: help does not wait for what it does not need
    close = difflib.get_close_matches(name, names, n=1)
    if close: return f'; did you mean {prefix}{close[0]}?'
    return f'; expected one of {", ".join(names)}' if len(names) <= FEW else '; --help lists them'


# --- one value

def kinds(each: Field) -> tuple:
    "The types that a flag takes, without None."
    return tuple(kind for kind in (get_args(each.type) or (each.type,)) if kind is not type(None))


def checked(each: Field, value: Any) -> Any:
    "`value` as the flag stores it: paths as text, arrays as lists, whole numbers as floats. Raises UsageError."
    if value is None and each.default is None: return None
    value = _plain(value)
    if hasattr(value, 'tolist'): value = value.tolist()  # of NumPy or torch
    for kind in kinds(each):
        if kind is float and isinstance(value, Real) and not isinstance(value, bool): value = float(value)
        if kind is int and isinstance(value, Integral) and not isinstance(value, bool): value = int(value)
        if kind is list and isinstance(value, list | tuple): value = list(map(_plain, value))
        if type(value) is kind and fits(each, value): return value
    raise UsageError(f'{each.name} is {value!r}; expected {expected(each)}')


def _plain(value): return os.fspath(value) if isinstance(value, os.PathLike) else value


def fits(each: Field, value: Any) -> bool:
    "Whether `value`, of the right type, is one of the choices, finite and within the bounds of the flag."
    if isinstance(value, float) and not isfinite(value): return False
    compare = {'at least': lambda bound: value >= bound, 'above': lambda bound: value > bound,
               'at most': lambda bound: value <= bound, 'below': lambda bound: value < bound,
               'a multiple of': lambda bound: value % bound == 0}
    choices = each.metadata['choices']
    return (not choices or value in choices) and all(compare[words](bound)
                                                     for words, bound in each.metadata['bounds'].items())


def is_number(value: Any) -> bool:
    "Whether `value`, from JSON, is a finite number."
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def expected(each: Field) -> str:
    "What a flag accepts, in words."
    choices = each.metadata['choices']
    if choices: return f'one of {", ".join(choices)}{" (or nothing)" if each.default is None else ""}'
    what = ' or '.join(KINDS[kind] for kind in kinds(each))
    if bool in kinds(each): what += f' (on the command line --{each.name} or --no{each.name}, without a value)'
    return ', '.join([what, *bounds(each)])


def bounds(each: Field) -> list[str]:
    "The bounds of a flag, in words."
    return [f'{words} {bound:g}' for words, bound in each.metadata['bounds'].items()]


def meaning(each: Field) -> str:
    "What a flag means, and what it accepts beside its type."
    choices = each.metadata['choices']
    limits = f' One of {", ".join(choices)}.' if choices else f' {", ".join(bounds(each)).capitalize()}.'
    return each.metadata['help'] + limits * bool(choices or bounds(each))


def help_text(each: Field) -> str:
    "As `meaning`, with the value of a flag in the original recipe where that is another."
    original = each.metadata['original']
    return meaning(each) + ('' if original is None else f' The original recipe has {original}.')


def check_values(cls: type[Flags], **values: Any):
    "Raise UsageError unless each of `values` is one that the flag of that name in `cls` accepts."
    by_name = {each.name: each for each in fields(cls)}
    for name, value in values.items(): checked(by_name[name], value)


# --- files

def read_yaml(path: Path, what: str) -> dict:
    "The content of the YAML file `path`, which is `what`. Raises UsageError, also where a key is there twice."
    import yaml

    class Loader(yaml.SafeLoader):
        "As safe, but of a key that is there twice it does not drop one."

    def mapping(loader, node):
        loader.flatten_mapping(node)
        pairs = loader.construct_pairs(node, deep=True)
        twice = [key for n, (key, _) in enumerate(pairs) if key in [before for before, _ in pairs[:n]]]
        if twice: raise UsageError(f'{path}: {twice[0]} is there twice, expected each name once')
        return dict(pairs)

    Loader.add_constructor('tag:yaml.org,2002:map', mapping)
    try: values = yaml.load(path.read_text(encoding='utf-8'), Loader) or {}
    except OSError as e: raise UsageError(f'{path}: {e.strerror.lower()}; expected {what}') from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as e:  # such as the 99th of a month, a list as a key
        raise UsageError(f'{path} is not valid YAML ({" ".join(str(e).split())[:200]})') from None
    if not isinstance(values, dict):
        raise UsageError(f'{path} holds a {type(values).__name__}; expected lines such as "epochs: 40"')
    return values


def read_file(cls: type[Flags], path: str | Path) -> dict:
    "The flags of `cls` in a YAML file. Raises UsageError with file, key, what was found and what was expected."
    path = Path(path)
    values = read_yaml(path, 'a YAML file of flags')
    by_name = {each.name: each for each in fields(cls) if each.metadata['saved']}
    values = {name: _as_number(by_name[name], value) if name in by_name else value for name, value in values.items()}
    try: return known(list(by_name.values()), values)
    except UsageError as e: raise UsageError(f'{path}: {e}') from None


def _as_number(each: Field, value: Any) -> Any:
    "YAML takes 1e-3 for a text, since it has no dot."
    if kinds(each) != (float,) or not isinstance(value, str): return value
    try: return float(value)
    except ValueError: return value


def to_yaml(flags: Flags) -> str:
    "All `flags` that a file may hold, as YAML that `read_file` takes."
    import yaml
    return yaml.safe_dump(saved(flags), sort_keys=False, allow_unicode=True)


def saved(flags: Flags) -> dict:
    "Those of `flags` that a file may hold."
    return {each.name: getattr(flags, each.name) for each in fields(flags) if each.metadata['saved']}


# --- functions

def signature(cls: type[Flags], *more: inspect.Parameter) -> inspect.Signature:
    "The signature of a function of the flags of `cls`, and `more`; what must be given may stand without a name."
    parameters = []
    for each in fields(cls):
        required = each.default is MISSING
        parameters.append(inspect.Parameter(
            each.name, inspect.Parameter.POSITIONAL_OR_KEYWORD if required else inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if required else each.default, annotation=each.type))
    return inspect.Signature(sorted([*parameters, *more], key=lambda parameter: parameter.kind))


def takes(cls: type[Flags], shared: bool = False):
    """A decorator for a function of one `cls`, and more keywords perhaps: it becomes one of the flags of `cls` instead.

    Several processes of a launcher may call it together where it is `shared`; else that raises UsageError.
    """
    def decorate(function):
        own = list(inspect.signature(function).parameters.values())[1:]
        @wraps(function)
        def of_flags(*args, **kwargs):
            if not shared: check_single_process(function.__name__)
            required = [each.name for each in fields(cls) if each.default is MISSING]
            given = dict(zip(required, args, strict=False)) | kwargs
            if len(given) < len(args) + len(kwargs): raise TypeError(f'{function.__name__} takes flags by name, once')
            others = {each.name: given.pop(each.name) for each in own if each.name in given}
            return function(cls.of(given), **others)
        of_flags.__signature__ = signature(cls, *own)
        return of_flags
    return decorate
