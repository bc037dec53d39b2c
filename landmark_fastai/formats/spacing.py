"Pixel spacings in mm: the source of those of the flag, and which can hardly be one."

import numpy as np

PLAUSIBLE = 0.001, 10  # mm per pixel: from a microscope to a coarse scintigram
FLAG_SOURCE = 'flag --pixel_spacing'  # a spreadsheet would take it for a formula if it began with the dashes


def spacing_text(spacing: np.ndarray) -> str:
    "A known `spacing` (2,) as people write it: 0.1, or 0.1 x 0.2 where pixels are not square."
    return ' x '.join(dict.fromkeys(f'{value:g}' for value in spacing))


def is_doubtful(spacing: np.ndarray) -> np.ndarray:
    "Whether a known `spacing`, (..., 2) in mm per pixel, is outside `PLAUSIBLE`."
    return ((spacing < PLAUSIBLE[0]) | (spacing > PLAUSIBLE[1])).any(-1)
