"`check`: what is wrong or unusual in a data set, the worst first, before anything is trained. No torch."

import os
import sys
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from ..errors import UsageError
from ..files import check_writable, write_text
from ..formats.annotations import VISIBLE, read_annotations
from ..formats.dataset import check_images
from ..formats.images import image_facts, read_image
from ..formats.splits import split_rows
from ..threads import in_threads
from ..viz.overlays import draw_markers
from ..viz.report import render
from .findings import (
    ERROR,
    Finding,
    at_the_border,
    duplicates,
    few_labels,
    in_the_corner,
    on_one_place,
    unusual_images,
    unusual_points,
)
from .shapes import expected, mean_shape

LEVELS = 'error', 'probably wrong', 'look at it', 'note'
SHOWN, PICTURES = 40, 60  # findings on the terminal, pictures on the page, at most
TILE = 560               # longer side of a picture there, px


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
    findings, paths, checked = find_all(annotations, train_image_dir, invisible_landmarks)
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


def find_all(annotations, image_dir, invisible_landmarks=False):
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
