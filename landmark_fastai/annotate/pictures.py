"Pictures of annotated films: points, numbers and names."

import warnings
from collections.abc import Sequence
from pathlib import Path

from ..errors import UsageError
from ..files import check_writable, lies_in
from ..formats.images import read_image
from ..viz.overlays import draw_annotated, write_png
from .actions import ABSENT, Mark, Work
from .suggestions import points_of

SUFFIX = '.annotated.png'  # after the name of an image: no other file is replaced


def check_overlay_dir(folder: Path, image_dir: str | Path):
    "Raise UsageError unless pictures can be written to `folder`, and are not taken for images there."
    check_writable(folder, 'overlay_dir')
    if lies_in(folder, image_dir):
        raise UsageError(f'{folder} lies in the image folder {image_dir}, where overlays would be taken for images; '
                         'pass another --overlay_dir')


def write_pictures(folder: Path, image_dir: Path, images: Sequence[str], landmarks: Sequence[str], work: Work) -> int:
    "Write a picture of each of `images` that has a mark into `folder`; returns how many. A broken image is warned of."
    n = 0
    for image in images:
        if not work.n_marked(image): continue
        try: pixels = read_image(image_dir / image, color=True)
        except UsageError as e:
            warnings.warn(f'no overlay: {e}', stacklevel=2)
            continue
        notes = [note_of(work.of(image).get(name)) for name in landmarks]
        picture = draw_annotated(pixels, points_of(work, image, landmarks), list(landmarks), notes)
        write_png(folder / f'{image}{SUFFIX}', picture)
        n += 1
    return n


def note_of(mark: Mark) -> str:
    "A mark beside the name of its landmark."
    if isinstance(mark, tuple): return f'{mark[0]:.1f}, {mark[1]:.1f}'
    return '' if mark is None else 'absent' if mark == ABSENT else 'cannot judge'
