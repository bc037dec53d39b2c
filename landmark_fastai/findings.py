"`check`: what is wrong or unusual in a data set, the worst first, before anything is trained. No torch."

import os
import sys
from base64 import b64encode
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from .annotations import VISIBLE, in_corner, read_annotations, split_rows
from .check import check_images
from .draw import draw_markers
from .errors import UsageError
from .files import check_writable, write_text
from .images import image_facts, read_image
from .report import render
from .shapes import expected, mean_shape, outliers, swaps
from .threads import in_threads

ERROR, SERIOUS, LOOK, NOTE = range(4)  # levels: train refuses it; probably wrong; look at it; good to know
LEVELS = 'error', 'probably wrong', 'look at it', 'note'
UNUSUAL, FAR = 6, 10     # robust standard deviations from which a point is named, and is probably wrong
BORDER = 0.01            # of the side
FEW_LABELS = 5
SHOWN, PICTURES = 40, 60  # findings on the terminal, pictures on the page, at most
TILE = 560               # longer side of a picture there, px


@dataclass(frozen=True)
class Finding:
    "Something to know of a data set; the smaller the level, then the larger the score, the worse."
    level: int
    what: str           # in a sentence, with the names of image and landmark
    image: int | None = None  # its index; None where it is of all
    landmarks: tuple = ()     # indices
    score: float = 0.


def check(train_image_dir='./data/train_images', label_dir='./data/labels', train_csv_file='train_annotation.csv',
          n_landmarks=None, invisible_landmarks=False, html=None):
    """Print what is wrong or unusual in a data set, the worst first, and write it with pictures to the page `html`.

    Returns the `Finding`s. Raises UsageError at the end where `train` would refuse the data.
    """
    if html:
        if Path(html).is_dir(): raise UsageError(f'html is {str(html)!r}, a folder; expected the name of a file')
        check_writable(Path(html).parent)
    csv_file = Path(label_dir, train_csv_file)
    annotations = read_annotations(csv_file, n_landmarks)
    findings, paths, checked = find(annotations, train_image_dir, invisible_landmarks)
    for finding in findings[:SHOWN]: print(f'{LEVELS[finding.level]}: {finding.what}')
    if len(findings) > SHOWN: print(f'... and {len(findings) - SHOWN} more' + ('' if html else '; --html shows all'))
    n_errors = sum(finding.level == ERROR for finding in findings)
    n_points = int((annotations.state == VISIBLE).sum())
    summary = (f'{csv_file}: {len(annotations)} images, {len(annotations.names)} landmarks, {n_points} visible points; '
               f'{n_errors} errors, {len(findings) - n_errors} warnings')
    if html:
        write_page(html, summary, findings, checked, paths)
        print(f'page: {html}')
    if n_errors: raise UsageError(f'{summary}: train would refuse these data')
    print(summary)
    return findings


def find(annotations, image_dir, invisible_landmarks=False):
    "Findings of `annotations`, the worst first; the paths of the images, and the annotations in their upright frame."
    errors, good, checked, paths = [], [], [], []
    for i in range(len(annotations)):
        try:
            one, (path,) = check_images(annotations.subset([i]), image_dir)
            good.append(i), checked.append(one), paths.append(path)
        except UsageError as e:
            if not os.path.isdir(image_dir): raise
            errors.append(Finding(ERROR, str(e), i))
    try: split_rows(annotations)
    except UsageError as e: errors.append(Finding(ERROR, str(e)))
    facts, broken = _facts(annotations, good, paths)
    findings = errors + broken
    upright = _together(annotations, good, checked)
    findings += unusual_images(upright, facts) + duplicates(upright, facts)
    findings += unusual_points(upright) + on_one_place(upright) + at_the_border(upright) + few_labels(upright)
    findings += in_the_corner(annotations, invisible_landmarks)
    path_of = dict(zip(good, paths, strict=True))
    return sorted(findings, key=lambda finding: (finding.level, -finding.score)), path_of, upright


def _together(annotations, good, checked):
    "`annotations` with the points and sizes of the images `good`, as they were `checked` one by one."
    points, sizes = annotations.points.copy(), annotations.sizes.copy()
    for i, one in zip(good, checked, strict=True): points[i], sizes[i] = one.points[0], one.sizes[0]
    return replace(annotations, points=points, sizes=sizes)


def _facts(annotations, good, paths):
    "What `image_facts` says of the images `good`, by index, and the findings of those that are broken."
    def look(path):
        try: return image_facts(path)
        except UsageError as e: return e
    facts, broken = {}, []
    looked = in_threads(look, paths)
    for i, fact in zip(good, tqdm(looked, 'reading images', len(good), unit='image', leave=False,
                                  disable=not sys.stderr.isatty()), strict=True):
        if isinstance(fact, UsageError): broken.append(Finding(ERROR, f'{annotations.where(i)}: {fact}', i))
        else: facts[i] = fact
    return facts, broken


# --- images

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


# --- points

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


# --- the page

def write_page(path, summary, findings, annotations, paths):
    "Write `findings` to the HTML file `path`, with pictures of the first that are of an image."
    should = expected(annotations.points, mean_shape(annotations.points))
    rows, left = [], PICTURES
    for finding in findings:
        picture = ''
        if finding.image in paths and left:
            picture = _picture(finding, annotations, paths[finding.image], should[finding.image])
            left -= bool(picture)
        rows.append((LEVELS[finding.level], finding.what, picture))
    write_text(path, render('findings.html', summary=summary, rows=rows, n_pictures=PICTURES - left))


def _picture(finding, annotations, path, should):
    "A JPEG, as text, of the image with its points, and where those of the finding were expected."
    try: image = read_image(path, color=True)
    except UsageError: return ''
    places = np.full_like(should, np.nan)
    places[list(finding.landmarks)] = should[list(finding.landmarks)]
    picture = draw_markers(image, annotations.points[finding.image], places, largest=TILE)
    return b64encode(cv2.imencode('.jpg', picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1]).decode()
