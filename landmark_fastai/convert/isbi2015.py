"""The cephalometric challenge of ISBI 2015: a text file for each image, 19 lines `x,y` and 8 of a class each.

Wang et al., Med Image Anal 2016;31:63-76: 400 films of 1935 x 2400 px, 0.1 mm a pixel. The names are those of the
template `isbi2015` of `measure`.
"""

from pathlib import Path

from ..errors import UsageError
from ..formats.columns import listed
from .files import files_of, point_of, read_text, told_of
from .films import Film, Reading
from .images import Images
from .notes import Notes

SUFFIX = '.txt'
SIZE, SPACING, IMAGE = (1935, 2400), (0.1, 0.1), '.bmp'
NAMES = ['sella', 'nasion', 'orbitale', 'porion', 'a_point', 'b_point', 'pogonion', 'menton', 'gnathion', 'gonion',
         'lower_incisor', 'upper_incisor', 'upper_lip', 'lower_lip', 'subnasale', 'soft_tissue_pogonion', 'pns', 'ans',
         'articulare']
MISSING, N_CLASSES = '-1,-1', 8


def read(source: Path, images: Images, notes: Notes) -> Reading:
    "The files of a folder, with images of their names; without an image folder they are those of the challenge."
    films = []
    for path, stem in files_of(source, SUFFIX):
        lines = [line for line in map(str.strip, read_text(path).splitlines()) if line]
        classes = lines[len(NAMES):]
        with told_of(str(path), f'{len(NAMES)} lines x,y and perhaps {N_CLASSES} of a class'):
            if len(lines) < len(NAMES) or len(classes) not in (0, N_CLASSES): raise ValueError(f'{len(lines)} lines')
            if list(map(int, classes)): notes.add('class line', 'left out, measure tells classes', stem, N_CLASSES)
            name = images.find(str(path), stem if images.folder else stem + IMAGE)
            size = images.size(str(path), name, None if images.folder else SIZE)
            film = Film(name, str(path), size, spacing=SPACING if size == SIZE else None)
            for landmark, line in zip(NAMES, lines, strict=False):
                point = point_of(line.split(','))
                if point != (-1, -1): film.add(landmark, point)
        films.append(film)
    return Reading(films, NAMES)


def write(film: Film, names: list[str], target: Path, notes: Notes) -> str:
    "The lines of one image, without classes. Raises UsageError for other landmarks than those of the challenge."
    if set(names) != set(NAMES):
        raise UsageError(f'{film.where}: the landmarks are {listed(names)}; expected the 19 of ISBI 2015: '
                         f'{", ".join(NAMES)}')
    if missing := len(NAMES) - len(film.marks):
        notes.add('landmark', f'not labelled, {MISSING}, which other tools take for a point', film.name, missing)
    notes.add('class line', 'not written', film.name, N_CLASSES)
    points = [film.marks.get(name, (-1, -1)) for name in NAMES]
    return ''.join(f'{x:.0f},{y:.0f}\n' for x, y in points)
