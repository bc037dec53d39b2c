"Images with their landmarks as another tool holds them, and the annotations that they are."

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import UsageError
from ..formats.annotations import ABSENT, UNLABELLED, VISIBLE, Annotations
from ..formats.columns import check_name
from .notes import Notes

HALF = 0.5      # px from the corner of a pixel to its centre
DECIMALS = 6    # of px: what is finer is rounding, of per cents for instance

Mark = tuple[float, float] | None  # x, y in px of the format, y down; None where the landmark is absent


class Value(NamedTuple):
    "A measurement of an image."
    name: str     # as right_HKA
    value: float
    unit: str     # of `measure.definitions.UNITS`


@dataclass
class Film:
    "An image and its landmarks; one without a mark is not labelled."
    name: str                      # the POSIX path of the image below the image folder
    where: str                     # where the image stands, for messages
    size: tuple[int, int]          # width, height
    marks: dict[str, Mark] = field(default_factory=dict)
    spacing: tuple[float, float] | None = None              # mm per pixel in x and y, where it is known
    confidence: dict[str, float] = field(default_factory=dict)
    path: Path | None = None       # of the image, where there is an image folder
    values: list[Value] = field(default_factory=list)

    def add(self, landmark: str, mark: Mark):
        "Take `mark` down. Raises UsageError where `landmark` has one already."
        landmark = landmark.strip()
        if landmark in self.marks:
            raise UsageError(f'{self.where}: landmark {landmark} is there twice, expected at most one point for each '
                             'landmark of an image')
        self.marks[landmark] = mark


class Reading(NamedTuple):
    "What was read: images in the order of the file, and all landmarks, also those that no image has."
    films: list[Film]
    names: list[str]


def names_in(films: Iterable[Film]) -> list[str]:
    "The landmarks of `films`, as they come."
    return list(dict.fromkeys(name for film in films for name in film.marks))


def numbered(n: int) -> list[str]:
    "Names of `n` landmarks that have none."
    return [f'landmark_{k}' for k in range(1, n + 1)]


def checked_names(path: Path, names: list[str]) -> list[str]:
    "`names` of landmarks, which a CSV must be able to hold. Raises UsageError naming the file `path`."
    for name in names: check_name(path, name)
    if len(set(names)) < len(names): raise UsageError(f'{path.name}: two landmarks have one name, expected each once')
    return names


def annotations_of(reading: Reading, path: Path, is_corner: bool, notes: Notes) -> tuple[Annotations, np.ndarray]:
    """What was read from `path` as annotations, and the confidence (n, N) of each point, NaN where there is none.

    `is_corner` tells that (0, 0) is the corner of the top-left pixel, not its centre. A point on the outer half of a
    pixel at the border goes to its centre. Raises UsageError for a point outside, and an image that is there twice.
    """
    films, names = reading
    if not films: raise UsageError(f'{path}: no image in it, expected annotations')
    _check_once(films)
    checked_names(path, names)
    shape = len(films), len(names)
    points, confidence = np.full((*shape, 2), np.nan), np.full(shape, np.nan)
    state = np.full(shape, UNLABELLED, np.uint8)
    for i, film in enumerate(films):
        for k, name in enumerate(names):
            confidence[i, k] = film.confidence.get(name, np.nan)
            if name not in film.marks: continue
            mark = film.marks[name]
            state[i, k] = ABSENT if mark is None else VISIBLE
            if mark is not None: points[i, k] = _index(film, name, mark, HALF * is_corner, notes)
    spacing = np.array([film.spacing or (np.nan, np.nan) for film in films])
    source = np.where(np.isnan(spacing).any(1), '', np.array(path.name, object))
    return Annotations(path, names, [film.name for film in films], list(range(1, len(films) + 1)),
                       np.array([film.size for film in films]), points, state, spacing, source, None, None), confidence


def films_of(annotations: Annotations, is_corner: bool, image_dir: str | None) -> list[Film]:
    "The images of `annotations` for a format in which (0, 0) is the corner of the top-left pixel, or its centre."
    points = np.round(annotations.points + HALF * is_corner, DECIMALS)
    films = []
    for i, name in enumerate(annotations.image_names):
        spacing = tuple(annotations.spacing[i].tolist())
        film = Film(name, annotations.where(i), tuple(annotations.sizes[i].tolist()),
                    spacing=None if np.isnan(spacing).any() else spacing, path=image_dir and Path(image_dir, name))
        for k, landmark in enumerate(annotations.names):
            if annotations.state[i, k] == VISIBLE: film.marks[landmark] = tuple(points[i, k].tolist())
            if annotations.state[i, k] == ABSENT: film.marks[landmark] = None
        films.append(film)
    return films


def _check_once(films):
    first = {}
    for film in films:
        earlier = first.setdefault(film.name, film)
        if earlier is not film:
            raise UsageError(f'{film.where}: the image {film.name} is there already, {earlier.where}; expected each '
                             'image once')


def _index(film, name, mark, half, notes):
    "The point of landmark `name` as index of pixel centres."
    index = np.round(np.subtract(mark, half), DECIMALS)
    inside = np.clip(index, 0, np.subtract(film.size, 1))
    if (abs(index - inside) > HALF).any():
        raise UsageError(f'{film.where}: landmark {name} is at {mark[0]:g},{mark[1]:g}, outside the image of '
                         f'{film.size[0]} x {film.size[1]} px; correct it')
    if (index != inside).any(): notes.add('point', 'on the rim, moved by at most half a pixel to its centre', film.name)
    return inside
