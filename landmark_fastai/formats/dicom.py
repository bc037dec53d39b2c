"DICOM files: pixels as they are to be looked at, size and pixel spacing. No other content of a file gets out."

import logging
import struct
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np

# GDCM, which pydicom imports, asks for `dl` of Python 2, and takes a folder of that name beside a notebook for it
_dl, sys.modules['dl'] = sys.modules.get('dl'), None
try: import_module('gdcm')
finally: sys.modules.update(dl=_dl) if _dl else sys.modules.pop('dl')

from pydicom import Dataset, config, dcmread, uid  # noqa: E402
from pydicom.encaps import get_frame  # noqa: E402
from pydicom.pixels import apply_color_lut, pixel_array  # noqa: E402

from ..errors import UsageError  # noqa: E402
from .depth import Table, at_8_bits  # noqa: E402
from .quiet import Quiet  # noqa: E402

DICOM_SUFFIXES = ('.dcm', '.dicom')
IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.bmp')  # of the other kinds, which `images` reads

_SPACINGS = 'PixelSpacing', 'ImagerPixelSpacing', 'NominalScannedPixelSpacing'  # the last two are of detector or film
_COLOURS = ('RGB', 'YBR_FULL', 'YBR_FULL_422', 'YBR_ICT', 'YBR_RCT')  # what pydicom turns to RGB
# nothing else is taken from a file; PresentationLUTShape is left out since it only repeats what MONOCHROME1 says
_TAGS = [
    'SamplesPerPixel', 'PhotometricInterpretation', 'PlanarConfiguration', 'NumberOfFrames', 'Rows', 'Columns',
    'BitsAllocated', 'BitsStored', 'PixelRepresentation', 'PixelPaddingValue', 'PixelPaddingRangeLimit',
    'ModalityLUTSequence', 'RescaleSlope', 'RescaleIntercept', 'VOILUTSequence', 'VOILUTFunction', 'WindowCenter',
    'WindowWidth', *_SPACINGS, 'PixelSpacingCalibrationType', 'PixelData', 'ExtendedOffsetTable',
    'ExtendedOffsetTableLengths',
    *(f'{kind}{colour}PaletteColorLookupTable{part}' for colour in ('Red', 'Green', 'Blue')
      for kind, part in (('', 'Descriptor'), ('', 'Data'), ('Segmented', 'Data')))]
_OF_PILLOW = uid.JPEGBaseline8Bit, uid.JPEG2000Lossless, uid.JPEG2000
_OF_GDCM = uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1, uid.JPEGLSLossless, uid.JPEGLSNearLossless
_SEGMENTS = {*range(0xc0, 0xff)} - {*range(0xd0, 0xda)}  # markers of a JPEG that a length follows
_FRAMES = {*range(0xc0, 0xd0), 0xf7} - {0xc4, 0xc8, 0xcc}  # those of them that tell size and depth


class QuietPydicom(Quiet):
    "What pydicom finds odd it quotes, a patient's name perhaps, in warnings and in its log: silence of both."
    def start(self):
        log = logging.getLogger('pydicom')
        self.undo.callback(log.setLevel, log.level)
        log.setLevel(logging.CRITICAL + 1)
        self.undo.enter_context(config.disable_value_validation())


_quiet = QuietPydicom(Warning, 'pydicom')


class Window(NamedTuple):
    "A window, in the terms of LINEAR_EXACT; LINEAR is that of half a value less, and one narrower (DICOM C.11.2.1.2)."
    center: float
    width: float     # 0 for a step
    is_curved: bool  # SIGMOID (C.11.2.1.3.1)

    def apply(self, values: np.ndarray) -> np.ndarray:
        "`values` as 0 to 255."
        if self.is_curved: return 127.5 * (1 + np.tanh(2 * (values - self.center) / self.width))
        if self.width == 0: return 255 * (values > self.center)
        return 255 * np.clip((values - self.center) / self.width + 0.5, 0, 1)


def is_dicom(path: str | Path) -> bool:
    "Whether `path` is a DICOM file by its suffix or, unless that is of another kind of image, by its content."
    path = Path(path)
    if path.name.upper() == 'DICOMDIR' or path.suffix.lower() in IMAGE_SUFFIXES: return False
    return path.suffix.lower() in DICOM_SUFFIXES or _has_magic(path)


