"""`python -m benchmarks.refine [DATA ...] [--minutes 5 10 20 40]`: one stage and two in equal minutes, on new images.

Each training is saved before the next begins, and not repeated. `table` puts the results into docs/refining.md. Minutes
are made equal by epochs, so that another program on the machine changes no result: see `VARIANTS`.
"""

import argparse
import sys
import warnings
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean

import numpy as np
import pandas as pd
from scipy.stats import ttest_rel

from landmark_fastai.data.sample import write_sample
from landmark_fastai.errors import UsageError
from landmark_fastai.evaluation.evaluate import evaluate
from landmark_fastai.training.train import train

from .accuracy import DATA, annotations_of, parts
from .accuracy_plans import CT, MOUSE
from .timing import RESULTS, ROOT, facts, grid, insert_into, rows_by_key, save, say

NAME = 'refine'
RUNS = ROOT / 'runs' / NAME
FILMS, LEAVES = 'films', 'grapevine_leaves_12'
WITHIN = 2, 4, 8  # original px
SEEDS = 0, 1, 2
CHANCE = 0.05
TITLES = {FILMS: 'synthetic films of up to 2400 px, 13 landmarks, 48 to train on and 12 to validate',
          LEAVES: 'photographs of leaves, 1200 to 1552 px, 12 landmarks',
          CT: 'CT slices of the thorax, 20 landmarks', MOUSE: 'frames of a mouse, 12 landmarks'}
MINUTES = 10  # of `VARIANTS`, about, for films and leaves on two cores with bf16
# an epoch at 512 px takes 4 times as long as one at 256 px, and one of the second stage with its validation 1.4 times
VARIANTS = {'one stage, 256 px': dict(image_resize=256, epochs=96),
            'one stage, 512 px': dict(image_resize=512, epochs=24),
            'two stages, 256 px': dict(image_resize=256, epochs=40, refine=True, refine_epochs=40)}


@dataclass(frozen=True)
class Data:
    "Where the images of a benchmark are, and those that nothing may look at before the end."
    csv_file: Path
    images: Path
    test_csv: Path
    test_images: Path
    split: str  # that the test images are on in `test_csv`, or all


def films():
    "The sample's sharp films; the test films are of another seed."
    for name, n_images, seed in (('films', 60, 42), ('test_films', 40, 7)):
        if (RUNS / name).is_dir(): continue
        write_sample(RUNS / name, n_images, seed, image_size=2400, landmarks='all')
    of = [RUNS / name for name in ('films', 'test_films')]
    csv_files = [folder / 'labels' / 'train_annotation.csv' for folder in of]
    return Data(csv_files[0], of[0] / 'train_images', csv_files[1], of[1] / 'train_images', 'all')


def real(name):
    "A data set in `DATA`; leaves of one variety are on one side."
    table = annotations_of(DATA / name)
    if name == LEAVES:
        variety = pd.read_csv(DATA / name / 'metadata.csv').set_index('image_name').variety[table.image_name]
        varieties = sorted(set(variety))
        table['split'] = variety.map(dict(zip(varieties, parts(len(varieties)), strict=True))).to_numpy()
    else: table['split'] = parts(len(table))
    RUNS.mkdir(parents=True, exist_ok=True)
    path = RUNS / f'{name}.csv'
    table.to_csv(path, index=False)
    return Data(path, DATA / name / 'images', path, DATA / name / 'images', 'test')


def run(name, variant, seed, minutes=MINUTES):
    "Train, or go on with what was stopped, and measure; returns the result."
    data, key = films() if name == FILMS else real(name), key_of(name, variant, seed, minutes)
    if not (RUNS / key / 'report.html').is_file():
        train(train_image_dir=data.images, label_dir=data.csv_file.parent, train_csv_file=data.csv_file.name,
              output_dir=RUNS, experiment_name=key, seed=seed, visualize_every=1000, resume=True,
              **in_minutes(variant, minutes))
    result = dict(key=key, data=name, variant=variant, seed=seed, minutes=minutes, facts=facts(),
                  test=measure(data, key), highest=measure(data, key, no_shape=True))
    if VARIANTS[variant].get('refine'): result['first'] = measure(data, key, no_refine=True)
    return result


def in_minutes(variant, minutes):
    "The flags of a variant, with as many epochs as `minutes` have room for."
    return {name: round(value * minutes / MINUTES) if name.endswith('epochs') else value
            for name, value in VARIANTS[variant].items()}


def key_of(name, variant, seed, minutes=MINUTES):
    "What the run is called."
    return f'{name}_{variant.replace(",", "").replace(" ", "_")}_{minutes}_minutes_{seed}'


def measure(data, key, **flags):
    "Errors of a run on the test images, original px: each, mean, median, and shares within `WITHIN`."
    out = RUNS / key / '_'.join(['test', *flags])
    summary = evaluate(data.test_images, data.test_csv, out, model=RUNS / key, split=data.split, no_overlays=True,
                       overwrite=True, **flags)
    table = pd.read_csv(out / 'distances.csv')
    of_each = {name: table[f'{name}_px'] for name in summary['landmarks']}
    errors = np.stack(list(of_each.values()))
    errors = errors[np.isfinite(errors)]
    return dict(n=len(errors), mean=float(errors.mean()), median=float(np.median(errors)),
                within={str(limit): float((errors <= limit).mean()) for limit in WITHIN},
                landmarks={name: ' '.join(f'{error:.2f}' for error in values) for name, values in of_each.items()})


