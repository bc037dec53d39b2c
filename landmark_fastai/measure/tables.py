"measurements.csv, a row a measurement, and measurements_wide.csv, a row an image."

from pathlib import Path

import numpy as np
import pandas as pd

from ..files import atomic
from ..formats.spreadsheet import safe_name
from .definitions import class_column, column_of
from .evaluate import Measured

LONG, WIDE = 'measurements.csv', 'measurements_wide.csv'


def write_tables(folder: Path, measured: Measured):
    "Write both tables of `measured` into `folder`."
    write_long(folder / LONG, measured)
    _write(folder / WIDE, wide_table(measured))


def write_long(path: Path, measured: Measured):
    "Write the table of `measured` with a row a measurement to the CSV `path`."
    _write(path, long_table(measured))


def _write(path, table):
    "Write `table` to `path`, numbers with four decimals, blank where there is none."
    with atomic(path) as temporary: table.to_csv(temporary, index=False, float_format='%.4f', lineterminator='\n')


def long_table(measured: Measured) -> pd.DataFrame:
    """image_name, side, measurement, value, unit, lower, upper and reason: images in order, then sides, measurements.

    Of several readers image_name is followed by `reader`. Where there are intervals, a further column `interval` tells
    what each follows from, and where a measurement has classes, a last one `class` names that of the value.
    """
    n, n_sides, n_measures = measured.values.shape
    def repeated(texts, each, times): return np.tile(np.repeat(np.array(texts, object), each), times)
    names = list(map(safe_name, measured.image_names))
    columns = {'image_name': repeated(names, n_sides * n_measures, 1)}
    if any(measured.readers): columns['reader'] = repeated(measured.readers, n_sides * n_measures, 1)
    columns |= {
        'side': repeated([side.name for side in measured.sides], n_measures, n),
        'measurement': repeated([measure.name for measure in measured.measures], 1, n * n_sides),
        'value': measured.values.ravel(),
        'unit': repeated([measure.unit for measure in measured.measures], 1, n * n_sides),
        'lower': measured.lower.ravel(), 'upper': measured.upper.ravel(), 'reason': measured.reasons.ravel()}
    if (measured.interval != '').any(): columns['interval'] = measured.interval.ravel()
    if has_classes(measured): columns['class'] = classes_of(measured).ravel()
    return pd.DataFrame(columns)


def wide_table(measured: Measured) -> pd.DataFrame:
    "image_name, reader if there are several, right_HKA and so on, with right_HKA_class where it has classes."
    columns, classes = {'image_name': list(map(safe_name, measured.image_names))}, classes_of(measured)
    if any(measured.readers): columns['reader'] = measured.readers
    for s, side in enumerate(measured.sides):
        for m, measure in enumerate(measured.measures):
            name = column_of(side, measure)
            columns[name] = measured.values[:, s, m]
            if measure.classes: columns[class_column(name)] = classes[:, s, m]
    return pd.DataFrame(columns)


def has_classes(measured: Measured) -> bool:
    "Whether a measurement has classes."
    return any(measure.classes for measure in measured.measures)


def classes_of(measured: Measured) -> np.ndarray:
    "The class (n, S, M) of each value, '' where it is in none."
    of_each = [measure.class_of(measured.values[..., m]) for m, measure in enumerate(measured.measures)]
    return np.stack(of_each, -1)