@_quiet.during
def read_dicom(path: str | Path) -> np.ndarray:
    """Read the DICOM image at `path` as it is to be looked at, with black padding: MONOCHROME1 is inverted.

    Colour is uint8 RGB (H, W, 3). Grey is uint8 (H, W) through the VOI LUT or window, or as stored where there is none
    and 8 bits suffice; else it is float32 (H, W) without a window, NaN where it is padding.
    Raises `UsageError` if the file is missing, broken or cut off, or holds no image or more than one.
    """
    return _read(path, _appearance)


@_quiet.during
def read_dicom_8_bits(path: str | Path) -> np.ndarray:
    "As `read_dicom`, but uint8 in any case: what has no window is shown through that of its percentiles."
    return at_8_bits(_read(path, _look))


@_quiet.during
def read_full_depth(path: str | Path) -> tuple[np.ndarray, tuple[float, float] | None]:
    """The DICOM image at `path` before its window, and the values that the window makes black and white.

    Grey with a window is float32 (H, W), NaN where it is padding; a VOI LUT or a curve is applied, since it is no
    window. All else is as `read_dicom` has it, without a window (None). Raises `UsageError` as that does.
    """
    return _read(path, _full_depth)


def _read(path, look):
    "What `look` makes of the stored pixels and the elements of the file."
    ds = _elements(path)
    try: return look(_pixels(ds), ds)
    except Exception:  # pydicom raises about every kind there is, and quotes the file in it: never let the text out
        name = uid.UID_dictionary.get(str(ds.file_meta.get('TransferSyntaxUID')), ('an unknown syntax',))[0]
        raise _refused(path, f'pixels cut off, damaged or of an unsupported kind, stored as {name}',
                       'copy it again, or export it uncompressed') from None


@_quiet.during
def dicom_header(path: str | Path) -> tuple[tuple[int, int], tuple[float, float], str]:
    """Size (width, height), spacing (mm per pixel in x, in y) and its source of the DICOM image at `path`.

    The spacing is NaN and its source '' where the file does not tell. The pixels are not read. Raises `UsageError` as
    `read_dicom` does, except for pixels that cannot be decoded.
    """
    ds = _elements(path, defer_size=1024)
    size = [int(n) for keyword in ('Columns', 'Rows') for n in _numbers(ds, keyword)]
    if len(size) != 2 or min(size) < 1: raise _refused(path, 'its size is missing')
    return tuple(size), *_spacing(ds)


# the file

def _has_magic(path):
    try:
        with open(path, 'rb') as f: return f.read(132)[128:] == b'DICM'
    except OSError: return False


def _elements(path, defer_size=None):
    "The pydicom dataset of those of `_TAGS` that `path` has; what is longer than `defer_size` bytes is not read yet."
    try: ds = dcmread(path, defer_size, force=True, specific_tags=_TAGS)  # force: old files have no preamble
    except OSError as e:
        if not e.strerror: raise _refused(path, 'cut off, damaged or no DICOM') from None
        raise UsageError(f'{path}: {e.strerror.lower()}, expected an image') from None
    except Exception: raise _refused(path, 'cut off, damaged or no DICOM') from None
    if 'PixelData' not in ds: raise _refused(path, 'it has no pixels: a report, a directory, cut off or no DICOM')
    n_frames = _numbers(ds, 'NumberOfFrames')
    if n_frames and n_frames[0] > 1:
        raise _refused(path, f'it has {n_frames[0]:.0f} frames', 'export the frame that you need as a file of its own',
                       see='kinds-of-images')
    return ds


def _refused(path, found, remedy='copy or export it again', see='damaged-images'):
    return UsageError(f'{path}: cannot be read as an image ({found}), expected a DICOM file of one image; {remedy}',
                      see)


def _numbers(ds, keyword):
    "The numbers that element `keyword` of `ds` holds, [] where it is missing or blank, or one of them is no number."
    try: numbers = [float(value) for value in np.atleast_1d(ds[keyword].value)]
    except Exception: return []  # as in `read_dicom`
    return numbers if np.isfinite(numbers).all() else []


