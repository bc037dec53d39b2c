"The `measure` command: angles and distances between the landmarks of a CSV."

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
from tqdm import tqdm

from ..conformal import fewest
from ..errors import Incomplete, UsageError
from ..flags import saved, takes
from ..formats.annotations import (
    Annotations,
    fill_spacing,
    read_annotations,
    read_readers,
    warn_doubtful,
    with_landmarks,
)
from ..formats.dataset import check_images
from ..formats.estimates import read_bounds
from ..formats.images import read_image
from ..formats.spacing import FLAG_SOURCE
from ..output_folder import make_output_folder
from ..reader_config import AgreementConfig, MeasureConfig
from ..threads import in_threads
from ..viz.overlays import write_png
from ..viz.report import counted
from .agree import WRITTEN as OF_AGREEMENT
from .agree import write_agreement
from .comparison import measure_panel, measurement_notes, measurement_readings
from .definitions import Definitions, read_definitions
from .drawing import Drawing
from .drifts import groups_of
from .evaluate import Measured, joined, measure_landmarks
from .intervals import CONFORMAL, with_intervals
from .readers import Panel, join, landmark_readings
from .simulation import SIMULATED, with_simulated
from .tables import LONG, WIDE, write_tables

WRITTEN = LONG, WIDE, 'pictures/**/*.png', *OF_AGREEMENT
PANEL = 'measured', 'truth'  # the readers that are compared, where the CSV names none


@takes(MeasureConfig)
def measure(config: MeasureConfig) -> Measured:
    """Measure what `definitions` define on the landmarks of `csv`; writes measurements.csv and pictures.

    With `truth` also what `agreement` writes, of both. Returns the measurements. The arguments are the flags of
    `landmark-fastai measure`. Raises UsageError before anything is written, and Incomplete at the end where pictures
    could not be drawn.
    """
    definitions = read_definitions(config.definitions, config.chosen)
    found = read_points(config)
    truth = read_truth(config, found) if config.truth else None
    if truth: found, truth = share_facts(found, truth)
    found = {reader: known_spacing(each, config) for reader, each in found.items()}
    true = measure_landmarks(truth, definitions) if truth else None
    measured = {reader: measure_with_intervals(each, true, definitions, config.level)
                for reader, each in found.items()}
    panel = panel_with(found, truth) if truth else None
    folder = make_output_folder(config.output_dir, WRITTEN, config.overwrite, config.image_dir,
                                (config.csv, config.definitions, config.truth, config.config))
    together = joined(measured)
    write_tables(folder, together)
    for reader, each in measured.items():
        for line in each.summary(): print(' '.join(filter(None, (reader, line))))
    for line in interval_notes(together, truth, config.level): print(line)
    if panel:
        of_panel = measure_panel(panel, definitions)
        write_agreement(folder, panel, [*landmark_readings(panel), *measurement_readings(of_panel)],
                        groups_of(panel, AgreementConfig.groups), saved(config), list(measurement_notes(of_panel)))
        print(f'report: {folder / "report.html"}')
    print(f'{counted(len(set(together.image_names)), "image")} measured: {folder / LONG}')
    if config.image_dir and not config.no_pictures:
        failed = write_pictures(folder / 'pictures', config.image_dir, found, definitions, measured)
        print(f'pictures: {folder / "pictures"}')
        if failed: raise Incomplete(f'{len(failed)} of {len(together.image_names)} pictures could not be drawn, such '
                                    f'as of {failed[0]}', together)
    return together


def measure_with_intervals(annotations: Annotations, true: Measured | None, definitions: Definitions,
                           level: float) -> Measured:
    "Measure `annotations`; intervals follow from the `true` values where enough are known, else from bounds."
    measured = measure_landmarks(annotations, definitions)
    if true: measured = with_intervals(measured, true, annotations.patient_id, level)
    bounds = read_bounds(annotations)
    if np.isnan(bounds.radius).all(): return measured
    return with_simulated(measured, annotations, definitions, bounds, level)


def interval_notes(measured: Measured, truth: Annotations | None, level: float) -> Iterator[str]:
    "What a reader must know of the intervals of what was `measured`."
    share = f'{100 * level:g} %'
    if truth and not (measured.interval == CONFORMAL).any():
        patients = '' if truth.patient_id is None else f' of {counted(len(set(truth.patient_id)), "patient")}'
        yield f'no intervals by the truth: {len(truth)} images{patients} have one, at {share} it takes {fewest(level)}'
    if (measured.interval == SIMULATED).any():
        yield (f'intervals of {share} by simulation from the bounds of the points are approximate: that takes errors '
               'for normal and independent of each other')


# --- what is read

