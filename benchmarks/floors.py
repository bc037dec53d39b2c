"""`python -m benchmarks.floors [--seeds 0 1 2]`: whether a label should stop shrinking where readers stop agreeing.

Films with readers of known noise: precise for some landmarks, far off for others, for some along one axis. Trainings
differ in the smallest radius of the masks alone, see `FLOORS`; errors are those to the true points of other films. Each
is saved before the next begins, and not repeated. `table` puts the results into docs/results.md.
"""

import argparse
import shutil
import sys
import warnings
from functools import cache
from itertools import product
from statistics import fmean

import numpy as np
import pandas as pd
import torch
from fastai.callback.core import Callback
from scipy.stats import sem, spearmanr, t

from landmark_fastai.data.sample import write_sample
from landmark_fastai.formats.annotations import read_annotations
from landmark_fastai.inference.loading import load as load_run
from landmark_fastai.model.state import read_state_dict
from landmark_fastai.training.train import train

from .fixtures import LITE0
from .timing import RESULTS, ROOT, facts, grid, insert_into, rows_by_key, save, say

NAME = 'floors'
RUNS = ROOT / 'runs' / NAME
SIDE, EPOCHS = 128, 40
SPLIT = ['train'] * 48 + ['val'] * 12 + ['cal'] * 20
N_TEST, N_READERS = 100, 3
# SD of a reader along x and y, network px, of each landmark; which is which is drawn for each seed
NOISE = {'precise': [(0.5, 0.5)] * 5, 'SD 2': [(2., 2.)] * 2, 'SD 4': [(4., 4.)] * 2,
         'SD 6, 1': [(6., 1.)] * 2, 'SD 1, 6': [(1., 6.)] * 2}
AS_DIAMOND = 6 ** 0.5  # the radius of a diamond over the SD of its pixels along an axis
SEEDS = 0, 1, 2
TARGETS = {'one': 'trained on the points of one reader', 'mean': 'trained on the mean of three readers'}
HEADER = ('seeds', 'precise', 'noisy', 'precise, last epoch', 'noisy, last epoch', 'bound, noisy', 'rank',
          'all 13 against the default', 'last epoch')
# smallest radius (N, 2) along x and y, from the SD (N, 2) of the readers; the default's last radius is 1
FLOORS = {
    'default': lambda sd: np.ones_like(sd),
    'all 3': lambda sd: np.full_like(sd, 3),
    'all 6': lambda sd: np.full_like(sd, 6),
    'readers': lambda sd: rounded(isotropic(sd)),
    'readers, wide': lambda sd: rounded(isotropic(sd) * AS_DIAMOND),
    'readers, wide, by axis': lambda sd: rounded(sd * AS_DIAMOND)}


def isotropic(sd):
    "The same SD along both axes, of the same variance in all."
    return np.broadcast_to(np.sqrt((sd ** 2).mean(-1, keepdims=True)), sd.shape)


def rounded(radius):
    "A radius in whole px, at least that of the default."
    return np.rint(radius).clip(1)


class RadiusFloor(Callback):
    "Masks whose radius along x and y is at least `floor` (N, 2), network px."
    def __init__(self, floor): self.floor = torch.tensor(floor, dtype=torch.float32)

    def before_batch(self):
        masks, points, *rest = self.yb
        grid = torch.arange(masks.shape[-1], device=masks.device)
        rx, ry = self.floor.to(masks.device).clamp(min=self.erosion_schedule.masks.radius).unbind(-1)
        x, y = torch.floor(torch.Tensor(points) + 0.5).unbind(-1)
        dx, dy = (grid - x[..., None]).abs() / rx[:, None], (grid - y[..., None]).abs() / ry[:, None]
        self.learn.yb = dx[..., None, :] + dy[..., :, None] <= 1 + 1e-6, points, *rest


@cache
def films(seed, n):
    "Annotated films, and the folder of their images."
    folder = RUNS / f'films_{seed}'
    csv_file = folder / 'labels' / 'train_annotation.csv'
    if not csv_file.is_file():
        shutil.rmtree(folder, ignore_errors=True)  # of a drawing that was stopped
        write_sample(folder, n, seed, landmarks='all')
    return read_annotations(csv_file), folder / 'train_images'


def groups(seed):
    "The kind of noise (N,) of each landmark, by `NOISE`, and its SD (N, 2)."
    kinds = np.array([kind for kind, sds in NOISE.items() for _ in sds])
    order = np.random.default_rng(seed).permutation(len(kinds))
    return kinds[order], np.concatenate(list(NOISE.values()))[order]


def clicks(annotations, seed):
    "Points (n, readers, N, 2) of the readers, and their SD (N, 2) in network px as it is seen from the points."
    px = annotations.sizes.max(1)[:, None, None, None] / SIDE
    shape = len(annotations), N_READERS, len(annotations.names), 2
    noise = np.random.default_rng([seed, 1]).normal(size=shape) * groups(seed)[1] * px
    points = (annotations.points[:, None] + noise).clip(0, annotations.sizes[:, None, None] - 1)
    known = np.isin(SPLIT, ('train', 'val'))
    return points, np.sqrt((points / px)[known].var(1, ddof=1).mean(0))


