"`check`: what is wrong or unusual in a data set, the worst first, before anything is trained. No torch."

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from ..formats.annotations import VISIBLE, in_corner
from .shapes import outliers, swaps

ERROR, SERIOUS, LOOK, NOTE = range(4)  # levels: train refuses it; probably wrong; look at it; good to know
UNUSUAL, FAR = 6, 10     # robust standard deviations from which a point is named, and is probably wrong
BORDER = 0.01            # of the side
FEW_LABELS = 5


@dataclass(frozen=True)
class Finding:
    "Something to know of a data set; the smaller the level, then the larger the score, the worse."
    level: int
    what: str           # in a sentence, with the names of image and landmark
    image: int | None = None  # its index; None where it is of all
    landmarks: tuple = ()     # indices
    score: float = 0.


def unusual_images(annotations, facts):
    "EXIF rotations, depth and colour."
    findings = []
    for i, (orientation, deep, colour, _) in facts.items():
        where = annotations.where(i)
        if orientation != 1:
            findings.append(Finding(LOOK, f'{where}: EXIF orientation {orientation}; are the points clicked on the '
                                    'picture as it is shown after that?', i))
        if deep: findings.append(Finding(NOTE, f'{where}: more than 8 bits, of which 0.5 to 99.5 % become 0 to 255', i))
        if colour: findings.append(Finding(NOTE, f'{where}: a colour picture, which is grey without --color', i))
    return findings


def duplicates(annotations, facts):
    "Images whose pixels are the same."
    same = defaultdict(list)
    for i, (*_, pixels) in facts.items(): same[pixels].append(i)
    findings = []
    for group in same.values():
        for i in group[1:]:
            across = [f'{what} ({column[group[0]]}, {column[i]})' for what, column
                      in (('patients', annotations.patient_id), ('sides of the split', annotations.split))
                      if column is not None and column[group[0]] != column[i]]
            what = f'{annotations.where(i)}: the same pixels as {annotations.image_names[group[0]]}'
            if across: findings.append(Finding(SERIOUS, f'{what}, across {" and ".join(across)}', i, score=np.inf))
            else: findings.append(Finding(LOOK, what, i))
    return findings


def unusual_points(annotations):
    "Landmarks that do not fit the shape of their image, and pairs that seem to have changed places."
    exchanged, findings = swaps(annotations.points), []
    for i, *pair in exchanged:
        names = ' and '.join(annotations.names[k] for k in pair)
        findings.append(Finding(SERIOUS, f'{annotations.where(i)}: {names} seem to have changed places', i, tuple(pair),
                                FAR))
    swapped = {(i, k) for i, *pair in exchanged for k in pair}
    z = outliers(annotations.points, annotations.sizes)
    for i, k in np.argwhere(np.nan_to_num(z) >= UNUSUAL):
        if (i, k) in swapped: continue
        x, y = annotations.points[i, k]
        what = (f'{annotations.where(i)}: {annotations.names[k]} at {x:g}, {y:g} does not fit the others '
                f'({z[i, k]:.0f} times the usual deviation)')
        findings.append(Finding(SERIOUS if z[i, k] >= FAR else LOOK, what, int(i), (int(k),), float(z[i, k])))
    return findings


def on_one_place(annotations):
    "Landmarks of an image that lie on the same point, as after a cell was copied."
    findings = []
    for i, points in enumerate(annotations.points):
        places = defaultdict(list)
        for k in np.flatnonzero(annotations.state[i] == VISIBLE): places[tuple(points[k])].append(int(k))
        for (x, y), together in places.items():
            if len(together) < 2: continue
            names = ' and '.join(annotations.names[k] for k in together)
            findings.append(Finding(LOOK, f'{annotations.where(i)}: {names} lie on one point, {x:g}, {y:g}', i,
                                    tuple(together), FAR))
    return findings


def at_the_border(annotations):
    "Points within 1 % of the border of their image."
    near = BORDER * annotations.sizes[:, None]
    close = ((annotations.points < near) | (annotations.points > annotations.sizes[:, None] - 1 - near)).any(-1)
    return [Finding(LOOK, f'{annotations.where(i)}: {annotations.names[k]} lies within 1 % of the border', int(i),
                    (int(k),)) for i, k in np.argwhere(close)]


def few_labels(annotations):
    "Landmarks that hardly any image has, of those to train on where the CSV tells."
    to_train, where = slice(None), ''
    if annotations.split is not None: to_train, where = np.array(annotations.split) == 'train', ' to train on'
    counts = (annotations.state[to_train] == VISIBLE).sum(0)
    findings = []
    for k, (name, n) in enumerate(zip(annotations.names, counts, strict=True)):
        if n >= FEW_LABELS: continue
        images = f'{n} images' if n > 1 else '1 image' if n else 'no image'
        what = f'{annotations.path.name}: {name} is visible on {images}{where}, expected at least {FEW_LABELS}'
        findings.append(Finding(LOOK if n else SERIOUS, what, landmarks=(k,), score=-float(n)))
    return findings


def in_the_corner(annotations, invisible_landmarks):
    "Points that --invisible_landmarks takes for absent, in the frame of the CSV."
    hidden, verb = in_corner(annotations), 'is taken' if invisible_landmarks else 'would be taken'
    return [Finding(LOOK if invisible_landmarks else NOTE, f'{annotations.where(i)}: {annotations.names[k]} {verb} for '
                    'absent by --invisible_landmarks', int(i), (int(k),)) for i, k in np.argwhere(hidden)]
