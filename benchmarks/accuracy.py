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
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean, median

import numpy as np
import pandas as pd

from landmark_fastai.errors import UsageError
from landmark_fastai.evaluation.evaluate import evaluate
from landmark_fastai.files import write_text
from landmark_fastai.training.train import train
from landmark_fastai.viz.axes import add_legend, label_log, new_figure, save_figure

from .fixtures import LITE0
from .timing import RESULTS, ROOT, facts, grid, insert, load, save, say

DATA = ROOT.parent / 'shared' / 'data'
CT, MOUSE = 'ct_thorax_20', 'mouse_mirror_12'
TITLES = {CT: 'CT slices of the thorax, 20 landmarks, 32 to train on',
          MOUSE: 'frames of a mouse in two views, 12 landmarks, 50 to train on'}
RUNS = ROOT / 'runs' / 'accuracy'  # the run folders, which can be looked at, and measured again
NAME, TUNING = 'accuracy', 'accuracy_tuning'
# the original's stairs are squeezed to the length of the run and to the size of the square, so that it is no straw man
RECIPES = {'default': dict(recipe='default'), 'original': dict(recipe='original', erosion_schedule='auto')}


@dataclass(frozen=True)
class Training:
    "A training of the benchmark; its `key` names its result."
    data: str = CT
    recipe: str = 'default'
    seed: int = 42
    epochs: int = 40
    image_resize: int = 256
    n_train: int | None = None  # the first of the training images; all when left out
    variant: dict = field(default_factory=dict, hash=False)  # flags that differ from the recipe's
    tuning: bool = False  # a step on the way to a recipe: the test fold is left alone

    @property
    def key(self):
        parts = [self.data, self.recipe, f'{self.image_resize}px', f'{self.epochs}epochs', f'seed{self.seed}']
        if self.n_train: parts.append(f'{self.n_train}images')
        return '_'.join(parts + [f'{name}={value}' for name, value in self.variant.items()])

    @property
    def flags(self):
        "The arguments of `train`, beside those of the files."
        return dict(encoder_name=LITE0, image_resize=self.image_resize, epochs=self.epochs, seed=self.seed,
                    visualize_every=self.epochs) | RECIPES[self.recipe] | self.variant


def pair(**kwargs):
    "The same training by both recipes."
    return [Training(recipe=recipe, **kwargs) for recipe in ('original', 'default')]


def variants(*variants, seed=0):
    "The default recipe at 128 px, as it is and with each of `variants`, flags, in turn."
    return [Training(image_resize=128, seed=seed, variant=variant, tuning=True) for variant in ({}, *variants)]


NEVER = dict(dilation_iters=5, erosion_iters=0)  # small diamonds that are not eroded
# epochs that take as long as 40 with lite0: at 256 px in bf16 an epoch of lite1 and of lite2 takes 1.1 times as long
ENCODERS = {LITE0: 40, 'timm-tf_efficientnet_lite1': 36, 'timm-tf_efficientnet_lite2': 36}


def encoders(data, image_resize):
    "The default recipe with each of `ENCODERS` in equal minutes, three seeds."
    return [Training(data=data, image_resize=image_resize, seed=seed, epochs=epochs, tuning=True,
                     variant=dict(encoder_name=name)) for seed in (0, 1, 2) for name, epochs in ENCODERS.items()]


PLANS = {
    'ablation': variants(
        dict(loss='bce'), dict(loss='dice_bce'), dict(loss='spatial_ce'), dict(bce_weight=1.),
        dict(augment='none'), dict(augment='light'), dict(augment='strong'), dict(elastic=0.01),
        dict(schedule='constant'), dict(lr=1e-3), dict(ema=0.99), dict(schedule='fine_tune'),
        dict(dilation_iters=65, erosion_freq=50), NEVER, dict(decode='argmax')),
    'compare': [training for seed in (0, 1, 2) for training in pair(seed=seed)] + pair(data=MOUSE, seed=0),
    'sizes': [training for n in (10, 20) for training in pair(n_train=n, seed=0)],
    'erosion': [training for seed in (1, 2) for training in variants(NEVER, seed=seed)] +
               [Training(seed=seed, variant=NEVER, tuning=True) for seed in (0, 1, 2)],
    'long': [Training(recipe='original', epochs=350, seed=0)],
    'encoders': encoders(CT, 128) + encoders(MOUSE, 128) + encoders(CT, 256),
}


