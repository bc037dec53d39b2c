"Figures for a manuscript: at the size of print, as PNG of 300 dpi, SVG and PDF. Text in SVG and PDF stays text."

from base64 import b64encode
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from PIL import Image

from ..files import atomic, write_text
from .axes import new_figure

COLUMN, PAGE = 8.5, 17.5  # widths that journals print figures at, cm
DPI = 300
INCH = 2.54  # cm
UNDATED = {'.png': {}, '.svg': {'Date': None}, '.pdf': {'CreationDate': None}}  # the same figure is the same file
FORMS = tuple(UNDATED)
JPEG = {'quality': 95, 'subsampling': 0}  # of films: full colour, else thin marks blur

# decorates what draws a figure: sizes of text are taken when it is made, forms of text when it is written
in_print = rc_context({'font.size': 8.5, 'axes.titlesize': 'medium', 'figure.titlesize': 'medium',
                       'xtick.labelsize': 'small', 'ytick.labelsize': 'small', 'axes.linewidth': 0.6,
                       'lines.linewidth': 1.2, 'svg.fonttype': 'none', 'pdf.fonttype': 42,
                       'svg.hashsalt': 'landmark_fastai'})


def print_figure(width: float, height: float) -> Figure:
    "An empty figure of `width` x `height` cm."
    return new_figure(width / INCH, height / INCH)


def save_forms(figure: Figure, path: Path):
    "Write `figure` to `path`, a PNG, and beside it as SVG and PDF, each whole or not at all."
    for suffix in FORMS:
        with atomic(Path(path).with_suffix(suffix)) as temporary:
            figure.savefig(temporary, dpi=DPI, metadata=UNDATED[suffix])
        figure.set_layout_engine(None)  # it is laid out once


def save_picture(path: Path, picture: np.ndarray):
    "Write RGB uint8 `picture`, films, as `save_forms` does a figure. SVG and PDF hold it as JPEG: a third of the PNG."
    image, path = Image.fromarray(picture), Path(path)
    with atomic(path) as temporary: image.save(temporary, dpi=(DPI, DPI), compress_level=1)
    with atomic(path.with_suffix('.pdf')) as temporary: image.save(temporary, resolution=DPI, **JPEG)
    width, height = image.size
    image.save(jpeg := BytesIO(), 'JPEG', **JPEG)
    write_text(path.with_suffix('.svg'), f'<svg xmlns="http://www.w3.org/2000/svg" width="{width / DPI:.3f}in" '
               f'height="{height / DPI:.3f}in" viewBox="0 0 {width} {height}"><image width="{width}" height="{height}" '
               f'href="data:image/jpeg;base64,{b64encode(jpeg.getvalue()).decode()}"/></svg>\n')
