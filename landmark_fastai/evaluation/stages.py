"What a second stage brings: the errors of both stages, side by side."

import numpy as np

from ..inference.refining import FIRST
from ..viz.report import Table
from .compare import Evaluation
from .error_table import fixed
from .scores import Scores, score

LITTLE = 0.02  # share of the mean error; a second stage that takes off less brings nothing that one would notice


def first_scores(evaluation: Evaluation) -> Scores | None:
    "The scores of the first stage alone; None of a model that has no other."
    found = evaluation.predictions.stacked()
    if not (found.stage != '').any(): return None
    return score(evaluation.annotations, found._replace(points=found.first), evaluation.scores.presence)


def stage_tables(evaluation: Evaluation) -> list[tuple[str, Table]]:
    "The table of both stages, with its title, for a report; none where there is only one."
    before, after = first_scores(evaluation), evaluation.scores
    if before is None: return []
    unit, stage = after.unit, evaluation.predictions.stacked().stage
    header = ['landmark', f'first stage: mean, {unit}', 'median', f'both: mean, {unit}', 'median', 'ratio of means',
              'crops not taken']
    rows = []
    for name, columns in [('all', slice(None)), *((name, [k]) for k, name in enumerate(after.names))]:
        one, two = (scores.distances(unit)[:, columns] for scores in (before, after))
        of_both = np.isfinite(one) & np.isfinite(two)
        means = [values[of_both].mean() if of_both.any() else None for values in (one, two)]
        medians = [float(np.median(values[of_both])) if of_both.any() else None for values in (one, two)]
        ratio = means[1] / means[0] if of_both.any() and means[0] else None
        rows.append([name, fixed(means[0]), fixed(medians[0]), fixed(means[1]), fixed(medians[1]), fixed(ratio),
                     f'{(stage[:, columns] == FIRST).sum():,}'])
    return [('Both stages', (header, rows))]


def stage_notes(evaluation: Evaluation) -> list[str]:
    "What the second stage brings, in a sentence."
    before, after = first_scores(evaluation), evaluation.scores
    if before is None: return []
    unit = after.unit
    one, two = (scores.distances(unit) for scores in (before, after))
    if not np.isfinite(one).any(): return []
    means = np.nanmean(one), np.nanmean(two)
    found = evaluation.predictions.stacked().stage
    line = (f'The second stage takes the mean error from {means[0]:.2f} to {means[1]:.2f} {unit} on these images; '
            f'{(found == FIRST).sum()} of {(found != "").sum()} crops were not taken')
    if means[1] < (1 - LITTLE) * means[0]: return [line]
    return [f'{line}. It brings nothing here: predict --no_refine is as good, and faster']
