"""`predict --cluster`: workers read images and predict, this process keeps what they find.

A batch that is finished becomes a file of the output folder at once, which `--resume` takes up; predictions.csv is
made of all of them at the end. The folder is known by predictions_job.json: which job it is of, and whether that is
finished. Nothing but names and rows of tables travels between machines.
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
from typing import NamedTuple

import cv2
from fastcore.basics import chunked
from tqdm.auto import tqdm

from .. import __version__
from ..cluster.session import LOCAL, connected
from ..cluster.sharing import Workers, count_workers, share
from ..errors import UsageError
from ..files import atomic, check_writable, remove_leftovers, write_text
from ..formats.annotations import Annotations, read_annotations
from ..predict_config import ClusterConfig
from ..threads import keep_to
from .bundle import digest_of
from .choosing import config_predictor, takes_bundle
from .folder import JOB_FILE, PARTS, all_unfit, make_output, predict_into
from .new_images import NewImages
from .parts import add_file, add_part, job_of, to_parquet
from .predictions import Predictions, check_all_read
from .predictor import Predictor

PER_BATCH = 128  # images at most, which the death of a worker costs
EACH = 4  # batches for each worker at least, so that all of them end at about the same time
DECISIVE = ('image_dir', 'encoder_name', 'decode', 'min_confidence', 'tta', 'level', 'no_overlays', 'no_refine',
            'no_shape', 'pixel_spacing', 'engine', 'precision')  # flags that change what a batch becomes


@dataclass(frozen=True)
class PredictJob:
    "What workers do; see `cluster.sharing.Job`."
    config: ClusterConfig  # whose paths are absolute
    key: str               # of the job, see `key_of`
    version: str = __version__

    def start(self, n_threads: int) -> Callable[[list[str]], bytes]:
        "Load the model here; returns what predicts images by their names, and answers with a part."
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


class KnownJob(NamedTuple):
    "What an output folder knows of the job that it is of, in predictions_job.json."
    key: str
    images: str = ''  # once it is finished: a digest of their names
    failed: int = 0   # of them


def local_predictor(config: ClusterConfig) -> tuple[Predictor, ClusterConfig]:
    """The `Predictor` of the flags `config` on this machine, and the flags with its engine, which all workers take.

    That of a run is on the CPU in any case: it is asked for names and bounds, and needs no device that workers have.
    Raises UsageError.
    """
    predictor = config_predictor(config if takes_bundle(config) else replace(config, device='cpu', precision='auto'))
    return predictor, replace(config, engine=predictor.engine.name)


def check_device(config: ClusterConfig, workers: Workers):
    "Raise UsageError where it can be seen here that `workers` with PyTorch lack the device or precision of `config`."
    if workers.gpus: return  # what they can do is known there alone
    if config.device == 'cuda':
        raise UsageError('device is cuda, but Ray knows of no GPU in the cluster; pass auto or cpu')
    from ..data.loaders import usable_device
    from ..model.precision import choose_precision
    choose_precision(config.precision, usable_device('cpu' if config.device == 'auto' else config.device))


def predict_on_cluster(predictor: Predictor, config: ClusterConfig, key: str, image_names: list[str]) -> Predictions:
    """Predict the images called `image_names` as `predict_folder` does, on the cluster that the flags `config` name.

    `predictor` and `config` are those of `local_predictor`, `key` is that of the job. What is found is also kept as
    parts until `finish_job`. Raises UsageError, before anything is written where the mistake can be seen from here.
    """
    predictions = Predictions(predictor.names, image_names)
    unfit = all_unfit(image_names, config.image_dir)
    places = config.workers and config.workers * (config.worker_cpus or 1)
    by_torch = predictor.engine.name == 'torch'
    with connected(config.cluster, places if config.cluster == LOCAL else None) as ray:
        workers = count_workers(ray, config.workers, config.worker_cpus, by_torch and config.device in ('auto', 'cuda'))
        if by_torch: check_device(config, workers)
        folder = open_folder(config, key)
        predictions.failed = unfit.copy()
        store = Store(folder, predictions)
        predictions.write(folder, config.level)
        left = [name for name in image_names if name in store.left]
        size = min(max(len(left) // (EACH * workers.n), 1), PER_BATCH)
        bar = tqdm(total=len(image_names), initial=len(image_names) - len(left), unit='image',
                   disable=not sys.stderr.isatty())
        try:
            with bar, closing(share(ray, PredictJob(absolute(config), key), chunked(left, size), workers)) as answers:
                for answer in answers:
                    for text in answer.warnings: warnings.warn(text, stacklevel=2)
                    store.add(answer.result)
                    bar.update(len(predictions) + len(predictions.failed) - bar.n)
        finally:
            order = [*unfit, *(name for name in image_names if name in predictions.failed and name not in unfit)]
            predictions.failed = {name: predictions.failed[name] for name in order}
            predictions.write(folder, config.level)
    return predictions


class Store:
    "The parts of `predictions` in a folder; those that are there are taken up, and images `left` without."

    def __init__(self, folder: Path, predictions: Predictions):
        self.folder, self.predictions = folder, predictions
        self.left = set(predictions.image_names) - predictions.failed.keys()
        files = parts_in(folder)
        for file in files: add_file(predictions, file, self.left)
        self.n = max((int(file.stem) for file in files), default=0)

    def add(self, part: bytes):
        "Write a `part`, whole or not at all, and add it to the predictions."
        self.n += 1
        with atomic(self.folder / PARTS.replace('*', f'{self.n:06}')) as temporary: temporary.write_bytes(part)
        add_part(self.predictions, part, self.left)


def absolute(config: ClusterConfig) -> ClusterConfig:
    "The flags `config` with absolute paths: workers start in folders of their own."
    paths = {name: str(Path(value).absolute()) for name in ('image_dir', 'output_dir', 'model', 'weights')
             if (value := getattr(config, name))}
    return replace(config, **paths)


def key_of(predictor: Predictor, config: ClusterConfig) -> str:
    "What parts must have in common: a hash of the weights, of what was learned beside them, and of decisive flags."
    config = absolute(config)
    files = [file for path in map(Path, predictor.weights) for file in (path, path.with_suffix('.bin'))]  # of OpenVINO
    digests = [known for file in files if (known := digest_of(file))]
    flags = {name: getattr(config, name) for name in DECISIVE}
    return hashlib.sha256(json.dumps([__version__, digests, repr(predictor.facts), flags]).encode()).hexdigest()


def parts_in(folder: Path) -> list[Path]:
    "The parts in an output folder, in order, without those that a process was killed over."
    return sorted(path for path in folder.glob(PARTS) if path.stem.isdecimal())


def open_folder(config: ClusterConfig, key: str) -> Path:
    """The output folder of a job with that `key`: made anew, or with `--resume` that of the same job.

    Raises UsageError where a job was stopped there and it is not told what becomes of it, or it is another.
    """
    folder = Path(config.output_dir)
    job = None if config.overwrite else read_job(folder)
    if job is None or job.images and not config.resume:
        make_output(config)
        write_job(folder, KnownJob(key))
        return folder
    if not config.resume:
        raise UsageError(f'{folder} has a prediction that was stopped, in {len(parts_in(folder))} parts; pass --resume '
                         'to go on with it, or --overwrite to start anew')
    others = [folder / JOB_FILE] * (job.key != key) + [part for part in parts_in(folder) if job_of(part) != key]
    if others:
        raise UsageError(f'{others[0]} is of another model, version or folder of images, or of other flags; pass those '
                         'of the prediction that is to go on, or --overwrite to start anew')
    check_writable(folder)
    return folder


def finish_job(folder: Path, key: str, predictions: Predictions):
    "Note in the output folder that all is written, and remove what `--resume` would need."
    write_job(folder, KnownJob(key, digest(predictions.image_names), len(predictions.failed)))
    remove_parts(folder)


def remove_parts(folder: Path):
    "Remove the parts in an output folder, and what processes that were killed have left."
    parts = (folder / PARTS).parent
    for file in parts_in(folder): file.unlink()
    for below in (parts, folder / 'overlays'): remove_leftovers(below)
    if parts.is_dir() and not any(parts.iterdir()): parts.rmdir()


def found_before(config: ClusterConfig, key: str, image_names: list[str]) -> Annotations | None:
    """With `--resume`, what the same job, which was finished, has found; None where something is left to do.

    Raises UsageError where it was of other images, and Incomplete where some of them could not be read.
    """
    folder = Path(config.output_dir)
    job = read_job(folder) if config.resume else None
    if job is None or job.key != key or not job.images: return None
    if job.images != digest(image_names):
        raise UsageError(f'{folder} has a finished prediction, but {config.image_dir} has other images than then; pass '
                         '--overwrite to predict them all, or another --output_dir')
    remove_parts(folder)  # a process may have been killed over that
    annotations = read_annotations(folder / 'predictions.csv')
    print(f'Nothing is left to do: {folder} has the finished prediction of the same {len(image_names)} images')
    check_all_read(job.failed, len(image_names), folder, annotations)
    return annotations


def digest(image_names: list[str]) -> str:
    "A hash of `image_names`."
    return hashlib.sha256(json.dumps(image_names).encode()).hexdigest()


def write_job(folder: Path, job: KnownJob):
    "Write what is known of the `job` of an output folder."
    write_text(folder / JOB_FILE, json.dumps(job._asdict(), indent=2) + '\n')


def read_job(folder: Path) -> KnownJob | None:
    "What is known of the job of an output folder, None where nothing is. Raises UsageError where that is no such file."
    path = folder / JOB_FILE
    if not path.is_file(): return None
    try: return KnownJob(**json.loads(path.read_text(encoding='utf-8')))
    except (OSError, ValueError, TypeError):
        raise UsageError(f'{path} cannot be read as what predict has written; pass --overwrite to start anew, or '
                         'another --output_dir') from None
