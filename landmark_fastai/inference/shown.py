"What a notebook shows of a prediction: a row a landmark of its first images, and these with their points."

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import UsageError
from ..formats.annotations import ABSENT, VISIBLE
from ..formats.images import read_pixels
from ..viz.overlays import draw_markers
from ..viz.report import DASH, counted, fixed
from ..viz.shown import jpeg_uri, notebook_html
from .predictor import ShownPrediction

HEADER = ['image', 'landmark', 'x', 'y', 'confidence', 'error to expect, px']
SIDE = 320  # longer side of a picture, px


def prediction_html(found: ShownPrediction) -> str:
    "A sentence, a table and pictures of what was `found`, as HTML."
    n, shown = len(found.points), range(len(found.images))
    verdict = (f'{counted(n, "image")}, {counted(len(found.names), "landmark")}: '
               f'{counted(int((found.state == VISIBLE).sum()), "point")} found')
    more = [f'... and {counted(n - len(shown), "image")} more'] * (n > len(shown))
    rows = [row for i in shown for row in _rows(found, i)]
    return notebook_html(verdict, [('', (HEADER, rows))], more, [(_name(found, i), _picture(found, i)) for i in shown])


def _rows(found, i) -> Iterator[list[str]]:
    "A row a landmark of image `i`, which is named in the first."
    for k, name in enumerate(found.names):
        x, y = map(fixed, found.points[i, k])
        if found.state[i, k] != VISIBLE: x, y = 'absent' if found.state[i, k] == ABSENT else 'uncertain', DASH
        yield [_name(found, i) if k == 0 else '', f'{name} ({k + 1})', x, y, fixed(found.confidence[i, k]),
               fixed(found.expected_error[i, k])]


def _name(found, i):
    return f'image {i}' if isinstance(found.images[i], np.ndarray) else Path(found.images[i]).name


def _picture(found, i):
    "Image `i` with its points; nothing where the file has gone."
    try: pixels = read_pixels(found.images[i], found.color)
    except (UsageError, OSError): return ''
    nowhere = np.full_like(found.points[i], np.nan)
    return jpeg_uri(draw_markers(pixels, nowhere, found.points[i], largest=SIDE))
