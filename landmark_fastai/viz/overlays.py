"Landmarks and masks on images: RGB uint8 arrays (H, W, 3) and their PNG files. Blue is the truth, red the prediction."

import math
from base64 import b64encode
from pathlib import Path

import cv2
import numpy as np

from ..files import atomic
from .panel import distance_note, draw_panel
from .text import BLACK, GAP, WHITE, blank, caption, write_texts

BLUE, RED, YELLOW = (45, 125, 255), (255, 50, 50), (255, 215, 0)
SIDE = 768    # longer side that small pictures are enlarged to
LARGE = 1280  # longer side that large pictures are shrunk to: markers keep their size in px
TILE = 512    # longer side of a mask tile, at most
SHEET = 1800  # widest grid of tiles
NUMBER = 12   # font size of the numbers beside the markers, and their distance from the border
# level 1 takes a quarter of the time of level 6, and one filter for all rows half of that of the best for each; files
# are as small, since radiographs are noisy
PNG = cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG
SHIFT = 4     # bits after the binary point of cv2's coordinates


def draw_landmarks(image: np.ndarray, true: np.ndarray, pred: np.ndarray, names: list[str],
                   heading: str = 'errors in network px', notes: list[str] | None = None,
                   radii: np.ndarray | None = None) -> np.ndarray:
    """Draw true points as blue rings and predicted ones as red dots, with a key of names and errors beside the picture.

    `image` is uint8 (H, W) or (H, W, 3) RGB; `true` and `pred` are (N, 2) float px of `image`, (0, 0) the centre of its
    top-left pixel, NaN where there is no point. `notes`, a text a landmark, takes the place of the errors, which are in
    px of `image`; `heading` tells in the key what is shown. `radii` (N,), px of `image`, draw thin circles around the
    predicted points, NaN for none. Returns RGB uint8: the picture of `draw_markers` and the
    panel on its right, whose width depends only on `names` and `notes`.
    """
    true, pred = np.asarray(true, float), np.asarray(pred, float)
    if notes is None: notes = [distance_note(*pair) for pair in zip(true, pred, strict=True)]
    marks = {'truth': _ring, 'prediction': _dot} if any(map(_is_known, true)) else {'prediction': _dot}
    picture = draw_markers(image, true, pred, radii=radii)
    return np.hstack([picture, draw_panel(len(picture), names, notes, marks, heading)])


def draw_annotated(image: np.ndarray, points: np.ndarray, names: list[str], notes: list[str]) -> np.ndarray:
    """Draw `points` (N, 2) of one reader as blue rings, as `draw_landmarks` does true ones.

    Beside the picture are the names, each with its text of `notes`. Returns RGB uint8.
    """
    picture = draw_markers(image, points, np.full_like(points, np.nan))
    return np.hstack([picture, draw_panel(len(picture), names, notes, {'annotated': _ring}, 'x, y in px')])


def draw_markers(image: np.ndarray, true: np.ndarray, pred: np.ndarray, largest: int = LARGE,
                 radii: np.ndarray | None = None) -> np.ndarray:
    """Draw points as `draw_landmarks` does, without the panel: for a sheet, whose tiles would make it unreadable.

    Returns RGB uint8, enlarged to about 768 px on the longer side where `image` is smaller, and shrunk to `largest`
    where it is larger.
    """
    picture = _as_rgb(_resize_to_show(image, largest))
    ratio = np.divide(picture.shape[1::-1], image.shape[1::-1])
    true, pred = ((np.asarray(points, float) + 0.5) * ratio - 0.5 for points in (true, pred))
    for point, radius in zip(pred, [] if radii is None else radii * ratio.mean(), strict=radii is not None):
        if _is_known([*point, radius]):
            cv2.circle(picture, _fixed(point), round(radius * (1 << SHIFT)), RED, 1, cv2.LINE_AA, SHIFT)
    _draw_pairs(picture, true, pred)
    return _draw_numbers(picture, true, pred)


