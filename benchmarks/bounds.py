"""`python -m benchmarks.bounds [DATA ...] [--parts 1 2 3 4 5]`: how often bounds hold on images new to all models.

A fifth of the images, one of five parts, is new; five folds are trained on the others, and their ensemble has bounds as
`train --folds` gives them. Each part is saved before the next begins, and not repeated. `table` puts the results into
docs/bounds.md.
"""

import argparse
import json
import sys
import warnings

import cv2
import numpy as np
import pandas as pd

from landmark_fastai.data.sample import write_sample
from landmark_fastai.errors import UsageError
from landmark_fastai.evaluation.evaluate import evaluate
from landmark_fastai.training.train import train

from .accuracy import DATA, annotations_of
from .accuracy_plans import CT, MOUSE
from .bounds_tables import FILMS, FOLDS, TITLES, all_tables
from .fixtures import LITE0
from .timing import RESULTS, ROOT, facts, insert_into, rows_by_key, save, say

NAME = 'bounds'
RUNS = ROOT / 'runs' / NAME
PARTS = 5
FLAGS = dict(encoder_name=LITE0, image_resize=128, epochs=40, folds=FOLDS, seed=0, visualize_every=1000)
N_UNLIKE = 100
NOISE = 40  # standard deviation, grey values


def noisy(film):
    "A grey `film` with noise."
    noise = np.random.default_rng(0).normal(0, NOISE, film.shape)
    return (film + noise).clip(0, 255).astype(np.uint8)


UNLIKE = {'dark': lambda film: film // 3, 'noisy': noisy, 'mirrored': np.fliplr}  # what new films may be


# --- data

def films():
    "Sample films to train on, and new ones, of another seed. Returns the folder and the CSV of both."
    found = []
    for name, n_images, seed in (('films', 60, 42), ('new_films', 200, 7)):
        if not (RUNS / name).is_dir(): write_sample(RUNS / name, n_images, seed, landmarks='all')
        found.append((RUNS / name / 'train_images', RUNS / name / 'labels' / 'train_annotation.csv'))
    return found


def unlike(what, images, csv_file):
    "The first `N_UNLIKE` of films made `what`, of `UNLIKE`. Returns their folder and CSV."
    folder, table = RUNS / f'{what}_films', pd.read_csv(csv_file)[:N_UNLIKE]
    folder.mkdir(exist_ok=True)
    for name in table.image_name:
        film = cv2.imread(str(images / name), cv2.IMREAD_GRAYSCALE)
        cv2.imwrite(str(folder / name), UNLIKE[what](film))
    if what == 'mirrored':
        for column in table.filter(regex='_x$'): table[column] = table.image_width - 1 - table[column]
    table.to_csv(folder / 'annotation.csv', index=False)
    return folder, folder / 'annotation.csv'


def write_split(name, part):
    "Write the annotations of a data set in `DATA`, the images of `part`, 1 to `PARTS`, kept aside; returns the CSV."
    table = annotations_of(DATA / name)
    order = np.random.default_rng(0).permutation(len(table))
    table['split'] = 'train'
    table.loc[order[part - 1::PARTS], 'split'] = 'test'
    RUNS.mkdir(parents=True, exist_ok=True)
    path = RUNS / f'{name}_{part}.csv'
    table.to_csv(path, index=False)
    return path


# --- trainings

def key_of(name, part):
    "What the result of new images `part` of a data set is called."
    return f'{name}_{part}'


def run(name, part):
    "Train the folds, or go on with what was stopped, and look at new images; returns the result."
    key = key_of(name, part)
    if name == FILMS: (images, csv_file), new = films()
    else: images, csv_file = DATA / name / 'images', write_split(name, part)
    folder = RUNS / f'run_{key}'
    if not (folder / 'report.html').is_file():
        train(train_image_dir=images, label_dir=csv_file.parent, train_csv_file=csv_file.name, output_dir=RUNS,
              experiment_name=folder.name, resume=True, **FLAGS)
    result = dict(key=key, data=name, part=part, facts=facts(), folds=found_in(folder / 'cross_validation'))
    if name != FILMS: return result | dict(new=look_at(folder, images, csv_file, 'new', split='test'))
    result |= dict(new=look_at(folder, *new, 'new'), one=look_at(folder / 'fold_1', *new, 'one'))
    return result | {what: look_at(folder, *unlike(what, *new), what) for what in UNLIKE}


def look_at(model, images, csv_file, what, **flags):
    "What a run finds on images, as `found_in` has it."
    out = RUNS / 'found' / model.name / what
    evaluate(images, csv_file, out, model=model, no_overlays=True, overwrite=True, **flags)
    return found_in(out)


def found_in(folder):
    """What `predict` and `evaluate` have written into `folder`, of each landmark a text of a number an image: errors,
    expected errors, and the spread of an ensemble, original px; and the notes for the reader."""
    distances, predictions = pd.read_csv(folder / 'distances.csv'), pd.read_csv(folder / 'predictions.csv')
    ending = '_expected_error'
    names = [column.removesuffix(ending) for column in predictions if column.endswith(ending)]
    columns = {'errors': [distances[f'{name}_px'] for name in names]}
    for what in ('expected_error', 'spread'):
        if f'{names[0]}_{what}' in predictions: columns[what] = [predictions[f'{name}_{what}'] for name in names]
    found = {what: [' '.join(f'{value:.4g}' for value in values) for values in of_each]
             for what, of_each in columns.items()}
    if 'pixel_spacing' in predictions: found['spacing'] = ' '.join(map(str, predictions.pixel_spacing))
    return found | dict(notes=json.loads((folder / 'summary.json').read_text(encoding='utf-8'))['notes'])


def write_tables(root=ROOT, folder=RESULTS):
    "Rewrite the tables of docs/bounds.md below `root`."
    insert_into(root / 'docs' / 'bounds.md', all_tables(rows_by_key(NAME, folder).values()), NAME)


def main(argv=None):
    "Returns the exit code."
    parser = argparse.ArgumentParser(prog='python -m benchmarks.bounds', description='How often bounds hold.')
    parser.add_argument('data', nargs='+', choices=[*TITLES, 'table'], metavar='DATA',
                        help=f'{", ".join(TITLES)}, or table: put the saved results into the docs')
    parser.add_argument('--parts', type=int, nargs='+', default=range(1, PARTS + 1),
                        help=f'of {CT} and {MOUSE}, which of {PARTS} parts are the new images (all if left out)')
    args = parser.parse_args(argv)
    warnings.simplefilter('ignore')  # of libraries about each other
    try:
        for name in (name for name in args.data if name != 'table'):
            for part in [1] if name == FILMS else args.parts:
                key = key_of(name, part)
                if key in rows_by_key(NAME): continue
                say(f'--- {key}')
                result = run(name, part)
                save(NAME, [*rows_by_key(NAME).values(), result])  # read late: others may have been saved meanwhile
        if 'table' in args.data: write_tables()
    except UsageError as e:
        say(f'error: {e}')
        return 2
    return 0


if __name__ == '__main__': sys.exit(main())
