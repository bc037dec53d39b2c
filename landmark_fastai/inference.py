"`predict`: a trained model on a folder of images; what it has in common with `evaluate`."

import errno
import sys
import time
import warnings
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pandas as pd
from fastcore.meta import use_kwargs_dict
from tqdm.auto import tqdm

from . import distributed
from .annotations import ABSENT, UNLABELLED, Annotations, check_spacing, write_annotations
from .config import device_name, is_run
from .draw import draw_landmarks, write_png
from .errors import Incomplete, UsageError
from .files import check_writable, lies_in, write_text
from .images import find_images, image_spacing
from .predictor import Prediction, load, load_original
from .report import FIGURES
from .threads import in_threads

OPTIONS = dict(model='runs/baseline', weights=None, encoder_name=None, n_landmarks=None, decode=None, tta=False,
               min_confidence=0., no_overlays=False, pixel_spacing=None, device='auto', precision='auto',
               overwrite=False)
WRITTEN = ('predictions.csv', 'failed.csv', 'overlays/**/*.png', 'distances.csv', 'summary.json', 'report.html',
           *(f'figures/{file}' for file, *_ in FIGURES))  # by `predict` and `evaluate`
SAVE_EVERY = 30  # seconds between two writings of predictions.csv while it grows
UNFIT_NAMES = errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST  # of an overlay beside others


@use_kwargs_dict(**OPTIONS)
def predict(image_dir, output_dir, **kwargs):
    """Write the landmarks of all images below `image_dir` to `output_dir`: predictions.csv, and overlays.

    Arguments are those of `python cli.py predict`. Returns the predictions as an `Annotations`, in original px. Raises
    UsageError before anything is written, and Incomplete at the end where images could not be read: see failed.csv.
    """
    distributed.refuse('predict')
    options = make_options(kwargs)
    image_names, predictor = find_images(image_dir), make_predictor(options)
    folder = make_output(output_dir, image_dir, options)

    def facts_of(name):
        spacing, source = image_spacing(Path(image_dir, name))
        if source or options['pixel_spacing'] is None: return spacing, source, None
        return (options['pixel_spacing'],) * 2, '--pixel_spacing', None

    def overlay(name, image, prediction):
        notes = [confidence_note(*facts) for facts
                 in zip(prediction.state, prediction.confidence, prediction.spread, strict=True)]
        unknown = np.full_like(prediction.points, np.nan)
        return draw_landmarks(image, unknown, prediction.points, predictor.names, notes=notes, heading='confidence')

    found = apply(predictor, image_dir, image_names, folder, options, facts_of, overlay)
    print(f'{len(found)} images predicted: {folder / "predictions.csv"}')
    for line in spacing_notes(found): print(line)
    predicted = found.annotations(folder)
    for line in spread_notes(predicted, found.estimates('spread', predicted)): print(line)
    found.complain(folder, predicted)
    return predicted


# --- options

def make_options(flags):
    "All options of `predict` and `evaluate`: defaults and `flags`, checked. Raises UsageError."
    unknown = flags.keys() - OPTIONS.keys()
    if unknown: raise UsageError(f'unknown argument {", ".join(sorted(unknown))}; expected {", ".join(OPTIONS)}')
    options = OPTIONS | flags
    if not 0 <= options['min_confidence'] <= 1:
        raise UsageError(f"min_confidence is {options['min_confidence']}; expected 0 to 1")
    if options['pixel_spacing'] is not None: check_spacing(options['pixel_spacing'], '--pixel_spacing')
    if options['encoder_name'] and not options['weights']:
        raise UsageError('encoder_name without weights; a run knows its encoder, leave it out')
    return options


def make_predictor(options, names=None):
    "The predictor that `options` ask for; `names` are for weights, which have none. Raises UsageError."
    n_landmarks = options['n_landmarks']
    how = options['decode'], device_name(options['device']), options['precision']
    if options['weights']:
        return load_original(options['weights'], options['encoder_name'], n_landmarks, names, *how)
    predictor = load(options['model'], *how)
    if n_landmarks not in (None, len(predictor.names)):
        raise UsageError(f"n_landmarks is {n_landmarks}, but {options['model']} has {len(predictor.names)} landmarks "
                         f"({', '.join(predictor.names)}); leave it out")
    return predictor