def _spacing(ds):
    "The spacing in x and y, mm, and its source, which is the detector where magnification is not corrected."
    found = [(keyword, spacing) for keyword in _SPACINGS
             if len(spacing := _numbers(ds, keyword)) == 2 and min(spacing) > 0]
    if not found: return (np.nan, np.nan), ''
    (keyword, spacing), *others = found
    # a PixelSpacing that nobody has calibrated is that of the detector once more (DICOM PS3.3, 10.7.1.1)
    calibrated = keyword == 'PixelSpacing' and (
        'PixelSpacingCalibrationType' in ds or all(spacing != other for _, other in others))
    # as the file has it, between rows, which is y, comes first
    return tuple(spacing[::-1]), f'DICOM {keyword}{"" if calibrated else " (detector)"}'


# the pixels

def _pixels(ds):
    "The stored pixels, (H, W) or RGB (H, W, 3), at their native depth."
    if not ds.file_meta.get('TransferSyntaxUID'):
        implicit, little = ds.original_encoding
        explicit = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
        ds.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian if implicit else explicit
    syntax = ds.file_meta.TransferSyntaxUID
    # pydicom tries GDCM first, which ends the whole process over some damaged frames
    if syntax in _OF_PILLOW: return pixel_array(ds, index=0, decoding_plugin='pillow')
    if syntax in _OF_GDCM: _check_frame(ds)
    return pixel_array(ds, index=0)


def _check_frame(ds):
    "Raise if the JPEG or JPEG-LS frame is damaged in front or of another kind than `ds` says: GDCM relies on both."
    frame, at, bits, shape = get_frame(ds.PixelData, 0, number_of_frames=1), 2, 0, []
    while frame[at:at + 2] != b'\xff\xda':  # the scan, after segments that each state their length
        if frame[at] != 0xff or frame[at + 1] not in _SEGMENTS: raise ValueError('damaged in front')
        if frame[at + 1] in _FRAMES: bits, *shape = struct.unpack_from('>BHHB', frame, at + 4)
        at += 2 + int.from_bytes(frame[at + 2:at + 4], 'big')
    fits = bits <= ds.BitsAllocated <= 16 and min(bits, 8) <= ds.BitsStored
    if shape != [ds.Rows, ds.Columns, ds.SamplesPerPixel] or not fits: raise ValueError('a frame of another kind')


# what they look like

def _appearance(pixels, ds):
    "What the stored `pixels` are to look like; see `read_dicom`."
    look = _look(pixels, ds)
    return look.image() if isinstance(look, Table) else look


def _look(pixels, ds):
    "As `_appearance`, but grey as a `Table` of what each stored value looks like."
    kind = ds.PhotometricInterpretation
    if kind == 'PALETTE COLOR':
        return _eight_bits(apply_color_lut(pixels, ds)[..., :3], ds.RedPaletteColorLookupTableDescriptor[2])
    if kind in _COLOURS and pixels.ndim == 3: return _eight_bits(pixels, ds.BitsStored)
    if kind in ('MONOCHROME1', 'MONOCHROME2') and pixels.ndim == 2:
        look = partial(_grey, ds=ds, is_inverted=kind == 'MONOCHROME1')
        return Table.of(pixels, look) or look(pixels)
    raise ValueError('no known kind of colour')


def _eight_bits(values, bits):
    return values.astype(np.uint8) if bits <= 8 else np.rint(values * (255 / (2**bits - 1))).astype(np.uint8)


def _grey(pixels, ds, is_inverted):
    """Stored values -> rescaled -> through the VOI LUT or window -> inverted -> black padding.

    Steps that the file does not ask for are left out. Without a window the values stay what they are: uint8 where
    that is how they are stored, else float32 with NaN for padding, to which `images` fits a window.
    """
    padding, rescaling, window = _padding(pixels, ds), find_rescaling(ds), find_window(ds)
    values = rescaling(pixels) if rescaling else pixels
    if window: shown, white = np.rint(window(values)), 255
    elif not rescaling and ds.BitsStored <= 8 and pixels.dtype.kind == 'u': shown, white = pixels, 2**ds.BitsStored - 1
    else:
        values = values.astype(np.float32)
        return np.where(padding, np.float32(np.nan), -values if is_inverted else values)
    return np.where(padding, 0, white - shown if is_inverted else shown).astype(np.uint8)


