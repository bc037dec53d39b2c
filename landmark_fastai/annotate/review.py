"Which films are worth a look, and why: what `check` has found, and of what a prediction is least sure."

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..errors import UsageError
from ..formats.annotations import Annotations
from ..formats.columns import REVIEW
from ..formats.estimates import read_estimates
from ..formats.spreadsheet import plain_name
from ..quality.findings import NOTE, Finding


class Reason(NamedTuple):
    "Why an image is worth a look."
    score: float  # the larger, the sooner
    text: str


def found_by_check(findings: Sequence[Finding], annotations: Annotations) -> dict[str, Reason]:
    "The reasons that `findings` about single images of `annotations`, the worst first, are; by image."
    told = {}
    for finding in findings:
        if finding.level == NOTE: continue
        for i in finding.images: told.setdefault(annotations.image_names[i], []).append(finding)
    texts = {image: dict.fromkeys(in_short(each, annotations) for each in of_image) for image, of_image in told.items()}
    return {image: Reason(-of_image[0].level, '; '.join(texts[image])) for image, of_image in told.items()}


def in_short(finding: Finding, annotations: Annotations) -> str:
    "What a finding says of an image, without where that stands."
    where = f'{annotations.where(finding.images[0])}: '
    if finding.what.startswith(where): return finding.what.removeprefix(where)
    return f'as {len(finding.images)} images that {finding.of_many}' if finding.of_many else finding.what


def least_sure(annotations: Annotations) -> dict[str, Reason]:
    """The reasons that a CSV of predictions gives: on each image the landmark of the least confidence.

    Nothing where the CSV has no confidence. Raises UsageError for a confidence that is no number.
    """
    confidence = read_estimates(annotations, 'confidence')
    reasons = {}
    for image, values in zip(annotations.image_names, confidence, strict=True):
        if np.isnan(values).all(): continue
        k = np.nanargmin(values)
        reasons[image] = Reason(1 - values[k], f'confidence {values[k]:.2f} at {annotations.names[k]}')
    return reasons


def read_review(path: str | Path) -> dict[str, Reason]:
    """The reasons that the `review.csv` of `predict` gives, of an image the worst first; by image.

    Raises UsageError where the file is none.
    """
    path = Path(path)
    try: table = pd.read_csv(path, dtype=str, na_filter=False)
    except (OSError, ValueError) as e: raise UsageError(f'{path} cannot be read ({e}), expected a review.csv') from None
    if missing := [name for name in REVIEW if name not in table]:
        raise UsageError(f'{path} has no column {missing[0]}, expected {",".join(REVIEW)} as predict writes it')
    reasons = {}
    for line, row in enumerate(table[list(REVIEW)].itertuples(index=False), 2):
        image = plain_name(row.image_name)
        try: score = float(row.score)
        except ValueError: raise UsageError(f'{path}, row {line}: score is {row.score!r}, expected a number') from None
        reasons.setdefault(image, []).append(Reason(score, f'{row.landmark}: {row.reason}'))
    return {image: Reason(max(each.score for each in of_image), '; '.join(each.text for each in of_image))
            for image, of_image in reasons.items()}
