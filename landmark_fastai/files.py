"Files that are written whole or not at all."

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
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


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield a new, empty folder beside `folder` and put it in place of `folder` once the block has ended well.

    So a process that is killed meanwhile leaves what was there, or all that the block has written, and temporary
    folders beside it, which bear its name: they go when a `folder` that is there is replaced.
    """
    folder = Path(os.path.abspath(folder))
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = re.compile(rf'\.{re.escape(folder.name)}\.[0-9a-f]{{32}}\.tmp')
    # where there is no folder, what was there before may be in one of them alone
    for path in folder.parent.iterdir() if folder.exists() else ():
        if temporary.fullmatch(path.name): shutil.rmtree(path, ignore_errors=True)
    new, old = (folder.with_name(f'.{folder.name}.{uuid4().hex}.tmp') for _ in range(2))
    new.mkdir()
    try:
        yield new
        if folder.exists(): folder.rename(old)
        new.rename(folder)
    finally:
        if old.exists() and not folder.exists(): old.rename(folder)  # Ctrl-C, or a disk that refused the new one
        for path in (new, old): shutil.rmtree(path, ignore_errors=True)


def write_text(path: str | Path, text: str):
    "Write `text` as UTF-8 to `path`, whole or not at all."
    with atomic(path) as temporary: temporary.write_text(text, encoding='utf-8')


def remove_leftovers(folder: Path):
    "Remove the temporary files and folders below `folder` that a killed process has left."
    for path in list(folder.rglob('.*.tmp*')):
        if path.is_dir(): shutil.rmtree(path)
        else: path.unlink(missing_ok=True)


def lies_in(path: str | Path, folder: str | Path) -> bool:
    "Whether `path` is `folder` or below it, links followed."
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def check_writable(folder: Path, flag: str = 'output_dir'):
    "Raise UsageError unless `folder`, which `flag` names, or the nearest one above it that exists can be written to."
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.exists(path))
    if not there.is_dir(): raise UsageError(f'{there} is a file, a folder was expected; pass another --{flag}')
    try: TemporaryFile(dir=there).close()  # rights alone do not tell: root has them all, also in /proc
    except OSError:
        raise UsageError(f'{there} is not writable; make it so, or pass another --{flag}') from None


def check_replaceable(folder: Path, flag: str = 'output_dir'):
    "Raise UsageError unless `folder`, which `flag` names, can be written by `atomic_folder`."
    check_writable(folder, flag)
    if os.path.realpath(folder) == os.getcwd() or os.path.ismount(folder):
        raise UsageError(f'{folder} cannot be put in place as a whole, since it is the folder in which this runs, or a '
                         f'mounted disk; pass a folder in it as --{flag}')
    check_writable(Path(os.path.abspath(folder)).parent, flag)


def check_space(folder: Path, n_bytes: int):
    "Raise UsageError unless `n_bytes` are free on the disk of `folder`, which may not exist yet."
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.exists(path))
    free = shutil.disk_usage(there).free
    if free >= n_bytes: return
    raise UsageError(f'{there} has {free / 1e6:.0f} MB left, and about {n_bytes / 1e6:.0f} MB will be written; free '
                     'some, or pass another --output_dir', see='disk-space')