def _full_depth(pixels, ds):
    "The values before the window, and black and white of it; see `read_full_depth`."
    window, ends = find_window(ds), find_window_ends(ds)
    if ds.PhotometricInterpretation not in ('MONOCHROME1', 'MONOCHROME2') or not window:
        return _appearance(pixels, ds), None
    rescaling = find_rescaling(ds)
    values = rescaling(pixels) if rescaling else pixels
    if not ends:
        values = window(values)
        ends = 0., 255.
    values = np.where(_padding(pixels, ds), np.float32(np.nan), values.astype(np.float32))
    return (values, ends) if ds.PhotometricInterpretation == 'MONOCHROME2' else (-values, (-ends[1], -ends[0]))


def _padding(pixels, ds):
    "Where the stored `pixels` are padding, (H, W) bool."
    value, limit = (_numbers(ds, f'PixelPadding{part}')[:1] for part in ('Value', 'RangeLimit'))
    if not value: return np.zeros(pixels.shape, bool)
    # to the type of the pixels, bit by bit: many files state a negative padding as an unsigned number
    low, high = sorted(np.array([*value, *(limit or value)]).astype(np.int64).astype(pixels.dtype))
    return (low <= pixels) & (pixels <= high)


def find_rescaling(ds: Dataset) -> Callable[[np.ndarray], np.ndarray] | None:
    "What makes values of stored pixels: the modality LUT or the rescaling of `ds`, None without either."
    if ds.get('ModalityLUTSequence'): return lambda pixels: apply_lut(pixels, ds.ModalityLUTSequence[0])
    line = _numbers(ds, 'RescaleSlope')[:1] + _numbers(ds, 'RescaleIntercept')[:1]
    if len(line) != 2 or line[0] == 0 or line == [1, 0]: return None
    return lambda pixels: pixels * line[0] + line[1]


def find_window(ds: Dataset) -> Callable[[np.ndarray], np.ndarray] | None:
    "What makes 0 (black) to 255 of values: the first VOI LUT of `ds`, else its first window, None without either."
    table = (ds.get('VOILUTSequence') or [{}])[0]
    if 'LUTDescriptor' in table and 'LUTData' in table:
        white = 2**table.LUTDescriptor[2] - 1
        return lambda values: np.clip(apply_lut(values, table) * (255 / white), 0, 255)
    window = _first_window(ds)
    return window and window.apply


def find_window_ends(ds: Dataset) -> tuple[float, float] | None:
    "The values that the window of `ds` makes black and white; None without one, and where it is a table or a curve."
    window = _first_window(ds)
    if not window or window.is_curved or ds.get('VOILUTSequence'): return None
    return window.center - window.width / 2, window.center + window.width / 2


def _first_window(ds):
    "The first `Window` of `ds`, None where there is none that can be."
    numbers = _numbers(ds, 'WindowCenter')[:1] + _numbers(ds, 'WindowWidth')[:1]
    if len(numbers) != 2: return None
    center, width = numbers
    function = ds.get('VOILUTFunction') or 'LINEAR'
    if function == 'LINEAR' and width >= 1: return Window(center - 0.5, width - 1, False)
    if function in ('LINEAR_EXACT', 'SIGMOID') and width > 0: return Window(center, width, function == 'SIGMOID')


def apply_lut(values: np.ndarray, table: Dataset) -> np.ndarray:
    "What `table`, an item of a LUT sequence, makes of `values`."
    n, first = table.LUTDescriptor[:2]
    n = n % 2**16 or 2**16  # 0 means 65536, and the number may have been read as a signed one
    entries = table.LUTData
    if isinstance(entries, bytes):
        kind = np.uint8 if len(entries) < 2 * n else '<u2' if table.original_encoding[1] else '>u2'
        entries = np.frombuffer(entries, kind)
    return np.atleast_1d(entries)[:n][np.clip(np.rint(values).astype(int) - first, 0, n - 1)]
