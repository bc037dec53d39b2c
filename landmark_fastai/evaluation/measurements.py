"What errors of landmarks do to measurements: the model against the truth, by definitions."

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..measure.agreement import ALL, Readings, agreement_rows
from ..measure.agreement_table import tile_of, value_name, value_tables
from ..measure.comparison import measure_panel, measurement_notes, measurement_readings
from ..measure.definitions import Definitions
from ..measure.evaluate import Measured, joined
from ..measure.readers import join
from ..measure.rows import write_rows
from ..measure.tables import LONG, write_long
from ..viz.differences import plot_bland_altman
from ..viz.report import Table, percent
from .compare import Evaluation

READERS = 'model', 'truth'
ERRORS, FIGURE = 'measurement_errors.csv', 'measurements.png'


@dataclass(frozen=True)
class MeasurementErrors:
    "How far what is measured on predicted landmarks is from what is on the true ones."
    measured: Measured  # of both `READERS`
    readings: list[Readings]
    rows: list[dict]    # of each measurement: those of agreement.csv, its tolerance and the share of images within it
    notes: list[str]

    def tables(self) -> list[tuple[str, Table]]:
        "What a report shows, as it takes tables."
        return [*value_tables('Measurements', self.rows), *self._tolerances()]

    def write(self, folder: Path):
        "Write measurements.csv, measurement_errors.csv and a figure into `folder`."
        write_long(folder / LONG, self.measured)
        write_rows(folder / ERRORS, self.rows)
        tiles = [tile_of(each, 0, 1, row) for each, row in zip(self.readings, self.rows, strict=True)]
        plot_bland_altman(tiles, READERS, folder / 'figures' / FIGURE)

    def _tolerances(self):
        rows = [row for row in self.rows if np.isfinite(row['tolerance'])]
        if not rows: return []
        return [('Measurements: tolerance', (['value', 'n', 'tolerance', 'within'], [
            [value_name(row), f'{row["n"]:,}', f'{row["tolerance"]:g}', percent(row['within_tolerance'])]
            for row in rows]))]


def compare_measurements(evaluation: Evaluation, definitions: Definitions, folder: Path) -> MeasurementErrors:
    "What `definitions` measure on the landmarks that were predicted, into `folder`, and on the true ones."
    panel = join([evaluation.predictions.annotations(folder), evaluation.annotations], list(READERS))
    measured = measure_panel(panel, definitions)
    readings = measurement_readings(measured)
    rows = [row for row in agreement_rows(readings, panel.readers) if row['pair'] != ALL]
    tolerances = [measure.tolerance for _ in measured[0].sides for measure in definitions.measures]
    for row, each, tolerance in zip(rows, readings, tolerances, strict=True):
        row |= {'tolerance': np.nan, 'within_tolerance': np.nan}
        differences = abs(each.values[:, 0] - each.values[:, 1])
        differences = differences[np.isfinite(differences)]
        if tolerance is None or not len(differences): continue
        row |= {'tolerance': tolerance, 'within_tolerance': float((differences <= tolerance).mean())}
    return MeasurementErrors(joined(dict(zip(READERS, measured, strict=True))), readings, rows,
                             list(measurement_notes(measured)))
