"What is wrong or unusual in a data set, kind by kind; what concerns many images is one finding."

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..formats.annotations import VISIBLE, Annotations, in_corner
from ..formats.columns import listed
from ..formats.images import Appearance
from ..formats.spacing import is_doubtful
from .shapes import outliers, swaps

ERROR, SERIOUS, LOOK, NOTE = range(4)  # levels: train refuses it; probably wrong; look at it; good to know
UNUSUAL, FAR = 6, 10     # robust standard deviations from which a point is named, and is probably wrong
BORDER = 0.01            # of the side
FEW_LABELS = 5
ROWS = 20                # of errors, at most
MANY = 4                 # images that have the same in common, from which on they are one finding


@dataclass(frozen=True)
class Finding:
    "Something to know of a data set; the smaller the level, then the larger the score, the worse."
    level: int
    what: str                       # in a sentence, with the names of image and landmark
    images: tuple[int, ...] = ()    # indices; none where it is of the data set as a whole
    landmarks: tuple[int, ...] = ()  # indices
    score: float = 0.
    of_many: str = ''               # what `MANY` images or more do; '' where each is a finding of its own
    pictured: bool = True           # whether a picture of the image shows it


def grouped(findings: Iterable[Finding], annotations: Annotations) -> list[Finding]:
    "`findings`, where what `MANY` images or more have in common is one, with their number and the first as an example."
    kinds = defaultdict(list)
    for finding in findings: kinds[finding.level, finding.landmarks, finding.of_many].append(finding)
    result = []
    for members in kinds.values():
        result += [_one_of(members, annotations)] if members[0].of_many and len(members) >= MANY else members
    return result


def _one_of(members: list[Finding], annotations: Annotations) -> Finding:
    "The finding that stands for all `members`, which are of one kind."
    members = sorted(members, key=lambda member: member.images)
    first, images = members[0], tuple(i for member in members for i in member.images)
    rows, example = '', f'row {annotations.rows[images[0]]} ({annotations.image_names[images[0]]})'
    if first.level == ERROR:  # each has to be mended, so all is told of the first, and where the others are
        rows = f' (rows {", ".join(str(annotations.rows[i]) for i in images[:ROWS])}{", …" * (len(images) > ROWS)})'
        example = first.what.removeprefix(f'{annotations.path.name}, ')
    what = (f'{annotations.path.name}: {len(images)} of {len(annotations)} images {first.of_many}{rows}; the first of '
            f'them is {example}')
    return Finding(first.level, what, images, first.landmarks, first.score, pictured=first.pictured)


def unusual_images(annotations: Annotations, appearances: dict[int, Appearance]) -> list[Finding]:
    "EXIF rotations, depth and colour, of the images whose `appearances` are given by their indices."
    findings = []
    for i, seen in appearances.items():
        where = annotations.where(i)
        if seen.orientation != 1:
            exif, clicked = f'EXIF orientation {seen.orientation}', 'clicked on the picture as it is shown after that?'
            findings.append(Finding(LOOK, f'{where}: {exif}; are the points {clicked}', (i,),
                                    of_many=f'have {exif} (are their points {clicked})'))
        if seen.is_deep:
            what = 'more than 8 bits, of which 0.5 to 99.5 % become 0 to 255'
            findings.append(Finding(NOTE, f'{where}: {what}', (i,), of_many=f'have {what}', pictured=False))
        if seen.is_coloured:
            findings.append(Finding(NOTE, f'{where}: a colour picture, which is grey without --color', (i,),
                                    of_many='are colour pictures, which are grey without --color', pictured=False))
    return findings


def unusual_spacings(annotations: Annotations) -> list[Finding]:
    "Pixel spacings that no image of this field has."
    return [Finding(LOOK, f'{annotations.where(i)}: {annotations.spacing[i].max():g} mm per pixel '
                    f'({annotations.spacing_source[i]}), which makes errors in mm doubtful', (int(i),),
                    of_many='have a pixel spacing that makes errors in mm doubtful', pictured=False)
            for i in np.flatnonzero(is_doubtful(annotations.spacing))]


