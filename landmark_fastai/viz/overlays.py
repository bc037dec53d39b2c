"Pictures of landmarks and masks: RGB uint8 arrays, blue = truth, red = prediction, and the PNG and GIF files of them."

import math

import cv2
import imageio.v3 as iio
import numpy as np

from ..files import atomic
from .text import BLACK, GAP, NUMBER, ROW, WHITE, YELLOW, _blank, _caption, _length, _shorten, _write

BLUE, RED = (45, 125, 255), (255, 50, 50)
SIDE = 768            # longer side that small pictures are enlarged to
LARGE = 1280          # longer side that large pictures are shrunk to: markers keep their size in px
TILE = 512            # longer side of a mask tile, at most
SHEET = 1800          # widest grid of tiles
NAME = 240            # widest name in the panel
SHIFT = 4             # bits after the binary point of cv2's coordinates


def draw_landmarks(image, true, pred, names, heading='errors in network px', notes=None):
    """Draw true points as blue rings and predicted ones as red dots, with a key of names and errors beside the picture.

    `image` is uint8 (H, W) or (H, W, 3) RGB; `true` and `pred` are (N, 2) float px of `image`, (0, 0) the centre of its
    top-left pixel, NaN where there is no point. `notes`, a text a landmark, takes the place of the errors, which are in
    px of `image`; `heading` tells in the key what is shown. Returns RGB uint8: the picture of `draw_markers` and the
    panel on its right, whose width depends only on `names` and `notes`.
    """
    true, pred = np.asarray(true, float), np.asarray(pred, float)
    if notes is None: notes = [_error(*pair) for pair in zip(true, pred, strict=True)]
    marks = {'truth': _ring, 'prediction': _dot} if np.isfinite(true).all(1).any() else {'prediction': _dot}
    picture = draw_markers(image, true, pred)
    return np.hstack([picture, _panel(len(picture), names, notes, marks, heading)])


def draw_markers(image, true, pred, largest=LARGE):
    """Draw points as `draw_landmarks` does, without the panel: for a sheet, whose tiles would make it unreadable.

    Returns RGB uint8, enlarged to about 768 px on the longer side where `image` is smaller, and shrunk to `largest`
    where it is larger.
    """
    picture = _rgb(_show_size(image, largest))
    ratio = np.divide(picture.shape[1::-1], image.shape[1::-1])
    true, pred = ((np.asarray(points, float) + 0.5) * ratio - 0.5 for points in (true, pred))
    _draw_pairs(picture, true, pred)
    return _draw_numbers(picture, true, pred)


