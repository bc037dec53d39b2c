"`evaluate`: predictions against annotations, as a table, figures and a report; also for the validation set of a run."

import json
from collections import Counter
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from fastcore.meta import use_kwargs_dict

from . import distributed
from .annotations import ABSENT, UNLABELLED, VISIBLE, Annotations, fill_spacing, read_annotations
from .check import check_images
from .config import device_name, write_known
from .draw import contact_sheet, draw_landmarks, draw_markers, write_png
from .errors import UsageError
from .evaluation_plots import plot_boxes, plot_confidence, plot_cumulative, plot_vectors
from .files import write_text
from .images import read_image
from .inference import OPTIONS, Found, apply, make_options, make_output, make_predictor, printable, spacing_notes
from .predictor import Predictor, calibrate, flat_landmarks, load, look_at
from .report import CURVES, FIGURES, figures_in, write_report
from .scores import Scores, as_text, score, summarize, table, write_distances

SPLITS = ('all', 'val', 'test')
N_WORST = 12  # images on the sheet of the worst
TILE = 590     # longer side of an image there, px: three fill the sheet


@dataclass
class Evaluation:
    "A model's predictions of annotated images, in the same order."
    predictor: Predictor
    annotations: Annotations  # of the images that could be read
    image_dir: Path
    found: Found
    scores: Scores


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


def evaluate_validation(folder, config, learn):
    """Write `validation/` and `report.html` of the run in `folder`: its validation images by the weights of `learn`.

    `config` is that of the run as `config.json` has it; it gets what is known of its confidence. Returns the
    `Evaluation`.
    """
    predictor = Predictor([learn.model], config, learn.dls.device, learn.precision)
    errors, scatters = look_at(predictor, learn.dls.train_ds)
    config['calibration'], config['flat'] = calibrate(predictor, errors, scatters), flat_landmarks(predictor, scatters)
    write_known(folder, config)
    annotations = learn.dls.annotations.subset(np.flatnonzero(learn.dls.split == 'val'))
    out, options = folder / 'validation', OPTIONS | {'no_overlays': True}
    evaluation = find(predictor, annotations, config['train_image_dir'], out, options)
    sides = dict.fromkeys(annotations.image_names, 'val')
    notes = split_notes(evaluation, sides) + result_notes(evaluation, annotations)
    summary, figures = write_evaluation(out, evaluation, None, {}, notes)
    write_report(folder / 'report.html', config['experiment_name'], 'validation images of the training', summary,
                 figures + figures_in(folder / 'graph', CURVES), config, notes)
    print(f'report: {folder / "report.html"}')
    return evaluation


def evaluate_again(run, annotations, config):
    "The `Evaluation` of the finished `run`, of `config`, on the images of `annotations`, its validation images."
    predictor = load(run, device=device_name(config['device']), precision=config['precision'])
    return find(predictor, annotations, config['train_image_dir'], run / 'validation', OPTIONS | {'no_overlays': True})


def evaluate_folds(folder, config, annotations, fold_of, evaluations):
    """Write `cross_validation/` and `report.html` of the cross-validation in `folder`; returns the summary, a dict.

    Each image of `annotations` is predicted by the model of its fold, `fold_of` (n,), which was not trained on it:
    `evaluations` are those of the folds' validation images.
    """
    out, first = folder / 'cross_validation', evaluations[0]
    configs = [evaluation.predictor.config for evaluation in evaluations]
    for name in ('presence', 'flat'):  # what any of the models calls absent, or sees no place for
        config[name] = [landmark for landmark in annotations.names if any(landmark in c[name] for c in configs)]
    write_known(folder, config)
    predictor = copy(first.predictor)
    predictor.config = predictor.config | {name: config[name] for name in ('presence', 'flat')}
    found = Found(predictor.names, annotations.image_names)
    for evaluation in evaluations:
        found.rows |= evaluation.found.rows
        found.failed |= evaluation.found.failed
    found.write(out)
    evaluation = judge(predictor, annotations, first.image_dir, found, out)
    notes = ['Each image was predicted by the model that was not trained on it. It did choose the best epoch of that '
             'model, so errors are a little optimistic']
    notes += result_notes(evaluation, annotations)
    summary, figures = write_evaluation(out, evaluation, None, {}, notes)
    folds = fold_table(evaluation.scores, dict(zip(annotations.image_names, fold_of, strict=True)), summary)
    write_report(folder / 'report.html', config['experiment_name'], f'cross-validation with {len(evaluations)} folds',
                 summary, figures, config, notes, [('Folds', folds)])
    print(as_text(folds), as_text(table(summary)), *notes, f'report: {folder / "report.html"}', sep='\n')
    return summary


