"Pictures of landmarks and masks: RGB uint8 arrays, blue = truth, red = prediction, and the PNG and GIF files of them."

import imageio.v3 as iio
from PIL import GifImagePlugin, Image

from ..files import atomic
from .overlays import _letterbox

GIF_SIDE = 640        # longer side of a GIF, at most
GIF_HOLD = 2          # seconds that the last frame of a GIF stays on


def write_gif(path, frame_paths, seconds):
    """Write the PNG files `frame_paths` as an endless GIF, `seconds` a frame and the last one 2 s longer.

    All frames get the size of the first, at most 640 px. One frame at a time is in memory: Pillow and imageio would
    keep them all until the end, so the blocks of the file are joined here.
    """
    size = _gif_size(frame_paths[0])
    durations = [seconds] * (len(frame_paths) - 1) + [seconds + GIF_HOLD]
    with atomic(path) as temporary, open(temporary, 'wb') as file:
        for k, (frame_path, duration) in enumerate(zip(frame_paths, durations, strict=True)):
            frame = _gif_frame(frame_path, size)
            if k == 0: file.writelines(GifImagePlugin.getheader(frame, info={'loop': 0})[0])
            file.writelines(GifImagePlugin.getdata(frame, duration=1000 * duration, include_color_table=True))
        file.write(b';')


def _gif_size(path):
    "Return (width, height) of the GIF whose first frame is the picture at `path`."
    with Image.open(path) as first: width, height = first.size
    scale = min(1, GIF_SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _gif_frame(path, size):
    "Read the picture at `path` as a palette image of `size`."
    picture = _letterbox(iio.imread(path, mode='RGB'), size)
    # The other methods average rare colours away: small blue and red markers on grey anatomy would fade.
    return Image.fromarray(picture).quantize(256, method=Image.Quantize.MAXCOVERAGE)