def draw_masks(image, masks, names, color):
    """Tint `image` with each of `masks` in `color`, a captioned tile per landmark.

    `image` is uint8 (H, W) or (H, W, 3) RGB, `masks` (N, H, W) in 0..1 or bool, `color` BLUE for truth and RED for
    predictions. Returns RGB uint8, at most 1800 px wide.
    """
    columns = math.ceil(math.sqrt(len(masks)))
    scale = min(TILE, SHEET // columns - GAP) / max(image.shape[:2])
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    picture = _resize(_rgb(image), size)
    tints = [_tint(picture, _resize_mask(mask, size), color) for mask in masks]
    captions = [_caption(f'{k} {name}', size[0]) for k, name in enumerate(names, 1)]
    return _grid([np.vstack(tile) for tile in zip(captions, tints, strict=True)], columns)


def contact_sheet(pictures, captions, columns):
    """Put RGB uint8 `pictures` of any size on equal tiles, `columns` a row, each with its caption under it.

    Returns RGB uint8, at most 1800 px wide; pictures keep their aspect.
    """
    columns = min(columns, len(pictures))
    height, width = np.max([picture.shape[:2] for picture in pictures], axis=0)
    scale = min(1, (SHEET // columns - GAP) / width)
    size = int(width * scale), max(1, int(height * scale))
    tiles = [np.vstack([_letterbox(picture, size), _caption(caption, size[0])])
             for picture, caption in zip(pictures, captions, strict=True)]
    return _grid(tiles, columns)


def write_png(path, picture):
    "Write RGB uint8 `picture` to `path`, whole or not at all."
    # Level 1 takes a quarter of the time of level 6, and files are as small: radiographs are noisy.
    with atomic(path) as temporary: iio.imwrite(temporary, picture, extension='.png', compress_level=1)


def _rgb(image):
    "Return `image` (H, W) or (H, W, 3) as (H, W, 3)."
    return np.repeat(image[..., None], 3, axis=-1) if image.ndim == 2 else image


def _resize(picture, size):
    "Resize `picture` to `size` = (width, height); cv2 keeps the half-pixel rule."
    shrinks = size[0] < picture.shape[1]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def _show_size(picture, largest):
    "Return a copy of `picture`, 1, 1.5, 2... times as large for a longer side of about `SIDE`, but at most `largest`."
    height, width = picture.shape[:2]
    scale = min(max(2, round(2 * SIDE / max(height, width))) / 2, largest / max(height, width))
    return picture.copy() if scale == 1 else _resize(picture, [max(1, round(side * scale)) for side in (width, height)])


def _resize_mask(mask, size):
    "Resize `mask` to `size`, widened where a mask of one pixel would be lost: it gets at least 3 px."
    mask = np.asarray(mask, np.float32)
    reach = math.ceil(3 * mask.shape[1] / size[0]) | 1  # odd, else the dilation would shift the mask
    return cv2.resize(cv2.dilate(mask, np.ones((reach, reach), np.uint8)), size, interpolation=cv2.INTER_LINEAR)


def _tint(picture, mask, color):
    "Blend `color` into `picture` by `mask`, never so much that the anatomy under it is lost."
    weight = 0.6 * mask[..., None]
    return np.rint(picture * (1 - weight) + np.multiply(color, weight)).astype(np.uint8)


def _letterbox(picture, size):
    "Fit `picture` into a white box of `size` = (width, height)."
    height, width = picture.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    inner = [max(1, round(width * scale)), max(1, round(height * scale))]
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    box = _blank(*size)
    box[top:top + inner[1], left:left + inner[0]] = _resize(picture, inner)
    return box


def _grid(tiles, columns):
    "Join equal `tiles` in rows of `columns`, white space between them."
    half = GAP // 2
    tiles = [np.pad(tile, ((half, half), (half, half), (0, 0)), constant_values=255) for tile in tiles]
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % columns)
    return np.vstack([np.hstack(tiles[k:k + columns]) for k in range(0, len(tiles), columns)])


def _draw_pairs(picture, true, pred):
    "Draw onto `picture` a line per pair, then the predicted dots, then the true rings."
    for a, b in zip(true, pred, strict=True):
        if _there(a) and _there(b): cv2.line(picture, _fixed(a), _fixed(b), YELLOW, 1, cv2.LINE_AA, SHIFT)
    for b in filter(_there, pred): _dot(picture, b)
    for a in filter(_there, true): _ring(picture, a)


def _ring(picture, point):
    "Mark a true `point`: a ring leaves the anatomy in it to be seen, and the dot of a good prediction."
    cv2.circle(picture, _fixed(point), 6 << SHIFT, BLUE, 2, cv2.LINE_AA, SHIFT)


def _dot(picture, point):
    "Mark a predicted `point`."
    cv2.circle(picture, _fixed(point), 5 << SHIFT - 1, RED, -1, cv2.LINE_AA, SHIFT)


def _fixed(point):
    "Return `point` as cv2 takes it with `SHIFT`."
    return [round(float(value) * (1 << SHIFT)) for value in point]


def _there(point):
    "Return whether `point` has both coordinates."
    return bool(np.isfinite(point).all())


def _draw_numbers(picture, true, pred):
    "Return `picture` with the number of each landmark beside its true point, or its predicted one where that is all."
    spots = np.where(np.isfinite(true).all(1, keepdims=True), true, pred)
    taken = [point for point in (*true, *pred) if _there(point)]
    texts = []
    for k, spot in enumerate(spots, 1):
        if not _there(spot): continue
        taken.append(_free_corner(spot, np.array(taken), picture.shape))
        texts.append((taken[-1], 'mm', str(k)))
    return _write(picture, texts, NUMBER, fill=WHITE, stroke_width=1, stroke_fill=BLACK)


def _free_corner(spot, taken, shape):
    "Return where around `spot` a number is farthest from all that is `taken`, inside a picture of `shape`."
    corners = spot + [(14, -10), (14, 10), (-14, 10), (-14, -10), (0, -16), (0, 16)]
    corners = corners.clip(NUMBER, np.array(shape[1::-1]) - NUMBER)
    return corners[np.linalg.norm(corners[:, None] - taken, axis=-1).min(1).argmax()]


def _error(true, pred):
    "Return what the panel says of a landmark."
    if not _there(true): return 'no true point'
    if not _there(pred): return 'not found'
    return f'{np.linalg.norm(true - pred):.1f} px'


def _panel(height, names, notes, marks, heading):
    "Return the key of `marks`, and number, name and note of each landmark in as many columns as `height` needs."
    key = [*marks, heading]
    names, notes = ([_shorten(text, NAME) for text in texts] for texts in (names, notes))
    rows = max(1, height // ROW - len(key) - 1)
    number, name, note = (max(map(_length, texts)) for texts in ([str(len(names))], names, [*notes, 'no true point']))
    column = max(number + name + note + 5 * GAP, max(map(_length, key)) + 6 * GAP)
    panel = _blank(column * math.ceil(len(names) / rows), height)
    for k, mark in enumerate(marks.values()): mark(panel, (GAP * 2, (k + 0.75) * ROW))
    texts = [((GAP * 4, (k + 0.75) * ROW), 'lm', text) for k, text in enumerate(key)]
    for k, cells in enumerate(zip(names, notes, strict=True)):
        left, y = GAP + k // rows * column, (k % rows + len(key) + 1) * ROW
        texts += [((left + number, y), 'rm', str(k + 1)), ((left + number + GAP, y), 'lm', cells[0]),
                  ((left + column - 3 * GAP, y), 'rm', cells[1])]
    return _write(panel, texts, fill=BLACK)