def fold_table(scores, fold_of, summary):
    "A row for all images of `scores` and one for each fold, as `table` has them for landmarks; `fold_of` by name."
    folds = np.array([fold_of[name] for name in scores.image_names])
    each = {f'fold {k}': summarize(scores.on(np.flatnonzero(folds == k)), summary['thresholds'])['overall']
            for k in sorted(set(folds))}
    (_, *header), rows = table(summary | {'landmarks': each})
    return ['images of', *header], rows


# --- what is evaluated

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


# --- images to pictures, tables and figures

def find(predictor, annotations, image_dir, folder, options):
    "The `Evaluation` of `predictor` on the images of `annotations`; writes what `inference.apply` does."
    index = {name: i for i, name in enumerate(annotations.image_names)}

    def facts_of(name):
        i, patients = index[name], annotations.patient_id
        return annotations.spacing[i], annotations.spacing_source[i], patients and patients[i]

    def overlay(name, image, prediction): return draw_errors(annotations, index[name], image, prediction)

    found = apply(predictor, image_dir, annotations.image_names, folder, options, facts_of, overlay)
    return judge(predictor, annotations, image_dir, found, folder)


def judge(predictor, annotations, image_dir, found, folder):
    "The `Evaluation` of what was `found` on the images of `annotations`, and is written to `folder`."
    index = {name: i for i, name in enumerate(annotations.image_names)}
    read, predicted = annotations.subset([index[name] for name, _ in found.done()]), found.annotations(folder)
    estimates = [found.estimates(name, predicted) for name in ('confidence', 'spread')]
    scores = score(read, predicted.points, predicted.state, predictor.config['presence'], *estimates)
    return Evaluation(predictor, read, image_dir, found, scores)


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


def write_evaluation(folder, evaluation, thresholds, settings, notes):
    """Write distances.csv, summary.json and figures into `folder`.

    Returns the summary and the figures, as (title, explanation, path).
    """
    summary, found = summarize(evaluation.scores, thresholds), evaluation.found
    write_distances(folder / 'distances.csv', evaluation.scores)
    settings = {name: printable(str(value)) if isinstance(value, (str, Path)) else value
                for name, value in settings.items()}
    sources = Counter(source or 'unknown' for source in evaluation.annotations.spacing_source)
    known = {'settings': settings, 'notes': notes, 'n_failed': len(found.failed), 'spacing': dict(sources)}
    write_text(folder / 'summary.json', json.dumps(summary | known, indent=2, ensure_ascii=False) + '\n')
    return summary, write_figures(folder / 'figures', evaluation, summary)


def write_figures(folder, evaluation, summary):
    "Write the figures of `evaluation` into `folder`; returns (title, explanation, path) of each."
    scores = evaluation.scores
    unit, names, distances = scores.unit, scores.names, scores.distances(scores.unit, missed=np.inf)
    plot_cumulative(distances, names, summary['thresholds'], unit, folder / 'cumulative.png')
    plot_boxes(distances, names, unit, folder / 'boxes.png')
    plot_vectors(scores.offsets[unit], names, unit, folder / 'vectors.png')
    rank = summary['overall']['confidence_rank']
    plot_confidence(scores.confidence, distances, rank, unit, folder / 'confidence.png')
    write_worst(folder / 'worst.png', evaluation, distances)
    return figures_in(folder, FIGURES)


