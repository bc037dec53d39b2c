"""Square pieces of a film: pixels cut out of it, and where the image lies on them. NumPy alone."""

import numpy as np

from .frame import Frame, cut, to_network


def piece_of(film: np.ndarray, corner: tuple[int, int], side: int) -> np.ndarray:
    "The piece of `film` (S, S) or (S, S, 3) from the pixel `corner` (x, y) on, of side `side`; black beyond the film."
    low, high = np.array(corner[::-1]), np.array(corner[::-1]) + side
    inner_low, inner_high = np.clip((low, high), 0, film.shape[:2])
    inner = film[inner_low[0]:inner_high[0], inner_low[1]:inner_high[1]]
    around = [*zip(inner_low - low, high - inner_high, strict=True), *[(0, 0)] * (film.ndim - 2)]
    return np.pad(inner, np.clip(around, 0, side))


def corner_around(point: np.ndarray, side: int) -> tuple[int, int]:
    "The top-left pixel of the square of `side` px whose middle is nearest to `point` (2,), px."
    return tuple(np.floor(point + 0.5 - side / 2 + 0.5).astype(int).tolist())


def cut_around(film: Frame, point: np.ndarray, side: int) -> tuple[tuple[int, int], Frame]:
    "Corner and frame of the piece of side `side` around `point` (2,), original px, of an image with the frame `film`."
    corner = corner_around(to_network(point, film), side)
    return corner, cut(film, np.array(corner, np.float32))