def read_points(config: MeasureConfig) -> dict[str, Annotations]:
    "What is measured, by reader; the one of a CSV that has no others is called ''."
    found = read_readers(config.csv)
    if len(found) == 1: found = dict(zip([''], found.values(), strict=True))
    return {reader: spaced(annotations, config) for reader, annotations in found.items()}


def read_truth(config: MeasureConfig, found: dict[str, Annotations]) -> Annotations:
    "The truth of those images that were `found`. Raises UsageError where there are none, and for other sizes."
    truth = read_annotations(config.truth)
    there = {name for annotations in found.values() for name in annotations.image_names}
    truth = truth.subset([i for i, name in enumerate(truth.image_names) if name in there])
    if not len(truth):
        raise UsageError(f'{truth.path.name} and {Path(config.csv).name} have no image_name in common, expected the '
                         'truth of some images at least')
    for annotations in found.values():
        row_of = {name: i for i, name in enumerate(annotations.image_names)}
        for i, name in enumerate(truth.image_names):
            size = annotations.sizes[row_of[name]] if name in row_of else truth.sizes[i]
            if (truth.sizes[i] != size).any():
                raise UsageError(f'{truth.where(i)}: the image has {" x ".join(map(str, truth.sizes[i]))} px, but '
                                 f'{" x ".join(map(str, size))} in {annotations.path.name}; expected one size, that of '
                                 'the image in which the points were clicked')
    return spaced(truth, config)


def share_facts(found: dict[str, Annotations], truth: Annotations) -> tuple[dict[str, Annotations], Annotations]:
    "What was `found` and the `truth`, each with the spacings and the patients that the other knows."
    filled = {reader: with_patients(filled_from(annotations, truth), truth) for reader, annotations in found.items()}
    for annotations in found.values(): truth = with_patients(filled_from(truth, annotations), annotations)
    return filled, truth


def filled_from(annotations: Annotations, other: Annotations) -> Annotations:
    "`annotations` with spacings of the same images in `other` where they know none."
    of_other = dict(zip(other.image_names, other.spacing, strict=True))
    spacing = [of_other.get(name, (np.nan, np.nan)) for name in annotations.image_names]
    return fill_spacing(annotations, spacing, other.path.name)


def with_patients(annotations: Annotations, other: Annotations) -> Annotations:
    "`annotations` with the patients of `other` where they know none; of an image that is not there it is another one."
    if annotations.patient_id is not None or other.patient_id is None: return annotations
    of_other = dict(zip(other.image_names, other.patient_id, strict=True))
    return replace(annotations, patient_id=[of_other.get(name, name) for name in annotations.image_names])


def panel_with(found: dict[str, Annotations], truth: Annotations) -> Panel:
    "Those who were `found` and the `truth` as readers of the landmarks that all have. Raises UsageError."
    if PANEL[1] in found:
        raise UsageError(f'{truth.path.name} is compared as the reader {PANEL[1]}, and {found[PANEL[1]].path.name} has '
                         f'one of that name as well; give that one another')
    each = [*found.values(), truth]
    names = [name for name in each[0].names if all(name in annotations.names for annotations in each)]
    readers = [*(reader or PANEL[0] for reader in found), PANEL[1]]
    return join([with_landmarks(annotations, names) for annotations in each], readers)


def spaced(annotations: Annotations, config: MeasureConfig) -> Annotations:
    "`annotations` as their images say, where there are any."
    return check_images(annotations, config.image_dir)[0] if config.image_dir else annotations


def known_spacing(annotations: Annotations, config: MeasureConfig) -> Annotations:
    "`annotations` with the spacing of the flag where none is known; warns of doubtful ones."
    if config.pixel_spacing is not None: annotations = fill_spacing(annotations, config.pixel_spacing, FLAG_SOURCE)
    warn_doubtful(annotations)
    return annotations


def write_pictures(folder: Path, image_dir: str, found: dict[str, Annotations], definitions: Definitions,
                   measured: dict[str, Measured]) -> list[str]:
    """Draw what was `measured` on each image into `folder`, in threads, of several readers into a folder for each.

    Returns what is wrong with the pictures that could not be drawn.
    """
    drawings = {reader: Drawing(each, definitions, measured[reader]) for reader, each in found.items()}
    pictures = [(reader, i) for reader, each in found.items() for i in range(len(each))]
    def draw(reader: str, i: int) -> str | None:
        name = found[reader].image_names[i]
        path = folder / quote(reader, ' ') / f'{name}.png'
        try: write_png(path, drawings[reader].draw(i, read_image(Path(image_dir, name))))
        except (UsageError, OSError) as e: return str(e)  # an image that is broken, a name too long for a picture
    bar = tqdm(in_threads(lambda each: draw(*each), pictures), total=len(pictures), unit='image',
               disable=not sys.stderr.isatty())
    return [error for error in bar if error]
