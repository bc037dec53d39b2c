"`predict`: a trained model on a folder of images; what it has in common with `evaluate`."

import os
import shutil
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from fastcore.meta import use_kwargs_dict
from tqdm.auto import tqdm

from .annotations import ABSENT, UNLABELLED, Annotations, write_annotations
from .config import device_name
from .draw import draw_landmarks, write_png
from .errors import Incomplete, UsageError
from .files import check_writable, write_text
from .images import find_images, image_spacing
from .predictor import in_threads, load, load_original

OPTIONS = dict(model='runs/baseline', weights=None, encoder_name=None, n_landmarks=None, decode=None, tta=False,
               min_confidence=0., no_overlays=False, pixel_spacing=None, device='auto', overwrite=False)
WRITTEN = ('predictions.csv', 'failed.csv', 'overlays', 'distances.csv', 'summary.json', 'figures', 'report.html')
SAVE_EVERY = 30  # seconds between two writings of predictions.csv while it grows


@use_kwargs_dict(**OPTIONS)
def predict(image_dir, output_dir, **kwargs):
    """Write the landmarks of all images below `image_dir` to `output_dir`: predictions.csv, and overlays.

    Arguments are those of `python cli.py predict`. Returns the predictions as an `Annotations`, in original px. Raises
    UsageError before anything is written, and Incomplete at the end where images could not be read: see failed.csv.
    """
    options = make_options(kwargs)
    image_names, predictor = find_images(image_dir), make_predictor(options)
    folder = make_output(output_dir, image_dir, options['overwrite'])

    def spacing_of(name):
        spacing, source = image_spacing(Path(image_dir, name))
        if source or options['pixel_spacing'] is None: return spacing, source
        return (options['pixel_spacing'],) * 2, '--pixel_spacing'

    def overlay(name, image, prediction):
        notes = [confidence_note(*landmark) for landmark in zip(prediction.state, prediction.confidence, strict=True)]
        unknown = np.full_like(prediction.points, np.nan)
        return draw_landmarks(image, unknown, prediction.points, predictor.names, notes=notes, heading='confidence')

    found = apply(predictor, image_dir, image_names, folder, options, spacing_of, overlay)
    print(f'{len(found.image_names)} images predicted: {folder / "predictions.csv"}')
    for line in spacing_notes(found.sources): print(line)
    found.complain(folder)
    return found.annotations(folder)


# --- options

def make_options(flags):
    "All options of `predict` and `evaluate`: defaults and `flags`, checked. Raises UsageError."
    unknown = flags.keys() - OPTIONS.keys()
    if unknown: raise UsageError(f'unknown argument {", ".join(sorted(unknown))}; expected {", ".join(OPTIONS)}')
    options = OPTIONS | flags
    if not 0 <= options['min_confidence'] <= 1:
        raise UsageError(f"min_confidence is {options['min_confidence']}; expected 0 to 1")
    spacing = options['pixel_spacing']
    if spacing is not None and not spacing > 0:
        raise UsageError(f'pixel_spacing is {spacing}; expected millimetres per pixel, more than 0')
    if options['encoder_name'] and not options['weights']:
        raise UsageError('encoder_name without weights; a run knows its encoder, leave it out')
    return options


def make_predictor(options):
    "The predictor that `options` ask for. Raises UsageError."
    decode, device, n_landmarks = options['decode'], device_name(options['device']), options['n_landmarks']
    if options['weights']:
        return load_original(options['weights'], options['encoder_name'], n_landmarks, decode, device)
    predictor = load(options['model'], decode, device)
    if n_landmarks not in (None, len(predictor.names)):
        raise UsageError(f"n_landmarks is {n_landmarks}, but {options['model']} has {len(predictor.names)} landmarks "
                         f"({', '.join(predictor.names)}); leave it out")
    return predictor


def make_output(output_dir, image_dir, overwrite):
    "Make the folder, without what an earlier `predict` or `evaluate` has written there. Raises UsageError."
    folder = Path(output_dir)
    check_writable(folder)
    if Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(image_dir)):
        raise UsageError(f'{folder} lies in the image folder {image_dir}, where overlays would be taken for images; '
                         'pass another --output_dir')
    there = [folder / name for name in WRITTEN if (folder / name).exists()]
    if there and not overwrite:
        raise UsageError(f'{there[0]} exists; pass --overwrite to replace it, or another --output_dir')
    if there and there[0].name != WRITTEN[0]:
        raise UsageError(f'{there[0]} exists without {WRITTEN[0]}, so it is not of this program: remove it yourself')
    for path in there: shutil.rmtree(path) if path.is_dir() else path.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# --- images to predictions

