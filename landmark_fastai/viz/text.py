"Pictures of landmarks and masks: RGB uint8 arrays, blue = truth, red = prediction, and the PNG and GIF files of them."

import math
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

YELLOW, WHITE, BLACK = (255, 215, 0), (255, 255, 255), (0, 0, 0)
TEXT, NUMBER = 15, 12 # font sizes: captions and panel, and the numbers beside the markers
ROW, GAP = 20, 8      # height of a line of text, space between things


def _blank(width, height):
    "Return a white picture."
    return np.full((height, width, 3), WHITE, np.uint8)


@cache
def _font(size=TEXT):
    "Return matplotlib's DejaVu Sans."
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / 'fonts/ttf/DejaVuSans.ttf', size)


def _write(picture, texts, size=TEXT, **style):
    "Return `picture` with `texts`, each a (position, Pillow's anchor, text), on it."
    canvas = Image.fromarray(picture)
    draw = ImageDraw.Draw(canvas)
    for position, anchor, text in texts: draw.text(tuple(position), text, font=_font(size), anchor=anchor, **style)
    return np.array(canvas)


def _length(text):
    "Return the width of `text` in px."
    return math.ceil(_font().getlength(text))


def _shorten(text, width):
    "Return `text` without its middle where it is wider than `width`: landmark names differ at their ends."
    text = ' '.join(text.split())
    kept = len(text)
    shown = text
    while _length(shown) > width and kept:
        kept -= 1
        shown = text[:(kept + 1) // 2] + '…' + text[len(text) - kept // 2:]
    return shown


def _caption(text, width):
    "Return a white strip of `width` with `text` in its middle."
    strip = _blank(width, ROW)
    return _write(strip, [((width / 2, ROW / 2), 'mm', _shorten(text, width - GAP))], fill=BLACK)