def write_worst(path, evaluation, distances):
    "Write a sheet of the images with most missed landmarks, then the largest mean error, to `path`; none without any."
    missed, means = np.isinf(distances).sum(1), mean_of_finite(distances)
    worst = np.lexsort([-means, -missed])
    worst = [i for i in worst if not np.isnan(distances[i]).all()][:N_WORST]
    if not worst: return
    rows, pictures, captions = evaluation.found.done(), [], []
    for i in worst:
        name, row = rows[i]
        image = read_image(Path(evaluation.image_dir, name), evaluation.predictor.config['color'])
        pictures.append(draw_markers(image, evaluation.annotations.points[i], row.prediction.points, largest=TILE))
        facts = [f'{missed[i]} missed'] if missed[i] else []
        if np.isfinite(distances[i]).any(): facts.append(f'{means[i]:.2f} {evaluation.scores.unit}')
        captions.append(f'{", ".join(facts)}: {name}')
    write_png(path, contact_sheet(pictures, captions, columns=3))


def mean_of_finite(distances):
    "The mean of the finite values in each row of `distances`, 0 where there is none."
    finite = np.isfinite(distances)
    return np.where(finite, distances, 0).sum(1) / finite.sum(1).clip(1)


# --- in words

def split_notes(evaluation, sides):
    "What the sides of the run that the images were on mean for the errors."
    names = evaluation.annotations.image_names
    counts, notes = Counter(sides.get(name) for name in names), []
    if counts['train']:
        notes.append(f'{counts["train"]} of {len(names)} images have the names of images that the model was trained '
                     'on: if they are the same, their errors say nothing about new images')
    if counts['val']:
        notes.append(f'{counts["val"]} of {len(names)} images have the names of validation images: if they are the '
                     'same, they chose the best epoch, and their errors are a little optimistic')
    return notes


def option_notes(options, n_corner):
    "What was done differently by `options`, and with `n_corner` points in the corner box."
    notes = []
    if options['min_confidence']:
        notes.append(f"Landmarks of a confidence below {options['min_confidence']} were left blank and count as missed")
    if options['tta']: notes.append('Predictions are averages over shifted and scaled views of each image')
    if n_corner:
        notes.append(f'{n_corner} points in the top-left corner box of their images were taken for absent landmarks '
                     '(invisible_landmarks)')
    return notes


def result_notes(evaluation, annotations):
    "What a reader must know of images and landmarks that do not count; `annotations` are of all images."
    notes, predictor = spacing_notes(evaluation.found), evaluation.predictor
    if evaluation.scores.unit == 'px':
        notes.append('Errors are in pixels of the original images: for millimetres the pixel spacing of every image is '
                     'needed')
    if evaluation.found.failed:
        notes.append(f'{len(evaluation.found.failed)} images could not be read and are left out: see failed.csv')
    if predictor.config['flat']:
        notes.append(f"The network sees no place for {', '.join(predictor.config['flat'])}: its output is flat, and "
                     'errors of these landmarks mean nothing. Train longer, or look at their annotations')
    unlabelled = [name for name, state in zip(predictor.names, annotations.state.T, strict=True)
                  if (state == UNLABELLED).all()]
    if unlabelled: notes.append(f'No label on these images of {", ".join(unlabelled)}: their errors are not known')
    unlearned = [name for name, state in zip(predictor.names, annotations.state.T, strict=True)
                 if (state == ABSENT).any() and name not in predictor.config['presence']]
    if unlearned:
        notes.append(f'Absent landmarks of {", ".join(unlearned)} are not scored: nothing tells that the training had '
                     'images without them and a loss with bce, so the model never calls them absent')
    return notes
