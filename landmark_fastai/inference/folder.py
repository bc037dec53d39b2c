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
from tqdm.auto import tqdm

from ..errors import Incomplete, UsageError
from ..files import check_writable, lies_in, write_text
from ..formats.annotations import ABSENT, UNLABELLED, Annotations, write_annotations
from ..threads import in_threads
from ..training.config import is_run
from ..viz.overlays import write_png
from ..viz.report import FIGURES
from .predictor import Prediction

WRITTEN = ('predictions.csv', 'failed.csv', 'overlays/**/*.png', 'distances.csv', 'summary.json', 'report.html',
           *(f'figures/{file}' for file, *_ in FIGURES))  # by `predict` and `evaluate`
SAVE_EVERY = 30  # seconds between two writings of predictions.csv while it grows
UNFIT_NAMES = errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST  # of an overlay beside others


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
