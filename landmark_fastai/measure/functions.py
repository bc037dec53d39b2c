"""What a definition may call: geometry on many images at once, in the plane in which the image is looked at.

Points are (n, 2) x to the right, y down; lines (n, 2, 2), directed from the first to the second of two points; values
(n,). Lengths are in the unit of the points, angles in degrees. NaN is what cannot be had, such as the intersection of
parallel lines. Pure NumPy.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

POINT, LINE, VALUE, ANY = 'point', 'line', 'value', 'any'  # kinds; other(...) has that of its argument
PARALLEL = 1e-9  # sine of an angle below which lines are parallel: rounding is far less, and no landmark that exact
BEYOND_ONE = 1e-6  # what rounding may have added to a sine


class Form(NamedTuple):
    "One way to call a function."
    takes: tuple[str, ...]  # kinds of the arguments
    gives: str
    apply: Callable[..., np.ndarray] | None
    meaning: str
    fails: str = ''  # why there may be no result
    repeats: bool = False  # whether the last argument may be followed by more of its kind


# --- points

def midpoint(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    "Halfway between two points."
    return (p + q) / 2


def centroid(*points: np.ndarray) -> np.ndarray:
    "The mean of points."
    return np.mean(np.broadcast_arrays(*points), 0)


def intersection(l: np.ndarray, m: np.ndarray) -> np.ndarray:  # noqa: E741
    "Where two lines, however long, cross."
    d, e = direction(l), direction(m)
    sine = turn(d, e)
    sine = np.where(abs(sine) > PARALLEL * length(d) * length(e), sine, np.nan)
    return l[:, 0] + d * (turn(m[:, 0] - l[:, 0], e) / sine)[:, None]


def foot(p: np.ndarray, l: np.ndarray) -> np.ndarray:  # noqa: E741
    "The point of a line that is nearest to a point."
    d = direction(l)
    return l[:, 0] + d * (dot(p - l[:, 0], d) / dot(d, d))[:, None]


def circle_centre(p: np.ndarray, q: np.ndarray, r: np.ndarray) -> np.ndarray:
    "The centre of the circle through three points."
    d, e = q - p, r - p
    sine = turn(d, e)
    sine = np.where(abs(sine) > PARALLEL * length(d) * length(e), sine, np.nan)
    # p + c with c·d = d·d / 2 and c·e = e·e / 2; `turn` counts y downwards, so both signs are turned
    c = np.stack([d[:, 1] * dot(e, e) - e[:, 1] * dot(d, d), e[:, 0] * dot(d, d) - d[:, 0] * dot(e, e)], -1)
    return p + c / (2 * sine)[:, None]


# --- lines

def line(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    "From one point to another."
    same = (p == q).all(-1)
    return np.where(same[:, None, None], np.nan, np.stack([p, q], 1))


def reversed_line(l: np.ndarray) -> np.ndarray:  # noqa: E741
    "The same line, the other way."
    return l[:, ::-1]


def perpendicular(l: np.ndarray, p: np.ndarray) -> np.ndarray:  # noqa: E741
    "Through a point, at a right angle to a line, to the left as one looks along it."
    x, y = direction(l).T
    return np.stack([p, p + np.stack([y, -x], -1)], 1)


def horizontal(p: np.ndarray) -> np.ndarray:
    "Through a point, to the right of the image."
    return np.stack([p, p + (1, 0)], 1)


def vertical(p: np.ndarray) -> np.ndarray:
    "Through a point, upwards on the image."
    return np.stack([p, p - (0, 1)], 1)


# --- values

def angle_of_lines(l: np.ndarray, m: np.ndarray) -> np.ndarray:  # noqa: E741
    "By how much the first line has to be turned, anticlockwise, to point as the second does: above -180 to 180."
    d, e = direction(l), direction(m)
    degrees = np.degrees(np.arctan2(turn(d, e), dot(d, e)))
    return np.where(degrees == -180, 180, degrees)


def angle_at(p: np.ndarray, q: np.ndarray, r: np.ndarray) -> np.ndarray:
    "The angle at the second of three points, 0 to 180."
    d, e = p - q, r - q
    degrees = np.degrees(np.arctan2(abs(turn(d, e)), dot(d, e)))
    return np.where((length(d) > 0) & (length(e) > 0), degrees, np.nan)


def distance(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    "The distance of two points."
    return length(p - q)


def distance_to_line(p: np.ndarray, l: np.ndarray) -> np.ndarray:  # noqa: E741
    "The distance of a point from a line, positive to its left as one looks along it."
    d = direction(l)
    return turn(d, p - l[:, 0]) / length(d)


def along(p: np.ndarray, l: np.ndarray) -> np.ndarray:  # noqa: E741
    "How far along a line, from its first point, the foot of a point is."
    d = direction(l)
    return dot(p - l[:, 0], d) / length(d)


def asin(x: np.ndarray) -> np.ndarray:
    "Degrees whose sine is x; NaN beyond 1, where that is more than rounding."
    return np.degrees(np.arcsin(_sine(x)))


def acos(x: np.ndarray) -> np.ndarray:
    "Degrees whose cosine is x; NaN beyond 1, where that is more than rounding."
    return np.degrees(np.arccos(_sine(x)))


def _sine(x): return np.where(abs(x) <= 1 + BEYOND_ONE, np.clip(x, -1, 1), np.nan)


# --- vectors (n, 2)

def direction(l: np.ndarray) -> np.ndarray:  # noqa: E741
    "From the first to the second point of lines (n, 2, 2)."
    return l[:, 1] - l[:, 0]


def dot(d: np.ndarray, e: np.ndarray) -> np.ndarray:
    "The scalar product."
    return (d * e).sum(-1)


def turn(d: np.ndarray, e: np.ndarray) -> np.ndarray:
    "The product of both lengths and the sine of the angle from d to e, positive anticlockwise as one looks."
    return d[:, 1] * e[:, 0] - d[:, 0] * e[:, 1]  # y points down


def length(d: np.ndarray) -> np.ndarray:
    "The length of vectors."
    return np.hypot(d[:, 0], d[:, 1])


# --- the list

_NUMBERLESS = 'it is no finite number'
OPERATORS = {
    '+': (Form((VALUE, VALUE), VALUE, np.add, 'sum', _NUMBERLESS),),
    '-': (Form((VALUE, VALUE), VALUE, np.subtract, 'difference', _NUMBERLESS),),
    '*': (Form((VALUE, VALUE), VALUE, np.multiply, 'product', _NUMBERLESS),),
    '/': (Form((VALUE, VALUE), VALUE, np.divide, 'ratio', 'a division by zero'),)}
FUNCTIONS = {
    'midpoint': (Form((POINT, POINT), POINT, midpoint, 'halfway between p and q'),),
    'centroid': (Form((POINT, POINT), POINT, centroid, 'the mean of two or more points', repeats=True),),
    'intersection': (Form((LINE, LINE), POINT, intersection, 'where the lines cross, however long they are',
                          'the lines are parallel'),),
    'foot': (Form((POINT, LINE), POINT, foot, 'the point of l that is nearest to p'),),
    'circle_centre': (Form((POINT, POINT, POINT), POINT, circle_centre, 'the centre of the circle through p, q and r',
                           'the points are on one line'),),
    'line': (Form((POINT, POINT), LINE, line, 'from p to q', 'both points are one'),),
    'reversed': (Form((LINE,), LINE, reversed_line, 'l the other way'),),
    'perpendicular': (Form((LINE, POINT), LINE, perpendicular, 'from p at a right angle to l, to the left as one looks '
                           'along l'),),
    'horizontal': (Form((POINT,), LINE, horizontal, 'from p to the right of the image'),),
    'vertical': (Form((POINT,), LINE, vertical, 'from p upwards on the image'),),
    'angle': (Form((LINE, LINE), VALUE, angle_of_lines, 'from l to m in degrees, −180 to 180, positive anticlockwise '
                   'as one looks at the image'),
              Form((POINT, POINT, POINT), VALUE, angle_at, 'at q between p and r in degrees, 0 to 180',
                   'two of the points are one')),
    'distance': (Form((POINT, POINT), VALUE, distance, 'between p and q'),
                 Form((POINT, LINE), VALUE, distance_to_line, 'of p from l, positive to the left as one looks along '
                      'l')),
    'along': (Form((POINT, LINE), VALUE, along, "how far from the first point of l, along l, the foot of p is"),),
    'abs': (Form((VALUE,), VALUE, np.abs, 'x without its sign'),),
    'sign': (Form((VALUE,), VALUE, np.sign, '1, 0 or −1, as x is above, at or below zero'),),
    'sqrt': (Form((VALUE,), VALUE, np.sqrt, 'the square root of x', 'a square root of less than zero'),),
    'asin': (Form((VALUE,), VALUE, asin, 'degrees whose sine is x', 'a sine beyond 1'),),
    'acos': (Form((VALUE,), VALUE, acos, 'degrees whose cosine is x', 'a cosine beyond 1'),),
    'atan2': (Form((VALUE, VALUE), VALUE, lambda y, x: np.degrees(np.arctan2(y, x)), 'degrees whose tangent is the '
                   'first over the second, in the quadrant of both, −180 to 180'),),
    'min': (Form((VALUE, VALUE), VALUE, lambda *x: np.min(np.broadcast_arrays(*x), 0), 'the smallest of two or more',
                 repeats=True),),
    'max': (Form((VALUE, VALUE), VALUE, lambda *x: np.max(np.broadcast_arrays(*x), 0), 'the largest of two or more',
                 repeats=True),),
    'other': (Form((ANY,), ANY, None, 'the same of the other side: its point or line, or its value with the sign that '
                   'it has there'),)}
FORMS = OPERATORS | FUNCTIONS
