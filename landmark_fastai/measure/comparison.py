"What the readers of a panel measure, as readings that agree or do not."

from collections.abc import Iterator

import numpy as np

from .agreement import Readings
from .definitions import Definitions, column_of
from .evaluate import Measured, measure_landmarks, shortest
from .readers import Panel

KIND = 'measurement'  # of readings


def measure_panel(panel: Panel, definitions: Definitions) -> list[Measured]:
    "What each reader of `panel` measures on all its images. Raises UsageError as `measure_landmarks` does."
    return [measure_landmarks(panel.of(j), definitions) for j in range(len(panel.readers))]


def measurement_readings(measured: list[Measured]) -> list[Readings]:
    """What was `measured` by each of k readers.

    Angles are told such that they are at most 180 degrees from their mean over all images, and those of the other
    readers at most as far from the first one's: between 179 and -179 there are two degrees.
    """
    first, values = measured[0], np.stack([each.values for each in measured], 1)  # (n, k, S, M)
    middle = circular_mean(values)
    of_first = np.take_along_axis(values, np.isfinite(values).argmax(1)[:, None], 1)
    reference = middle + shortest(of_first - middle, first.measures)
    values = reference + shortest(values - reference, first.measures)
    return [Readings(column_of(side, measure), KIND, measure.unit, values[:, :, s, m])
            for s, side in enumerate(first.sides) for m, measure in enumerate(first.measures)]


def circular_mean(degrees: np.ndarray) -> np.ndarray:
    "The direction (S, M), -180 to 180, of the mean of the directions `degrees` (n, k, S, M), of those that are known."
    return np.degrees(np.arctan2(*(np.nansum(way(np.radians(degrees)), (0, 1)) for way in (np.sin, np.cos))))


def measurement_notes(measured: list[Measured]) -> Iterator[str]:
    "Which measurements no two readers have of the same image, and why, in a sentence each."
    compared = np.sum([np.isfinite(each.values) for each in measured], 0).max(0) > 1  # (S, M)
    for s, side in enumerate(measured[0].sides):
        for m, measure in enumerate(measured[0].measures):
            if compared[s, m]: continue
            reasons = [reason for each in measured for reason in each.reasons[:, s, m] if reason]
            why = max(dict.fromkeys(reasons), key=reasons.count, default='no image was measured by two')
            yield f'{column_of(side, measure)} is not compared: {why}'