def draw_masks(image: np.ndarray, masks: np.ndarray, names: list[str], color: tuple[int, int, int]) -> np.ndarray:
    """Tint `image` with each of `masks` in `color`, a captioned tile per landmark.

    `image` is uint8 (H, W) or (H, W, 3) RGB, `masks` (N, H, W) in 0..1 or bool, `color` BLUE for truth and RED for
    predictions. Returns RGB uint8, at most 1800 px wide.
    """
    columns = math.ceil(math.sqrt(len(masks)))
    scale = min(TILE, SHEET // columns - GAP) / max(image.shape[:2])
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    picture = _resize(_as_rgb(image), size)
    tiles = [np.vstack([caption(f'{k} {name}', size[0]), _tint(picture, _resize_mask(mask, size), color)])
             for k, (name, mask) in enumerate(zip(names, masks, strict=True), 1)]
    return _grid(tiles, columns)


def contact_sheet(pictures: list[np.ndarray], captions: list[str], columns: int) -> np.ndarray:
    """Put RGB uint8 `pictures` of any size on equal tiles, `columns` a row, each with its caption under it.

    Returns RGB uint8, at most 1800 px wide; pictures keep their aspect.
    """
    columns = min(columns, len(pictures))
    height, width = np.max([picture.shape[:2] for picture in pictures], axis=0)
    scale = min(1, (SHEET // columns - GAP) / width)
    size = int(width * scale), max(1, int(height * scale))
    tiles = [np.vstack([fit_into_box(picture, size), caption(text, size[0])])
             for picture, text in zip(pictures, captions, strict=True)]
    return _grid(tiles, columns)


def fit_into_box(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    "`picture`, RGB uint8, as large as it fits into the middle of a white box of `size` = (width, height) px."
    height, width = picture.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    inner = [max(1, round(width * scale)), max(1, round(height * scale))]
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    box = blank(*size)
    box[top:top + inner[1], left:left + inner[0]] = _resize(picture, inner)
    return box


def as_jpeg(picture: np.ndarray) -> str:
    "RGB uint8 `picture` as the base64 text of a JPEG, for a page."
    return b64encode(cv2.imencode('.jpg', picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1]).decode()


def write_png(path: Path, picture: np.ndarray):
    "Write RGB uint8 `picture` to `path`, whole or not at all."
    with atomic(path) as temporary: temporary.write_bytes(cv2.imencode('.png', picture[..., ::-1], PNG)[1])


# --- sizes

def _as_rgb(image: np.ndarray) -> np.ndarray:
    "`image` (H, W) or (H, W, 3) as (H, W, 3)."
    return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if image.ndim == 2 else image


def _resize(picture: np.ndarray, size: list[int]) -> np.ndarray:
    "Resize `picture` to `size` = (width, height); cv2 keeps the half-pixel rule."
    shrinks = size[0] < picture.shape[1]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def _resize_to_show(picture: np.ndarray, largest: int) -> np.ndarray:
    "A copy of `picture`, 1, 1.5, 2... times as large for a longer side of about `SIDE`, but at most `largest`."
    height, width = picture.shape[:2]
    scale = min(max(2, round(2 * SIDE / max(height, width))) / 2, largest / max(height, width))
    return picture.copy() if scale == 1 else _resize(picture, [max(1, round(side * scale)) for side in (width, height)])


def _resize_mask(mask: np.ndarray, size: list[int]) -> np.ndarray:
    "Resize `mask` to `size`, widened where a mask of one pixel would be lost: it gets at least 3 px."
    mask = np.asarray(mask, np.float32)
    reach = math.ceil(3 * mask.shape[1] / size[0]) | 1  # odd, else the dilation would shift the mask
    return cv2.resize(cv2.dilate(mask, np.ones((reach, reach), np.uint8)), size, interpolation=cv2.INTER_LINEAR)


def _tint(picture: np.ndarray, mask: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    "Blend `color` into `picture` by `mask`, never so much that the anatomy under it is lost."
    weight = 0.6 * mask[..., None]
    return np.rint(picture * (1 - weight) + np.multiply(color, weight)).astype(np.uint8)


def _grid(tiles: list[np.ndarray], columns: int) -> np.ndarray:
    "Join equal `tiles` in rows of `columns`, white space between them."
    half = GAP // 2
    tiles = [np.pad(tile, ((half, half), (half, half), (0, 0)), constant_values=255) for tile in tiles]
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % columns)
    return np.vstack([np.hstack(tiles[k:k + columns]) for k in range(0, len(tiles), columns)])


# --- markers

def _draw_pairs(picture: np.ndarray, true: np.ndarray, pred: np.ndarray):
    "Draw onto `picture` a line per pair, then the predicted dots, then the true rings."
    for a, b in zip(true, pred, strict=True):
        if _is_known(a) and _is_known(b): cv2.line(picture, _fixed(a), _fixed(b), YELLOW, 1, cv2.LINE_AA, SHIFT)
    for point in filter(_is_known, pred): _dot(picture, point)
    for point in filter(_is_known, true): _ring(picture, point)


def _ring(picture: np.ndarray, point: np.ndarray):
    "Mark a true `point`: a ring leaves the anatomy in it to be seen, and the dot of a good prediction."
    cv2.circle(picture, _fixed(point), 6 << SHIFT, BLUE, 2, cv2.LINE_AA, SHIFT)


def _dot(picture: np.ndarray, point: np.ndarray):
    "Mark a predicted `point`."
    cv2.circle(picture, _fixed(point), 5 << SHIFT - 1, RED, -1, cv2.LINE_AA, SHIFT)


def _fixed(point: np.ndarray) -> list[int]:
    "`point` as cv2 takes it with `SHIFT`."
    return [round(float(value) * (1 << SHIFT)) for value in point]


def _is_known(point: np.ndarray) -> bool:
    "Whether `point` has both coordinates."
    return bool(np.isfinite(point).all())


def _draw_numbers(picture: np.ndarray, true: np.ndarray, pred: np.ndarray) -> np.ndarray:
    "`picture` with the number of each landmark beside its true point, or its predicted one where that is all."
    taken = [point for point in (*true, *pred) if _is_known(point)]
    texts = []
    for number, (a, b) in enumerate(zip(true, pred, strict=True), 1):
        point = a if _is_known(a) else b
        if not _is_known(point): continue
        spot = _free_spot(point, np.array(taken), picture.shape)
        texts.append((spot, 'mm', str(number)))
        taken.append(spot)
    return write_texts(picture, texts, NUMBER, fill=WHITE, stroke_width=1, stroke_fill=BLACK)


def _free_spot(point: np.ndarray, taken: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    "Where around `point` a number is farthest from all that is `taken` (n, 2), inside a picture of `shape`."
    spots = point + [(14, -10), (14, 10), (-14, 10), (-14, -10), (0, -16), (0, 16)]
    spots = spots.clip(NUMBER, np.array(shape[1::-1]) - NUMBER)
    nearest = np.linalg.norm(spots[:, None] - taken, axis=-1).min(1)
    return spots[nearest.argmax()]
