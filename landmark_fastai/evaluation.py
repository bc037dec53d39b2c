"`evaluate`: predictions against annotations, as a table, figures and a report; also for the validation set of a run."

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from fastcore.meta import use_kwargs_dict

from .annotations import ABSENT, UNLABELLED, VISIBLE, fill_spacing, read_annotations
from .check import check_images
from .draw import contact_sheet, draw_landmarks, draw_markers, write_png
from .errors import UsageError
from .evaluation_plots import plot_boxes, plot_cumulative, plot_vectors
from .files import write_text
from .images import read_image
from .inference import OPTIONS, apply, make_options, make_output, make_predictor, spacing_notes
from .predictor import Predictor
from .report import write_report
from .scores import as_text, score, summarize, table, write_distances

SPLITS = ('all', 'val', 'test')
N_WORST = 12  # images on the sheet of the worst
TILE = 590     # longer side of an image there, px: three fill the sheet
FIGURES = (
    ('cumulative.png', 'Cumulative error', 'The share of the landmarks (vertical) that lie within a distance '
     '(horizontal) of the annotated point: the further to the upper left, the better.'),
    ('boxes.png', 'Error of each landmark', 'The line in a box is the median, the box holds the middle half of the '
     'images, the whiskers reach to the last value within 1.5 times its length; dots lie beyond.'),
    ('vectors.png', 'Direction of the errors', 'Each dot is an image: where the prediction lies as seen from the '
     'annotated point in the centre. A cloud beside the centre is a bias, a long one an ill-defined direction.'),
    ('worst.png', 'Worst images', 'The images with the largest mean error: blue rings are the truth, red dots the '
     'prediction. Look here first for wrong annotations and for kinds of images that the training lacked.'))
CURVES = (
    ('loss_curve.png', 'Loss during the training', 'Faint vertical lines are erosions of the masks, at which the loss '
     'jumps since the task becomes harder.'),
    ('mean_landmark_error.png', 'Validation error during the training', 'The weights of the best epoch were kept.'))


@use_kwargs_dict(**OPTIONS)
def evaluate(image_dir, csv, output_dir, split='all', thresholds=None, **kwargs):
    """Compare the landmarks that a model finds with those of an annotation CSV; returns the summary, a dict.

    Writes what `predict` writes, distances.csv, summary.json, figures and report.html. Arguments are those of
    `python cli.py evaluate`. Raises UsageError and Incomplete as `predict` does.
    """
    options, thresholds = make_options(kwargs), parse_thresholds(thresholds)
    predictor, source = make_predictor(options), options['weights'] or options['model']
    annotations = read_annotations(csv, invisible_landmarks=predictor.config['invisible_landmarks'])
    annotations = same_landmarks(annotations, predictor, by_name=not options['weights'])
    sides = {} if options['weights'] else read_split(Path(source))
    annotations, _ = check_images(choose(annotations, sides, split, source), image_dir)
    if options['pixel_spacing']: annotations = fill_spacing(annotations, options['pixel_spacing'], '--pixel_spacing')
    folder = make_output(output_dir, image_dir, options['overwrite'])

    found = find(predictor, annotations, image_dir, folder, options)
    settings = {'model': source, 'csv': csv, 'image_dir': image_dir, 'split': split} | options
    notes = [*split_notes(found, sides), *option_notes(options), *evaluation_notes(found, annotations, predictor)]
    summary, figures = write_evaluation(folder, predictor, annotations, found, image_dir, thresholds, settings, notes)
    curves = [] if options['weights'] else training_curves(Path(source))
    write_report(folder / 'report.html', f'Evaluation of {source}', f'on {csv}', summary, figures + curves,
                 settings | {f'training: {name}': value for name, value in predictor.config.items()}, notes)
    print(as_text(table(summary)))
    for note in notes: print(note)
    print(f'report: {folder / "report.html"}')
    found.complain(folder)
    return summary


