"The `evaluate` command: a model against an annotation CSV."

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..config import EvaluateConfig
from ..errors import UsageError
from ..flags import takes
from ..formats.annotations import Annotations, fill_spacing, read_annotations
from ..formats.dataset import check_images
from ..formats.spreadsheet import plain_name
from ..inference.folder import make_output
from ..inference.loading import load_asked
from ..viz.report import CURVES, figures_in, write_report
from .judge import predict_annotated, write_evaluation
from .notes import flag_notes, result_notes, split_notes
from .summary import as_text, table


@takes(EvaluateConfig)
def evaluate(config: EvaluateConfig) -> dict:
    """Compare the landmarks that a model finds with those of an annotation CSV; returns the summary.

    Writes what `predict` writes, distances.csv, summary.json, figures and report.html. The arguments are the flags of
    `landmark-fastai evaluate`; `thresholds` may be numbers, too. Raises UsageError and Incomplete as `predict` does.
    """
    thresholds = parse_thresholds(config.thresholds)
    clicked = read_annotations(config.csv)
    predictor, source = load_asked(config, clicked.names), config.weights or config.model
    hidden = config.invisible_landmarks
    if hidden is None: hidden = predictor.config.invisible_landmarks
    annotations = read_annotations(config.csv, invisible_landmarks=True) if hidden else clicked
    n_corner = (annotations.state != clicked.state).sum()
    sides = {} if config.weights else read_split(Path(source))
    annotations = on_side(in_order(annotations, predictor.names), sides, config.split, source)
    annotations, _ = check_images(annotations, config.image_dir)
    if config.pixel_spacing: annotations = fill_spacing(annotations, config.pixel_spacing, '--pixel_spacing')
    folder = make_output(config, config.csv)

    evaluation = predict_annotated(predictor, annotations, config, folder)
    settings = asdict(config) | {'model': source}
    notes = split_notes(evaluation, sides) + flag_notes(config, n_corner) + result_notes(evaluation, annotations)
    summary, figures = write_evaluation(folder, evaluation, thresholds, settings, notes)
    if not config.weights: figures += figures_in(Path(source, 'graph'), CURVES)
    of_training = asdict(predictor.config) | asdict(predictor.facts)
    write_report(folder / 'report.html', f'Evaluation of {source}', f'on {config.csv}', summary, figures,
                 settings | {f'training: {name}': value for name, value in of_training.items()}, notes)
    print(as_text(table(summary)))
    for note in notes: print(note)
    print(f'report: {folder / "report.html"}')
    evaluation.predictions.complain(folder, summary)
    return summary


def parse_thresholds(thresholds: str | list | None) -> list[float] | None:
    "The numbers in '2,2.5,3', or in a list; None for None. Raises UsageError."
    if thresholds is None: return None
    given = thresholds.split(',') if isinstance(thresholds, str) else thresholds
    try: numbers = [float(number) for number in given]
    except (TypeError, ValueError): numbers = []
    if numbers and all(0 < number < np.inf for number in numbers): return numbers
    raise UsageError(f'thresholds is {thresholds!r}; expected positive numbers such as 2,2.5,3,4')


def in_order(annotations: Annotations, names: list[str]) -> Annotations:
    "`annotations` with the landmarks in the order of `names`. Raises UsageError if they are others."
    theirs = annotations.names
    if sorted(theirs) != sorted(names):
        raise UsageError(f'{annotations.path.name} has {len(theirs)} landmarks ({", ".join(theirs)}), the model has '
                         f'{len(names)} ({", ".join(names)}); expected the same names')
    order = [theirs.index(name) for name in names]
    return replace(annotations, names=names, points=annotations.points[:, order], state=annotations.state[:, order])


def read_split(run: Path) -> dict[str, str]:
    "train, val or test of each image that the run in the folder `run` was trained with, by name."
    if not (run / 'split.csv').is_file(): return {}
    try: rows = pd.read_csv(run / 'split.csv', dtype=str, na_filter=False)
    except (ValueError, OSError) as e: raise UsageError(f'{run / "split.csv"} cannot be read ({e})') from None
    if not {'image_name', 'split'} <= set(rows):
        raise UsageError(f'{run / "split.csv"} lacks a column, expected image_name,split')
    return dict(zip(map(plain_name, rows.image_name), rows.split, strict=True))


def on_side(annotations: Annotations, sides: dict[str, str], split: str, run: str) -> Annotations:
    "The rows of `annotations` that are on the side `split` of the run, by image name; all for 'all'."
    if split == 'all': return annotations
    rows = [i for i, name in enumerate(annotations.image_names) if sides.get(name) == split]
    if not rows:
        raise UsageError(f'{annotations.path.name}: no image is marked {split} in the split.csv of {run}; '
                         'leave split out to evaluate all rows')
    return annotations.subset(rows)
