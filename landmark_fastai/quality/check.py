"`check`: what is wrong or unusual in a data set, the worst first, before anything is trained. No torch."

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..config import CheckConfig
from ..errors import UsageError
from ..files import check_writable, lies_in, write_text
from ..flags import takes
from ..formats.annotations import UNLABELLED, VISIBLE, Annotations, read_annotations
from ..formats.dataset import UNREADABLE, FilesBelow, UnfitImage, check_images, check_pixels_meant
from ..formats.images import Appearance, appearance, read_image
from ..formats.splits import split_rows
from ..threads import in_threads
from ..viz.overlays import as_jpeg, draw_markers
from ..viz.report import counted, render
from ..viz.shown import notebook_html
from .findings import (
    ERROR,
    Finding,
    at_the_border,
    duplicates,
    few_labels,
    grouped,
    in_the_corner,
    on_one_place,
    unusual_images,
    unusual_points,
    unusual_spacings,
)
from .shapes import expected_points, mean_shape

LEVELS = 'error', 'probably wrong', 'look at it', 'note'
COUNTED = ('error', 'errors'), ('probably wrong',) * 2, ('to look at',) * 2, ('note', 'notes')  # one, several
SHOWN, PICTURES = 40, 60  # findings on the terminal, pictures on the page, at most
TILE = 560               # longer side of a picture there, px


class Findings(list[Finding]):
    "Findings, the worst first, which a notebook shows as a table, with a link to the `page` if there is one."
    def __init__(self, findings: list[Finding], summary: str, page: str | None):
        super().__init__(findings)
        self.summary, self.page = summary, page

    def _repr_html_(self):
        rows = [[LEVELS[finding.level], finding.what] for finding in self[:SHOWN]]
        more = [f'... and {len(self) - SHOWN} more'] * (len(self) > SHOWN)
        return notebook_html(self.summary, [('', (['level', 'finding'], rows))] * bool(rows), more, link=self.page)


@takes(CheckConfig)
def check(config: CheckConfig) -> Findings:
    """Print what is wrong or unusual in a data set, the worst first, and write it with pictures to the page `html`.

    Returns the findings. The arguments are the flags of `landmark-fastai check`. Raises UsageError at the end where
    `train` would refuse the data.
    """
    if config.html: check_page(Path(config.html), config.train_image_dir)
    annotations = read_annotations(config.csv_file, config.n_landmarks)
    findings, paths, upright = find_all(annotations, config.train_image_dir, config.invisible_landmarks)
    for finding in findings[:SHOWN]: print(f'{LEVELS[finding.level]}: {finding.what}')
    if len(findings) > SHOWN:
        print(f'... and {len(findings) - SHOWN} more' + ('' if config.html else '; --html shows all'))
    summary = f'{config.csv_file}: {count_findings(annotations, findings)}'
    if config.html:
        write_page(config.html, summary, findings, upright, paths)
        print(f'page: {config.html}')
    if any(finding.level == ERROR for finding in findings):
        raise UsageError(f'{summary}; train would refuse these data')
    print(summary)
    return Findings(findings, summary, config.html)


def check_page(html: Path, image_dir: str):
    "Raise UsageError unless the page can be written to `html`, in place of nothing but an earlier page."
    if html.is_dir(): raise UsageError(f'html is {str(html)!r}, a folder; expected the name of a file')
    if html.suffix.lower() not in ('.html', '.htm'):
        raise UsageError(f'html is {str(html)!r}; expected the name of a page, such as check.html')
    if lies_in(html, image_dir):
        raise UsageError(f'html {html} lies in the image folder {image_dir}; pass another place')
    check_writable(html.parent, 'html')


def count_findings(annotations: Annotations, findings: list[Finding]) -> str:
    "How much was looked at, and how many findings of each level there are."
    n_points = int((annotations.state == VISIBLE).sum())
    n_of = Counter(finding.level for finding in findings)
    counts = [f'{n_of[level]} {words[n_of[level] > 1]}' for level, words in enumerate(COUNTED) if n_of[level]]
    return (f'{counted(len(annotations), "image")}, {counted(len(annotations.names), "landmark")}, '
            f'{counted(n_points, "visible point")}; {", ".join(counts) or "nothing found"}')


