"""What of a measurement is drawn on an image: its lines, arcs and value, as plain strokes and labels.

They are worked out where the measurement is, in mm and mirrored where the side is, so that an arc is one on pixels that
are not square, too, and carried to px of the image at the end.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..formats.annotations import Annotations
from ..viz.strokes import Label, Stroke, draw_strokes
from .definitions import Definitions, Measure
from .evaluate import KIND_OF, Measured, View, views
from .expressions import Call, Name, Tree
from .functions import LINE, POINT, foot, intersection
from .tables import classes_of

SIGNS = {'deg': '°', 'mm': ' mm', 'px': ' px', '%': ' %', 'ratio': ''}
DECIMALS = {'ratio': 2}  # else 1
ARC = 0.06  # radius of an arc as a share of the longer side of its image
STEPS = 24  # pieces of an arc
SMALL = 15  # degrees below which lines cross too far away to show their angle there


class Shown(NamedTuple):
    "A function of a measurement that can be drawn."
    function: str
    content: list[np.ndarray]  # its arguments on all images, points (n, 2) or lines (n, 2, 2)
    kinds: tuple[str, ...]     # of the arguments


class Drawing:
    "The pictures of `measured`, of all images of `annotations`."
    def __init__(self, annotations: Annotations, definitions: Definitions, measured: Measured):
        self.annotations, self.measured, self.classes = annotations, measured, classes_of(measured)
        self.heading = definitions.name
        self.views = views(annotations, definitions)
        names = {measure.name for measure in definitions.measures}
        self.shown = [[list(_drawable(definitions.trees[measure.name], view, definitions, names.copy()))
                       for measure in definitions.measures] for view in self.views]

    def draw(self, i: int, pixels: np.ndarray) -> np.ndarray:
        "RGB uint8: `pixels` of the image `i` with all that was measured on it."
        measured = [(s, m) for s in range(len(self.views)) for m in range(len(self.measured.measures))]
        names = [' '.join(filter(None, (self.views[s].side.name, self.measured.measures[m].name))) for s, m in measured]
        notes = [self.note(i, s, m) for s, m in measured]
        return draw_strokes(pixels, *self.shapes(i), names, notes, self.heading)

    def shapes(self, i: int) -> tuple[list[Stroke], list[Label]]:
        "What is drawn on the image `i`, in its px."
        strokes, labels = [], []
        for s, view in enumerate(self.views):
            for m, measure in enumerate(self.measured.measures):
                value = self.measured.values[i, s, m]
                if np.isnan(value): continue
                found, place = self._strokes(i, view, self.shown[s][m], m)
                strokes += found
                if place is not None: labels.append(Label(place, f'{measure.name} {written(value, measure)}', m))
        return strokes, labels

    def note(self, i: int, s: int, m: int) -> str:
        "What is said beside the picture of a measurement: value, interval and class, or why there is none."
        measured, measure = self.measured, self.measured.measures[m]
        if np.isnan(measured.values[i, s, m]): return measured.reasons[i, s, m]
        text = written(measured.values[i, s, m], measure)
        if np.isfinite(measured.lower[i, s, m]):
            text += f' ({written(measured.lower[i, s, m], measure)} to {written(measured.upper[i, s, m], measure)})'
        return ', '.join(filter(None, (text, self.classes[i, s, m])))

    def _strokes(self, i, view, shown, colour):
        "Strokes of a measurement on image `i`, and the place of its value; None where it has none of its own."
        size = self.annotations.sizes[i]
        strokes, place = [], None
        for each in shown:
            content = [part[i:i + 1] for part in each.content]
            if not all(np.isfinite(part).all() for part in content): continue
            paths, at = PAINTERS[each.function, each.kinds](content, _Sheet(size, view.scale[i]))
            strokes += [Stroke(points / view.scale[i], colour, dashed, ends) for points, dashed, ends in paths]
            if place is None: place = at / view.scale[i]
        return strokes, place


def written(value: float, measure: Measure) -> str:
    "`value` as a picture shows it."
    decimals = DECIMALS.get(measure.unit, 1)
    return f'{round(value, decimals) + 0.:.{decimals}f}{SIGNS[measure.unit]}'.replace('-', '−')  # -0 becomes 0


def _drawable(tree: Tree, view: View, definitions: Definitions, left_out: set[str]) -> Iterator[Shown]:
    "What of `tree` is drawn, each definition once; what is measured by itself is drawn there, a sign is no length."
    match tree:
        case Name(name) if name in definitions.trees and name not in left_out:
            left_out.add(name)
            yield from _drawable(definitions.trees[name], view, definitions, left_out)
        case Call(function='sign' | 'other'): return
        case Call(function, arguments):
            content = [view.find(argument).content for argument in arguments]
            kinds = tuple(KIND_OF[part.ndim] for part in content)
            if (function, kinds) in PAINTERS: yield Shown(function, content, kinds)
            else:
                for argument in arguments: yield from _drawable(argument, view, definitions, left_out)


# --- painters: from arguments on one image, (1, ...), to paths (points, dashed, ends), and the place of the value

class _Sheet(NamedTuple):
    "The image on which is drawn."
    size: np.ndarray   # width and height, px
    scale: np.ndarray  # what px are multiplied by, in x and y

    @property
    def radius(self): return ARC * self.size.max() * abs(self.scale).mean()

    def holds(self, point): return bool(((point / self.scale >= 0) & (point / self.scale <= self.size - 1)).all())


def _angle_of_lines(content, sheet):
    l, m = content  # noqa: E741
    crossing, = intersection(l, m)
    (l,), (m,) = l, m  # noqa: E741
    meets = np.isfinite(crossing).all() and sheet.holds(crossing) and _is_near(crossing, l, m)
    centre = crossing if meets else m.mean(0)
    paths = [(line, False, True) for line in (l, m)]
    paths += [(np.stack([_nearest(line, centre), centre]), True, False) for line in (l, m)] if meets else []
    begin, end = _heading(l), _heading(m)
    arc, at = _arc(centre, begin, (end - begin + 180) % 360 - 180, sheet.radius)
    rays = [(np.stack([centre, centre + 1.2 * sheet.radius * _unit(degrees)]), True, False) for degrees in (begin, end)]
    return [*paths, *rays, (arc, False, False)], at


def _angle_at(content, sheet):
    p, q, r = (part[0] for part in content)
    begin, end = _heading(np.stack([q, p])), _heading(np.stack([q, r]))
    radius = min(sheet.radius, np.linalg.norm(p - q), np.linalg.norm(r - q))
    arc, at = _arc(q, begin, (end - begin + 180) % 360 - 180, radius)
    return [(np.stack([q, p]), False, True), (np.stack([q, r]), False, True), (arc, False, False)], at


def _distance(content, sheet):
    path = np.stack([content[0][0], content[1][0]])
    return [(path, False, True)], path.mean(0)


def _distance_to_line(content, sheet):
    p, l = content  # noqa: E741
    path = np.stack([p[0], foot(p, l)[0]])
    line = l[0]
    return [(line, False, True), (np.stack([_nearest(line, path[1]), path[1]]), True, False), (path, False, True)], \
        path.mean(0)


def _along(content, sheet):
    p, l = content  # noqa: E741
    line, at = l[0], foot(p, l)[0]
    return [(line, False, True), (np.stack([p[0], at]), True, False), (np.stack([line[0], at]), False, True)], at


PAINTERS = {('angle', (LINE, LINE)): _angle_of_lines, ('angle', (POINT,) * 3): _angle_at,
            ('distance', (POINT, POINT)): _distance, ('distance', (POINT, LINE)): _distance_to_line,
            ('along', (POINT, LINE)): _along}


def _heading(line):
    "The direction in which `line` (2, 2) points, degrees, anticlockwise as one looks."
    x, y = line[1] - line[0]
    return np.degrees(np.arctan2(-y, x))


def _unit(degrees): return np.stack([np.cos(np.radians(degrees)), -np.sin(np.radians(degrees))], -1)


def _arc(centre, begin, sweep, radius):
    "An arc around `centre` from the direction `begin`, `sweep` degrees long, and a place beyond its middle."
    return centre + radius * _unit(begin + np.linspace(0, sweep, STEPS)), centre + radius * _unit(begin + sweep / 2)


def _is_near(crossing, l, m):  # noqa: E741
    "Whether an angle is to be seen at the `crossing` of two lines: it is near both, or the angle is not small."
    if abs((_heading(l) - _heading(m) + 90) % 180 - 90) > SMALL: return True
    return all(np.linalg.norm(_nearest(line, crossing) - crossing) < np.linalg.norm(line[1] - line[0]) / 2
               for line in (l, m))


def _nearest(line, point):
    "The point between both of `line` that is nearest to `point`."
    way = line[1] - line[0]
    return line[0] + way * np.clip(np.dot(point - line[0], way) / np.dot(way, way), 0, 1)