def evaluate_validation(folder, config, learn):
    """Write `validation/` and `report.html` of the run in `folder`: its validation images by the weights of `learn`.

    `config` is that of the run as `config.json` has it.
    """
    predictor = Predictor(learn.model, config, learn.dls.device)
    annotations = learn.dls.annotations.subset(np.flatnonzero(learn.dls.split == 'val'))
    image_dir, out, options = config['train_image_dir'], folder / 'validation', OPTIONS | {'no_overlays': True}
    found = find(predictor, annotations, image_dir, out, options)
    sides = dict.fromkeys(annotations.image_names, 'val')
    notes = [*split_notes(found, sides), *evaluation_notes(found, annotations, predictor)]
    summary, figures = write_evaluation(out, predictor, annotations, found, image_dir, None, {}, notes)
    write_report(folder / 'report.html', config['experiment_name'], 'validation images of the training', summary,
                 figures + training_curves(folder), config, notes)
    print(f'report: {folder / "report.html"}')


# --- what is evaluated

def parse_thresholds(text):
    "The numbers in '2,2.5,3'; None for None. Raises UsageError."
    if text is None: return None
    try: thresholds = [float(number) for number in text.split(',')]
    except ValueError: thresholds = []
    if thresholds and all(0 < threshold < np.inf for threshold in thresholds): return thresholds
    raise UsageError(f'thresholds is {text!r}; expected positive numbers such as 2,2.5,3,4')


def same_landmarks(annotations, predictor, by_name):
    "`annotations` with the landmarks in the order of `predictor`; names count only if `by_name`. Raises UsageError."
    theirs, own = annotations.names, predictor.names
    if not by_name and len(theirs) == len(own):  # weights of the original system know no names
        predictor.names = theirs
        return annotations
    if sorted(theirs) != sorted(own):
        raise UsageError(f'{annotations.path.name} has {len(theirs)} landmarks ({", ".join(theirs)}), the model has '
                         f'{len(own)} ({", ".join(own)}); expected the same names')
    order = [theirs.index(name) for name in own]
    return replace(annotations, names=own, points=annotations.points[:, order], state=annotations.state[:, order])


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


# --- images to pictures, tables and figures

def find(predictor, annotations, image_dir, folder, options):
    "What `predictor` finds on the images of `annotations`, as `inference.apply` does, with true points on overlays."
    index = {name: i for i, name in enumerate(annotations.image_names)}

    def spacing_of(name): return annotations.spacing[index[name]], annotations.spacing_source[index[name]]

    def overlay(name, image, prediction): return draw_errors(annotations, index[name], image, prediction)

    return apply(predictor, image_dir, annotations.image_names, folder, options, spacing_of, overlay)


def draw_errors(annotations, i, image, prediction):
    "Image `i` of `annotations` with true and predicted landmarks and, beside it, their distances."
    offsets = prediction.points - annotations.points[i]
    states = zip(annotations.state[i], prediction.state, strict=True)
    notes = [error_note(*both, offset, annotations.spacing[i]) for both, offset in zip(states, offsets, strict=True)]
    return draw_landmarks(image, annotations.points[i], prediction.points, annotations.names, 'errors in original px',
                          notes)


def error_note(true_state, pred_state, offset, spacing):
    "What an overlay says of a landmark whose prediction is `offset` px away."
    if true_state == UNLABELLED: return 'not labelled'
    if true_state == ABSENT: return 'absent, as predicted' if pred_state == ABSENT else 'absent in truth'
    if pred_state != VISIBLE: return 'called absent' if pred_state == ABSENT else 'left blank'
    mm = np.linalg.norm(offset * spacing)
    return f'{np.linalg.norm(offset):.1f} px' + (f' = {mm:.2f} mm' if np.isfinite(mm) else '')


