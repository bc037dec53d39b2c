"Pixel spacings in mm: what is refused, and what is told since it can hardly be."

import warnings
from collections.abc import Sequence

import numpy as np

from ..errors import UsageError

PLAUSIBLE = 0.001, 10  # mm per pixel: from a microscope to a coarse scintigram


def check_spacing(spacing: float | Sequence[float], name: str):
    "Raise UsageError unless `spacing`, called `name` in messages, is above 0 mm per pixel; warn where it is doubtful."
    if not (np.isfinite(spacing) & np.greater(spacing, 0)).all():
        raise UsageError(f'{name} is {spacing}; expected millimetres per pixel, more than 0')
    if is_doubtful(np.atleast_1d(spacing)): warn_doubtful(f'{name} is', spacing, stacklevel=3)


def is_doubtful(spacing: np.ndarray) -> np.ndarray:
    "Whether a known `spacing`, (..., 2) in mm per pixel, is outside `PLAUSIBLE`."
    return ((spacing < PLAUSIBLE[0]) | (spacing > PLAUSIBLE[1])).any(-1)


def warn_doubtful(where: str, spacing: float | Sequence[float], stacklevel: int):
    "Warn that the `spacing`, which `where` introduces, is doubtful; a `stacklevel` of 1 is the caller."
    text = ' x '.join(dict.fromkeys(f'{value:g}' for value in np.atleast_1d(spacing)))
    warnings.warn(f'{where} {text} mm per pixel, outside {PLAUSIBLE[0]} to {PLAUSIBLE[1]}: all errors in mm are '
                  'doubtful; was it given in micrometres, or in dpi?', stacklevel=stacklevel + 1)
