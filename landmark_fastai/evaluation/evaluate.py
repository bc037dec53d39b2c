"The `evaluate` command: a model against an annotation CSV."

from dataclasses import asdict
from pathlib import Path

from ..errors import UsageError
from ..flags import takes
from ..formats.annotations import Annotations, fill_spacing, in_order, read_annotations, warn_doubtful
from ..formats.dataset import check_images
from ..formats.spacing import FLAG_SOURCE
from ..formats.splits import read_split
from ..inference.choosing import config_predictor, takes_bundle
from ..inference.folder import make_output
from ..inference.predictor import Predictor
from ..inference.review import review
from ..inference.trust import bound_notes
from ..measure.binding import sides_there
from ..measure.definitions import read_definitions
from ..predict_config import EvaluateConfig
from ..viz.report import CURVES, aligned, figures_in
from ..viz.shown import Summary
from .bounds import coverage_table
from .compare import predict_annotated
from .error_table import errors_table, headline
from .measurements import compare_measurements
from .notes import flag_notes, result_notes, split_notes
from .output import run_settings, write_evaluation, write_evaluation_report
from .stages import compare_stages


@takes(EvaluateConfig)
def evaluate(config: EvaluateConfig) -> Summary:
    """Compare the landmarks that a model finds with those of an annotation CSV; returns the summary.

    Writes what `predict` writes, distances.csv, summary.json, figures and report.html, and with `definitions`
    measurements.csv and measurement_errors.csv. The arguments are the flags of
    `landmark-fastai evaluate`; `thresholds` may be a number, a list or an array, too. Raises UsageError and Incomplete
    as `predict` does.
    """
    if config.split != 'all' and takes_bundle(config):
        raise UsageError(f'split {config.split!r} with a bundle: only a run has a split.csv; leave split out, or pass '
                         '--model with the folder of the run')
    clicked = read_annotations(config.csv)
    predictor = config_predictor(config, clicked.names)
    sides = {} if config.weights else read_split(Path(config.model))
    truth, n_corner = read_truth(config, clicked, predictor, sides)
    definitions = read_definitions(config.definitions, config.chosen) if config.definitions else None
    if definitions: sides_there(definitions, predictor.names, str(config.weights or config.model))
    folder = make_output(config, config.csv, config.definitions)
    evaluation = predict_annotated(predictor, truth, config, folder)
    notes = split_notes(evaluation, sides) + flag_notes(config, n_corner) + result_notes(evaluation, truth)
    tables, of_stages = compare_stages(evaluation)
    tables += coverage_table(evaluation, config.level)
    notes += of_stages + bound_notes(predictor.bounds, config, evaluation.predictions)
    source = config.weights or config.model
    measurements = compare_measurements(evaluation, definitions, folder) if definitions else None
    of_measurements = measurements.tables() if measurements else []
    if measurements:
        measurements.write(folder)
        notes += measurements.notes
    settings = asdict(config) | {'model': source, 'weights': ', '.join(map(str, predictor.weights)),
                                 'thresholds': config.distances}
    summary, figures = write_evaluation(folder, evaluation, notes, settings, config.distances,
                                        measurements.rows if measurements else [])
    if not config.weights: figures += figures_in(Path(config.model, 'graph'), CURVES)
    of_run = {f'training: {name}': value for name, value in run_settings(predictor.config, predictor.facts).items()}
    write_evaluation_report(folder / 'report.html', f'Evaluation of {source}', f'on {config.csv}', summary,
                            figures, settings | of_run, notes, tables + of_measurements)
    print(aligned(errors_table(summary)))
    for title, table in of_measurements: print(f'{title}\n{aligned(table)}')
    for note in notes: print(note)
    review(evaluation.predictions, evaluation.predictions.annotations(folder), config.tolerance)
    print(f'report: {folder / "report.html"}')
    shown = Summary(summary, headline(summary), [('Errors', errors_table(summary)), *of_measurements],
                    folder / 'report.html')
    evaluation.predictions.check_complete(folder, shown)
    return shown


def read_truth(config: EvaluateConfig, clicked: Annotations, predictor: Predictor,
               sides: dict[str, str]) -> tuple[Annotations, int]:
    """The annotations to compare with, and how many points in the corner box were taken for absent landmarks.

    They are those `clicked` in the CSV that are on the side that is asked for, with landmarks in the order of the
    `predictor`. Raises UsageError, also for images that are missing or of another size.
    """
    def wanted(annotations: Annotations) -> Annotations:
        matched = in_order(annotations, predictor.names, 'the model')
        return on_side(matched, sides, config.split, config.weights or config.model)

    hide_corner = config.invisible_landmarks
    if hide_corner is None: hide_corner = predictor.config.invisible_landmarks
    clicked = truth = wanted(clicked)
    if hide_corner: truth = wanted(read_annotations(config.csv, invisible_landmarks=True))
    n_corner = int((truth.state != clicked.state).sum())
    truth, _ = check_images(truth, config.image_dir)
    if config.pixel_spacing is not None: truth = fill_spacing(truth, config.pixel_spacing, FLAG_SOURCE)
    warn_doubtful(truth)
    return truth, n_corner


def on_side(annotations: Annotations, sides: dict[str, str], split: str, run: str) -> Annotations:
    "The rows of `annotations` that are on the side `split` of the run, by image name; all for 'all'."
    if split == 'all': return annotations
    rows = [i for i, name in enumerate(annotations.image_names) if sides.get(name) == split]
    if not rows:
        raise UsageError(f'{annotations.path.name}: no image is marked {split} in the split.csv of {run}; '
                         'leave split out to evaluate all rows')
    return annotations.subset(rows)