@dataclass
class Found:
    "What was found on the images so far."
    names: list  # of the landmarks
    image_names: list = field(default_factory=list)
    predictions: list = field(default_factory=list)
    spacing: list = field(default_factory=list)  # (x, y) mm per px
    sources: list = field(default_factory=list)  # of the spacing, '' where it is unknown
    failed: list = field(default_factory=list)   # (image name, error)

    def stacked(self, name):
        "The field `name` of all predictions in one array."
        first = len(self.predictions), len(self.names)
        arrays = [getattr(prediction, name) for prediction in self.predictions]
        return np.stack(arrays) if arrays else np.empty((*first, 2) if name == 'points' else first)

    def annotations(self, folder):
        "The predictions as the `Annotations` that predictions.csv in `folder` holds."
        n = len(self.image_names)
        return Annotations(
            path=folder / 'predictions.csv', names=self.names, image_names=self.image_names, rows=list(range(2, n + 2)),
            sizes=np.array([prediction.size for prediction in self.predictions]).reshape(n, 2),
            points=self.stacked('points'), state=self.stacked('state'),
            spacing=np.array(self.spacing, float).reshape(n, 2), spacing_source=np.array(self.sources, object),
            patient_id=None, split=None)

    def write(self, folder):
        "Write predictions.csv and, where there is one to name, failed.csv."
        write_annotations(folder / 'predictions.csv', self.annotations(folder), self.stacked('confidence'))
        if not self.failed: return
        failed = pd.DataFrame([(printable(name), error) for name, error in self.failed],
                              columns=['image_name', 'reason'])
        write_text(folder / 'failed.csv', failed.to_csv(index=False))

    def complain(self, folder):
        "Raise Incomplete if an image could not be read."
        if not self.failed: return
        total = len(self.failed) + len(self.image_names)
        raise Incomplete(f'{len(self.failed)} of {total} images could not be read; the reasons are in '
                         f'{folder / "failed.csv"}')


def apply(predictor, image_dir, image_names, folder, options, spacing_of, overlay):
    """Predict the images called `image_names` below `image_dir`; write predictions.csv, failed.csv and overlays.

    `spacing_of` gives the pixel spacing of an image name and its source, `overlay` draws one from image name, pixels
    and prediction. What was found is written as it comes, and also when it is interrupted. Returns it, as `Found`.
    """
    found, written, failed = Found(predictor.names), time.time(), []
    names = {Path(image_dir, name): name for name in image_names if is_writable_name(name, found.failed)}

    def finish(result):
        path, image, prediction = result
        name = names[path]
        if not options['no_overlays']:
            write_png(folder / 'overlays' / f'{name}.png', overlay(name, image, prediction))
        return name, prediction, *spacing_of(name)

    results = predictor.stream(names, options['tta'], options['min_confidence'], failed)
    bar = tqdm(total=len(image_names), unit='image', disable=not sys.stderr.isatty())
    try:
        with bar, closing(in_threads(finish, results)) as finished:
            for row in finished:
                columns = found.image_names, found.predictions, found.spacing, found.sources
                for column, value in zip(columns, row, strict=True): column.append(value)
                bar.update(len(found.image_names) + len(failed) - bar.n)
                if time.time() - written > SAVE_EVERY:
                    found.write(folder)
                    written = time.time()
    finally:
        found.failed += [(names[path], error) for path, error in failed]
        found.write(folder)
    return found


def is_writable_name(name, failed):
    "Whether `name` can stand in a CSV of annotations; else it goes to `failed`, with the reason."
    fits = name == printable(name).strip() == str(PurePosixPath(name)) and not any(c in name for c in '\\\r\n')
    if not fits: failed.append((name, 'its name has a backslash, a line break, a space at an end or no valid UTF-8; '
                                      'rename it'))
    return fits


def printable(name):
    "`name` without what UTF-8 cannot write."
    return name.encode('utf-8', 'backslashreplace').decode()


# --- in words

def confidence_note(state, confidence):
    "What an overlay says of a landmark."
    if state == ABSENT: return 'absent'
    return f'{confidence:.2f}, left blank' if state == UNLABELLED else f'{confidence:.2f}'


def spacing_notes(sources):
    "Where the pixel spacing of the images is from, one line each; `sources` has '' where it is unknown."
    counts = Counter(sources)
    lines = [f'Pixel spacing of {n} images: {source}' for source, n in counts.items() if source]
    lines = [line + ', at the detector: magnification is not corrected' if '(detector)' in line else line
             for line in lines]
    if counts['']:
        lines.append(f'Pixel spacing of {counts[""]} images is unknown, so they have no millimetres: give a '
                     'pixel_spacing column in the CSV, DICOM files that tell it, or --pixel_spacing')
    return lines
