"What a model has found on a folder of images: predictions.csv as it grows, and what a reader must know of it."

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..errors import Incomplete, UsageError
from ..files import write_text
from ..formats.annotations import Annotations, write_annotations
from ..formats.spreadsheet import safe_name
from .predictor import Prediction


class ImageFacts(NamedTuple):
    "What is known of an image beside its pixels."
    spacing: Sequence[float]  # mm per px in x, y; NaN where unknown
    source: str               # of the spacing, '' where it is unknown
    patient: str | None


@dataclass
class Predictions:
    "What was found so far on the images called `image_names`."
    names: list[str]  # of the landmarks
    image_names: list[str]
    found: dict[str, Prediction] = field(default_factory=dict)  # by image name, in any order
    facts: dict[str, ImageFacts] = field(default_factory=dict)
    looks: dict[str, list[float]] = field(default_factory=dict)  # by image name, see `likeness`
    failed: dict[str, str | UsageError] = field(default_factory=dict)  # by image name: the reason

    def __len__(self): return len(self.found)

    def add(self, name: str, prediction: Prediction, facts: ImageFacts, look: list[float]):
        "Note what was found on an image, and how it looks."
        self.facts[name] = facts
        self.looks[name] = look
        self.found[name] = prediction  # last: another thread may be writing what is found

    @property
    def done(self) -> list[str]:
        "Names of the images that were predicted, in order."
        return [name for name in self.image_names if name in self.found]

    def stacked(self) -> Prediction:
        "What was found on the images `done`: arrays (n, N, ...)."
        return Prediction.stack([self.found[name] for name in self.done], len(self.names))

    def annotations(self, folder: Path) -> Annotations:
        "The predictions as the `Annotations` that predictions.csv in `folder` holds."
        found = self.stacked()
        facts = [self.facts[name] for name in self.done]
        patients = [each.patient for each in facts]
        return Annotations(
            path=folder / 'predictions.csv', names=self.names, image_names=self.done,
            rows=list(range(2, len(facts) + 2)), sizes=found.size, points=found.points, state=found.state,
            spacing=np.array([each.spacing for each in facts], float).reshape(-1, 2),
            spacing_source=np.array([each.source for each in facts], object),
            patient_id=patients if patients and None not in patients else None, split=None)

    def write(self, folder: Path, level: float):
        "Write predictions.csv, with bounds that hold for a share `level`, and failed.csv where there is one to name."
        now = replace(self, found=self.found.copy())  # threads may go on adding to `found`
        annotations = now.annotations(folder)
        known = estimates(now.stacked(), annotations.spacing)
        write_annotations(folder / 'predictions.csv', annotations, known, level if 'bound' in known else None)
        if not self.failed: return
        failed = pd.DataFrame([[safe_name(printable(str(text))) for text in texts] for texts in self.failed.items()],
                              columns=['image_name', 'reason'])  # a reason begins with a path
        write_text(folder / 'failed.csv', failed.to_csv(index=False))

    def check_complete(self, folder: Path, result: Any):
        "Raise Incomplete, with the `result`, if an image could not be read."
        check_all_read(len(self.failed), len(self.failed) + len(self), folder, result)


def check_all_read(n_failed: int, n_images: int, folder: Path, result: Any):
    "Raise Incomplete, with the `result`, if `n_failed` of `n_images` could not be read: see failed.csv in `folder`."
    if not n_failed: return
    raise Incomplete(f'{n_failed} of {n_images} images could not be read; the reasons are in '
                     f'{folder / "failed.csv"}', result)


def estimates(found: Prediction, spacing: np.ndarray) -> dict[str, np.ndarray]:
    """What predictions.csv says of the landmarks of n images beside their points, (n, N) by `columns.ESTIMATES`.

    In mm, too, where the `spacing` (n, 2) of pixels is known. Bounds, spread and what else is known of no image is left
    out.
    """
    expected_mm, bound_mm = in_mm(found, spacing)
    columns = {'confidence': found.confidence, 'spread': found.spread, 'expected_error': found.expected_error,
               'expected_error_mm': expected_mm, 'bound': found.bound, 'bound_mm': bound_mm}
    known = {name: values for name, values in columns.items()
             if name in ('confidence', 'expected_error') or np.isfinite(values).any()}
    return known | ({'stage': found.stage} if (found.stage != '').any() else {})


def in_mm(found: Prediction, spacing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Expected errors and bounds, (..., N) in mm, of what was `found` on images with pixels of the `spacing` (..., 2).

    An error may lie in any direction, and has the mean of both spacings; a bound has the larger one, so that it holds.
    """
    return found.expected_error * spacing.mean(-1, keepdims=True), found.bound * spacing.max(-1, keepdims=True)


def printable(text: str) -> str:
    "`text` without what UTF-8 cannot write."
    return text.encode('utf-8', 'backslashreplace').decode()


def spread_notes(predictions: Predictions) -> list[str]:
    "How far the models of an ensemble are apart: a line, none for a single model."
    spread = predictions.stacked().spread
    known = np.isfinite(spread)
    each = [f'{name} {values[there].mean():.1f}' for name, values, there
            in zip(predictions.names, spread.T, known.T, strict=True) if there.any()]
    return [f'Spread of the models, mean in original px: {", ".join(each)}'] if each else []


def spacing_notes(predictions: Predictions) -> list[str]:
    "Where the pixel spacing of the images is from, one line each."
    counts = Counter(predictions.facts[name].source for name in predictions.done)
    lines = [f'Pixel spacing of {n} images: {source}' for source, n in counts.items() if source]
    lines = [line + ', at the detector: magnification is not corrected' if '(detector)' in line else line
             for line in lines]
    if counts['']:
        lines.append(f'Pixel spacing of {counts[""]} images is unknown: DICOM files may tell it, --pixel_spacing does, '
                     'and so does a pixel_spacing column of an annotation CSV')
    return lines
