"`evaluate`: predictions against annotations, as a table, figures and a report; also for the validation set of a run."

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from fastcore.meta import use_kwargs_dict

from ..errors import UsageError
from ..formats.annotations import fill_spacing, read_annotations
from ..formats.dataset import check_images
from ..inference.folder import make_output
from ..inference.options import OPTIONS, make_options, make_predictor
from ..training import distributed
from ..viz.report import CURVES, figures_in, write_report
from .judge import find, write_evaluation
from .notes import option_notes, result_notes, split_notes
from .summary import as_text, table

SPLITS = ('all', 'val', 'test')


@use_kwargs_dict(**OPTIONS)
def evaluate(image_dir, csv, output_dir, split='all', thresholds=None, invisible_landmarks=None, **kwargs):
    """Compare the landmarks that a model finds with those of an annotation CSV; returns the summary, a dict.

    Writes what `predict` writes, distances.csv, summary.json, figures and report.html. Arguments are those of
    `python cli.py evaluate`; `thresholds` may be numbers, too. Raises UsageError and Incomplete as `predict` does.
    """
    distributed.refuse('evaluate')
    options, thresholds = make_options(kwargs), parse_thresholds(thresholds)
    clicked = read_annotations(csv)
    predictor, source = make_predictor(options, clicked.names), options['weights'] or options['model']
    if invisible_landmarks is None: invisible_landmarks = predictor.config['invisible_landmarks']
    annotations = read_annotations(csv, invisible_landmarks=True) if invisible_landmarks else clicked
    n_corner = (annotations.state != clicked.state).sum()
    sides = {} if options['weights'] else read_split(Path(source))
    annotations = choose(in_order(annotations, predictor.names), sides, split, source)
    annotations, _ = check_images(annotations, image_dir)
    if options['pixel_spacing']: annotations = fill_spacing(annotations, options['pixel_spacing'], '--pixel_spacing')
    folder = make_output(output_dir, image_dir, options, csv)

    evaluation = find(predictor, annotations, image_dir, folder, options)
    settings = options | {'model': source, 'csv': csv, 'image_dir': image_dir, 'split': split}
    notes = split_notes(evaluation, sides) + option_notes(options, n_corner) + result_notes(evaluation, annotations)
    summary, figures = write_evaluation(folder, evaluation, thresholds, settings, notes)
    if not options['weights']: figures += figures_in(Path(source, 'graph'), CURVES)
    write_report(folder / 'report.html', f'Evaluation of {source}', f'on {csv}', summary, figures,
                 settings | {f'training: {name}': value for name, value in predictor.config.items()}, notes)
    print(as_text(table(summary)))
    for note in notes: print(note)
    print(f'report: {folder / "report.html"}')
    evaluation.found.complain(folder, summary)
    return summary


def parse_thresholds(thresholds):
    "The numbers in '2,2.5,3', or in a list; None for None. Raises UsageError."
    if thresholds is None: return None
    given = thresholds.split(',') if isinstance(thresholds, str) else thresholds
    try: numbers = [float(number) for number in given]
    except (TypeError, ValueError): numbers = []
    if numbers and all(0 < number < np.inf for number in numbers): return numbers
    raise UsageError(f'thresholds is {thresholds!r}; expected positive numbers such as 2,2.5,3,4')


def in_order(annotations, names):
    "`annotations` with the landmarks in the order of `names`. Raises UsageError if they are others."
    theirs = annotations.names
    if sorted(theirs) != sorted(names):
        raise UsageError(f'{annotations.path.name} has {len(theirs)} landmarks ({", ".join(theirs)}), the model has '
                         f'{len(names)} ({", ".join(names)}); expected the same names')
    order = [theirs.index(name) for name in names]
    return replace(annotations, names=names, points=annotations.points[:, order], state=annotations.state[:, order])


def read_split(run):
    "train, val or test of each image that the run in the folder `run` was trained with, by name."
    if not (run / 'split.csv').is_file(): return {}
    try: rows = pd.read_csv(run / 'split.csv', dtype=str, na_filter=False)
    except (ValueError, OSError) as e: raise UsageError(f'{run / "split.csv"} cannot be read ({e})') from None
    if not {'image_name', 'split'} <= set(rows):
        raise UsageError(f'{run / "split.csv"} lacks a column, expected image_name,split')
    return dict(zip(rows.image_name, rows.split, strict=True))


def choose(annotations, sides, split, run):
    "The rows of `annotations` that are on the side `split` of the run, by image name; all for 'all'."
    if split not in SPLITS: raise UsageError(f'split {split!r} is unknown; choose one of {", ".join(SPLITS)}')
    if split == 'all': return annotations
    rows = [i for i, name in enumerate(annotations.image_names) if sides.get(name) == split]
    if not rows:
        raise UsageError(f'{annotations.path.name}: no image is marked {split} in the split.csv of {run}; '
                         'leave split out to evaluate all rows')
    return annotations.subset(rows)
