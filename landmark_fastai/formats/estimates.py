"What the CSV of predictions says of its points: confidence, expected error, bound and so on."

from typing import NamedTuple

import numpy as np

from .annotations import Annotations
from .columns import BOUND_LEVEL, ESTIMATES
from .csv_table import Row, read_rows, read_table


class Bounds(NamedTuple):
    "How far off the N landmarks of n images may be."
    radius: np.ndarray  # (n, N) original px, NaN where there is none
    level: np.ndarray   # (n,) the share of points that lie within, NaN where it is not told


def read_estimates(annotations: Annotations, column: str) -> np.ndarray:
    """What the CSV of `annotations` says of each landmark in its `column`, one of `columns.ESTIMATES`, (n, N).

    NaN where it says nothing. Raises UsageError for what is no number.
    """
    return _estimates(annotations, _rows(annotations), column)


def columns_of(annotations: Annotations) -> list[str]:
    "Those of `columns.ESTIMATES` that the CSV of `annotations` has of one of its landmarks."
    header, _ = read_table(annotations.path)
    return [name for name in ESTIMATES if any(f'{landmark}_{name}' in header for landmark in annotations.names)]


def read_bounds(annotations: Annotations) -> Bounds:
    "The bounds of the points in the CSV of `annotations`. Raises UsageError for what is no number, or no share."
    rows = _rows(annotations)
    level = np.array([_number(row, BOUND_LEVEL) for row in rows])
    for row, share in zip(rows, level, strict=True):
        if not (np.isnan(share) or 0 < share < 1): raise row.error(f'{BOUND_LEVEL} is {share:g}, expected 0.9 or so')
    return Bounds(_estimates(annotations, rows, 'bound'), level)


def _rows(annotations: Annotations) -> list[Row]:
    lines = set(annotations.rows)
    return [row for row in read_rows(annotations.path, *read_table(annotations.path)) if row.line in lines]


def _estimates(annotations: Annotations, rows: list[Row], column: str) -> np.ndarray:
    return np.array([[_number(row, f'{name}_{column}') for name in annotations.names] for row in rows])


def _number(row: Row, column: str) -> float:
    text = row.cells.get(column) or 'nan'
    try: return float(text)
    except ValueError: raise row.error(f'{column} is {text!r}, expected a number') from None
