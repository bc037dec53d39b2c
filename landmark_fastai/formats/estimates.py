"What the CSV of predictions says of its points: confidence, expected error, bound and so on."

import numpy as np

from .annotations import Annotations
from .columns import BOUND_LEVEL
from .csv_table import Row, read_rows, read_table


def read_estimates(annotations: Annotations, column: str) -> np.ndarray:
    """What the CSV of `annotations` says of each landmark in its `column`, one of `columns.ESTIMATES`, (n, N).

    NaN where it says nothing. Raises UsageError for what is no number.
    """
    return np.array([[_number(row, f'{name}_{column}') for name in annotations.names] for row in _rows(annotations)])


def read_bound_levels(annotations: Annotations) -> np.ndarray:
    "The share (n,) of points that lie within their bounds, by the CSV of `annotations`; NaN where it does not tell."
    levels = np.array([_number(row, BOUND_LEVEL) for row in _rows(annotations)])
    for row, level in zip(_rows(annotations), levels, strict=True):
        if not (np.isnan(level) or 0 < level < 1): raise row.error(f'{BOUND_LEVEL} is {level:g}, expected 0.9 or so')
    return levels


def _rows(annotations: Annotations) -> list[Row]:
    lines = set(annotations.rows)
    return [row for row in read_rows(annotations.path, *read_table(annotations.path)) if row.line in lines]


def _number(row: Row, column: str) -> float:
    text = row.cells.get(column) or 'nan'
    try: return float(text)
    except ValueError: raise row.error(f'{column} is {text!r}, expected a number') from None