# --- data

def parts(n):
    "train, val or test for each of `n` images: a fifth to test, a fifth to validate, drawn once for all."
    order, part = np.random.default_rng(0).permutation(n), np.full(n, 'train', object)
    n_test, n_val = -(-n // 5), n // 5
    part[order[:n_test]] = 'test'
    part[order[n_test:n_test + n_val]] = 'val'
    return part


def write_split(data, n_train, folder):
    "Write the annotations of `data` with their split, and of the training images the first `n_train`, into `folder`."
    table = pd.read_csv(DATA / data / 'annotation.csv')
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


def results(folder=RESULTS):
    "All results so far, by key."
    saved = load(NAME, folder)
    return {row['key']: row for row in saved['rows']} if saved else {}


def run_all(trainings, folder=RESULTS, runs=RUNS):
    "Run those of `trainings` that have no result yet, saving after each."
    for training in trainings:
        if training.key in results(folder): continue
        say(f'--- {training.key}')
        result = run(training, runs)
        save(NAME, [*results(folder).values(), result], folder, data='see SOURCE.md of each data set')
        say(f"{training.key}: {result['val']['mean']:.2f} px on the validation images")
        shutil.rmtree(runs / training.key / 'visualization', ignore_errors=True)  # measured again: gone already


def run_plans(plans, folder):
    "Run the trainings of `plans`, names. Raises UsageError where their data are missing."
    if not DATA.is_dir(): raise UsageError(f'{DATA} is not here: nothing can be trained')
    warnings.simplefilter('ignore')  # of libraries about each other
    run_all([training for plan in plans for training in PLANS[plan]], folder)


# --- tables and a figure

def write_tables(root=ROOT, folder=RESULTS):
    "Rewrite the tables of docs/results.md and of the README below `root`, and a figure. Raises UsageError."
    found = results(folder)
    if not found: raise UsageError(f'{folder} has no {NAME}.json; run python -m benchmarks.accuracy PLAN')
    page, readme = root / 'docs' / 'results.md', root / 'README.md'
    text = insert(page.read_text(encoding='utf-8'), all_tables(found, folder), NAME)
    write_text(page, insert(text, by_encoder(found), 'encoders'))
    write_text(readme, insert(readme.read_text(encoding='utf-8'), headline(found), NAME))
    plot_curves(found, root / 'docs' / 'images' / 'recipes.png')


def all_tables(found, folder):
    "The tables of docs/results.md."
    return '\n\n'.join(filter(None, (comparison(found), fewer(found), ablation(found), tuning(folder))))


def headline(found):
    "The table of the README: mean errors of both recipes on the test images, over the seeds that there are."
    rows = []
    for data, what in TITLES.items():
        both = [(found[one.key]['test'], found[other.key]['test']) for one, other in pairs('compare', found)
                if one.data == data]
        if not both: continue
        original, default = (fmean(result['mean'] for result in side) for side in zip(*both, strict=True))
        rows.append([what, len(both), px(original), f'**{px(default)}**'])
    return grid(('images', 'seeds', 'original recipe', 'default recipe'), rows)


def comparison(found):
    "Both recipes on each data set and seed, and their means over the seeds; the rank correlation is of the default."
    header = 'data', 'seed', 'side', 'original', 'default', 'ratio', 'confidence ranks its errors'
    there, rows = pairs('compare', found), []
    for data in (CT, MOUSE):
        here = [pair for pair in there if pair[0].data == data]
        for side in ('val', 'test'):
            each = [(found[one.key][side], found[other.key][side]) for one, other in here]
            rows += [[data, one.seed, side, *cells(*results)] for (one, _), results in zip(here, each, strict=True)]
            if len(each) < 2: continue
            originals, defaults = zip(*each, strict=True)
            rows.append([data, f'mean of {len(each)}', side, *cells(averaged(originals), averaged(defaults))])
    return grid(header, rows) if rows else ''


def averaged(results):
    "The mean of the errors of `results`, and the median of their rank correlations."
    return dict(mean=fmean(r['mean'] for r in results), confidence_rank=median(r['confidence_rank'] for r in results))


def fewer(found):
    "Both recipes with fewer training images."
    header = 'training images', 'side', 'original', 'default', 'ratio', 'confidence ranks its errors'
    everything = [pair for pair in pairs('compare', found) if (pair[0].data, pair[0].seed) == (CT, 0)]
    rows = [[one.n_train or 'all 32', side, *cells(found[one.key][side], found[other.key][side])]
            for one, other in pairs('sizes', found) + everything for side in ('val', 'test')]
    return grid(header, rows) if rows else ''


def ablation(found):
    "The default recipe with one thing changed: mean error on the validation images, of the best and the last epoch."
    rows = [change(found[one.key], 'the default recipe') for one in PLANS['ablation'] if one.key in found]
    header = 'changed in the default recipe, 128 px, ct_thorax_20', 'best epoch', 'last epoch'
    return grid(header, rows) if rows else ''


def by_encoder(found):
    "Encoders in equal minutes: mean errors on the validation images, of each seed and over the seeds."
    rows = []
    for data, size in ((CT, 128), (MOUSE, 128), (CT, 256)):
        for name, epochs in ENCODERS.items():
            errors = [found[one.key]['val']['mean'] for one in encoders(data, size)
                      if one.key in found and one.variant['encoder_name'] == name]
            if not errors: continue
            rows.append([f'{data}, {size} px', f'`{name}`', epochs, ' · '.join(f'{error:.2f}' for error in errors),
                         px(fmean(errors))])
    return grid(('data', 'encoder', 'epochs', 'each seed', 'mean'), rows) if rows else ''


def tuning(folder):
    "The same of the recipe of version 0.3, on the way to the default, folded away."
    saved = load(TUNING, folder)
    tables = []
    for data in (CT, MOUSE):
        rows = [change(row, 'the recipe of 0.3') for row in (saved['rows'] if saved else [])
                if row['training']['data'] == data]
        header = f'changed in the recipe of 0.3, 128 px, {data}', 'best epoch', 'last epoch'
        if rows: tables.append(grid(header, rows))
    if not tables: return ''
    summary = '<details><summary>The same of the recipe of version 0.3, on the way to the default</summary>'
    return '\n\n'.join([summary, *tables, '</details>'])


def change(row, unchanged):
    "Cells that tell what was changed in a training, and its errors on the validation images."
    what = ', '.join(f'`--{name} {value}`' for name, value in row['training']['variant'].items())
    return what or unchanged, px(min(row['mean_error_px'])), px(row['mean_error_px'][-1])


def pairs(plan, found):
    "The trainings of `plan` that both recipes have finished, original first."
    both = zip(PLANS[plan][::2], PLANS[plan][1::2], strict=True)
    return [(one, other) for one, other in both if one.key in found and other.key in found]


def cells(original, default):
    "The mean errors of two results, their ratio, and the rank correlation of the second, as cells."
    return (px(original['mean']), f"**{px(default['mean'])}**", f"{default['mean'] / original['mean']:.2f}",
            f"{default['confidence_rank']:.2f}")


def px(value):
    "`value`, in original px, as a cell of a table."
    return f'{value:.2f} px'


def plot_curves(found, path):
    "Write the validation errors over the epochs of the default recipe and of the original in its full length."
    curves = {'original, 350 epochs': PLANS['long'][0], 'original, 40 epochs': PLANS['compare'][0],
              'default, 40 epochs': PLANS['compare'][1]}
    figure = new_figure(9, 4.6)
    ax = figure.subplots()
    for label, training in curves.items():
        if training.key not in found: continue
        errors = found[training.key]['mean_error_px']
        ax.plot(range(1, len(errors) + 1), errors, label=f'{label}: {px(min(errors))} at best')
    ax.set(xscale='log', yscale='log', xlabel='epoch', ylabel='mean error on validation images, original px')
    for axis in (ax.xaxis, ax.yaxis): label_log(axis)
    ax.grid(alpha=0.3)
    add_legend(figure, ax, rows=24)
    save_figure(figure, path)


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
