"""`python -m benchmarks.accuracy [PLAN ...]`: how close recipes come to the landmarks of real images, at equal cost.

A plan is a list of trainings. Each is trained, measured and saved before the next begins; what accuracy.json has is
not trained again, so a plan that was stopped goes on where it was. Data: see `DATA`; a fifth of the images is the test
fold, which no choice may look at, the next fifth chooses the epoch. `table` then puts all results into
docs/results.md, and their headline into the README.
"""

import argparse
import json
import shutil
import sys
import warnings
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from landmark_fastai.errors import UsageError
from landmark_fastai.evaluation.evaluate import evaluate
from landmark_fastai.files import write_text
from landmark_fastai.training.train import train

from .accuracy_plans import PLANS
from .accuracy_tables import all_tables, by_encoder, headline, plot_curves
from .timing import RESULTS, ROOT, facts, insert, rows_by_key, save, say

DATA = ROOT.parent / 'shared' / 'data'
RUNS = ROOT / 'runs' / 'accuracy'  # the run folders, which can be looked at, and measured again
NAME = 'accuracy'


# --- data

def parts(n):
    "train, val or test for each of `n` images: a fifth to test, a fifth to validate, drawn once for all."
    order, part = np.random.default_rng(0).permutation(n), np.full(n, 'train', object)
    n_test, n_val = -(-n // 5), n // 5
    part[order[:n_test]] = 'test'
    part[order[n_test:n_test + n_val]] = 'val'
    return part


def annotations_of(folder):
    "The table of annotations of the data set in `folder`. Raises UsageError where there is none."
    if not folder.is_dir(): raise UsageError(f'{folder} is not here: nothing can be trained')
    return pd.read_csv(folder / 'annotation.csv')


def write_split(data, n_train, folder):
    "Write the annotations of `data` with their split, and of the training images the first `n_train`, into `folder`."
    table = annotations_of(DATA / data)
    table['split'] = parts(len(table))
    surplus = table.index[table.split == 'train'][n_train:] if n_train else []
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f'{data}_{n_train or "all"}.csv'
    table.drop(surplus).to_csv(path, index=False)
    return path


# --- trainings

def run(training, runs=RUNS):
    "Train, or go on with what was stopped, unless the run is there from before, and measure; returns the result."
    folder, images = runs / training.key, DATA / training.data / 'images'
    csv_file = write_split(training.data, training.n_train, runs)
    if not (folder / 'report.html').is_file():
        train(train_image_dir=images, label_dir=csv_file.parent, train_csv_file=csv_file.name, output_dir=runs,
              experiment_name=training.key, resume=True, **training.flags)
    log = pd.read_csv(folder / 'train_results' / 'training_log.csv')
    result = dict(key=training.key, training=asdict(training), facts=facts(),
                  mean_error_px=log.mean_error_px.round(3).tolist(), best_epoch=int(log.mean_error_px.idxmin()) + 1)
    sides = ('val',) if training.tuning else ('val', 'test')
    return result | {side: measure(folder, images, csv_file, side) for side in sides}


def measure(run_folder, images, csv_file, side):
    "Errors in original px of the best weights on the images of `side`, and how confidence ranks them (Spearman)."
    out = run_folder / side
    evaluate(images, csv_file, out, model=run_folder, split=side, no_overlays=True, overwrite=True)
    overall = json.loads((out / 'summary.json').read_text(encoding='utf-8'))['overall']
    return {name: overall['px'][name] for name in ('n', 'mean', 'median', 'sd', 'ci_low', 'ci_high')} | {
        'success_rate': overall['success_rate'], 'confidence_rank': overall['confidence_rank']}


def run_all(trainings, folder=RESULTS, runs=RUNS):
    "Run those of `trainings` that have no result yet, saving after each."
    for training in trainings:
        if training.key in rows_by_key(NAME, folder): continue
        say(f'--- {training.key}')
        result = run(training, runs)
        save(NAME, [*rows_by_key(NAME, folder).values(), result], folder, data='see SOURCE.md of each data set')
        say(f"{training.key}: {result['val']['mean']:.2f} px on the validation images")
        shutil.rmtree(runs / training.key / 'visualization', ignore_errors=True)  # measured again: gone already


def run_plans(plans, folder):
    "Run the trainings of `plans`, names. Raises UsageError where their data are missing."
    if not DATA.is_dir(): raise UsageError(f'{DATA} is not here: nothing can be trained')
    warnings.simplefilter('ignore')  # of libraries about each other
    run_all([training for plan in plans for training in PLANS[plan]], folder)


# --- tables and a figure in the pages

def write_tables(root=ROOT, folder=RESULTS):
    "Rewrite the tables of docs/results.md and of the README below `root`, and a figure. Raises UsageError."
    found = rows_by_key(NAME, folder)
    if not found: raise UsageError(f'{folder} has no {NAME}.json; run python -m benchmarks.accuracy PLAN')
    page, readme = root / 'docs' / 'results.md', root / 'README.md'
    text = insert(page.read_text(encoding='utf-8'), all_tables(found, folder), NAME)
    write_text(page, insert(text, by_encoder(found), 'encoders'))
    write_text(readme, insert(readme.read_text(encoding='utf-8'), headline(found), NAME))
    plot_curves(found, root / 'docs' / 'images' / 'recipes.png')


def main(argv=None):
    "Returns the exit code."
    parser = argparse.ArgumentParser(prog='python -m benchmarks.accuracy', description='Recipes on real images.')
    parser.add_argument('plans', nargs='+', choices=[*PLANS, 'table'], metavar='PLAN',
                        help=f'{", ".join(PLANS)}, or table: put the saved results into the docs')
    parser.add_argument('--results', type=Path, default=RESULTS, help='folder of the results')
    args = parser.parse_args(argv)
    plans = [plan for plan in args.plans if plan != 'table']
    try:
        if plans: run_plans(plans, args.results)
        if 'table' in args.plans: write_tables(folder=args.results)
    except UsageError as e:
        say(f'error: {e}')
        return 2
    return 0


if __name__ == '__main__': sys.exit(main())
