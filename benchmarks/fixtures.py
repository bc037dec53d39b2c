"Synthetic data to measure on, and processes to measure in; equal seeds make equal files."

import csv
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from landmark_fastai.data.radiograph import draw_radiograph

from .timing import ROOT

LITE0 = 'timm-tf_efficientnet_lite0'  # the encoder that most is measured with
SEED = 42
FILM = 2200, 1900  # width and height, px
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 90]


# --- images and annotations

def write_films(folder, n, size=FILM, n_drawn=None, seed=SEED):
    """Write `n` grey JPEG radiographs of `size` to `folder`: sample films, enlarged, with grain of their own.

    Only `n_drawn` of them are drawn, the others repeat them. Returns the paths and the points (n, 2, 2) of the
    femoral heads, in px.
    """
    folder.mkdir(parents=True)
    n_drawn, width, height = min(n_drawn or n, n), *size
    grain = np.random.default_rng(seed).normal(0, 3, (height + 256, width + 256)).astype(np.float32)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        drawn = list(pool.map(partial(_draw, seed), range(n_drawn)))
        jobs = [pool.submit(_enlarge, drawn[k % n_drawn], size, grain, folder / f'film_{k:04}.jpg') for k in range(n)]
        points = [job.result() for job in jobs]
    return [folder / f'film_{k:04}.jpg' for k in range(n)], np.stack(points)


def _draw(seed, k): return draw_radiograph(np.random.default_rng([seed, k]))


def _enlarge(film, size, grain, path):
    "Write `film` to `path` at `size`; returns its points there."
    image, points, _ = film
    scale = np.array(size) / image.shape[::-1]
    right, down = np.random.default_rng(int(path.stem[-4:])).integers(0, 256, 2)  # another piece of the grain for each
    large = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC) + grain[down:down + size[1], right:right + size[0]]
    path.write_bytes(cv2.imencode('.jpg', np.rint(large).clip(0, 255).astype(np.uint8), JPEG)[1].tobytes())
    return (np.array(list(points.values())) + 0.5) * scale - 0.5


def more_points(points, n_landmarks, size=FILM, seed=SEED):
    "`points` (n, N, 2) with random ones behind them, `n_landmarks` in all, anywhere on an image of `size`."
    random = np.random.default_rng(seed).uniform(0, np.array(size) - 1, (len(points), n_landmarks, 2))
    return np.concatenate([points, random], 1)[:, :n_landmarks]


def write_small(folder, n, n_landmarks=2, size=(96, 80), seed=SEED):
    "Write `n` small PNGs of noise to `folder`; returns their paths and random points (n, N, 2) on them."
    folder.mkdir(parents=True)
    rng, paths = np.random.default_rng(seed), [folder / f'small_{k:04}.png' for k in range(n)]
    for path in paths: cv2.imwrite(str(path), rng.integers(0, 256, size[::-1], np.uint8))
    return paths, more_points(np.empty((n, 0, 2)), n_landmarks, size, seed)


def write_csv(path, paths, points, size, n_val=1):
    "Write the annotation CSV of images of one `size`, `points` (n, N, 2) px; the last `n_val` are for validation."
    parts = ['train'] * (len(paths) - n_val) + ['val'] * n_val
    names = [f'landmark_{k}_{axis}' for k in range(1, points.shape[1] + 1) for axis in 'xy']
    rows = [[image.name, *size, points.shape[1], part, *row.ravel().round(2)]
            for image, part, row in zip(paths, parts, points, strict=True)]
    with open(path, 'w', newline='', encoding='utf-8') as f:
        csv.writer(f).writerows([['image_name', 'image_width', 'image_height', 'n_landmarks', 'split', *names], *rows])
    return path


# --- processes

def in_child(function, *args):
    "What `function` returns in a new process, so that nothing of this one counts."
    with ProcessPoolExecutor(1, get_context('spawn')) as pool: return pool.submit(function, *args).result()


def run_python(*args):
    "Run Python with `args` at the top of the project; returns what it prints. Raises CalledProcessError."
    return subprocess.run([sys.executable, *args], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def memory(peak=False, pid='self'):
    "MB of memory that this process, or that of `pid`, has, or had at most."
    # not getrusage: its maximum outlives exec, so that a child starts with the peak of the process that started it
    field = 'VmHWM' if peak else 'VmRSS'
    lines = Path(f'/proc/{pid}/status').read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024