def make_output(output_dir, image_dir, options, *inputs):
    """Make the folder, without what an earlier `predict` or `evaluate` has written there.

    Raises UsageError where that is not wanted, would remove what is read (`inputs` too), or lies among the images.
    """
    folder = Path(output_dir)
    check_writable(folder)
    if is_run(folder): raise UsageError(f'{folder} is the folder of a run; pass another --output_dir')
    if lies_in(folder, image_dir):
        raise UsageError(f'{folder} lies in the image folder {image_dir}, where overlays would be taken for images; '
                         'pass another --output_dir')
    there = [path for pattern in WRITTEN for path in sorted(folder.glob(pattern))]
    if there and not options['overwrite']:
        raise UsageError(f'{there[0]} exists; pass --overwrite to replace it, or another --output_dir')
    if there and there[0].name != WRITTEN[0]:
        raise UsageError(f'{there[0]} exists without {WRITTEN[0]}, so it may not be of this program; '
                         'remove it yourself, or pass another --output_dir')
    for given in filter(None, (image_dir, options['model'], options['weights'], *inputs)):
        if any(lies_in(path, given) for path in there):
            raise UsageError(f'{given} is read, and --overwrite would remove it; pass another --output_dir')
    for path in there: path.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# --- images to predictions

class Row(NamedTuple):
    "What is known of an image that was predicted."
    prediction: Prediction
    spacing: tuple  # mm per px in x, y; NaN where unknown
    source: str     # of the spacing, '' where it is unknown
    patient: str | None


@dataclass
class Found:
    "What was found so far on the images called `image_names`."
    names: list  # of the landmarks
    image_names: list
    rows: dict = field(default_factory=dict)    # image name: Row, in any order
    failed: dict = field(default_factory=dict)  # image name: error

    def __len__(self): return len(self.rows)

    def done(self):
        "Names of the predicted images and their rows, in order."
        return [(name, self.rows[name]) for name in self.image_names if name in self.rows]

    def annotations(self, folder):
        "The predictions as the `Annotations` that predictions.csv in `folder` holds."
        done = self.done()
        n, patients = len(done), [row.patient for _, row in done]
        return Annotations(
            path=folder / 'predictions.csv', names=self.names, image_names=[name for name, _ in done],
            rows=list(range(2, n + 2)), sizes=np.array([row.prediction.size for _, row in done]).reshape(n, 2),
            points=np.array([row.prediction.points for _, row in done]).reshape(n, len(self.names), 2),
            state=np.array([row.prediction.state for _, row in done]).reshape(n, len(self.names)),
            spacing=np.array([row.spacing for _, row in done], float).reshape(n, 2),
            spacing_source=np.array([row.source for _, row in done], object),
            patient_id=None if None in patients else patients, split=None)

    def estimates(self, name, annotations):
        "The `confidence` or `spread`, by `name`, of the predictions `annotations`, (n, N)."
        rows = [getattr(self.rows[image].prediction, name) for image in annotations.image_names]
        return np.array(rows).reshape(annotations.state.shape)

    def write(self, folder):
        "Write predictions.csv and, where there is one to name, failed.csv."
        annotations = self.annotations(folder)  # threads may add rows meanwhile: its images are the ones that count
        spread = self.estimates('spread', annotations)
        write_annotations(folder / 'predictions.csv', annotations, self.estimates('confidence', annotations),
                          None if np.isnan(spread).all() else spread)
        if not self.failed: return
        failed = pd.DataFrame([(printable(name), printable(str(error))) for name, error in self.failed.items()],
                              columns=['image_name', 'reason'])
        write_text(folder / 'failed.csv', failed.to_csv(index=False))

    def complain(self, folder, result):
        "Raise Incomplete, with the `result`, if an image could not be read."
        if not self.failed: return
        raise Incomplete(f'{len(self.failed)} of {len(self.failed) + len(self)} images could not be read; the reasons '
                         f'are in {folder / "failed.csv"}', result)


