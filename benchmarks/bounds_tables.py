"What `benchmarks.bounds` has found, as tables: how often bounds hold, beside what the number of images allows."

import re
from collections.abc import Iterable
from statistics import fmean
from typing import NamedTuple

import numpy as np
from scipy.stats import f

from landmark_fastai.conformal import rank_of
from landmark_fastai.inference.bounds import coverage_range, factors, scores_of
from landmark_fastai.viz.report import percent

from .accuracy_plans import CT, MOUSE
from .timing import grid

FILMS = 'films'
TITLES = {FILMS: 'drawn films, 60 for the folds, 13 landmarks',
          CT: 'CT slices of the thorax, four fifths for the folds, 20 landmarks',
          MOUSE: 'frames of a mouse, four fifths for the folds, 12 landmarks'}
KINDS = {'new': 'as they are', 'dark': 'a third as bright', 'noisy': 'noisy', 'mirrored': 'mirrored'}
FOLDS = 5
LEVELS = 0.9, 0.95
SPLITS = 20  # random ones
FEW = 8, 9, 19, 50, 100  # images that bounds are from
COLUMNS = ('level', 'images for bounds', 'new images', 'within', 'to be expected', 'range of one landmark',
           'landmarks in it', 'median radius')


class Found(NamedTuple):
    "What was found on n images with N landmarks, original px."
    errors: np.ndarray    # (n, N)
    expected: np.ndarray  # (n, N)
    spread: np.ndarray    # (n, N) of an ensemble, else NaN
    spacing: np.ndarray   # (n, 1) mm per px, NaN where unknown

    @classmethod
    def read(cls, texts):
        "What `bounds.found_in` has made texts of."
        errors, expected = numbers(texts['errors']), numbers(texts['expected_error'])
        spread = numbers(texts['spread']) if 'spread' in texts else np.full(errors.shape, np.nan)
        spacing = numbers([texts['spacing']]) if 'spacing' in texts else np.full((len(errors), 1), np.nan)
        return cls(errors, expected, spread, spacing)

    def of(self, images): return Found(*(values[images] for values in self))


class Trial(NamedTuple):
    "Bounds on images that are new to them."
    n_known: int         # images that the bounds are from
    n_new: int
    within: np.ndarray   # (N,) share of the points of each landmark; NaN without bounds
    as_said: np.ndarray  # (N,) bool: whether that is what `n_known` and `n_new` images give in 95 of 100 cases
    radii: np.ndarray    # (n_new, N) original px
    mm: np.ndarray       # (n_new, N)


def numbers(texts):
    "The numbers (n, N) in N `texts` of n each."
    return np.array([text.split() for text in texts], float).T


def trial(known, new, level):
    "Bounds of `level` by what was found on `known` images, on `new` ones."
    scale = factors(scores_of(known.errors, known.expected), level)
    return look(len(known.errors), new, new.expected * scale, level)


def look(n_known, new, radii, level):
    "The `Trial` of `radii` (n, N) on `new` images, from `n_known` ones."
    n_new, bounded = len(radii), np.isfinite(radii).all(0)
    within = np.where(bounded, (new.errors <= radii).mean(0), np.nan)
    low, high = coverage_range(n_known, n_new, level)
    return Trial(n_known, n_new, within, (low <= within) & (within <= high), radii, radii * new.spacing)


def random_trials(found, level, n_known, n_new):
    "Bounds from `n_known` of the images that were `found`, on `n_new` others of them: `SPLITS` random choices."
    random, trials = np.random.default_rng(0), []
    for _ in range(SPLITS):
        order = random.permutation(len(found.errors))
        trials.append(trial(found.of(order[:n_known]), found.of(order[n_known:n_known + n_new]), level))
    return trials


def halves(found, level):
    "Bounds from one half of the images that were `found`, on the other half, `SPLITS` times."
    n_known = len(found.errors) // 2
    return random_trials(found, level, n_known, len(found.errors) - n_known)


def normal_radii(spread, level):
    """The radius around the point of an ensemble that holds `level` of points if its errors are normal, in x and y the
    same, with the `spread` of its models: the standard deviation of their distance, and so that of x times root 2."""
    return spread * np.sqrt(-np.log(1 - level))


