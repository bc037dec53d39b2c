"What several readers have said of the same images, to be settled: their marks side by side, the worst image first."

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from math import dist, inf
from pathlib import Path

from ..errors import UsageError
from .actions import ABSENT, Mark, Work
from .journal import EXTENSION, read_first_line, read_work
from .labels import DECIMALS
from .review import Reason
from .suggestions import Suggestion

ADJUDICATED = 'adjudicated'  # the name of the reader who settles it


class Disputed:
    """The images that two or more readers have read, from the journals in the `folder` of readers, which are only read.

    Raises UsageError where readers share no image, have other landmarks than each other, or a journal is damaged.
    """
    def __init__(self, folder: Path):
        paths = [path for path in sorted(folder.glob('*' + EXTENSION)) if path.stem != ADJUDICATED]
        headers = list(filter(None, map(read_first_line, paths)))
        self.landmarks = headers[0].get('landmarks', []) if headers else []
        self.works = {path.stem: read_work(path, self.landmarks) for path in paths}
        self.images = shared_images(self.works)
        if self.images: return
        found = ', '.join(path.name for path in paths) or 'no journal'
        raise UsageError(f'{folder} has {found}: no image was read by two readers, expected some to adjudicate; let '
                         'another --reader read the same images')

    def suggestions(self, image: str) -> dict[str, list[Suggestion]]:
        "As the function."
        return suggestions(marks_by_reader(self.works, image))

    def reasons(self) -> dict[str, Reason]:
        "How far readers are apart, by image."
        return {image: disagreement(marks_by_reader(self.works, image)) for image in self.images}


def shared_images(works: Mapping[str, Work]) -> list[str]:
    "The images on which two or more readers, whose `works` these are, have marks."
    images = {image for work in works.values() for image in work.marks}
    return sorted(image for image in images if sum(work.n_marked(image) > 0 for work in works.values()) > 1)


def marks_by_reader(works: Mapping[str, Work], image: str) -> dict[str, dict[str, Mark]]:
    "What was said of each landmark of an image, by landmark and reader."
    found = {}
    for reader, work in works.items():
        for name, mark in work.of(image).items():
            if mark is not None: found.setdefault(name, {})[reader] = mark
    return found


def suggestions(marks: Mapping[str, Mapping[str, Mark]]) -> dict[str, list[Suggestion]]:
    "What is offered of `marks_by_reader`: the mean where two or more say a point and nobody anything else, then each."
    found = {}
    for name, by_reader in marks.items():
        points = [mark for mark in by_reader.values() if isinstance(mark, tuple)]
        found[name] = [Suggestion(mark, 'adjudication', reader) for reader, mark in by_reader.items()]
        if len(points) == len(by_reader) > 1: found[name].insert(0, Suggestion(mean_of(points), 'adjudication'))
    return found


def mean_of(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    "The mean of `points`, original px."
    x, y = (round(sum(values) / len(points), DECIMALS) for values in zip(*points, strict=True))
    return x, y


def disagreement(marks: Mapping[str, Mapping[str, Mark]]) -> Reason:
    """Where on an image the two readers are that are the farthest apart, of `marks_by_reader`.

    The score is in original px, infinite where one says a point and the other none, or not for the same reason.
    """
    return max(distances(marks), key=lambda reason: reason.score, default=Reason(0., 'no landmark was read twice'))


def distances(marks: Mapping[str, Mapping[str, Mark]]) -> Iterator[Reason]:
    "How far any two readers are apart, at each landmark."
    for name, by_reader in marks.items():
        for (one, first), (other, second) in combinations(by_reader.items(), 2):
            if isinstance(first, tuple) and isinstance(second, tuple):
                apart = dist(first, second)
                yield Reason(apart, f'{name}: {one} and {other} are {apart:.1f} px apart')
            elif first == second: yield Reason(0., f'{name}: {one} and {other} agree')
            else: yield Reason(inf, f'{name}: {one} says {said_by(first)}, {other} {said_by(second)}')


def said_by(mark: Mark) -> str:
    "What a reader says by `mark`."
    return 'a point' if isinstance(mark, tuple) else 'absent' if mark == ABSENT else 'cannot judge'