def apply(predictor, image_dir, image_names, folder, options, facts_of, overlay):
    """Predict the images called `image_names` below `image_dir`; write predictions.csv, failed.csv and overlays.

    `facts_of` gives spacing, its source and the patient of an image name, `overlay` draws one from image name, pixels
    and prediction. What was found is written as it comes, and also when it is interrupted. Returns it, as `Found`.
    """
    found, written = Found(predictor.names, image_names), time.time()
    found.failed = {name: reason for name in image_names if (reason := unfit(name, image_dir))}
    names = {Path(image_dir, name): name for name in image_names if name not in found.failed}

    def finish(result):
        path, image, prediction = result
        if not options['no_overlays']: write_overlay(folder, names[path], overlay(names[path], image, prediction))
        # here, in the thread, so that what is finished counts when the main thread is interrupted
        found.rows[names[path]] = Row(prediction, *facts_of(names[path]))

    def fail(path, error): found.failed[names[path]] = error

    results = predictor.stream(names, options['tta'], options['min_confidence'], fail)
    bar = tqdm(total=len(image_names), unit='image', disable=not sys.stderr.isatty())
    try:
        with bar, closing(in_threads(finish, results)) as finished:
            for _ in finished:
                bar.update(len(found) + len(found.failed) - bar.n)
                if time.time() - written > SAVE_EVERY:
                    found.write(folder)
                    written = time.time()
    finally: found.write(folder)
    return found


def write_overlay(folder, name, picture):
    "Write the overlay of the image called `name`; where its name does not do for one, only warn."
    try: write_png(folder / 'overlays' / f'{name}.png', picture)
    except OSError as e:
        if e.errno not in UNFIT_NAMES: raise
        warnings.warn(f'{printable(name)}: predicted, but its overlay cannot be written ({e.strerror.lower()})',
                      stacklevel=2)


def unfit(name, image_dir):
    "Why the image called `name` can have no row in a CSV of annotations; None if it can."
    if name != printable(name).strip() or any(c in name for c in '\\\r\n') or name != str(PurePosixPath(name)):
        return 'its name has a backslash, a line break, a space at an end or no valid UTF-8; rename it'
    if not lies_in(Path(image_dir, name), image_dir):
        return 'a link to outside of the image folder; copy the image, or pass the folder in which it is'


def printable(text):
    "`text` without what UTF-8 cannot write."
    return text.encode('utf-8', 'backslashreplace').decode()


# --- in words

def confidence_note(state, confidence, spread):
    "What an overlay says of a landmark."
    if state == ABSENT: return 'absent'
    if state == UNLABELLED: return f'{confidence:.2f}, left blank'
    return f'{confidence:.2f}' + (f', ± {spread:.1f} px' if np.isfinite(spread) else '')


def spread_notes(predicted, spread):
    "How far the models of an ensemble are apart on the images `predicted`: a line, none for a single model."
    known = np.isfinite(spread)
    each = [f'{name} {values[there].mean():.1f}' for name, values, there
            in zip(predicted.names, spread.T, known.T, strict=True) if there.any()]
    return [f'Spread of the models, mean in original px: {", ".join(each)}'] if each else []


def spacing_notes(found):
    "Where the pixel spacing of the images is from, one line each."
    counts = Counter(row.source for _, row in found.done())
    lines = [f'Pixel spacing of {n} images: {source}' for source, n in counts.items() if source]
    lines = [line + ', at the detector: magnification is not corrected' if '(detector)' in line else line
             for line in lines]
    if counts['']:
        lines.append(f'Pixel spacing of {counts[""]} images is unknown: DICOM files may tell it, --pixel_spacing does, '
                     'and so does a pixel_spacing column of an annotation CSV')
    return lines
