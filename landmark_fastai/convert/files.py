"Files of other tools: read with one line for what is wrong in them."

import json
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import UsageError


@contextmanager
def told_of(where: str, what: str) -> Iterator[None]:
    "Say `where`, and that `what` was expected there, of what is missing in a file or of another kind."
    try: yield
    except KeyError as e: raise UsageError(f'{where}: {e} is missing, expected {what}') from None
    except (AttributeError, IndexError, OverflowError, TypeError, ValueError) as e:
        raise UsageError(f'{where}: expected {what} ({e})') from None


def read_text(path: Path) -> str:
    "The text of the file at `path`, in UTF-8, or in the Windows code page of older tools. Raises UsageError."
    try: content = path.read_bytes()
    except OSError as e: raise UsageError(f'{path}: {e.strerror.lower()}, expected annotations') from None
    for encoding in ('utf-8-sig', 'cp1252'):
        try: return content.decode(encoding)
        except UnicodeDecodeError: continue
    raise UsageError(f'{path}: is no text, expected annotations')


def read_json(path: Path) -> Any:
    "What is in the JSON file at `path`. Raises UsageError."
    try: return json.loads(read_text(path))
    except (ValueError, RecursionError) as e: raise UsageError(f'{path}: is no JSON ({e})') from None


def files_of(source: Path, suffix: str) -> list[tuple[Path, str]]:
    """The files below the folder `source` that end with `suffix`, sorted, each with its path below it, without suffix.

    `source` may be one such file. Raises UsageError where there is none.
    """
    if source.is_file(): return [(source, source.name.removesuffix(suffix))]
    if not source.is_dir(): raise UsageError(f'{source}: no such file or folder, expected annotations')
    found = [(path, path.relative_to(source).as_posix().removesuffix(suffix))
             for path in sorted(source.rglob(f'*{suffix}')) if not path.name.startswith('.')]
    if not found: raise UsageError(f'{source}: no file in it ends with {suffix}, expected one for each image')
    return found


def point_of(values: Iterable) -> tuple[float, float]:
    "The point whose x and y are `values`, numbers or texts. Raises ValueError or TypeError for others."
    x, y = map(float, values)
    if math.isfinite(x) and math.isfinite(y): return x, y
    raise ValueError(f'a point at {x}, {y}')


def size_of(values: Iterable) -> tuple[int, int]:
    "The size of an image whose width and height are `values`. Raises ValueError or TypeError for others."
    width, height = map(float, values)
    if width.is_integer() and height.is_integer() and min(width, height) > 0: return int(width), int(height)
    raise ValueError(f'an image of {width} x {height} px')
