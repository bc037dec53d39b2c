"Image files: read, measure, pad to a square and resize."

import hashlib
import warnings
from os import walk
from os.path import isdir  # unlike Path's, it never raises
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from ..errors import UsageError
from .depth import at_8_bits, find_percentiles, percentile_window
from .dicom import IMAGE_SUFFIXES, dicom_header, is_dicom, read_dicom, read_dicom_8_bits, read_full_depth
from .headers import KINDS, Header, broken, check_pixels, is_white_zero, open_image, read_header
from .quiet import Quiet

# formats of which OpenCV may not tell that data are missing: on a broken LZW strip of a TIFF no version does
_SILENT = ('TIFF',) if tuple(map(int, cv2.__version__.split('.')[:2])) >= (4, 13) else ('JPEG', 'MPO', 'TIFF')
_quiet = Quiet(Image.DecompressionBombWarning)  # `check_pixels` refuses what is too large
_said = set()  # what a process is told once


class Appearance(NamedTuple):
    "How an image looks, but for what it shows."
    orientation: int   # of EXIF, 1 to 8
    is_deep: bool      # deeper than 8 bits, and no DICOM file that says how it is to be shown at 8
    is_coloured: bool
    pixels: str        # their hash


class Film(NamedTuple):
    "An image at its own depth, to be looked at through a window."
    pixels: np.ndarray           # uint8 (H, W) grey or (H, W, 3) RGB, or uint16 (H, W) where it is deeper
    window: tuple[float, float]  # the values that are black and white at first


def read_image(path: str | Path, color: bool = False) -> np.ndarray:
    """Read the image at `path` as uint8, (H, W) grey or (H, W, 3) RGB with `color`; EXIF rotation is applied.

    A DICOM file is shown as it says. Deeper than 8 bits without a window: the 0.5 to 99.5 percentile of the image
    becomes 0 to 255. A colour picture met without `color` is converted, with one warning a process. Raises `UsageError`
    if the file is missing, broken, cut off or holds several images.
    """
    image = _shown_image(path)
    if image.dtype == np.uint8: return _rgb(image) if color else _grey(image, path)
    image = image.astype(np.float32)  # int16 and int32 cannot become grey in OpenCV
    return percentile_window(_rgb(image) if color else _grey(image, path))


def read_pixels(image: str | Path | np.ndarray, color: bool = False) -> np.ndarray:
    "`read_image` of a path; an array (H, W), or (H, W, 3) with `color`, of uint8 as it is. Raises `UsageError`."
    if not isinstance(image, np.ndarray): return read_image(image, color)
    if image.dtype == np.uint8 and image.ndim == (3 if color else 2): return image
    raise UsageError(f'an array of {image.dtype} {image.shape} was given as an image; expected uint8 '
                     f'{"(H, W, 3)" if color else "(H, W)"}, or the path of a file')


def read_film(path: str | Path) -> Film:
    """Read the image at `path` at its own depth, EXIF rotation applied; its window is that of `read_image`.

    Values that are no uint16 are shifted to be some, or scaled where they do not fit; what is padding or no number is
    0, as black as can be. Raises `UsageError` as `read_image` does.
    """
    image, window = _full_depth(path)
    if image.dtype == np.uint8: return Film(_rgb(image) if _is_coloured(image) else _grey(image, path), (0., 255.))
    if image.dtype != np.uint16 or image.ndim == 3: image = _grey(image.astype(np.float32), path)
    window = window or find_percentiles(image)
    if image.dtype == np.uint16: return Film(image, window)
    return _as_uint16(image, window)


def image_size(path: str | Path) -> Header:
    """What the header of the image at `path` says: size with EXIF rotation applied, size as stored, EXIF orientation.

    Raises `UsageError` if it cannot be read, or holds several images.
    """
    if is_dicom(path):
        size, _, _ = dicom_header(path)
        check_pixels(size, path)
        return Header(size, size, 1)
    with _quiet, open_image(path) as file: return read_header(file, path)


def image_spacing(path: str | Path) -> tuple[tuple[float, float], str]:
    "Spacing (mm per pixel in x, in y) of the image at `path` and its source; NaN and '' unless DICOM tells it."
    if not is_dicom(path): return (np.nan, np.nan), ''
    _, spacing, source = dicom_header(path)
    return spacing, source


def find_images(folder: str | Path) -> list[str]:
    """Sorted POSIX paths below `folder` of the images in it and its sub-folders, by suffix or, for DICOM, by content.

    Hidden files and folders, whose names start with a dot, are skipped; with a warning, so are links to folders, and
    folders that cannot be read. Raises `UsageError` if there is none.
    """
    if not isdir(folder): raise UsageError(f'{folder}: no such folder, expected one with images', see='wrong-folder')
    names, linked, closed = [], [], []
    for parent, folders, files in walk(folder, onerror=closed.append):  # not rglob: 0.3 s for 10,000 images
        linked += [path for path in (Path(parent, name) for name in sorted(folders)) if path.is_symlink()]
        folders[:] = [name for name in folders if not name.startswith('.')]
        below = Path(parent).relative_to(folder)
        names += [below / name for name in files if not name.startswith('.')]
    if linked:
        warnings.warn(f'{linked[0]}: a link to a folder, which is left out ({len(linked)} in all); pass that '
                      'folder as the image folder', stacklevel=2)
    if closed:
        warnings.warn(f'{closed[0].filename}: {closed[0].strerror.lower()}, so that what is in it is left out '
                      f'({len(closed)} in all); make it readable', stacklevel=2)
    images = [name for name in names if name.suffix.lower() in IMAGE_SUFFIXES or is_dicom(Path(folder, name))]
    if not images:
        raise UsageError(f'{folder}: no image among the {len(names)} files in it, expected {KINDS}', see='wrong-folder')
    return sorted(name.as_posix() for name in images)


