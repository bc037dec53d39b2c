"Headers of image files other than DICOM: size, EXIF orientation, and whether there is one image."

import struct
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageSequence

from ..errors import UsageError
from .dicom import DICOM_SUFFIXES, IMAGE_SUFFIXES

LARGEST = 150 * 10**6  # pixels of an image: a film has 10 to 20 million, a decompression bomb billions
KINDS = ', '.join(suffix[1:] for suffix in IMAGE_SUFFIXES + DICOM_SUFFIXES)
_ORIENTATION, _WIDTH, _HEIGHT = 0x112, 0x100, 0x101  # tags of EXIF and TIFF
_PHOTOMETRIC = 0x106  # tag of a TIFF
_QUARTER_TURNS = (5, 6, 7, 8)
_SUBFILE, _COPY = 0xfe, 0b101  # tag of a TIFF's page, and its bits: a smaller copy, or the mask, of another page


class Header(NamedTuple):
    "What an image file says of itself."
    size: tuple[int, int]    # (width, height) with EXIF rotation applied
    stored: tuple[int, int]  # (width, height) as the pixels lie in the file
    orientation: int         # of EXIF, 1 to 8


def open_image(path: str | Path) -> Image.Image:
    "The image file at `path`, opened by Pillow, which has not read its pixels. Raises `UsageError` if it is none."
    try: return Image.open(path)
    except OSError as e:
        if not e.strerror: raise broken(path) from None
        raise UsageError(f'{path}: {e.strerror.lower()}, expected an image') from None
    except (ValueError, SyntaxError, Image.DecompressionBombError): raise broken(path) from None


def read_header(file: Image.Image, path: str | Path) -> Header:
    "The header of the image `file`, opened from `path`. Raises `UsageError` for huge, damaged and several images."
    stored, orientation = _stored_size(file), _orientation(file, path)
    check_pixels(stored, path)
    _check_single(file, path)
    return Header(stored[::-1] if orientation in _QUARTER_TURNS else stored, stored, orientation)


def is_white_zero(file: Image.Image) -> bool:
    "Whether `file` is a TIFF of which the smallest values are white, as film digitizers write some."
    return file.format == 'TIFF' and file.tag_v2.get(_PHOTOMETRIC) == 0


def check_pixels(size: tuple[int, int], path: str | Path):
    "Raise UsageError if an image of `size` (width, height) has more than `LARGEST` pixels."
    if size[0] * size[1] <= LARGEST: return
    raise UsageError(f'{path}: {size[0]} x {size[1]} px, which may fill the memory; expected at most '
                     f'{LARGEST // 10**6} megapixels, make it smaller')


def broken(path: str | Path) -> UsageError:
    "The error that says that the file at `path` is no image."
    suffix = Path(path).suffix.lower()
    if suffix not in IMAGE_SUFFIXES + DICOM_SUFFIXES:
        return UsageError(f'{path}: cannot be read as an image, expected {KINDS}; convert it to one of these',
                          see='kinds-of-images')
    return UsageError(f'{path}: cannot be read as an image (cut off, damaged, too large or of another kind), '
                      f'expected {KINDS}; copy or export it again', see='damaged-images')


def _check_single(file, path):
    "Raise UsageError if `file` holds several images."
    try: several = _has_pages(file) if file.format == 'TIFF' else _is_animated(file)
    except Exception: raise broken(path) from None  # damaged tags lead Pillow to errors of any kind
    if not several: return
    what = 'pages' if file.format == 'TIFF' else 'frames'
    raise UsageError(f'{path}: a {file.format} with several {what}, expected one image; save the {what[:-1]} that you '
                     'need as a file of its own', see='kinds-of-images')


def _has_pages(file):
    "Whether a TIFF has further pages that are more than smaller copies, or masks, of the first."
    further = islice(ImageSequence.Iterator(file), 1, None)
    several = any(not page.tag_v2.get(_SUBFILE, 0) & _COPY for page in further)
    file.seek(0)
    return several


def _is_animated(file):
    # a JPEG of a phone may be a MPO: further pictures are previews, or what the camera made the first one of
    return file.format != 'MPO' and getattr(file, 'n_frames', 1) > 1


def _stored_size(file):
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
