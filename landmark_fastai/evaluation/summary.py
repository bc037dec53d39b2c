"Predictions against the truth: distances, success rates and presence, as a summary, a CSV and a printed table."

import numpy as np
import pandas as pd

from ..files import write_text
from ..formats.annotations import ABSENT, UNLABELLED
from ..formats.spreadsheet import safe_name

DEFAULT_THRESHOLDS = {'mm': (2, 2.5, 3, 4), 'px': (2, 5, 10, 20)}
RESAMPLES, SEED = 2000, 0  # of the bootstrap
DASH = '–'  # where there is no value


def summarize(scores, thresholds=None):
    """Errors, success rates and presence of `scores`, overall and for each landmark, as a dict that JSON can hold.

    Means are over landmarks, not over images. A success rate is the share of the labelled visible landmarks, missed
    ones included, that lie at most a threshold away, in `scores.unit`. Into errors in mm only images of known spacing
    enter. The interval of a mean holds 95 % of those of 2,000 resamples of whole patients, or images: the landmarks of
    one are not independent. `confidence_rank` is Spearman's correlation of the confidences with the errors in px, -1
    where the least confident is the furthest off; `spread` the mean in px. None stands for values that there are not.
    """
    thresholds = sorted(thresholds or DEFAULT_THRESHOLDS[scores.unit])
    draws = _draws(scores.groups)
    each = {name: _entry(scores.of([k]), thresholds, draws) for k, name in enumerate(scores.names)}
    return {'n_images': len(scores.image_names), 'n_landmarks': len(scores.names), 'unit': scores.unit,
            'thresholds': thresholds, 'n_without_spacing': int((~scores.has_spacing).sum()),
            'interval_over': 'images' if scores.patient_id is None else 'patients',
            'overall': _entry(scores, thresholds, draws), 'landmarks': each}


def _draws(groups):
    "How often each image is in each resample of whole `groups`, (RESAMPLES, n)."
    unique, members = np.unique(groups, return_inverse=True)
    n = max(1, len(unique))
    return np.random.default_rng(SEED).multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(float)[:, members]


def _entry(scores, thresholds, draws):
    "The part of the summary that is on the landmarks of `scores`."
    errors = {unit: _errors(scores, unit, draws) for unit in scores.units}
    entry = {'n_scored': errors['px']['n'], 'n_missed': errors['px']['n_missed'],
             'n_absent': int((scores.true_state == ABSENT).sum())} | errors
    distances = scores.distances(scores.unit, missed=np.inf)
    distances = distances[~np.isnan(distances)]
    entry['success_rate'] = {f'{threshold:g}': _mean(distances <= threshold) for threshold in thresholds}
    entry |= {'confidence_rank': rank_correlation(scores.confidence, scores.distances('px')),
              'spread': _mean(scores.spread[np.isfinite(scores.spread)])}
    learned = scores.of([k for k, name in enumerate(scores.names) if name in scores.presence])
    return entry | {'presence': _presence(learned)} if learned.names else entry


def _errors(scores, unit, draws):
    "Numbers of scored and missed landmarks, and mean, SD, median and interval of the errors."
    distances = scores.distances(unit, missed=np.inf)
    scored = np.isfinite(distances)
    low, high = _interval(np.where(scored, distances, 0).sum(1), scored.sum(1), scores.groups, draws)
    n, values = int(scored.sum()), distances[scored]
    return {'n': n, 'n_missed': int(np.isinf(distances).sum()), 'n_images': int(scored.any(1).sum()),
            'mean': _mean(values), 'sd': float(np.std(values, ddof=1)) if n > 1 else None,
            'median': float(np.median(values)) if n else None, 'ci_low': low, 'ci_high': high}


def _interval(sums, counts, groups, draws):
    "Percentiles 2.5 and 97.5 of the mean over resamples; `sums` and `counts` are of the errors in each image."
    if len({group for group, count in zip(groups, counts, strict=True) if count}) < 2: return None, None
    totals = draws @ counts  # 0 where a resample has none of the few images with this landmark
    means = (draws @ sums)[totals > 0] / totals[totals > 0]
    return tuple(float(value) for value in np.percentile(means, [2.5, 97.5]))