def tables(found):
    "A table for each data set: the mean over the seeds, and each of them."
    texts = []
    for name, title in TITLES.items():
        rows = []
        for variant in VARIANTS:
            keys = [key for seed in SEEDS if (key := key_of(name, variant, seed)) in found]
            if not keys: continue
            there = [found[key]['test'] for key in keys]
            highest = [found[key]['highest']['mean'] for key in keys if 'highest' in found[key]]
            shares = [f'{100 * fmean(each["within"][str(limit)] for each in there):.1f} %' for limit in WITHIN]
            rows.append([variant, f'{fmean(each["mean"] for each in there):.2f} px',
                         ' · '.join(f'{each["mean"]:.2f}' for each in there),
                         f'{fmean(each["median"] for each in there):.2f} px', *shares,
                         f'{fmean(highest):.2f} px' if len(highest) == len(keys) else ''])
        header = (title, 'mean', 'each seed', 'median', *(f'within {limit} px' for limit in WITHIN),
                  'mean by `--no_shape`')
        if rows: texts += [grid(header, rows), against_one_stage(found, name)]
    return '\n\n'.join(filter(None, texts))


def against_one_stage(found, name):
    "Against each variant of one stage, for how many landmarks two stages are better or worse beyond chance."
    *ones, two = VARIANTS
    lines = []
    for one in ones:
        seeds = [seed for seed in SEEDS if all(key_of(name, each, seed) in found for each in (one, two))]
        if not seeds: continue
        better, worse, n = beyond_chance(*([found[key_of(name, each, seed)]['test'] for seed in seeds]
                                           for each in (one, two)))
        lines.append(f'Against {one}: {better} of {n} landmarks better beyond chance, {worse} worse ({len(seeds)} '
                     f'seed{"s" * (len(seeds) > 1)}).')
    return ' '.join(lines)


def beyond_chance(before, after):
    """How many landmarks have smaller and larger errors `after` than `before`, and of how many, from results of seeds.

    By a paired t test over the images, of errors averaged over the seeds, at 5 % for all landmarks (Bonferroni).
    """
    names = before[0]['landmarks']
    better = worse = 0
    for name in names:
        sides = [np.mean([np.array(each['landmarks'][name].split(), float) for each in side], 0)
                 for side in (before, after)]
        tested = ttest_rel(*sides, nan_policy='omit')
        certain = tested.pvalue < CHANCE / len(names)
        better, worse = better + int(certain and tested.statistic > 0), worse + int(certain and tested.statistic < 0)
    return better, worse, len(names)


def minute_tables(found):
    "A table for each data set: means and medians against the minutes of a training, over the seeds that there are."
    texts = []
    for name, title in TITLES.items():
        minutes = sorted({row['minutes'] for row in found.values() if row['data'] == name})
        rows = [[variant, *(mean_and_median(found, name, variant, each) for each in minutes)] for variant in VARIANTS]
        if len(minutes) > 1: texts.append(grid((f'{title}: mean / median', *(f'{each} min' for each in minutes)), rows))
    return '\n\n'.join(texts)


def mean_and_median(found, name, variant, minutes):
    "Over the seeds, original px; nothing where none was trained."
    there = [found[key]['test'] for seed in SEEDS if (key := key_of(name, variant, seed, minutes)) in found]
    return ' / '.join(f'{fmean(each[which] for each in there):.2f}' for which in ('mean', 'median')) if there else ''


def all_tables(found):
    "What docs/refining.md shows of the results `found`."
    return '\n\n'.join(filter(None, (tables(found), minute_tables(found))))


def write_tables(root=ROOT, folder=RESULTS):
    "Rewrite the tables of docs/refining.md below `root`."
    insert_into(root / 'docs' / 'refining.md', all_tables(rows_by_key(NAME, folder)), NAME)


def main(argv=None):
    "Returns the exit code."
    parser = argparse.ArgumentParser(prog='python -m benchmarks.refine', description='One stage and two.')
    parser.add_argument('data', nargs='+', choices=[*TITLES, 'table'], metavar='DATA',
                        help=f'{", ".join(TITLES)}, or table: put the saved results into the docs')
    parser.add_argument('--seeds', type=int, nargs='+', default=SEEDS)
    parser.add_argument('--minutes', type=int, nargs='+', default=[MINUTES])
    args = parser.parse_args(argv)
    warnings.simplefilter('ignore')  # of libraries about each other
    try:
        for name in (name for name in args.data if name != 'table'):
            for minutes, seed, variant in product(args.minutes, args.seeds, VARIANTS):
                key = key_of(name, variant, seed, minutes)
                if key in rows_by_key(NAME): continue
                say(f'--- {key}')
                save(NAME, [*rows_by_key(NAME).values(), run(name, variant, seed, minutes)])
        if 'table' in args.data: write_tables()
    except UsageError as e:
        say(f'error: {e}')
        return 2
    return 0


if __name__ == '__main__': sys.exit(main())
