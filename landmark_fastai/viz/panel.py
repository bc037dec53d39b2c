"The panel beside a picture of landmarks: a key of the marks, and number, name and note of each landmark."

import math
from collections.abc import Callable

import numpy as np

from .text import BLACK, GAP, ROW, blank, fit_text, text_width, write_texts

NAME = 240  # widest name, px
NO_TRUTH = 'no true point'


def distance_note(true: np.ndarray, pred: np.ndarray) -> str:
    "The distance of two points (2,) in px, or which of them is missing."
    if not np.isfinite(true).all(): return NO_TRUTH
    if not np.isfinite(pred).all(): return 'not found'
    return f'{np.linalg.norm(true - pred):.1f} px'


def draw_panel(height: int, names: list[str], notes: list[str], marks: dict[str, Callable], heading: str) -> np.ndarray:
    """A white RGB uint8 picture of `height` px, as wide as its texts need.

    On top the key: what each of `marks` means, drawn by its function (picture, point), and the `heading` of the notes.
    Under it a row a landmark, in as many columns as `height` needs.
    """
    names = [fit_text(name, NAME) for name in names]
    notes = [fit_text(note, NAME) for note in notes]
    key = [*marks, heading]
    first_row = len(key) + 1  # a free row between
    n_rows = max(1, height // ROW - first_row)

    number_width = text_width(str(len(names)))
    row_width = number_width + _widest(names) + _widest([*notes, NO_TRUTH]) + 5 * GAP
    column_width = max(row_width, _widest(key) + 6 * GAP)
    panel = blank(column_width * math.ceil(len(names) / n_rows), height)

    texts = []
    for k, text in enumerate(key):
        y = (k + 0.75) * ROW
        if text in marks: marks[text](panel, (2 * GAP, y))
        texts.append(((4 * GAP, y), 'lm', text))
    for k, (name, note) in enumerate(zip(names, notes, strict=True)):
        column, row = divmod(k, n_rows)
        y = (first_row + row) * ROW
        left = GAP + column * column_width
        texts += [((left + number_width, y), 'rm', str(k + 1)),
                  ((left + number_width + GAP, y), 'lm', name),
                  ((left + column_width - 3 * GAP, y), 'rm', note)]
    return write_texts(panel, texts, fill=BLACK)


def _widest(texts: list[str]) -> int: return max(map(text_width, texts))
