"""`predict --cluster`: workers read images and predict, this process keeps what they find.

A batch that is finished becomes a file of the output folder at once, which `--resume` takes up; predictions.csv is
made of all of them at the end. Nothing but names and rows of tables travels between machines.
"""

import hashlib
import json
import os
import sys
import warnings
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
from fastcore.basics import chunked
from tqdm.auto import tqdm

from .. import __version__
from ..cluster.session import LOCAL, connected
from ..cluster.sharing import count_workers, share
from ..errors import UsageError
from ..files import atomic, check_writable, remove_leftovers
from ..predict_config import ClusterConfig
from ..threads import keep_to
from .choosing import config_predictor
from .folder import PARTS, all_unfit, make_output, predict_into
from .new_images import NewImages
from .parts import add_part, job_of, to_parquet
from .predictions import Predictions
from .predictor import Predictor

MOST = 128  # images of a batch, which the death of a worker costs
EACH = 4    # batches for each worker at least, so that all of them end at about the same time
DECISIVE = ('image_dir', 'encoder_name', 'decode', 'min_confidence', 'tta', 'level', 'no_overlays', 'no_refine',
            'pixel_spacing', 'engine', 'precision')  # flags that change what a batch becomes


@dataclass(frozen=True)
class PredictJob:
    "What workers do; see `cluster.sharing.Job`."
    config: ClusterConfig  # whose paths are absolute
    key: str               # of the job, see `key_of`
    version: str = __version__

    def start(self, n_threads: int) -> Callable[[list[str]], bytes]:
        self.check_machine()
        os.environ['OMP_NUM_THREADS'] = str(n_threads)  # of PyTorch, which is loaded by what follows if it is needed
        keep_to(n_threads)
        cv2.setNumThreads(n_threads)
        predictor = config_predictor(self.config)

        def predict_part(image_names: list[str]) -> bytes:
            found, new = Predictions(predictor.names, image_names), NewImages(self.config, predictor.names)
            for _ in predict_into(found, predictor, self.config, Path(self.config.output_dir), image_names,
                                  new.facts_of, new.draw): pass
            return to_parquet(found, self.key)
        return predict_part

    def check_machine(self):
        "Raise UsageError unless this machine has this version, and the folders."
        if __version__ != self.version:
            raise UsageError(f'landmark_fastai {__version__} is installed here, {self.version} where predict was '
                             'started; install the same')
        if not Path(self.config.image_dir).is_dir():
            raise UsageError(f'{self.config.image_dir}: no such folder here; expected the images under the same path '
                             'on all machines')
        if not self.config.no_overlays and not Path(self.config.output_dir, 'predictions.csv').is_file():
            raise UsageError(f'{self.config.output_dir} is not the folder here in which predict was started; expected '
                             'it on all machines, for the overlays: pass one that is, or --no_overlays')


def predict_on_cluster(predictor: Predictor, config: ClusterConfig, image_names: list[str]) -> Predictions:
    """Predict the images called `image_names` as `predict_folder` does, on the cluster that the flags `config` name.

    `predictor` is that of the flags, on this machine. Raises UsageError, before anything is written where the mistake
    can be seen from here.
    """
    predictions = Predictions(predictor.names, image_names)
    unfit = all_unfit(image_names, config.image_dir)
    here, key = absolute(config), key_of(predictor, config)
    places = config.workers and config.workers * (config.worker_cpus or 1)
    with connected(config.cluster, places if config.cluster == LOCAL else None) as ray:
        workers = count_workers(ray, config.workers, config.worker_cpus, config.device != 'cpu')
        folder = open_folder(config, key)
        predictions.failed = unfit.copy()
        store = Store(folder, predictions)
        predictions.write(folder, config.level)
        left = [name for name in image_names if name in store.left]
        size = min(max(len(left) // (EACH * workers.n), 1), MOST)
        bar = tqdm(total=len(image_names), initial=len(image_names) - len(left), unit='image',
                   disable=not sys.stderr.isatty())
        try:
            with bar, closing(share(ray, PredictJob(here, key), chunked(left, size), workers)) as answers:
                for answer in answers:
                    for text in answer.warnings: warnings.warn(text, stacklevel=2)
                    store.add(answer.result)
                    bar.update(len(predictions) + len(predictions.failed) - bar.n)
        finally:
            order = [*unfit, *(name for name in image_names if name in predictions.failed and name not in unfit)]
            predictions.failed = {name: predictions.failed[name] for name in order}
            predictions.write(folder, config.level)
    store.remove()
    return predictions


class Store:
    "The parts of `predictions` in a folder; those that are there are taken up, and images `left` without."

    def __init__(self, folder: Path, predictions: Predictions):
        self.folder, self.predictions = folder, predictions
        self.left = set(predictions.image_names) - predictions.failed.keys()
        files = sorted(folder.glob(PARTS))
        for file in files: add_part(predictions, file.read_bytes(), self.left)
        self.n = max((int(file.stem) for file in files), default=0)

    def add(self, part: bytes):
        "Write a `part`, whole or not at all, and add it to the predictions."
        self.n += 1
        with atomic(self.folder / PARTS.replace('*', f'{self.n:06}')) as temporary: temporary.write_bytes(part)
        add_part(self.predictions, part, self.left)

    def remove(self):
        "Remove all parts, and what workers that were killed have left of overlays."
        parts = (self.folder / PARTS).parent
        for file in self.folder.glob(PARTS): file.unlink()
        for folder in (parts, self.folder / 'overlays'): remove_leftovers(folder)
        if parts.is_dir() and not any(parts.iterdir()): parts.rmdir()


def absolute(config: ClusterConfig) -> ClusterConfig:
    "The flags `config` with absolute paths: workers start in folders of their own."
    paths = {name: str(Path(value).absolute()) for name in ('image_dir', 'output_dir', 'model', 'weights')
             if (value := getattr(config, name))}
    return replace(config, **paths)


def key_of(predictor: Predictor, config: ClusterConfig) -> str:
    "What parts must have in common: a hash of the weights, of what was learned beside them, and of decisive flags."
    config = absolute(config)
    files = [file for path in map(Path, predictor.weights) for file in (path, path.with_suffix('.bin'))]  # of OpenVINO
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()]
    flags = {name: getattr(config, name) for name in DECISIVE}
    return hashlib.sha256(json.dumps([__version__, digests, repr(predictor.facts), flags]).encode()).hexdigest()


def open_folder(config: ClusterConfig, key: str) -> Path:
    """The output folder of a job with that `key`: made anew, or with `--resume` that of the same job.

    Raises UsageError where parts of a job are there and it is not told what becomes of them, or they are of another.
    """
    folder = Path(config.output_dir)
    parts = sorted(folder.glob(PARTS))
    if not parts or config.overwrite: return make_output(config)
    if not config.resume:
        raise UsageError(f'{folder} has {len(parts)} parts of a prediction that was stopped; pass --resume to go on '
                         'with it, or --overwrite to start anew')
    others = [part for part in parts if job_of(part.read_bytes()) != key]
    if others:
        raise UsageError(f'{others[0]} is of another model, version or folder of images, or of other flags; pass those '
                         'of the prediction that was stopped, or --overwrite to start anew')
    check_writable(folder)
    return folder
