"What a second stage brings: the errors of both stages, side by side."

import numpy as np

from ..inference.refining import FIRST
from ..viz.report import Table, fixed
from .compare import Evaluation
from .scores import Scores, score

LITTLE = 0.02  # share of an error; a second stage that takes off less brings nothing that one would notice


def compare_stages(evaluation: Evaluation) -> tuple[list[tuple[str, Table]], list[str]]:
    "What a report tells of both stages: a table with its title, and a sentence; nothing of a model that has no second."
    found, after = evaluation.predictions.stacked(), evaluation.scores
    if not (found.stage != '').any(): return [], []
    before = score(evaluation.annotations, found._replace(points=found.first), after.presence)
    errors = [scores.distances(after.unit) for scores in (before, after)]
    return [('Both stages', stage_table(after, *errors, found.stage))], stage_note(after.unit, *errors, found.stage)


def stage_table(after: Scores, first: np.ndarray, both: np.ndarray, stage: np.ndarray) -> Table:
    "Means and medians of the errors of the `first` stage and of `both`, (n, N), a row for all and one a landmark."
    header = ['landmark', f'first stage: mean, {after.unit}', 'median', f'both: mean, {after.unit}', 'median',
              'ratio of means', 'crops not taken']
    rows = []
    for name, columns in [('all', slice(None)), *((name, [k]) for k, name in enumerate(after.names))]:
        one, two = first[:, columns], both[:, columns]
        of_both = np.isfinite(one) & np.isfinite(two)
        means = [values[of_both].mean() if of_both.any() else None for values in (one, two)]
        medians = [float(np.median(values[of_both])) if of_both.any() else None for values in (one, two)]
        ratio = means[1] / means[0] if of_both.any() and means[0] else None
        rows.append([name, fixed(means[0]), fixed(medians[0]), fixed(means[1]), fixed(medians[1]), fixed(ratio),
                     f'{(stage[:, columns] == FIRST).sum():,}'])
    return header, rows


def stage_note(unit: str, first: np.ndarray, both: np.ndarray, stage: np.ndarray) -> list[str]:
    "What the second stage brings, in a sentence; none where no error is known. Arguments as of `stage_table`."
    if not np.isfinite(first).any(): return []
    means, medians = ([statistic(errors) for errors in (first, both)] for statistic in (np.nanmean, np.nanmedian))
    line = (f'The second stage takes the mean error from {means[0]:.2f} to {means[1]:.2f} {unit} on these images, '
            f'the median from {medians[0]:.2f} to {medians[1]:.2f}; {(stage == FIRST).sum()} of {(stage != "").sum()} '
            'crops were not taken')
    in_mean, in_median = (after < (1 - LITTLE) * before for before, after in (means, medians))
    if in_mean: return [line]
    if in_median: return [f'{line}. It sharpens points, and cannot mend those far off, which rule the mean']
    return [f'{line}. It brings nothing here: predict --no_refine is as good, and faster']
