"Stills, PNG files of one picture over the epochs, as an animated GIF."

from collections.abc import Iterator
from pathlib import Path

import imageio.v3 as iio
from PIL import Image

from ..files import atomic
from .overlays import fit_into_box

GIF_SIDE = 640  # longer side, px, at most
HOLD = 2        # seconds that the last still stays on


def write_gif(path: Path, stills: list[Path], seconds: float):
    """Write the PNG files `stills` as an endless GIF, `seconds` a still and the last one 2 s longer.

    All get the size of the first, at most 640 px. They are read one after the other; Pillow keeps a byte for each pixel
    of each until the file is complete, about 0.3 MB a still, and joins those that are equal.
    """
    size = _gif_size(stills[0])
    images = _palette_images(stills, size)
    first = next(images)
    durations = [1000 * seconds] * (len(stills) - 1) + [1000 * (seconds + HOLD)]
    with atomic(path) as temporary:
        first.save(temporary, save_all=True, append_images=images, duration=durations, loop=0, optimize=False)


def _gif_size(path: Path) -> tuple[int, int]:
    "(width, height) of the GIF whose first still is the picture at `path`."
    with Image.open(path) as first: width, height = first.size
    scale = min(1, GIF_SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _palette_images(stills: list[Path], size: tuple[int, int]) -> Iterator[Image.Image]:
    "Read `stills` as palette images of `size`, each with its own 256 colours."
    for path in stills:
        picture = fit_into_box(iio.imread(path, mode='RGB'), size)
        # The other methods average rare colours away: small blue and red markers on grey anatomy would fade.
        yield Image.fromarray(picture).quantize(256, method=Image.Quantize.MAXCOVERAGE)
