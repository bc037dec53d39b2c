"""`python -m benchmarks.cluster`: many small images on one machine by `predict`, and by `predict --cluster local`.

Once undisturbed, and once while workers are killed (SIGKILL) one after another: each image must have its row once, and
the row that it has without a cluster. See docs/scaling.md.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import pandas as pd
import psutil

from landmark_fastai.inference.folder import PARTS
from landmark_fastai.inference.on_cluster import EACH, PER_BATCH

from .fixtures import SEED, write_csv, write_small
from .timing import ROOT, facts, grid, insert_into, machine, rows_by_key, save, say

SIDE = 64
FLAGS = ['--encoder_name', 'timm-mobilenetv3_small_minimal_100', '--encoder_weights', 'none', '--image_resize',
         str(SIDE), '--epochs', '1', '--batch_size', '4']
PAGE = ROOT / 'docs' / 'scaling.md'
WAIT = 0.1  # seconds between two looks at what is going on


def run(folder, n_images=20_000, n_workers=8, n_deaths=3):
    "Rows of `predict` without a cluster, on one, and on one whose workers die; with their predictions compared."
    say(f'writing {n_images} images, and training for an epoch')
    model, images = prepare(folder, n_images)
    size = min(n_images // (EACH * n_workers), PER_BATCH)
    rows = []
    for key, deaths in (('alone', None), ('undisturbed', 0), ('disturbed', n_deaths)):
        say(f'--- {key}')
        flags = [] if deaths is None else ['--cluster', 'local', '--workers', str(n_workers)]
        seconds, killed = predict(model, images, folder / key, flags, deaths or 0, n_images / size)
        rows.append(compare(key, folder, n_images) | dict(seconds=seconds, killed=killed, n_images=n_images,
                                                          n_workers=1 if deaths is None else n_workers))
        say(rows[-1])
    return rows


def prepare(folder, n_images):
    "The folder of a run that was hardly trained, and one of `n_images` small images, each another."
    paths, points = write_small(folder / 'train', 10, 2, size=(SIDE, SIDE))
    csv_file = write_csv(folder / 'train.csv', paths, points, (SIDE, SIDE))
    command('train', '--train_image_dir', paths[0].parent, '--label_dir', folder, '--train_csv_file', csv_file.name,
            '--output_dir', folder / 'runs', *FLAGS).check_returncode()
    rng, images = np.random.default_rng(SEED), folder / 'images'
    images.mkdir()
    for k in range(n_images):
        image = cv2.resize(rng.integers(0, 256, (8, 8), np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(images / f'{k:06}.png'), image)
    return folder / 'runs' / 'baseline', images


def predict(model, images, output, flags, n_deaths, n_parts):
    "Run `predict` in `n_parts`, killing `n_deaths` workers meanwhile; returns its seconds, and how many were killed."
    start, killed = time.perf_counter(), 0
    arguments = ['--model', model, '--image_dir', images, '--output_dir', output, '--no_overlays', *flags]
    process = subprocess.Popen(line('predict', *arguments), env=quiet())
    while process.poll() is None:
        time.sleep(WAIT)
        if killed == n_deaths: continue
        done = len(list(output.glob(PARTS))) / n_parts
        # early, since on a busy machine much may be done between two looks
        if done > killed / (n_deaths + 2): killed += kill_worker(process.pid)
    if process.returncode: raise RuntimeError(f'predict has failed: {process.returncode}')
    return time.perf_counter() - start, killed


def kill_worker(pid):
    "Kill a worker below the process `pid` that is at work; returns whether there was one."
    for child in psutil.Process(pid).children(recursive=True):
        try: busy = child.cmdline()[:1] == ['ray::MapWorker(MapBatches(Worker)).submit']
        except psutil.Error: continue
        if not busy: continue
        say(f'killing {child.pid}')
        child.kill()
        return True
    return False


def compare(key, folder, n_images):
    "What is wrong with the predictions of one way: rows missing, twice, and other than those without a cluster."
    found, alone = (pd.read_csv(folder / which / 'predictions.csv', dtype=str) for which in (key, 'alone'))
    both = found.merge(alone, 'inner')
    return dict(key=key, missing=n_images - found.image_name.nunique(), twice=int(found.image_name.duplicated().sum()),
                other=len(found) - len(both), ordered=bool(found.image_name.is_monotonic_increasing))


def command(*arguments):
    "Run the command line of `arguments` in silence; returns what has become of it."
    return subprocess.run(line(*arguments), env=quiet(), stdout=subprocess.DEVNULL)


def line(*arguments):
    "The words by which `cli.py` of this checkout is called with `arguments`."
    return [sys.executable, str(ROOT / 'cli.py'), *map(str, arguments)]


def quiet():
    "The environment of a process of one thread, without GPU and warnings."
    return os.environ | {'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': '', 'PYTHONWARNINGS': 'ignore'}


def table(found):
    "The Markdown table of the rows `found`, by key."
    names = dict(alone='`predict`, one process', undisturbed='`--cluster local --workers {n_workers}`',
                 disturbed='the same, {killed} workers killed')
    header = f'{found["alone"]["n_images"]:,} images of {SIDE} px', 'seconds', 'rows missing', 'twice', 'different'
    rows = {key: [f'{found[key]["seconds"]:.0f}', *(found[key][what] for what in ('missing', 'twice', 'other'))]
            for key in names}
    return grid(header, [[name.format(**found[key]), *rows[key]] for key, name in names.items()])


def main(argv=None):
    "Measure, save and write the table into docs/scaling.md; `table` alone writes it anew."
    parser = argparse.ArgumentParser(prog='python -m benchmarks.cluster', description=__doc__)
    parser.add_argument('what', nargs='?', choices=['run', 'table'], default='run')
    parser.add_argument('--images', type=int, default=20_000)
    args = parser.parse_args(argv)
    if args.what == 'run':
        known = facts(seed=SEED, repetitions=1, precision='fp32')
        with TemporaryDirectory(prefix='benchmarks_') as folder: rows = run(Path(folder), args.images)
        say(machine(known))
        say(save('cluster', rows, **known))
    insert_into(PAGE, table(rows_by_key('cluster')), 'cluster')


if __name__ == '__main__': main()