def next_model_radii(spread, level, n_models=FOLDS):
    "The radius that holds `level` of the points of one more model, of the same kind as those with this `spread`."
    return spread * np.sqrt((1 + 1 / n_models) * f.ppf(level, 2, 2 * (n_models - 1)))


# --- tables

def all_tables(rows):
    "What docs/bounds.md shows of the results `rows`."
    rows = list(rows)
    tables = [table_of(title, [row for row in rows if row['data'] == name]) for name, title in TITLES.items()]
    of_films = [row for row in rows if row['data'] == FILMS]
    tables += [table(row) for row in of_films for table in (table_of_few, table_of_unlike)]
    return '\n\n'.join(filter(None, tables))


def table_of(title, rows):
    "How often bounds hold on one kind of images, over its parts."
    if not rows: return ''
    lines = []
    for level in LEVELS:
        trials = {}
        for row in rows:
            for what, more in trials_of(row, level).items(): trials.setdefault(what, []).extend(more)
        lines += [[what, f'{100 * level:g} %', *cells(of, level)] for what, of in trials.items()]
    return grid((title, *COLUMNS), lines)


def trials_of(row, level):
    "The trials of one result, by what they are called in the table."
    folds, new = Found.read(row['folds']), Found.read(row['new'])
    trials = {'images of the folds, one half by the other': halves(folds, level),
              'bounds of `--folds`, new images': [trial(folds, new, level)],
              'spread of the folds, new images': [look(0, new, normal_radii(new.spread, level), level)],
              'the same, as for a sixth model': [look(0, new, next_model_radii(new.spread, level), level)]}
    if 'one' in row:
        trials |= {'rows of split `cal`, folds, new images': halves(new, level),
                   'rows of split `cal`, one model, new images': halves(Found.read(row['one']), level)}
    return trials


def table_of_few(row):
    "How many images bounds need: those of one model of films, from few and many, on 100 others."
    found, lines = Found.read(row['one']), []
    for level in LEVELS:
        lines += [['rows of split `cal`, new images', f'{100 * level:g} %',
                   *cells(random_trials(found, level, n, 100), level)] for n in FEW]
    return grid(('one model of films', *COLUMNS), lines)


def table_of_unlike(row):
    "Bounds of folds on films that are not like those that they are from, and the warning that `predict` gives."
    folds, lines = Found.read(row['folds']), []
    for what, title in KINDS.items():
        found = Found.read(row[what])
        made = trial(folds, found, LEVELS[0])
        lines.append([title, made.n_new, f'{found.errors.mean():.1f} px', f'{found.expected.mean():.1f} px',
                      percent(made.within.mean()), f'{np.median(made.radii):.1f} px', warning(row[what]['notes'])])
    header = 'films', 'n', 'mean error', 'mean expected error', f'within, of {100 * LEVELS[0]:g} %', 'median radius', \
        'warning: different are'
    return grid(header, lines)


def warning(notes):
    "In what new images are different from those that bounds are from, by the `notes` of an evaluation."
    return ', '.join(match[1] for note in notes if (match := re.match('Bounds may not hold: in (.*) these', note)))


def cells(trials, level):
    "What a table says of `trials`."
    n_known, n_new = span(each.n_known for each in trials), span(each.n_new for each in trials)
    within = np.array([each.within for each in trials])
    if np.isnan(within).any(): return [n_known, n_new, 'no bounds', '', '', '', '']
    first = trials[0]
    radius = f'{np.median(np.concatenate([each.radii for each in trials])):.1f} px'
    mm = np.median(np.concatenate([each.mm for each in trials]))
    if np.isfinite(mm): radius += f' = {mm:.1f} mm'
    if not first.n_known: return ['', n_new, percent(within.mean()), percent(level), '', '', radius]
    low, high = coverage_range(first.n_known, first.n_new, level)
    expected = fmean(rank_of(each.n_known, level) / (each.n_known + 1) for each in trials)
    return [n_known, n_new, percent(within.mean()), percent(expected), f'{percent(low)} to {percent(high)}',
            percent(np.mean([each.as_said for each in trials])), radius]


def span(values: Iterable[int]):
    "The least and the most of `values` as a text."
    least, *_, most = sorted({*values}) * 2
    return str(least) if least == most else f'{least} to {most}'
