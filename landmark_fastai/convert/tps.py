"""tpsDig: one TPS file, y from the bottom; landmarks have numbers for names.

`-1 -1` is missing, as tpsDig has it, and so is NA, as geomorph writes it.
"""

import re
from pathlib import Path

from ..errors import UsageError
from .files import point_of, read_text, told_of
from .films import Film, Reading, numbered
from .images import Images
from .notes import Notes

MISSING = '-1 -1'
KEY = re.compile(r'\s*(\w+)\s*=\s*(.*?)\s*')


def read(source: Path, images: Images, notes: Notes) -> Reading:
    "The specimens of a file; curves and outlines are left out."
    specimens = _specimens(source, read_text(source).splitlines())
    counts = {len(points) for points, _, _ in specimens if points}
    if len(counts) > 1:
        raise UsageError(f'{source.name}: specimens of {" and ".join(map(str, sorted(counts)))} landmarks, expected '
                         'the same number in each')
    names, films = numbered(max(counts, default=0)), []
    for points, keys, line in specimens:
        where = f'{source.name}, row {line}'
        if 'IMAGE' not in keys: raise UsageError(f'{where}: a specimen without IMAGE=, expected the name of its image')
        where = f'{where} ({keys["IMAGE"]})'
        name = images.find(where, keys['IMAGE'])
        film = Film(name, where, images.size(where, name))
        with told_of(where, 'two coordinates a landmark, and a number as SCALE'):
            for landmark, text in zip(names, points, strict=False): _add(film, landmark, text)
            if 'SCALE' in keys: film.spacing = (float(keys['SCALE']),) * 2
        if film.spacing: notes.add('scale', 'taken as mm per pixel', name)
        if keys.keys() & {'CURVES', 'OUTLINES'}: notes.add('drawing', 'a curve or an outline, left out', name)
        films.append(film)
    return Reading(films, names)


def _specimens(source, lines):
    "The points as text, the other keys, and the row of each specimen."
    found, left = [], 0
    for row, line in enumerate(lines, 1):
        match = KEY.fullmatch(line)
        if match and match[1].upper() == 'LM3':
            raise UsageError(f'{source.name}, row {row}: landmarks in three dimensions (LM3), expected LM=')
        if match and match[1].upper() == 'LM':
            if not match[2].isdigit(): raise UsageError(f'{source.name}, row {row}: {line!r}, expected such as LM=19')
            found.append(([], {}, row))
            left = int(match[2])
        elif match and left: break
        elif match and found: found[-1][1][match[1].upper()] = match[2]
        elif line.strip() and left:
            found[-1][0].append(line)
            left -= 1
    if left:
        raise UsageError(f'{source.name}, row {found[-1][2]}: {left} landmarks fewer than LM= says; expected a line '
                         'for each')
    return found


def _add(film, landmark, text):
    if all(part.upper() == 'NA' for part in text.split()): return
    x, y = point_of(text.split())
    if (x, y) != (-1, -1): film.add(landmark, (x, film.size[1] - y))


def write(films: list[Film], names: list[str], target: Path, notes: Notes) -> str:
    "The file; SCALE is mm per pixel where pixels are square."
    lines = []
    for i, film in enumerate(films):
        lines += [f'LM={len(names)}', *(_line(film, name) for name in names), f'IMAGE={film.name}', f'ID={i}']
        if not film.spacing: continue
        if film.spacing[0] == film.spacing[1]: lines.append(f'SCALE={film.spacing[0]:.12g}')
        else: notes.add('spacing', 'of pixels that are not square, lost', film.name)
    return '\n'.join(lines) + '\n'


def _line(film, name):
    if name not in film.marks: return MISSING
    x, y = film.marks[name]
    return f'{x:.6f} {film.size[1] - y:.6f}'