def find_all(annotations: Annotations, image_dir: str | Path,
             invisible_landmarks: bool = False) -> tuple[list[Finding], dict[int, Path], Annotations]:
    """The findings of `annotations`, the worst first; what concerns many images is one.

    Also the path of each image that fits its row by its index, and the annotations of sound images, turned as images
    are shown. Raises UsageError where there is no folder `image_dir`.
    """
    errors, good, checked, paths = [], [], [], []
    below = FilesBelow(image_dir)
    for i in range(len(annotations)):
        try:
            one, (path,) = check_images(annotations.subset([i]), image_dir, below)
            good.append(i), checked.append(one), paths.append(path)
        except UnfitImage as e: errors.append(Finding(ERROR, str(e), (i,), of_many=e.of_many, pictured=False))
    for demand in (split_rows, check_pixels_meant):
        try: demand(annotations)
        except UsageError as e: errors.append(Finding(ERROR, str(e)))
    seen, broken = _appearances(annotations, good, paths)
    upright = _sound(_together(annotations, good, checked), seen)
    findings = [*errors, *broken, *unusual_images(upright, seen), *unusual_spacings(upright),
                *duplicates(upright, seen), *unusual_points(upright), *on_one_place(upright), *at_the_border(upright),
                *few_labels(annotations), *in_the_corner(_sound(annotations, seen), invisible_landmarks)]
    findings = sorted(grouped(findings, annotations), key=lambda finding: (finding.level, -finding.score))
    return findings, dict(zip(good, paths, strict=True)), upright


def _together(annotations, good, checked):
    "`annotations` with what is known of the images `good` since they were `checked` one by one."
    fields = {name: getattr(annotations, name).copy() for name in ('points', 'sizes', 'spacing', 'spacing_source')}
    for i, one in zip(good, checked, strict=True):
        for name, values in fields.items(): values[i] = getattr(one, name)[0]
    return replace(annotations, **fields)


def _sound(annotations, seen):
    "`annotations` without points and spacings of images other than those `seen`, which have an error to mend first."
    others = ~np.isin(np.arange(len(annotations)), list(seen))
    return replace(annotations, points=np.where(others[:, None, None], np.nan, annotations.points),
                   state=np.where(others[:, None], UNLABELLED, annotations.state),
                   spacing=np.where(others[:, None], np.nan, annotations.spacing))


def _appearances(annotations, good, paths):
    "The `Appearance` of the images `good`, by index, and the findings of those that are broken."
    def look(path: Path) -> Appearance | UsageError:
        try: return appearance(path)
        except UsageError as e: return e
    seen, broken = {}, []
    looks = tqdm(in_threads(look, paths), 'reading images', len(good), unit='image', leave=False,
                 disable=not sys.stderr.isatty())
    for i, found in zip(good, looks, strict=True):
        if not isinstance(found, UsageError): seen[i] = found
        else: broken.append(Finding(ERROR, f'{annotations.where(i)}: {found}', (i,), of_many=UNREADABLE,
                                    pictured=False))
    return seen, broken


def write_page(path: str | Path, summary: str, findings: list[Finding], annotations: Annotations,
               paths: dict[int, Path]):
    "Write `findings` to the HTML file `path`, with pictures of the first of those that a picture shows."
    should = expected_points(annotations.points, mean_shape(annotations.points))
    rows, left = [], PICTURES
    for finding in findings:
        picture, image = '', finding.images[0] if finding.images else None
        if finding.pictured and image in paths and left:
            picture = _picture(finding, annotations.points[image], paths[image], should[image])
            left -= bool(picture)
        rows.append((LEVELS[finding.level], finding.what, picture))
    write_text(path, render('findings.html', summary=summary, rows=rows,
                            pictures=counted(PICTURES - left, 'picture') if left < PICTURES else ''))


def _picture(finding, points, path, should):
    "A JPEG, as text, of the image at `path` with its `points`, and where those of the finding `should` be."
    try: image = read_image(path, color=True)
    except UsageError: return ''
    places = np.full_like(should, np.nan)
    places[list(finding.landmarks)] = should[list(finding.landmarks)]
    return as_jpeg(draw_markers(image, points, places, largest=TILE))