def appearance(path: str | Path) -> Appearance:
    "How the image at `path` looks. Raises `UsageError` as `read_image` does."
    image = _stored_image(path)
    pixels = hashlib.blake2b(repr((image.shape, image.dtype)).encode() + image.tobytes(), digest_size=16).hexdigest()
    return Appearance(image_size(path).orientation, image.dtype != np.uint8, _is_coloured(image), pixels)


def square_padding(width: int, height: int) -> tuple[int, int, int]:
    "(left, top, side) of the square with a `width` x `height` image in its centre; px, an odd px goes right or below."
    side = max(width, height)
    return (side - width) // 2, (side - height) // 2, side


def letterbox(image: np.ndarray, image_resize: int) -> np.ndarray:
    "Pad `image` with black to a centred square and resize it to `image_resize` px a side."
    height, width = image.shape[:2]
    left, top, side = square_padding(width, height)
    square = cv2.copyMakeBorder(image, top, side - height - top, left, side - width - left, cv2.BORDER_CONSTANT)
    how = cv2.INTER_AREA if image_resize < side else cv2.INTER_LINEAR
    return cv2.resize(square, (image_resize, image_resize), interpolation=how)


# decoding

def _stored_image(path):
    "The pixels of the file upright, BGR or grey, at their own depth; those of a DICOM file as it says they look."
    if not is_dicom(path): return _decode(path)
    image_size(path)  # refuses what is too large
    return _bgr(read_dicom(path))


def _shown_image(path):
    "As `_stored_image`, but a deep grey image through the window of its percentiles."
    if is_dicom(path):
        image_size(path)
        return _bgr(read_dicom_8_bits(path))
    image = _decode(path)
    return at_8_bits(image) if image.ndim == 2 else image


def _full_depth(path):
    "As `_stored_image`, but a DICOM file before its window, which is told beside it; None without one."
    if not is_dicom(path): return _decode(path), None
    image_size(path)
    image, window = read_full_depth(path)
    return _bgr(image), window


def _decode(path):
    with _quiet, open_image(path) as file:
        size, inverted = read_header(file, path).size, is_white_zero(file)
        _check_complete(file, path)
    # from memory: imread fills the rest of a truncated JPEG with grey, gives up on a TIFF with a rotation (OpenCV 5.0)
    # and on non-ASCII paths on Windows
    data = np.fromfile(path, np.uint8)
    # never IMREAD_UNCHANGED: it ignores EXIF
    try: image = cv2.imdecode(data, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    except cv2.error: image = None
    if image is None: raise broken(path)
    if image.shape[1::-1] != size:  # OpenCV still finds a rotation in EXIF data that Pillow gives up
        raise UsageError(f'{path}: damaged EXIF data, expected a readable orientation; save it without EXIF',
                         see='turned-images')
    # OpenCV turns the grey levels of such a TIFF round where it has 8 bits, and no others
    if inverted and image.dtype != np.uint8: return ~image if image.dtype.kind in 'iu' else -image
    return image


def _check_complete(file, path):
    "Raise UsageError if data are missing in `file` and OpenCV may not tell."
    # this doubles the time of reading, by 2 to 6 ms a megapixel
    if file.format not in _SILENT: return
    try: file.load()
    except Exception: raise broken(path) from None  # damaged tags lead Pillow to errors of any kind


# colour and depth

def _bgr(image): return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)


def _rgb(image): return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB if image.ndim == 2 else cv2.COLOR_BGR2RGB)


def _grey(image, path):
    if image.ndim == 2: return image
    if not _is_coloured(image): return cv2.extractChannel(image, 0)
    _say_colour(path)
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)


def _is_coloured(image):
    "Whether the channels of `image` differ, of which a grey one may have three."
    if image.ndim == 2: return False
    blue, green, red = cv2.split(image)
    return not (np.array_equal(blue, green, equal_nan=True) and np.array_equal(green, red, equal_nan=True))


def _say_colour(path):
    if 'colour' in _said: return
    _said.add('colour')
    warnings.warn(f'{path}: a colour picture, converted to grey like all others; a training with --color keeps it',
                  stacklevel=4)


def _as_uint16(image, window):
    "The film of a float `image` and its `window`: values from 1 on, 0 is for what is none."
    is_number = np.isfinite(image)
    values = image[is_number]
    low, high = (values.min(), values.max()) if values.size else (0., 0.)
    fits = high - low < 2**16 - 1 and np.array_equal(values, np.rint(values))
    scale = 1. if fits or low == high else (2**16 - 2) / (high - low)
    pixels = np.where(is_number, np.rint((np.where(is_number, image, low) - low) * scale) + 1, 0).astype(np.uint16)
    return Film(pixels, tuple((end - low) * scale + 1 for end in window))
