"The `measure` command: angles and distances between the landmarks of a CSV."

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..conformal import fewest
from ..errors import Incomplete, UsageError
from ..flags import takes
from ..formats.annotations import Annotations, fill_spacing, read_annotations, warn_doubtful
from ..formats.dataset import check_images
from ..formats.images import read_image
from ..formats.spacing import FLAG_SOURCE
from ..output_folder import make_output_folder
from ..reader_config import MeasureConfig
from ..threads import in_threads
from ..viz.overlays import write_png
from .definitions import Definitions, read_definitions
from .drawing import Drawing
from .evaluate import Measured, measure_landmarks
from .intervals import with_intervals
from .tables import LONG, WIDE, write_tables

WRITTEN = LONG, WIDE, 'pictures/**/*.png'


@takes(MeasureConfig)
def measure(config: MeasureConfig) -> Measured:
    """Measure what `definitions` define on the landmarks of `csv`; writes measurements.csv and pictures.

    Returns the measurements. The arguments are the flags of `landmark-fastai measure`. Raises UsageError before
    anything is written, and Incomplete at the end where pictures could not be drawn.
    """
    definitions = read_definitions(config.definitions)
    if config.names is not None: definitions = definitions.only(config.names)
    annotations, truth = read_both(config)
    measured = measure_landmarks(annotations, definitions)
    if truth:
        true = measure_landmarks(truth, definitions)
        measured = with_intervals(measured, true, annotations.patient_id, config.level)
    folder = make_output_folder(config.output_dir, WRITTEN, config.overwrite, config.image_dir,
                                (config.csv, config.definitions, config.truth, config.config))
    write_tables(folder, measured)
    for line in summary(measured): print(line)
    if truth and np.isnan(measured.lower).all():
        print(f'no intervals: {len(truth)} images have a truth, at {config.level:.0%} it takes {fewest(config.level)}')
    print(f'{len(annotations)} images measured: {folder / LONG}')
    if config.image_dir and not config.no_pictures:
        failed = write_pictures(folder, config.image_dir, annotations, definitions, measured)
        print(f'pictures: {folder / "pictures"}')
        if failed: raise Incomplete(f'{len(failed)} of {len(annotations)} pictures could not be drawn, such as of '
                                    f'{failed[0]}', measured)
    return measured


def read_both(config: MeasureConfig) -> tuple[Annotations, Annotations | None]:
    "What is measured, and the truth of those of its images that have one, if any is given; spacings are filled in."
    annotations = spaced(read_annotations(config.csv), config)
    if config.truth is None: return known_spacing(annotations, config), None
    truth = read_annotations(config.truth)
    there = set(annotations.image_names)
    truth = truth.subset([i for i, name in enumerate(truth.image_names) if name in there])
    if not len(truth):
        raise UsageError(f'{truth.path.name} and {annotations.path.name} have no image_name in common, expected the '
                         'truth of some images at least')
    truth = spaced(truth, config)
    row_of = {name: i for i, name in enumerate(annotations.image_names)}
    rows = [row_of[name] for name in truth.image_names]
    for i, row in enumerate(rows):
        if (truth.sizes[i] != annotations.sizes[row]).any():
            raise UsageError(f'{truth.where(i)}: the image has {" x ".join(map(str, truth.sizes[i]))} px, but '
                             f'{" x ".join(map(str, annotations.sizes[row]))} in {annotations.path.name}; expected one '
                             'size, that of the image in which the points were clicked')
    spacing = np.full_like(annotations.spacing, np.nan)
    spacing[rows] = truth.spacing
    annotations = known_spacing(fill_spacing(annotations, spacing, truth.path.name), config)
    return annotations, fill_spacing(truth, annotations.spacing[rows], annotations.path.name)


def spaced(annotations: Annotations, config: MeasureConfig) -> Annotations:
    "`annotations` as their images say, where there are any."
    return check_images(annotations, config.image_dir)[0] if config.image_dir else annotations


def known_spacing(annotations: Annotations, config: MeasureConfig) -> Annotations:
    "`annotations` with the spacing of the flag where none is known; warns of doubtful ones."
    if config.pixel_spacing is not None: annotations = fill_spacing(annotations, config.pixel_spacing, FLAG_SOURCE)
    warn_doubtful(annotations)
    return annotations


def summary(measured: Measured) -> Iterator[str]:
    "A line a measurement: of how many images, their mean and standard deviation, and how wide the intervals are."
    for s, side in enumerate(measured.sides):
        for m, measure in enumerate(measured.measures):
            values = measured.values[:, s, m]
            known = values[np.isfinite(values)]
            name = ' '.join(filter(None, (side.name, measure.name)))
            if not len(known):
                reasons, counts = np.unique(measured.reasons[:, s, m].astype(str), return_counts=True)
                yield f'{name}: no value: {reasons[counts.argmax()]}'
                continue
            spread = f' ± {known.std(ddof=1):.2f}' if len(known) > 1 else ''
            radius = (measured.upper - measured.lower)[:, s, m] / 2
            radius = radius[np.isfinite(radius)]
            interval = f', the true ones within ± {np.median(radius):.2f}' if len(radius) else ''
            yield f'{name}: {known.mean():.2f}{spread} {measure.unit} (n = {len(known)}){interval}'


def write_pictures(folder: Path, image_dir: str, annotations: Annotations, definitions: Definitions,
                   measured: Measured) -> list[str]:
    "Draw what was measured on each image, in threads; returns what is wrong with those that could not be drawn."
    drawing = Drawing(annotations, definitions, measured)
    def draw(i: int) -> str | None:
        name = annotations.image_names[i]
        try: write_png(folder / 'pictures' / f'{name}.png', drawing.draw(i, read_image(Path(image_dir, name))))
        except (UsageError, OSError) as e: return str(e)  # an image that is broken, a name too long for a picture
    bar = tqdm(in_threads(draw, range(len(annotations))), total=len(annotations), unit='image',
               disable=not sys.stderr.isatty())
    return [error for error in bar if error]
