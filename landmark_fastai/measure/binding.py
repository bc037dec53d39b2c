"Definitions and the landmarks of a CSV: which side has which landmark, and which is missing."

from collections.abc import Sequence

from ..errors import UsageError
from ..flags import nearest
from .definitions import Definitions, Side
from .expressions import Call, Name


def landmark_of(name: str, side: Side, landmarks: Sequence[str]) -> str | None:
    "The landmark that `name` is on `side`: the one with the prefix, else the one without; None where there is none."
    return next((each for each in (side.prefix + name, name) if each in landmarks), None)


def sides_there(definitions: Definitions, landmarks: Sequence[str], file: str) -> list[Side]:
    """The sides of which the CSV called `file` has landmarks.

    Raises UsageError for a name that is neither a landmark nor defined, and for one that is both.
    """
    sides = [side for side in definitions.sides if any(name.startswith(side.prefix) for name in landmarks)]
    if not sides:
        prefixes = ' or '.join(side.prefix for side in definitions.sides)
        raise UsageError(f'{definitions.file}: sides: {file} has no landmark that begins with {prefixes}; it has '
                         f'{", ".join(landmarks)}. A file with "template:" may give other prefixes')
    for side in sides:
        other = next((each for each in definitions.sides if each != side), side)
        for name, tree in definitions.trees.items(): _check(name, tree, side, other, definitions, landmarks, file)
    return sides


def _check(where, tree, side, other, definitions, landmarks, file):
    "Raise UsageError unless each name in `tree` is a landmark or defined, and not both."
    match tree:
        case Call(function='other', arguments=(argument,)):
            _check(where, argument, other, side, definitions, landmarks, file)
        case Call():
            for argument in tree.arguments: _check(where, argument, side, other, definitions, landmarks, file)
        case Name(name):
            found = landmark_of(name, side, landmarks)
            if found and name in definitions.trees:
                raise UsageError(f'{definitions.file}: {where}: {name} is defined, but {file} has a landmark {found} '
                                 'as well; rename one of them')
            if not found and name not in definitions.trees:
                raise UsageError(f'{definitions.file}: {where}: {file} has no landmark {side.prefix + name!r}, and '
                                 f'nothing is defined so{_nearest(name, side, definitions, landmarks)}')


def _nearest(name: str, side: Side, definitions: Definitions, landmarks: Sequence[str]) -> str:
    "What `name` may have meant: a landmark of the CSV, or a definition."
    known = [*landmarks, *definitions.trees]
    proposal = nearest(side.prefix + name, known)
    return proposal if '--help' not in proposal else f'; expected one of {", ".join(known)}'
