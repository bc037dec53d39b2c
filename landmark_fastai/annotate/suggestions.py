"What is offered to a reader on an image: marks of a CSV or of a trained run, and points that follow from the others."

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import UsageError
from ..formats.annotations import Annotations
from ..quality.shapes import FEW, mean_shape
from .actions import Mark, Work
from .hints import template
from .labels import mark_of, point_of
from .repeats import image_of
from .run import Run

SHAPES = 50   # images that say what a shape is like: more hardly change it, and take longer
GROWN = 1.25  # how many times as many images there must be for another look at them


@dataclass(frozen=True)
class Suggestion:
    "A mark that is offered to the reader for a landmark."
    mark: Mark
    origin: str   # of `actions.ORIGINS`
    by: str = ''  # the reader that it is of, where readers are compared


class Help:
    """What can be offered on images with the landmarks `names`.

    That is `given` marks, by image and landmark, of a CSV; else what a `run` has found; else what follows from the
    points that are placed.
    """
    def __init__(self, names: Sequence[str], given: Mapping[str, Mapping[str, Mark]] | None = None,
                 run: Run | None = None):
        self.names, self.given, self.run = list(names), given or {}, run
        self.mean = np.full((len(self.names), 2), np.nan)  # the shape of the images that were finished then
        self.n_seen = 0

    def of(self, image: str, work: Work) -> dict[str, list[Suggestion]]:
        "What is known for landmarks of an image by now, the best first; the `run` is not asked."
        shown = image_of(image)
        found = self.given.get(shown) or (self.run.found.get(shown) if self.run else None) or {}
        offered = {name: Suggestion(mark, 'model') for name, mark in found.items()
                   if mark is not None and name in self.names}
        for name, point in self._following(image, work).items():
            offered.setdefault(name, Suggestion(point, 'template'))
        return {name: [suggestion] for name, suggestion in offered.items()}

    def can_ask(self, image: str) -> bool:
        "Whether the run knows what it could not tell yet."
        return self.run is not None and image_of(image) not in self.given and image_of(image) not in self.run.found

    def _following(self, image, work):
        "The points that follow from those that the reader has placed."
        self._look_at(work, image)
        points = template(self.mean, points_of(work, image, self.names))
        return {name: (float(x), float(y)) for name, (x, y) in zip(self.names, points, strict=True) if np.isfinite(x)}

    def _look_at(self, work, image):
        "Learn the mean shape anew where there are many more other images than there were."
        least = max(GROWN * self.n_seen, 1)
        if len(work.marks) < least: return  # with each click: of thousands nothing is counted then
        images = whole_images(work, but=image)
        if len(images) < least: return
        self.mean = mean_shape(np.stack([points_of(work, image, self.names) for image in images[-SHAPES:]]))
        self.n_seen = len(images)


def check_given(given: Mapping[str, Mapping[str, Mark]], images: Collection[str], names: Sequence[str]):
    "Raise UsageError unless some of the marks of a CSV are of these `images` and landmarks."
    here = [marks for image, marks in given.items() if image in images]
    if not here:
        raise UsageError(f'none of the {len(given)} images of --csv is among the {len(images)} here, expected their '
                         f'paths below --image_dir; the first are {next(iter(given))!r} and {next(iter(images))!r}')
    if set(here[0]) & set(names): return
    raise UsageError(f'--csv has the landmarks {", ".join(here[0])}; expected some of {", ".join(names)}')


def whole_images(work: Work, but: str) -> list[str]:
    "Images with points enough to tell what a shape is like, `but` one."
    return [image for image, marks in work.marks.items()
            if image != but and sum(isinstance(mark, tuple) for mark in marks.values()) >= FEW]


def points_of(work: Work, image: str, names: Sequence[str]) -> np.ndarray:
    "The points (N, 2) of the landmarks `names` on an image, original px; NaN where there is none."
    marks = work.of(image)
    return np.array([point_of(marks.get(name)) for name in names]).reshape(-1, 2)


def marks_of(annotations: Annotations) -> dict[str, dict[str, Mark]]:
    "The marks of `annotations`, by image and landmark."
    rows = zip(annotations.image_names, annotations.points, annotations.state, strict=True)
    return {image: dict(zip(annotations.names, map(mark_of, points, states), strict=True))
            for image, points, states in rows}
