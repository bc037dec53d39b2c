"A summary in words: the table of errors, that of folds, and a headline."

import numpy as np

from ..viz.report import DASH, Table, counted, fixed, percent
from .scores import Scores
from .summary import summarize


def headline(summary: dict) -> str:
    "One sentence on the mean error of `summary` and the share within the smallest threshold."
    unit, overall = summary['unit'], summary['overall']
    errors = overall[unit]
    if not errors['n']: return f"No error is known: {errors['n_missed']:,} landmarks are visible, and none was found."
    interval = '' if errors['ci_low'] is None else (
        f" (95 % interval {errors['ci_low']:.2f} to {errors['ci_high']:.2f})")
    missed = f", {errors['n_missed']:,} missed" if errors['n_missed'] else ''
    threshold, rate = next(iter(overall['success_rate'].items()))
    return (f"Mean radial error {errors['mean']:.2f} {unit}{interval} over {counted(errors['n'], 'landmark')} of "
            f"{counted(errors['n_images'], 'image')}{missed}; {100 * rate:.1f} % within {threshold} {unit}.")


def errors_table(summary: dict) -> Table:
    "The table of `summary`: a row for all landmarks, then one for each."
    rows = [_cells('all', summary['overall'], summary)]
    rows += [_cells(name, entry, summary) for name, entry in summary['landmarks'].items()]
    return list(rows[0]), [list(cells.values()) for cells in rows]


def _cells(name, entry, summary):
    "The row of `entry`, {column: text}; the columns are the same for each entry of a `summary`."
    unit, overall = summary['unit'], summary['overall']
    errors = entry[unit]
    cells = {'landmark': name, 'n': f"{errors['n']:,}"}
    if overall[unit]['n_missed']: cells['missed'] = f"{errors['n_missed']:,}"
    cells[f'mean ± SD, {unit}'] = f"{fixed(errors['mean'])} ± {fixed(errors['sd'])}" if errors['n'] else DASH
    cells['95 % interval'] = DASH if errors['ci_low'] is None else f"{errors['ci_low']:.2f}–{errors['ci_high']:.2f}"
    cells['median'] = fixed(errors['median'])
    if unit == 'mm': cells['mean, px'] = fixed(entry['px']['mean'])
    if overall['spread'] is not None: cells['spread, px'] = fixed(entry['spread'])
    cells |= {f'SDR {threshold} {unit}': percent(rate) for threshold, rate in entry['success_rate'].items()}
    if 'presence' not in overall: return cells
    return cells | {'absent': f"{entry['n_absent']:,}", 'presence': percent(entry.get('presence', {}).get('accuracy'))}


def fold_table(scores: Scores, fold_of: dict[str, int], summary: dict) -> Table:
    "As `errors_table`, with a row for the images of each fold, `fold_of` their names, in place of one a landmark."
    folds = np.array([fold_of[name] for name in scores.image_names])
    each = {f'fold {k}': summarize(scores.on(np.flatnonzero(folds == k)), summary['thresholds'])['overall']
            for k in sorted(set(folds))}
    (_, *header), rows = errors_table(summary | {'landmarks': each})
    return ['images of', *header], rows