def _presence(scores):
    "Share of the labelled landmarks rightly called visible or absent; blank predictions say neither."
    called = (scores.true_state != UNLABELLED) & (scores.pred_state != UNLABELLED)
    return {'n': int(called.sum()), 'accuracy': _mean((scores.true_state == scores.pred_state)[called])}


def rank_correlation(a, b):
    "Spearman's correlation of two arrays, over the pairs without NaN; None for less than three, and for constants."
    pairs = pd.DataFrame({'a': np.ravel(a), 'b': np.ravel(b)}).dropna().rank()
    if len(pairs) < 3 or pairs.nunique().min() < 2: return None
    return float(pairs.a.corr(pairs.b))


def _mean(values): return float(np.mean(values)) if len(values) else None


def headline(summary):
    "One sentence on the mean error of `summary` and the share within the smallest threshold."
    unit, overall = summary['unit'], summary['overall']
    errors = overall[unit]
    if not errors['n']: return f"No error is known: {errors['n_missed']:,} landmarks are visible, and none was found."
    interval = '' if errors['ci_low'] is None else (
        f" (95 % interval {errors['ci_low']:.2f} to {errors['ci_high']:.2f})")
    missed = f", {errors['n_missed']:,} missed" if errors['n_missed'] else ''
    threshold, rate = next(iter(overall['success_rate'].items()))
    return (f"Mean radial error {errors['mean']:.2f} {unit}{interval} over {_count(errors['n'], 'landmark')} of "
            f"{_count(errors['n_images'], 'image')}{missed}; {100 * rate:.1f} % within {threshold} {unit}.")


def _count(n, thing): return f'{n:,} {thing}' + ('' if n == 1 else 's')


def table(summary):
    "Header and rows of the table of `summary`, all as text: a row for all landmarks, then one for each."
    rows = [_cells('all', summary['overall'], summary)]
    rows += [_cells(name, entry, summary) for name, entry in summary['landmarks'].items()]
    return list(rows[0]), [list(cells.values()) for cells in rows]


def _cells(name, entry, summary):
    "The row of `entry`, {column: text}; the columns are the same for each entry of a `summary`."
    unit, overall = summary['unit'], summary['overall']
    errors = entry[unit]
    cells = {'landmark': ' '.join(name.split()), 'n': f"{errors['n']:,}"}
    if overall[unit]['n_missed']: cells['missed'] = f"{errors['n_missed']:,}"
    cells[f'mean ± SD, {unit}'] = f"{_fixed(errors['mean'])} ± {_fixed(errors['sd'])}" if errors['n'] else DASH
    cells['95 % interval'] = DASH if errors['ci_low'] is None else f"{errors['ci_low']:.2f}–{errors['ci_high']:.2f}"
    cells['median'] = _fixed(errors['median'])
    if unit == 'mm': cells['mean, px'] = _fixed(entry['px']['mean'])
    if overall['spread'] is not None: cells['spread, px'] = _fixed(entry['spread'])
    cells |= {f'SDR {threshold} {unit}': _percent(rate) for threshold, rate in entry['success_rate'].items()}
    if 'presence' not in overall: return cells
    return cells | {'absent': f"{entry['n_absent']:,}", 'presence': _percent(entry.get('presence', {}).get('accuracy'))}


def _fixed(value): return DASH if value is None else f'{value:.2f}'


def _percent(share): return DASH if share is None else f'{100 * share:.1f} %'


def as_text(table):
    "The header and rows of `table` as aligned lines."
    header, rows = table
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in (header, *rows)]
    return '\n'.join('  '.join(line) for line in lines)


def write_distances(path, scores):
    "Write the distances of `scores` to the CSV `path`: a row an image, blank where there is nothing to score."
    columns = {'image_name': list(map(safe_name, scores.image_names))}
    for unit in scores.units:
        distances = pd.DataFrame(scores.distances(unit), columns=[f'{name}_{unit}' for name in scores.names])
        columns |= {f'mean_error_{unit}': distances.mean(axis=1), **distances}
    write_text(path, pd.DataFrame(columns).to_csv(index=False, float_format='%.4f'))