def duplicates(annotations: Annotations, appearances: dict[int, Appearance]) -> list[Finding]:
    "Images whose pixels are the same, a finding for each group of them."
    same = defaultdict(list)
    for i, seen in appearances.items(): same[seen.pixels].append(i)
    return [_duplicate(annotations, group) for group in same.values() if len(group) > 1]


def _duplicate(annotations, group):
    "The finding that the images of `group`, indices, have the same pixels."
    columns = {'patients': annotations.patient_id, 'sides of the split': annotations.split}
    across = {name: list(dict.fromkeys(column[i] for i in group)) for name, column in columns.items() if column}
    across = {name: values for name, values in across.items() if len(values) > 1}
    others = listed([f'row {annotations.rows[i]} ({annotations.image_names[i]})' for i in group[1:]])
    what, of_many = f'{annotations.where(group[0])}: the same pixels as {others}', 'have the same pixels as another'
    if not across: return Finding(LOOK, what, tuple(group), of_many=of_many, pictured=False)
    named = ' and '.join(f'{name} ({listed(values)})' for name, values in across.items())
    return Finding(SERIOUS, f'{what}, across {named}', tuple(group), score=np.inf,
                   of_many=f'{of_many}, across {" and ".join(across)}', pictured=False)


def unusual_points(annotations: Annotations) -> list[Finding]:
    "Landmarks that do not fit the shape of their image, and pairs that seem to have changed places."
    exchanged, findings = swaps(annotations.points), []
    for i, *pair in exchanged:
        names = ' and '.join(annotations.names[k] for k in pair)
        findings.append(Finding(SERIOUS, f'{annotations.where(i)}: {names} seem to have changed places', (i,),
                                tuple(pair), FAR))
    swapped = {(i, k) for i, *pair in exchanged for k in pair}
    z = outliers(annotations.points, annotations.sizes)
    for i, k in np.argwhere(np.nan_to_num(z) >= UNUSUAL):
        if (i, k) in swapped: continue
        x, y = annotations.points[i, k]
        what = (f'{annotations.where(i)}: {annotations.names[k]} at {x:g}, {y:g} does not fit the others '
                f'({z[i, k]:.0f} times the usual deviation)')
        findings.append(Finding(SERIOUS if z[i, k] >= FAR else LOOK, what, (int(i),), (int(k),), float(z[i, k])))
    return findings


def on_one_place(annotations: Annotations) -> list[Finding]:
    "Landmarks of an image that lie on the same point, as after a cell was copied."
    findings = []
    for i, points in enumerate(annotations.points):
        places = defaultdict(list)
        for k in np.flatnonzero(annotations.state[i] == VISIBLE): places[tuple(points[k])].append(int(k))
        for (x, y), together in places.items():
            if len(together) < 2: continue
            names = ' and '.join(annotations.names[k] for k in together)
            findings.append(Finding(LOOK, f'{annotations.where(i)}: {names} lie on one point, {x:g}, {y:g}', (i,),
                                    tuple(together), FAR, of_many=f'have {names} on one point'))
    return findings


def at_the_border(annotations: Annotations) -> list[Finding]:
    "Points within 1 % of the border of their image."
    near = BORDER * annotations.sizes[:, None]
    close = ((annotations.points < near) | (annotations.points > annotations.sizes[:, None] - 1 - near)).any(-1)
    return [Finding(LOOK, f'{annotations.where(i)}: {annotations.names[k]} lies within 1 % of the border', (int(i),),
                    (int(k),), of_many=f'have {annotations.names[k]} within 1 % of the border')
            for i, k in np.argwhere(close)]


def few_labels(annotations: Annotations) -> list[Finding]:
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


def in_the_corner(annotations: Annotations, invisible_landmarks: bool) -> list[Finding]:
    "Points that --invisible_landmarks takes for absent, turned as the CSV has them."
    level, verb = (LOOK, 'is taken') if invisible_landmarks else (NOTE, 'would be taken')
    absent = f'{verb} for absent by --invisible_landmarks'
    return [Finding(level, f'{annotations.where(i)}: {annotations.names[k]} {absent}', (int(i),), (int(k),),
                    of_many=f'have {annotations.names[k]} in the corner, where it {absent}')
            for i, k in np.argwhere(in_corner(annotations))]
