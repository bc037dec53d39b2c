"""The values of definitions on all images at once.

A small walker goes through the tree of a definition and calls what is in `functions`. Each result stands beside the
reason why there is none on an image, the first that was met.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from ..formats.annotations import ABSENT, UNLABELLED, Annotations
from ..viz.report import counted
from ..viz.shown import notebook_html
from .binding import landmark_of, sides_there
from .definitions import Definitions, Measure, Side
from .expressions import Call, Name, Number, Tree
from .functions import LINE, POINT, VALUE
from .kinds import form_of

KIND_OF = {1: VALUE, 2: POINT, 3: LINE}  # by the number of axes
MIRROR = (-1, 1)
NO_SPACING = 'the pixel spacing is unknown'
NO_NUMBER = 'it is no finite number'


class Found(NamedTuple):
    "What a tree is on n images."
    content: np.ndarray  # values (n,), points (n, 2) or lines (n, 2, 2), as in `functions`; NaN where there is none
    why: np.ndarray      # (n,) int: number of the reason why there is none, 0 where there is one


@dataclass
class Reasons:
    "Reasons why there is no value, by number."
    texts: list[str] = field(default_factory=lambda: [''])

    def number(self, text: str) -> int:
        "The number of the reason `text`."
        if text not in self.texts: self.texts.append(text)
        return self.texts.index(text)


class View:
    """One `side` of the body on all images, in mm where the spacing is known, else in px; mirrored where the side is.

    `scale` (n, 2) is what px are multiplied by in x and y, `reasons` are those of all views together.
    """
    def __init__(self, annotations: Annotations, definitions: Definitions, side: Side, scale: np.ndarray,
                 reasons: Reasons):
        self.annotations, self.definitions, self.side, self.reasons = annotations, definitions, side, reasons
        self.scale = scale * MIRROR if side.mirror else scale
        self.other = self  # `views` pairs them
        self._found = {}

    def find(self, tree: Tree) -> Found:
        "What `tree` is, worked out once."
        if tree not in self._found: self._found[tree] = self._work_out(tree)
        return self._found[tree]

    def _work_out(self, tree):
        match tree:
            case Number(value): return Found(np.full(len(self.annotations), value), self._none())
            case Name(name) if name in self.definitions.trees: return self.find(self.definitions.trees[name])
            case Name(name): return self._landmark(name)
            case Call(function='other'): return self._from_other_side(tree.arguments[0])
        return self._call(tree)

    def _none(self): return np.zeros(len(self.annotations), int)

    def _landmark(self, name):
        landmark = landmark_of(name, self.side, self.annotations.names)
        k = self.annotations.names.index(landmark)
        state = self.annotations.state[:, k]
        why = np.select([state == ABSENT, state == UNLABELLED], [self.reasons.number(f'{landmark} is absent'),
                                                                 self.reasons.number(f'{landmark} is not labelled')])
        return Found(self.annotations.points[:, k] * self.scale, why)

    def _from_other_side(self, tree):
        content, why = self.other.find(tree)
        mirrored = self.other.side.mirror != self.side.mirror and content.ndim > 1
        return Found(content * MIRROR if mirrored else content, why)

    def _call(self, call):
        arguments = list(map(self.find, call.arguments))
        _, form = form_of(call, [KIND_OF[each.content.ndim] for each in arguments])
        with np.errstate(all='ignore'): content = form.apply(*(each.content for each in arguments))
        why = self._none()
        for each in arguments: why = np.where(why, why, each.why)
        failed = ~np.isfinite(content).all(tuple(range(1, content.ndim)))
        why = np.where(failed & (why == 0), self.reasons.number(f'in {call.text}: {form.fails or NO_NUMBER}'), why)
        return Found(np.where(np.expand_dims(why > 0, tuple(range(1, content.ndim))), np.nan, content), why)


@dataclass(frozen=True)
class Measured:
    "What was measured on n images with S sides and M measurements."
    image_names: list[str]
    sides: list[Side]
    measures: tuple[Measure, ...]
    values: np.ndarray   # (n, S, M), NaN where there is none
    reasons: np.ndarray  # (n, S, M) of texts: why there is none, '' where there is one
    lower: np.ndarray    # (n, S, M): ends of the interval in which the true value is expected, NaN where nothing is
    upper: np.ndarray    # known of it
    interval: np.ndarray  # (n, S, M) of texts: what that follows from, '' where there is none
    readers: list[str]   # who has placed the points of each image, '' where the CSV does not tell several apart

    def summary(self) -> Iterator[str]:
        "A line a measurement: of how many images, their mean and standard deviation, and how wide the intervals are."
        for s, side in enumerate(self.sides):
            for m, measure in enumerate(self.measures):
                values = self.values[:, s, m]
                known = values[np.isfinite(values)]
                name = ' '.join(filter(None, (side.name, measure.name)))
                if not len(known):
                    reasons, counts = np.unique(self.reasons[:, s, m].astype(str), return_counts=True)
                    yield f'{name}: no value: {reasons[counts.argmax()]}'
                    continue
                spread = f' ± {known.std(ddof=1):.2f}' if len(known) > 1 else ''
                radius = (self.upper - self.lower)[:, s, m] / 2
                radius = radius[np.isfinite(radius)]
                interval = f', the true ones within ± {np.median(radius):.2f}' if len(radius) else ''
                yield f'{name}: {known.mean():.2f}{spread} {measure.unit} (n = {len(known)}){interval}'

    def _repr_html_(self):
        return notebook_html(f'{counted(len(set(self.image_names)), "image")} measured', lines=list(self.summary()))


def measure_landmarks(annotations: Annotations, definitions: Definitions) -> Measured:
    """Measure all images of `annotations`. Raises UsageError where `definitions` have names that are not there.

    Lengths are in mm; a measurement in px is worked out in px alone, whatever the spacing.
    """
    in_mm, in_px = views(annotations, definitions), views(annotations, definitions, in_px=True)
    unknown = np.isnan(annotations.spacing).any(1)
    shape = len(annotations), len(in_mm), len(definitions.measures)
    values, reasons = np.full(shape, np.nan), np.full(shape, '', object)
    for s, pair in enumerate(zip(in_mm, in_px, strict=True)):
        for m, measure in enumerate(definitions.measures):
            view = pair[measure.unit == 'px']
            content, why = view.find(definitions.trees[measure.name])
            if measure.unit == 'mm': why = np.where((why == 0) & unknown, view.reasons.number(NO_SPACING), why)
            values[:, s, m] = np.where(why == 0, content + 0., np.nan)  # -0 becomes 0
            reasons[:, s, m] = np.array(view.reasons.texts, object)[why]
    blank = np.full(shape, np.nan)
    return Measured(annotations.image_names, [view.side for view in in_mm], definitions.measures, values, reasons,
                    blank, blank.copy(), np.full(shape, '', object), [''] * len(annotations))


def joined(of_readers: dict[str, Measured]) -> Measured:
    "What several readers have measured, by the reader, one after the other."
    parts = list(of_readers.values())
    arrays = ('values', 'reasons', 'lower', 'upper', 'interval')
    return replace(parts[0], image_names=[name for part in parts for name in part.image_names],
                   readers=[reader for reader, part in of_readers.items() for _ in part.image_names],
                   **{name: np.concatenate([getattr(part, name) for part in parts]) for name in arrays})


def shortest(differences: np.ndarray, measures: Sequence[Measure]) -> np.ndarray:
    "`differences` (..., M) of values of `measures`; angles are at most 180 degrees apart."
    is_angle = [measure.unit == 'deg' for measure in measures]
    return np.where(is_angle, (differences + 180) % 360 - 180, differences)


def views(annotations: Annotations, definitions: Definitions, in_px: bool = False) -> list[View]:
    "A view of each side of which there are landmarks. Raises UsageError as `sides_there` does."
    there = sides_there(definitions, annotations.names, annotations.path.name)
    known = np.isfinite(annotations.spacing).all(1, keepdims=True)
    scale, reasons = np.where(known & ~np.bool_(in_px), annotations.spacing, 1.), Reasons()
    found = [View(annotations, definitions, side, scale, reasons) for side in definitions.sides]
    if len(found) == 2: found[0].other, found[1].other = found[1], found[0]
    return [view for view in found if view.side in there]
