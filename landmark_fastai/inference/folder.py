"A model on a folder of images: what `predict` and `evaluate` have in common."

import errno
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath

import numpy as np
from tqdm.auto import tqdm

from ..errors import UsageError
from ..files import lies_in
from ..output_folder import make_output_folder
from ..predict_config import PredictConfig
from ..threads import in_threads
from ..viz.overlays import write_png
from ..viz.report import FIGURES, beside_report
from .likeness import look_of
from .predictions import ImageFacts, Predictions, printable
from .predictor import Prediction, Predictor

TABLES = 'errors', 'both_stages', 'bounds_of_*', 'measurements_*'  # of the report
PARTS = 'predictions_parts/*.parquet'  # of a prediction on a cluster that was stopped, see `on_cluster`
JOB_FILE = 'predictions_job.json'  # which prediction on a cluster it is, and whether it is finished
WRITTEN = (  # by `predict` and `evaluate`
    'predictions.csv', JOB_FILE, PARTS, 'failed.csv', 'review.csv', 'overlays/**/*.png', 'distances.csv',
    'measurements.csv', 'measurement_errors.csv', 'summary.json', 'report.html',
    *beside_report([file for file, *_ in FIGURES], TABLES))
SAVE_EVERY = 30  # seconds between two writings of predictions.csv while it grows, at least
SAVE_REST = 20   # times what the last writing took, at least: 100,000 rows of 19 landmarks take a minute
UNFIT_NAMES = errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST  # of an overlay beside others


def make_output(config: PredictConfig, *inputs: str) -> Path:
    """Make the output folder, without what an earlier `predict` or `evaluate` has written there.

    Raises UsageError where that is not wanted, would remove what is read (`inputs` too), or lies among the images.
    """
    reads = config.model, config.weights, config.config, *inputs
    return make_output_folder(config.output_dir, WRITTEN, config.overwrite, config.image_dir, reads)


def predict_folder(predictor: Predictor, config: PredictConfig, folder: Path, image_names: list[str],
                   facts_of: Callable[[str], ImageFacts],
                   draw: Callable[[str, np.ndarray, Prediction], np.ndarray]) -> Predictions:
    """Predict the images called `image_names`; write predictions.csv, failed.csv and overlays into `folder`.

    `facts_of` tells what is known of an image by its name, `draw` makes its overlay from name, pixels and prediction.
    What was found is written as it comes, and also when it is interrupted.
    """
    predictions = Predictions(predictor.names, image_names)
    predictions.failed = all_unfit(image_names, config.image_dir)
    names = [name for name in image_names if name not in predictions.failed]
    bar = tqdm(total=len(image_names), unit='image', disable=not sys.stderr.isatty())
    due = time.monotonic() + SAVE_EVERY
    try:
        with bar, closing(predict_into(predictions, predictor, config, folder, names, facts_of, draw)) as finished:
            for _ in finished:
                bar.update(len(predictions) + len(predictions.failed) - bar.n)
                start = time.monotonic()
                if start < due: continue
                predictions.write(folder, config.level)
                end = time.monotonic()
                due = end + max(SAVE_EVERY, SAVE_REST * (end - start))
    finally: predictions.write(folder, config.level)
    return predictions


def predict_into(predictions: Predictions, predictor: Predictor, config: PredictConfig, folder: Path,
                 image_names: list[str], facts_of: Callable[[str], ImageFacts],
                 draw: Callable[[str, np.ndarray, Prediction], np.ndarray]) -> Iterator[None]:
    "Add to `predictions` what `predict_folder` finds on the images called `image_names`; yields after each."
    names = {Path(config.image_dir, name): name for name in image_names}

    def finish(result: tuple[Path, np.ndarray, Prediction]):
        path, pixels, prediction = result
        name = names[path]
        if not config.no_overlays: write_overlay(folder, name, draw(name, pixels, prediction))
        # here, in the thread, so that what is finished counts when the main thread is interrupted
        predictions.add(name, prediction, facts_of(name), look_of(pixels, prediction.expected_error))

    def fail(path: Path, error: UsageError): predictions.failed[names[path]] = error

    results = predictor.stream(names, config.tta, config.min_confidence, config.level, fail)
    with closing(in_threads(finish, results)) as finished: yield from finished


def write_overlay(folder: Path, name: str, picture: np.ndarray):
    "Write the overlay of the image called `name`; where its name does not do for one, only warn."
    try: write_png(folder / 'overlays' / f'{name}.png', picture)
    except OSError as e:
        if e.errno not in UNFIT_NAMES: raise
        warnings.warn(f'{printable(name)}: predicted, but its overlay cannot be written ({e.strerror.lower()})',
                      stacklevel=2)


def all_unfit(image_names: list[str], image_dir: str) -> dict[str, str]:
    "Those of `image_names` that can have no row in a CSV of annotations, and why."
    return {name: reason for name in image_names if (reason := unfit(name, image_dir))}


def unfit(name: str, image_dir: str) -> str | None:
    "Why the image called `name` can have no row in a CSV of annotations; None if it can."
    if name != printable(name).strip() or any(c in name for c in '\\\r\n') or name != str(PurePosixPath(name)):
        return 'its name has a backslash, a line break, a space at an end or no valid UTF-8; rename it'
    if not lies_in(Path(image_dir, name), image_dir):
        return 'a link to outside of the image folder; copy the image, or pass the folder in which it is'
