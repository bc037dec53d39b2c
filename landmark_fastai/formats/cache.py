"""Squares of images (decoded, padded, resized), made once: in memory, or in files of the user's cache folder.

A file holds one square and is named by a hash of all that it depends on, so a changed image is another file, two runs
may fill the folder at once, and what an interrupted run has made is there for the next.
"""

import hashlib
import math
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
from fastcore.xdg import xdg_cache_home
from tqdm.auto import tqdm

from ..errors import UsageError
from ..files import atomic
from ..threads import in_threads

FORMAT = 2   # of the squares; to be counted up when other squares are made of the same files
SHARE = 0.5  # of the free memory that `auto` fills with squares


def cache_folder() -> Path:
    "Where squares are kept on disk: below XDG_CACHE_HOME, ~/.cache by default."
    return xdg_cache_home() / 'landmark_fastai' / 'squares'


def clear_cache():
    "Remove all squares from the user's cache folder; a run that uses them decodes its images anew."
    shutil.rmtree(cache_folder(), ignore_errors=True)


def choose_place(mode: str, n_bytes: int, n_missing: int) -> str:
    """Where to keep squares of `n_bytes` in all, `n_missing` of them not on disk yet: ram, disk or none, by `mode`.

    `mode` is one of these, or auto: ram while all fit `SHARE` of the free memory, else disk while the missing ones fit
    the free space there, else none. Processes of one machine that train together share one copy, on disk.
    """
    if mode != 'auto': return mode
    together = int(os.environ.get('LOCAL_WORLD_SIZE', 1)) > 1
    if not together and n_bytes <= SHARE * psutil.virtual_memory().available: return 'ram'
    return 'disk' if n_missing <= free_space(cache_folder()) else 'none'


def free_space(folder: Path) -> int:
    "Bytes free in `folder`, 0 where it is not writable."
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(there).free if os.access(there, os.W_OK) else 0


class SquareCache:
    """Squares of image files by path, in `place`: ram, disk or none.

    `make` makes the square of a path, uint8 of `shape` (S, S) or (S, S, 3). Looking up never fails: a path that is not
    kept, or whose file has gone since, is made anew.
    """
    def __init__(self, make: Callable[[Path], np.ndarray], shape: tuple[int, ...], place: str = 'none'):
        self.make, self.shape, self.place, self.kept = make, shape, place, {}
        self.n_bytes = math.prod(shape)  # of a square

    def __getitem__(self, path: Path) -> np.ndarray:
        kept = self.kept.get(path)
        if kept is None: return self.make(path)
        if self.place == 'ram': return kept
        square = read_square(kept, self.shape)
        return self.make(path) if square is None else square

    def rows(self, path: Path, first: int, last: int) -> np.ndarray:
        "The rows from `first` up to `last` of the square of `path`; of a file in the cache only they are read."
        kept = self.kept.get(path)
        band = None
        if kept is not None and self.place == 'disk':
            band = read_square(kept, (last - first, *self.shape[1:]), first * math.prod(self.shape[1:]))
        return self[path][first:last] if band is None else band

    def allocate(self, mode: str, paths: list[Path]) -> int:
        "Choose the place for the squares of `paths` by `mode` (see `choose_place`); returns the bytes that they take."
        missing = [path for path in paths if not self._is_whole(self._file(path))]
        self.place = choose_place(mode, len(paths) * self.n_bytes, len(missing) * self.n_bytes)
        return len(paths) * self.n_bytes

    def fill(self, paths: list[Path], places: list[str]):
        """Make and keep the squares of `paths` on all cores, with a progress bar on a terminal.

        Raises UsageError for the first file that is broken, with its entry of `places`, where the CSV names it; also
        where nothing is kept. Raises UsageError if the cache folder is not writable.
        """
        kept = in_threads(self._keep, paths, 2 * os.cpu_count())
        for path, place in tqdm(list(zip(paths, places, strict=True)), 'reading images', unit='image', leave=False,
                                disable=not sys.stderr.isatty()):
            try: self.kept[path] = next(kept)
            except UsageError as e: raise UsageError(f'{place}: {e}') from None

    def _keep(self, path):
        "What to keep of the square of `path`: itself, its file, or nothing."
        if self.place != 'disk':
            square = self.make(path)
            return square if self.place == 'ram' else None
        file = self._file(path)
        if not self._is_whole(file): write_square(file, self.make(path))
        return file

    def _is_whole(self, file): return file.is_file() and file.stat().st_size == self.n_bytes

    def _file(self, path):
        "The cache file of `path` as it is now; that of a changed image has another name."
        there = os.stat(path)
        facts = os.path.realpath(path), there.st_size, there.st_mtime_ns, self.shape, FORMAT
        name = hashlib.sha256(repr(facts).encode('utf-8', 'surrogateescape')).hexdigest()
        return cache_folder() / name[:2] / name


def read_square(file: Path, shape: tuple[int, ...], offset: int = 0) -> np.ndarray | None:
    "The square of `shape` in `file`, or a part of it from `offset` on; None if there is none, or not all of it."
    # not mapped into memory: for a file of one square that takes longer than to read it from the system's own cache
    # (0.16 against 0.06 ms), and maps that stay open run into the limit on open files
    try: square = np.fromfile(file, np.uint8, math.prod(shape), offset=offset)
    except OSError: return None
    return square.reshape(shape) if square.size == math.prod(shape) else None


def write_square(file: Path, square: np.ndarray):
    "Write `square` to `file`, whole or not at all, for the user's eyes only."
    try:
        cache_folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        with atomic(file) as temporary: square.tofile(temporary)
    except OSError as e:
        # another run has just cleared the cache, or clears it while it is made: a square is made anew when looked up
        cleared = isinstance(e, (FileNotFoundError, FileExistsError)) and not cache_folder().is_file()
        if cleared: return
        raise UsageError(f'the cache folder {cache_folder()} is not writable ({e.strerror}); pass --cache ram or '
                         '--cache none, or set XDG_CACHE_HOME to a folder with space') from None
