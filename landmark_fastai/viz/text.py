"Text on pictures, RGB uint8 arrays (H, W, 3), in the font that comes with matplotlib."

import math
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
TEXT = 15  # font size of captions and of the panel
ROW = 20   # height of a line of text, px
GAP = 8    # space between things, px


def blank(width: int, height: int) -> np.ndarray:
    "A white picture."
    return np.full((height, width, 3), WHITE, np.uint8)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    "matplotlib's DejaVu Sans."
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / 'fonts/ttf/DejaVuSans.ttf', size)


def write_texts(picture: np.ndarray, texts: Iterable[tuple], size: int = TEXT, **style) -> np.ndarray:
    """`picture` with `texts` on it, each a (position, anchor, text) as Pillow takes them.

    `style` is that of `ImageDraw.text`: fill, stroke_width, stroke_fill.
    """
    canvas = Image.fromarray(picture)
    draw = ImageDraw.Draw(canvas)
    for position, anchor, text in texts: draw.text(tuple(position), text, font=_font(size), anchor=anchor, **style)
    return np.array(canvas)


def text_width(text: str) -> int:
    "The width of `text`, px."
    return math.ceil(_font(TEXT).getlength(text))


def fit_text(text: str, width: int) -> str:
    "`text` on one line, without its middle where it is wider than `width` px: landmark names differ at their ends."
    text = ' '.join(text.split())
    shown = text
    kept = len(text)
    while text_width(shown) > width and kept:
        kept -= 1
        shown = text[:(kept + 1) // 2] + '…' + text[len(text) - kept // 2:]
    return shown


def caption(text: str, width: int) -> np.ndarray:
    "A white strip of `width` px with `text` in its middle."
    strip = blank(width, ROW)
    return write_texts(strip, [((width / 2, ROW / 2), 'mm', fit_text(text, width - GAP))], fill=BLACK)