def run(target, floor, seed):
    "Train and measure; returns the result."
    annotations, images = films(100 + seed, len(SPLIT))
    points, sd = clicks(annotations, seed)
    points = points[:, 0] if target == 'one' else points.mean(1)
    key, labels = key_of(target, floor, seed), RUNS / 'labels'
    labels.mkdir(exist_ok=True)
    table = pd.read_csv(images.parent / 'labels' / 'train_annotation.csv')
    for (k, name), (a, axis) in product(enumerate(annotations.names), enumerate('xy')):
        table[f'{name}_{axis}'] = points[:, k, a].round(2)
    table.assign(split=SPLIT).to_csv(labels / f'{target}_{seed}.csv', index=False)
    radii = FLOORS[floor](sd if target == 'one' else sd / N_READERS ** 0.5)
    train(train_image_dir=images, label_dir=labels, train_csv_file=f'{target}_{seed}.csv', output_dir=RUNS,
          experiment_name=key, overwrite=True, seed=seed, image_resize=SIDE, epochs=EPOCHS, encoder_name=LITE0,
          visualize_every=1000, cbs=[RadiusFloor(radii)])
    return dict(key=key, target=target, floor=floor, seed=seed, facts=facts(), noise=groups(seed)[0].tolist(),
                radii=radii.tolist(), sd=sd.round(3).tolist(), **measure(key))


def measure(key):
    "Errors, expected errors and bounds on the test films, against the true points, by landmark; original px."
    annotations, images = films(7, N_TEST)
    predictor, paths = load_run(RUNS / key), [images / name for name in annotations.image_names]
    found = predictor.predict(paths)
    errors = np.linalg.norm(found.points - annotations.points, axis=-1)
    predictor.engine.models[0].load_state_dict(read_state_dict(RUNS / key / 'weight' / 'last.ckpt')['model'])
    of_last = np.linalg.norm(predictor.predict(paths).points - annotations.points, axis=-1)
    by_landmark = dict(mean=errors.mean(0), median=np.median(errors, 0), last=of_last.mean(0),
                       expected=found.expected_error.mean(0), bound=np.median(found.bound, 0),
                       covered=(errors <= found.bound).mean(0),
                       rank=[spearmanr(e, x).statistic for e, x in zip(errors.T, found.expected_error.T, strict=True)])
    return dict(rank=float(spearmanr(errors.ravel(), found.expected_error.ravel()).statistic),
                **{f'each_{name}': np.round(values, 3).tolist() for name, values in by_landmark.items()})


def key_of(target, floor, seed):
    "What the run is called."
    return f'{target}_{floor.replace(",", "").replace(" ", "_")}_{seed}'


# --- the table in the pages

def tables(found):
    "A table for each of `TARGETS`: errors, bounds, how expected errors rank errors, and changes against the default."
    texts = []
    for target, title in TARGETS.items():
        rows = []
        for floor in FLOORS:
            there = [found[key] for seed in SEEDS if (key := key_of(target, floor, seed)) in found]
            if not there: continue
            errors = [mean_of(there, what, precise) for what in ('mean', 'last') for precise in (True, False)]
            rows.append([floor, len(there), *(f'{error:.2f} px' for error in errors),
                         f'{mean_of(there, "bound", False):.1f} px', f'{fmean(each["rank"] for each in there):.2f}',
                         *(change(found, target, floor, what) for what in ('mean', 'last'))])
        if rows: texts.append(grid((title, *HEADER), rows))
    return '\n\n'.join(texts)


def is_precise(result):
    "Which landmarks (N,) the readers of a result agree on."
    return np.array(result['noise']) == 'precise'


def mean_of(results, what, precise):
    "The mean of a number over the landmarks that readers agree on, or those that they do not, and over `results`."
    return fmean(np.array(each[f'each_{what}'])[is_precise(each) == precise].mean() for each in results)


def change(found, target, floor, what):
    """How much larger errors are than in the default, of the `mean` of the saved weights or of the `last` ones.

    The mean of the logarithms of ratios, each of a landmark and a seed that both were trained with, as a percentage,
    with its 95 % interval by Student's t.
    """
    both = [(found[one], found[other]) for seed in SEEDS
            if (one := key_of(target, floor, seed)) in found and (other := key_of(target, 'default', seed)) in found]
    if floor == 'default' or not both: return ''
    logs = np.concatenate([np.log(np.divide(one[f'each_{what}'], other[f'each_{what}'])) for one, other in both])
    low, high = t.interval(0.95, len(logs) - 1, logs.mean(), sem(logs))
    middle, low, high = (f'{100 * np.expm1(value):+.0f}' for value in (logs.mean(), low, high))
    return f'{middle} % ({low} to {high})'


def write_tables(root=ROOT, folder=RESULTS):
    "Rewrite the tables of docs/results.md below `root`."
    insert_into(root / 'docs' / 'results.md', tables(rows_by_key(NAME, folder)), NAME)


def main(argv=None):
    "Returns the exit code."
    parser = argparse.ArgumentParser(prog='python -m benchmarks.floors', description='Radius from readers.')
    parser.add_argument('table', nargs='?', choices=['table'], help='put the saved results into docs/results.md')
    parser.add_argument('--seeds', type=int, nargs='+', default=SEEDS)
    parser.add_argument('--targets', nargs='+', choices=TARGETS, default=list(TARGETS))
    parser.add_argument('--floors', nargs='+', choices=FLOORS, default=list(FLOORS))
    args = parser.parse_args(argv)
    if args.table:
        write_tables()
        return 0
    warnings.simplefilter('ignore')  # of libraries about each other
    for target, seed, floor in product(args.targets, args.seeds, args.floors):
        key = key_of(target, floor, seed)
        if key in rows_by_key(NAME): continue
        say(f'--- {key}')
        result = run(target, floor, seed)
        save(NAME, [*rows_by_key(NAME).values(), result])
        say(f'{key}: {np.mean(result["each_mean"]):.2f} px')
    return 0


if __name__ == '__main__': sys.exit(main())
