"Checks of a data set before training."

from dataclasses import replace
from functools import cached_property
from os import walk
from os.path import isdir, isfile, realpath  # unlike Path's, they never raise
from pathlib import Path, PurePosixPath

import numpy as np

from ..errors import UsageError
from ..files import lies_in
from .annotations import VISIBLE, Annotations, fill_spacing
from .images import image_size, image_spacing

UNREADABLE = 'cannot be read'  # what is said of several such images
FEW = 5  # points that may all lie in the first pixel


class UnfitImage(UsageError):
    "An image that does not fit its row of the CSV; `of_many` says it of several: 'have no file in films'."
    def __init__(self, message: str, of_many: str, see: str = ''):
        super().__init__(message, see)
        self.of_many = of_many


class FilesBelow:
    "The files below `folder` by the names that may mean them; it is searched once, when that is first asked."
    def __init__(self, folder: str | Path): self.folder = Path(folder)

    @cached_property
    def by_name(self) -> dict[str, Path]:
        "The first file of each name, and of each name without its suffix, in small letters."
        found = {}
        for path in sorted(Path(parent, file) for parent, _, files in walk(self.folder) for file in files):
            for name in (path.name, path.stem): found.setdefault(name.casefold(), path)
        return found

    def meant_by(self, name: str) -> str | None:
        "A file that `name` may mean, of another suffix, case or sub-folder; None where there is none."
        path = PurePosixPath(name)
        found = [self.by_name[each] for each in (path.name.casefold(), path.stem.casefold()) if each in self.by_name]
        return min(found).relative_to(self.folder).as_posix() if found else None


def check_images(annotations: Annotations, image_dir: str | Path,
                 below: FilesBelow | None = None) -> tuple[Annotations, list[Path]]:
    """Check that the images of `annotations` lie in `image_dir` and have the stated sizes; reads headers only.

    Returns the annotations with EXIF rotations applied, which is how images are read, and the path of each
    image. Where the CSV states the stored size of an image that EXIF turns by 90 degrees, points, size and spacing are
    turned along; where the sizes cannot tell, the points are taken to be turned already. Spacings that the CSV
    leaves unknown are those of DICOM headers, if any. Who calls it image by image passes what is `below` the folder, so
    that it is searched once.
    Raises `UnfitImage` for the first image that is missing, unreadable, outside the folder or of another size, and
    `UsageError` where there is no folder.
    """
    folder = Path(image_dir)
    if not isdir(folder):
        raise UsageError(f'{folder}: no such folder, expected the images of {annotations.path.name}; pass the folder '
                         'that image_name starts from', see='wrong-folder')
    paths = [folder / name for name in annotations.image_names]
    _check_inside(annotations, paths, folder)
    _check_there(annotations, paths, below or FilesBelow(folder))
    annotations = _upright(annotations, [_turn(annotations, i, path) for i, path in enumerate(paths)])
    spacing, source = zip(*(image_spacing(path) for path in paths), strict=True)
    return fill_spacing(annotations, spacing, source), paths


def check_pixels_meant(annotations: Annotations):
    "Raise UsageError where the points are shares of the images' sides, not pixels."
    visible = annotations.points[annotations.state == VISIBLE]
    if len(visible) < FEW or visible.max() > 1: return
    raise UsageError(f'{annotations.path.name}: all {len(visible)} points lie within 0 to 1, expected pixels; multiply '
                     'shares by image_width and image_height', see='points-outside-the-image')


def _check_inside(annotations, paths, folder):
    for i, path in enumerate(paths):
        if not lies_in(path, folder):
            raise UnfitImage(f'{annotations.where(i)}: {realpath(path)} is outside the image folder '
                             f'{realpath(folder)}, expected a path below it', 'are outside the image folder')


def _check_there(annotations, paths, below):
    missing = [i for i, path in enumerate(paths) if not isfile(path)]
    if not missing: return
    others = f' ({len(missing) - 1} other images are missing too)' if len(missing) > 1 else ''
    likely = below.meant_by(annotations.image_names[missing[0]])
    raise UnfitImage(f'{annotations.where(missing[0])}: no such file {paths[missing[0]]}{others}; '
                     f'{f"but there is {likely}: " if likely else ""}correct image_name or the image folder',
                     f'have no file in {below.folder}', see='image-names')


def _turn(annotations, i, path):
    "EXIF orientation that the points of image `i` still lack, 1 if none."
    try: header = image_size(path)
    except UsageError as e: raise UnfitImage(f'{annotations.where(i)}: {e}', UNREADABLE) from None
    stated = tuple(annotations.sizes[i].tolist())
    if stated == header.size: return 1
    if stated == header.stored: return header.orientation
    turned = header.orientation != 1
    stored = f' ({_by(header.stored)} as it is stored, which EXIF turns)' if turned else ''
    raise UnfitImage(f'{annotations.where(i)}: the CSV says {_by(stated)}, the file is {_by(header.size)}{stored}; '
                     'expected the size of the image in which the points were clicked',
                     'have another size than the CSV says', see='turned-images' if turned else 'image-sizes')


def _by(size): return f'{size[0]} x {size[1]}'


def _upright(annotations, turns):
    "`annotations` with the images of `turns` 5 to 8 turned as EXIF says."
    points = np.stack([_turned(p, size, turn) for p, size, turn
                       in zip(annotations.points, annotations.sizes, turns, strict=True)])
    swap = np.array(turns)[:, None] != 1
    return replace(annotations, points=points, sizes=np.where(swap, annotations.sizes[:, ::-1], annotations.sizes),
                   spacing=np.where(swap, annotations.spacing[:, ::-1], annotations.spacing))


def _turned(points, size, turn):
    "`points` (N, 2) of an image stored as `size` (width, height) after EXIF orientation `turn`: 1, or 5 to 8."
    if turn == 1: return points
    x, y = points.T
    from_right, from_bottom = size[0] - 1 - x, size[1] - 1 - y
    return np.stack({5: (y, x), 6: (from_bottom, x), 7: (from_bottom, from_right), 8: (y, from_right)}[turn], -1)