def write_evaluation(folder, predictor, annotations, found, image_dir, thresholds, settings, notes):
    """Write distances.csv, summary.json and figures into `folder`.

    Returns the summary and the figures, as (title, explanation, path).
    """
    index = {name: i for i, name in enumerate(annotations.image_names)}
    annotations = annotations.subset([index[name] for name in found.image_names])
    scores = score(annotations, found.stacked('points'), found.stacked('state'), predictor.config['presence'])
    summary = summarize(scores, thresholds)
    write_distances(folder / 'distances.csv', scores)
    known = {'settings': {name: str(value) if isinstance(value, Path) else value for name, value in settings.items()},
             'notes': notes, 'n_failed': len(found.failed), 'spacing': dict(Counter(found.sources))}
    write_text(folder / 'summary.json', json.dumps(summary | known, indent=2, ensure_ascii=False) + '\n')
    return summary, write_figures(folder / 'figures', predictor, annotations, found, image_dir, scores, summary)


def write_figures(folder, predictor, annotations, found, image_dir, scores, summary):
    "Write the figures of `scores` into `folder`; returns (title, explanation, path) of each."
    unit, names = scores.unit, scores.names
    distances = scores.distances(unit)
    plot_cumulative(scores.distances(unit, missed=np.inf), names, summary['thresholds'], unit,
                    folder / 'cumulative.png')
    plot_boxes(distances, names, unit, folder / 'boxes.png')
    plot_vectors(scores.offsets[unit], names, unit, folder / 'vectors.png')
    write_worst(folder / 'worst.png', predictor, annotations, found, image_dir, distances, unit)
    return [(title, text, folder / file) for file, title, text in FIGURES if (folder / file).exists()]


def write_worst(path, predictor, annotations, found, image_dir, distances, unit):
    "Write a sheet of the images with the largest mean error, the worst first, to `path`; none without an error."
    scored = np.flatnonzero(np.isfinite(distances).any(1))
    means = np.nanmean(distances[scored], axis=1)
    order = np.argsort(-means, kind='stable')[:N_WORST]
    if not len(order): return
    pictures, captions = [], []
    for i, mean in zip(scored[order], means[order], strict=True):
        image = read_image(Path(image_dir, annotations.image_names[i]), predictor.config['color'])
        pictures.append(draw_markers(image, annotations.points[i], found.predictions[i].points, largest=TILE))
        captions.append(f'{mean:.2f} {unit}: {annotations.image_names[i]}')
    write_png(path, contact_sheet(pictures, captions, columns=3))


# --- in words

def training_curves(run):
    "The curves of the run in the folder `run` that a report shows, as (title, explanation, path)."
    return [(title, text, run / 'graph' / file) for file, title, text in CURVES if (run / 'graph' / file).exists()]


def split_notes(found, sides):
    "What the sides of the run that the images were on mean for the errors."
    counts, total = Counter(sides.get(name) for name in found.image_names), len(found.image_names)
    notes = []
    if counts['train']:
        notes.append(f'{counts["train"]} of {total} images have the names of images that the model was trained on: '
                     'their errors say nothing about new images')
    if counts['val']:
        notes.append(f'{counts["val"]} of {total} images are validation images, which chose the best epoch: their '
                     'errors are a little optimistic')
    return notes


def option_notes(options):
    "What was done differently by `options`."
    notes = []
    if options['min_confidence']:
        notes.append(f"Landmarks of a confidence below {options['min_confidence']} were left blank and count as missed")
    if options['tta']: notes.append('Predictions are averages over shifted and scaled views of each image')
    return notes


def evaluation_notes(found, annotations, predictor):
    "What a reader must know of images and landmarks that do not count."
    notes = spacing_notes(found.sources)
    if found.failed: notes.append(f'{len(found.failed)} images could not be read and are left out: see failed.csv')
    unlearned = [name for name, state in zip(predictor.names, annotations.state.T, strict=True)
                 if (state == ABSENT).any() and name not in predictor.config['presence']]
    if unlearned: notes.append(f'Absent landmarks of {", ".join(unlearned)} are not scored: no image without them was '
                               'in the training, or its loss has no bce')
    return notes
