"Image files: read, measure, pad to a square and resize."

import hashlib
import struct
import warnings
from itertools import islice
from os.path import isdir  # unlike Path's, it never raises
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageSequence

from ..errors import UsageError
from .dicom import DICOM_SUFFIXES, IMAGE_SUFFIXES, dicom_header, is_dicom, read_dicom

_KINDS = ', '.join(suffix[1:] for suffix in IMAGE_SUFFIXES + DICOM_SUFFIXES)
LARGEST = 150 * 10**6  # pixels of an image: a film has 10 to 20 million, a decompression bomb billions
_ORIENTATION, _WIDTH, _HEIGHT = 0x112, 0x100, 0x101  # tags of EXIF and TIFF
_QUARTER_TURNS = (5, 6, 7, 8)
_SUBFILE, _COPY = 0xfe, 0b101  # tag of a TIFF's page, and its bits: a smaller copy, or the mask, of another page
# formats of which OpenCV may not tell that data are missing: on a broken LZW strip of a TIFF no version does
_SILENT = ('TIFF',) if tuple(map(int, cv2.__version__.split('.')[:2])) >= (4, 13) else ('JPEG', 'MPO', 'TIFF')
_said_colour = False

# Pillow's warning of large images, once for all threads: `check_pixels` refuses what is too large
warnings.filterwarnings('ignore', category=Image.DecompressionBombWarning)


def read_image(path, color=False):
    """Read the image at `path` as uint8, (H, W) grey or (H, W, 3) RGB with `color`; EXIF rotation is applied.

    A DICOM file is shown as it says. Deeper than 8 bits without a window: the 0.5 to 99.5 percentile of the image
    becomes 0 to 255. A colour picture met without `color` is converted, with one warning a process. Raises `UsageError`
    if the file is missing, broken, cut off or holds several images.
    """
    image = _decode_dicom(path) if is_dicom(path) else _decode(path)
    if image.dtype != np.uint8: image = image.astype(np.float32)  # int16 and int32 cannot become grey in OpenCV
    image = _rgb(image) if color else _grey(image, path)
    return image if image.dtype == np.uint8 else _window(image)


def image_size(path):
    """Size of the image at `path` with EXIF rotation applied, size as stored, EXIF orientation (1 to 8).

    Sizes are (width, height). Reads the header only. Raises `UsageError` if it cannot be read, or holds several images.
    """
    if is_dicom(path):
        size, _, _ = dicom_header(path)
        check_pixels(size, path)
        return size, size, 1
    with _opened(path) as file: return _sizes(file, path)


def image_spacing(path):
    "((mm per pixel in x, in y), where that is from) of the image at `path`; NaN and '' unless a DICOM header tells it."
    return dicom_header(path)[1:] if is_dicom(path) else ((np.nan, np.nan), '')


def find_images(folder):
    """Sorted POSIX paths below `folder` of the images in it and its sub-folders, by suffix or, for DICOM, by content.

    Hidden files and folders, whose names start with a dot, are skipped, and links to folders, with a warning. Raises
    `UsageError` if there is none.
    """
    if not isdir(folder): raise UsageError(f'{folder}: no such folder, expected one with images')
    paths = list(Path(folder).rglob('*'))
    linked = [path for path in paths if path.is_symlink() and path.is_dir()]
    if linked:
        warnings.warn(f'{linked[0]}: a link to a folder, which is left out ({len(linked)} in all); pass that '
                      'folder as the image folder', stacklevel=2)
    names = [path.relative_to(folder) for path in paths if not path.is_dir()]
    names = [name for name in names if not any(part.startswith('.') for part in name.parts)]
    images = [name for name in names if name.suffix.lower() in IMAGE_SUFFIXES or is_dicom(Path(folder, name))]
    if not images: raise UsageError(f'{folder}: no image among the {len(names)} files in it, expected {_KINDS}')
    return sorted(name.as_posix() for name in images)


def image_facts(path):
    """What is known of the image at `path`: (EXIF orientation, deeper than 8 bits, coloured, hash of its pixels).

    A DICOM file is shown at 8 bits as it says, so its depth is nothing unusual. Raises `UsageError` as `read_image`.
    """
    image = _decode_dicom(path) if is_dicom(path) else _decode(path)
    deep, colour = image.dtype != np.uint8 and not is_dicom(path), _is_coloured(image)
    pixels = hashlib.blake2b(repr((image.shape, image.dtype)).encode() + image.tobytes(), digest_size=16).hexdigest()
    return image_size(path)[2], deep, colour, pixels


def square_padding(width, height):
    "(left, top, side) of the square with a `width` x `height` image in its centre; px, an odd px goes right or below."
    side = max(width, height)
    return (side - width) // 2, (side - height) // 2, side


def letterbox(image, image_resize):
    "Pad `image` with black to a centred square and resize it to `image_resize` px a side."
    height, width = image.shape[:2]
    left, top, side = square_padding(width, height)
    square = cv2.copyMakeBorder(image, top, side - height - top, left, side - width - left, cv2.BORDER_CONSTANT)
    how = cv2.INTER_AREA if image_resize < side else cv2.INTER_LINEAR
    return cv2.resize(square, (image_resize, image_resize), interpolation=how)


# decoding

