"""The text of a definition as a tree: numbers, names and calls of what is in `functions`, and nothing else.

Python's own parser reads the text, so precedence and brackets are as everyone knows them; it runs nothing. Of its tree
only what is listed here is taken over, all else is refused.
"""

import ast
import math
import warnings
from dataclasses import dataclass

from ..errors import UsageError
from ..flags import nearest
from .functions import FUNCTIONS, OPERATORS

LONGEST = 500  # characters of a text: longer ones belong into several definitions
DEEPEST = 100  # calls within calls, also over several definitions: far from what Python's stack can hold
SYMBOLS = {ast.Add: '+', ast.Sub: '-', ast.Mult: '*', ast.Div: '/'}


@dataclass(frozen=True)
class Number:
    "A number."
    value: float


@dataclass(frozen=True)
class Name:
    "A landmark, or another definition or measurement."
    name: str


@dataclass(frozen=True)
class Call:
    "A function, or an operator, of arguments."
    function: str
    arguments: tuple['Tree', ...]
    text: str  # as it was written, for messages


Tree = Number | Name | Call


def parse(text: str) -> Tree:
    "The tree of `text`. Raises UsageError that says what was found and what was expected, but not where."
    if len(text) > LONGEST: raise UsageError(f'{len(text)} characters, expected at most {LONGEST}; define parts of it')
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of Python, about what is refused below
            body = ast.parse(text.strip(), mode='eval').body
        return _tree(body, 1)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UsageError(f'{text!r} cannot be read; expected such as angle(line(hip, knee), line(knee, ankle)); names '
                         "with other than letters, digits and _ stand in quotes, as 'A point'") from None


def _tree(node, depth):
    "What is taken over of `node`, which is `depth` calls deep."
    if depth > DEEPEST: raise UsageError(f'more than {DEEPEST} calls within each other; define parts of it')
    def call(function, *arguments):
        return Call(function, tuple(_tree(argument, depth + 1) for argument in arguments), ast.unparse(node))
    match node:
        case ast.Constant(value=str(name)): return Name(name)
        case ast.Constant(value=bool() | None): pass
        case ast.Constant(value=int() | float() as value): return Number(_finite(value))
        case ast.Name(id=name): return Name(name)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand): return _tree(operand, depth + 1)
        case ast.UnaryOp(op=ast.USub(), operand=operand): return call('-', ast.Constant(0), operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in SYMBOLS:
            return call(SYMBOLS[type(op)], left, right)
        case ast.Call(func=ast.Name(id=function), args=arguments, keywords=[]):
            if function not in FUNCTIONS: raise UsageError(f'no function {function!r}{nearest(function, FUNCTIONS)}')
            return call(function, *arguments)
    raise UsageError(f'{ast.unparse(node)!r} is none of what is allowed: names, numbers, {" ".join(OPERATORS)} and '
                     f'{", ".join(FUNCTIONS)}')


def _finite(value):
    try: number = float(value)
    except OverflowError: number = math.inf
    if not math.isfinite(number): raise UsageError('a number is too large')
    return number


def names_in(tree: Tree) -> list[str]:
    "The names in `tree`, from left to right, each once."
    if isinstance(tree, Name): return [tree.name]
    if isinstance(tree, Number): return []
    return list(dict.fromkeys(name for argument in tree.arguments for name in names_in(argument)))
