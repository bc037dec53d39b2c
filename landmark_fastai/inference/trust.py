"What a reader is told of how far points are to be trusted."

from collections.abc import Sequence

import numpy as np

from ..conformal import fewest
from ..formats.annotations import ABSENT, UNLABELLED
from ..model.facts import FOLDS, BoundFacts
from ..predict_config import PredictConfig
from .likeness import differences
from .predictions import Predictions, in_mm
from .predictor import Prediction


def trust_notes(found: Prediction, spacing: Sequence[float]) -> list[str]:
    "What an overlay says of each landmark of an image: its bound, else the error to expect, in px and mm by `spacing`."
    def note(state, confidence, expected, expected_mm, bound, bound_mm):
        if state == ABSENT: return 'absent'
        if state == UNLABELLED: return f'{confidence:.2f}, left blank'
        word, px, mm = ('within', bound, bound_mm) if np.isfinite(bound) else ('about', expected, expected_mm)
        return f'{confidence:.2f}, {word} {px:.1f} px' + (f' = {mm:.1f} mm' if np.isfinite(mm) else '')
    expected_mm, bound_mm = in_mm(found, np.asarray(spacing))
    return [note(*of_landmark) for of_landmark in zip(found.state, found.confidence, found.expected_error, expected_mm,
                                                      found.bound, bound_mm, strict=True)]


def bound_notes(known: BoundFacts | None, config: PredictConfig, predictions: Predictions) -> list[str]:
    "What bounds there are by what is `known` of a run, and whether they hold for the images of `predictions`."
    if known is None: return []
    if config.tta: return ['No bounds: those of the run are of predictions without --tta']
    least, n_of = fewest(config.level), [len(scores) for scores in known.scores]
    without = [name for name, n in zip(predictions.names, n_of, strict=True) if n < least]
    notes = []
    if len(without) < len(n_of):
        how = ('approximate, from images that were new to one of the folds alone' if known.source == FOLDS
               else 'from images that took no part in the training')
        notes.append(f'Bounds hold for {100 * config.level:g} % of points: {how}, {max(n_of)} at most')
    if without:
        notes.append(f'No bounds of {", ".join(without)}: {min(n_of)} calibration images, {least} are needed for '
                     f'{100 * config.level:g} %')
    different = differences(known.looks, [predictions.looks[name] for name in predictions.done])
    if different:
        notes.append(f'Bounds may not hold: in {" and ".join(different)} these images differ from those that the '
                     'bounds are from')
    return notes
