"Files that are written whole or not at all."

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from .errors import UsageError


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` and put it in place of `path` once the block has ended well.

    The temporary name keeps the suffix, since image and figure writers choose their format by it. The file is flushed
    to disk before it replaces the old one, so that a kill or a full disk leaves either the old content or the new.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{uuid4().hex}.tmp{path.suffix}')  # of this call alone, and never too long
    try:
        yield temporary
        with open(temporary, 'rb+') as f: os.fsync(f.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str):
    "Write `text` as UTF-8 to `path`, whole or not at all."
    with atomic(path) as temporary: temporary.write_text(text, encoding='utf-8')


def remove_leftovers(folder: Path):
    "Remove the temporary files below `folder` that a killed process has left."
    for path in folder.rglob('.*.tmp*'): path.unlink()


def lies_in(path: str | Path, folder: str | Path) -> bool:
    "Whether `path` is `folder` or below it, links followed."
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def check_writable(folder: Path):
    "Raise UsageError unless `folder`, or the nearest folder above it that exists, can be written to."
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if there.is_dir() and os.access(there, os.W_OK): return
    raise UsageError(f'{there} is not writable; pass another --output_dir')
