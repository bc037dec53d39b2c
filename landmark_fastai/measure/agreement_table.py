"The agreement of readers in words: the tables of a report, a headline, and what a reader of them must know."

import math

import numpy as np

from ..formats.spacing import is_doubtful, spacing_text
from ..viz.differences import Tile
from ..viz.report import DASH, Table, counted, fixed, percent
from .agreement import WITHIN, Readings
from .drifts import GROUP, Compared, chance
from .readers import Panel

INTERVAL = '[95\u00a0%]'
AXES = 'x', 'y'  # kinds of rows


def headline(overall: dict, readers: list[str]) -> str:
    "One sentence on how far the points of `readers` are apart; `overall` is their row of all landmarks."
    if not overall['n']: return f'{_and(readers)} have clicked no landmark of the same image.'
    unit, middle = overall['unit'], WITHIN[len(WITHIN) // 2]
    return (f"{_and(readers)} are {overall['mae']:.2f} {unit} apart on average (median {overall['median']:.2f}) over "
            f"{counted(overall['n'], 'point')}; {percent(overall[f'within_{middle}'])} within {middle} {unit}.")


def _and(names): return f'{", ".join(names[:-1])} and {names[-1]}'


def distance_table(rows: list[dict]) -> Table:
    "The table of distances between points, from the `rows` of agreement.csv that are of one unit."
    pairs = _pairs(rows)
    header = ['landmark', *['readers'] * (len(pairs) > 1), 'n', f'mean ± SD, {rows[0]["unit"]}', 'median', 'RMSE',
              'Dahlberg', *(f'within {units} {rows[0]["unit"]}' for units in WITHIN)]
    cells = [[row['name'], *[row['pair']] * (len(pairs) > 1), f'{row["n"]:,}',
              f'{fixed(row["mae"])} ± {fixed(row["sd"])}' if row['n'] else DASH, fixed(row['median']),
              fixed(row['rmse']), fixed(row['dahlberg']), *(percent(row[f'within_{units}']) for units in WITHIN)]
             for row in rows if row['pair'] in pairs]
    return header, cells


def limits_table(rows: list[dict]) -> Table:
    "Bias and limits of agreement of values, such as coordinates or measurements, from `rows` of agreement.csv."
    header = [f'bias {INTERVAL}', 'SD', f'lower limit {INTERVAL}', f'upper limit {INTERVAL}', 'MAE']
    return _value_table(rows, header, lambda row: [
        _with_interval(row, 'bias'), fixed(row['sd']), _with_interval(row, 'loa_low'), _with_interval(row, 'loa_high'),
        fixed(row['mae'])])


def reliability_table(rows: list[dict]) -> Table:
    "Intraclass correlations and errors of measurement of values, from `rows` of agreement.csv."
    header = [f'ICC(A,1) {INTERVAL}', f'ICC(C,1) {INTERVAL}', 'SEM', 'MDC95', 'Dahlberg']
    return _value_table(rows, header, lambda row: [
        _with_interval(row, 'icc_a1', 3), _with_interval(row, 'icc_c1', 3), fixed(row['sem']), fixed(row['mdc95']),
        fixed(row['dahlberg'])])


def value_tables(what: str, rows: list[dict]) -> list[tuple[str, Table]]:
    "Both tables of values, and their titles, which begin with `what` they are of."
    return [(f'{what}: limits of agreement', limits_table(rows)), (f'{what}: reliability', reliability_table(rows))]


def _value_table(rows, header, cells_of):
    "A table of `rows` with what they are of in front of what `cells_of` a row gives."
    pairs = _pairs(rows)
    several = len(pairs) > 1
    return ['value', *['readers'] * several, 'n', *header], [
        [value_name(row), *[row['pair']] * several, f'{row["n"]:,}', *cells_of(row)]
        for row in rows if row['pair'] in pairs]


def value_name(row: dict) -> str:
    "What a row of agreement.csv is of: 'knee x, mm' or 'HKA, deg'."
    return ' '.join([row['name'], *[row['kind']] * (row['kind'] in AXES)]) + f', {row["unit"]}'


def tile_of(readings: Readings, i: int, j: int, row: dict) -> Tile:
    "What figures show of the readers `i` and `j` of `readings`; `row` is theirs of agreement.csv."
    return Tile(value_name(row), readings.values[:, i], readings.values[:, j], row['bias'], row['loa_low'],
                row['loa_high'])


def _pairs(rows):
    "The pairs that a table shows: all together are a row of their own only among three readers or more."
    pairs = list(dict.fromkeys(row['pair'] for row in rows))
    return pairs[:1] if len(pairs) == 2 else pairs


def _with_interval(row, name, digits=2):
    value, low, high = (row[f'{name}{end}'] for end in ('', '_low', '_high'))
    if math.isnan(value): return DASH
    if math.isnan(low): return f'{value:.{digits}f}'
    return f'{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]'


def drift_table(rows: list[dict]) -> Table:
    "The table of the `rows` of drift.csv."
    header = ['landmark', 'compared', 'in', 'n', f'right ± SE, {rows[0]["unit"]}', 'down ± SE', 'distance', 'p',
              'drifts']
    return header, [[row['landmark'], row['comparison'], row['within'] or DASH, row['n'],
                     *(f'{fixed(row[axis])} ± {fixed(row[f"{axis}_se"])}' for axis in 'xy'),
                     fixed(float(np.hypot(row['x'], row['y']))), chance(row['p']).removeprefix('= '),
                     'yes' if row['drifts'] else ''] for row in rows]


def panel_notes(panel: Panel, groups: list[str], of_groups: list[Compared]) -> list[str]:
    "What a reader must know of the images and points of `panel` that do not count."
    notes, n = [], len(panel.image_names)
    alone = int((~panel.both.any(1)).sum())
    if alone: notes.append(f'On {alone} of {counted(n, "image")} no landmark was clicked by two readers')
    disputed = int((panel.absent.any(1) & np.isfinite(panel.points).all(-1).any(1)).sum())
    if disputed:
        notes.append(f'{counted(disputed, "time")} a landmark is absent to one reader and clicked by another: it has '
                     'no distance')
    unknown = int((~np.isfinite(panel.spacing).all(1) & panel.both.any(1)).sum())
    if unknown and np.isfinite(panel.spacing).any():
        notes.append(f'The spacing of {counted(unknown, "image")} is not known: tables are in px, and rows in mm of '
                     'agreement.csv are of the others')
    doubtful = np.flatnonzero(is_doubtful(panel.spacing) & panel.both.any(1))
    if doubtful.size:
        notes.append(f'The spacing of {counted(doubtful.size, "image")}, such as '
                     f'{spacing_text(panel.spacing[doubtful[0]])} mm of '
                     f'{panel.image_names[doubtful[0]]}, is hardly one in mm: was it given in micrometres, or in dpi?')
    if any(groups) and not of_groups:
        notes.append(f'No drift between groups of images is told: that takes two groups of {GROUP} images')
    return notes