def _decode(path):
    "The pixels of the file, BGR or grey at native depth."
    with _opened(path) as file:
        size, _, _ = _sizes(file, path)
        _check_complete(file, path)
    # from memory: imread fills the rest of a truncated JPEG with grey, gives up on a TIFF with a rotation (OpenCV 5.0)
    # and on non-ASCII paths on Windows
    data = np.fromfile(path, np.uint8)
    # never IMREAD_UNCHANGED: it ignores EXIF
    try: image = cv2.imdecode(data, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    except cv2.error: image = None
    if image is None: raise _broken(path)
    if image.shape[1::-1] != size:  # OpenCV still finds a rotation in EXIF data that Pillow gives up
        raise UsageError(f'{path}: damaged EXIF data, expected a readable orientation; save it without EXIF')
    return image


def _decode_dicom(path):
    "The pixels of the DICOM file, uint8 BGR or grey, or float32 grey."
    check_pixels(dicom_header(path)[0], path)
    image = read_dicom(path)
    return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)


def _opened(path):
    "The image file at `path` with its header read by Pillow."
    try: return Image.open(path)
    except OSError as e:
        if not e.strerror: raise _broken(path) from None
        raise UsageError(f'{path}: {e.strerror.lower()}, expected an image') from None
    except (ValueError, SyntaxError, Image.DecompressionBombError): raise _broken(path) from None


def _check_complete(file, path):
    "Raise UsageError if data are missing in `file` and OpenCV may not tell."
    # this doubles the time of reading, by 2 to 6 ms a megapixel
    if file.format not in _SILENT: return
    try: file.load()
    except Exception: raise _broken(path) from None  # damaged tags lead Pillow to errors of any kind


def _broken(path):
    return UsageError(f'{path}: cannot be read as an image (cut off, damaged, too large or of another kind), '
                      f'expected {_KINDS}; copy or export it again')


# the header

def check_pixels(size, path):
    "Raise UsageError if an image of `size` (width, height) has more than `LARGEST` pixels."
    if size[0] * size[1] <= LARGEST: return
    raise UsageError(f'{path}: {size[0]} x {size[1]} px, which may fill the memory; expected at most '
                     f'{LARGEST // 10**6} megapixels, make it smaller')


def _sizes(file, path):
    stored, orientation = _stored_size(file), _orientation(file, path)
    check_pixels(stored, path)
    _check_pages(file, path)
    return stored[::-1] if orientation in _QUARTER_TURNS else stored, stored, orientation


def _check_pages(file, path):
    "Raise UsageError if `file` is a TIFF with further pages that are more than smaller copies, or masks, of the first."
    if file.format != 'TIFF': return
    further = islice(ImageSequence.Iterator(file), 1, None)
    try: several = any(not page.tag_v2.get(_SUBFILE, 0) & _COPY for page in further)
    except Exception: raise _broken(path) from None  # as in `_check_complete`
    if several:
        raise UsageError(f'{path}: a TIFF with several pages, expected one image; save the page that you need as a '
                         'file of its own')
    file.seek(0)


def _stored_size(file):
    "(width, height) of the pixels as they lie in the file."
    # newer versions of Pillow give the size of a TIFF with the rotation applied, unlike that of all other formats
    if file.format == 'TIFF': return file.tag_v2[_WIDTH], file.tag_v2[_HEIGHT]
    return file.size


def _orientation(file, path):
    "EXIF orientation as OpenCV applies it, 1 to 8."
    # not file.getexif(): it decodes a whole PNG, and believes XMP, which OpenCV does not
    if file.format == 'TIFF': value = file.tag_v2.get(_ORIENTATION)
    else:
        exif = Image.Exif()
        try: exif.load(_png_exif(path) if file.format == 'PNG' else file.info.get('exif'))
        except (SyntaxError, ValueError, struct.error): return 1  # not EXIF at all: the picture is as good as without
        value = exif.get(_ORIENTATION)
    return value if value in range(1, 9) else 1


def _png_exif(path):
    "The eXIf chunk of the PNG at `path`, which may stand behind the pixels; None without one."
    with open(path, 'rb') as f:
        f.seek(8)
        while len(head := f.read(8)) == 8:
            length = int.from_bytes(head[:4], 'big')
            if head[4:] == b'eXIf': return f.read(length)
            f.seek(length + 4, 1)  # data and checksum


# colour and depth

def _rgb(image): return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB if image.ndim == 2 else cv2.COLOR_BGR2RGB)


def _grey(image, path):
    if image.ndim == 2: return image
    if not _is_coloured(image): return image[..., 0].copy()
    _say_colour(path)
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)


def _is_coloured(image):
    "Whether the channels of `image` differ, of which a grey one may have three."
    if image.ndim == 2: return False
    blue, green, red = np.moveaxis(image, -1, 0)
    return not (np.array_equal(blue, green, equal_nan=True) and np.array_equal(green, red, equal_nan=True))


def _say_colour(path):
    global _said_colour
    if _said_colour: return
    _said_colour = True
    warnings.warn(f'{path}: a colour picture, converted to grey like all others; a training with --color keeps it',
                  stacklevel=4)


def _window(image):
    "The 0.5 to 99.5 percentile of the finite pixels of `image` as 0 to 255; zeros for a constant image."
    finite = image[np.isfinite(image)]
    if not finite.size: return np.zeros(image.shape, np.uint8)
    low, high = np.percentile(finite, (0.5, 99.5))
    if low == high: low, high = finite.min(), finite.max()  # less than 1 % of the pixels differ: they are the picture
    if low == high: return np.zeros(image.shape, np.uint8)
    scaled = (np.clip(image, low, high) - low) / (high - low) * 255
    return np.rint(np.nan_to_num(scaled)).astype(np.uint8)
