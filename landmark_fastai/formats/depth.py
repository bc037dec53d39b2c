"""Images deeper than 8 bits: the window that shows one at 8 bits, and what else is worked out for each of its values.

A film has millions of pixels, but in 16 bits at most 65,536 values. So what depends on the value alone is worked out
for each value and looked up for each pixel, and percentiles follow from how often each value occurs.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np

SHARES = 0.005, 0.995  # of the pixels of an image: up to its black, up to its white
_MOST = 2**24          # pixels that OpenCV counts exactly


class Table(NamedTuple):
    "An image by a table of the values that its pixels can have."
    codes: np.ndarray   # (H, W) uint8 or uint16
    values: np.ndarray  # (256,) or (65536,): what each code stands for; NaN is padding

    @classmethod
    def of(cls, pixels: np.ndarray, look: Callable[[np.ndarray], np.ndarray]) -> 'Table | None':
        "What `look`, which sees each pixel alone, makes of `pixels` (H, W); None unless they are of 8 or 16 bits."
        if pixels.ndim != 2 or pixels.dtype.kind not in 'iu' or pixels.itemsize > 2 or not pixels.dtype.isnative:
            return None
        unsigned = np.dtype(f'u{pixels.itemsize}')
        every = np.arange(2**(8 * pixels.itemsize), dtype=unsigned).view(pixels.dtype)
        return cls(np.ascontiguousarray(pixels).view(unsigned), look(every))

    @property
    def dtype(self) -> np.dtype:
        "That of what the image shows."
        return self.values.dtype

    def image(self) -> np.ndarray:
        "The image itself, (H, W)."
        try: return cv2.LUT(self.codes, self.values)
        except cv2.error: return self.values[self.codes]  # OpenCV 4.12 looks up 8 bits alone

    def counts(self) -> np.ndarray:
        "How often each code occurs."
        n, rows = len(self.values), max(_MOST // self.codes.shape[1], 1)
        parts = (self.codes[k:k + rows] for k in range(0, len(self.codes), rows))
        return sum(cv2.calcHist([part], [0], None, [n], [0, n]).ravel().astype(int) for part in parts)


def at_8_bits(image: np.ndarray | Table) -> np.ndarray:
    "A grey `image` (H, W) as uint8: through its `percentile_window` where it is deeper."
    if image.dtype != np.uint8: return percentile_window(image)
    return image.image() if isinstance(image, Table) else image


def percentile_window(image: np.ndarray | Table) -> np.ndarray:
    "The 0.5 to 99.5 percentile of the finite pixels of `image` as 0 to 255; zeros for a constant image."
    table = _as_table(image)
    if table is None:
        image = image.astype(np.float32, copy=False)
        return _through(find_percentiles(image), image)
    return table._replace(values=_through(find_percentiles(table), table.values)).image()


def find_percentiles(image: np.ndarray | Table) -> tuple[float, float]:
    "The 0.5 and 99.5 percentile of the finite pixels of `image`, or all of their range; equal for a constant image."
    table = _as_table(image)
    if table is None:
        finite = image[np.isfinite(image)]
        find = partial(np.quantile, finite)
    else:
        counts = table.counts()
        occurs = (counts > 0) & np.isfinite(table.values)
        finite = table.values[occurs]
        find = partial(quantiles, finite, counts[occurs])
    if not finite.size: return 0., 0.
    low, high = find(SHARES)
    if low == high: low, high = finite.min(), finite.max()  # less than 1 % of the pixels differ: they are the picture
    return low, high


def quantiles(values: np.ndarray, counts: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    "`numpy.quantile` for `shares` of what holds each of `values` as often as `counts` says: the same to the last bit."
    order = values.argsort()
    ends = counts[order].cumsum()
    at = (ends[-1] - 1) * np.asarray(shares)
    first, second = (values[order][ends.searchsorted(place, 'right')] for place in (np.floor(at), np.ceil(at)))
    step, share = second - first, at - np.floor(at)
    return np.where(share < 0.5, first + step * share, second - step * (1 - share))


def _as_table(image):
    "`image` as a `Table`, of float32; None where it has too many values for one."
    return image if isinstance(image, Table) else Table.of(image, lambda values: values.astype(np.float32))


def _through(window, values):
    "`values` as 0 to 255, the ends of the `window`; what is no number is 0."
    low, high = window
    if low == high: return np.zeros(values.shape, np.uint8)
    scaled = (np.clip(values, low, high) - low) / (high - low) * 255
    return np.rint(np.nan_to_num(scaled)).astype(np.uint8)
