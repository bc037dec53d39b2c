"Evaluations that a training ends with: of its validation images, of those for bounds, or of all folds together."

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..config import TrainConfig
from ..data.loaders import LandmarkDataLoaders
from ..formats.annotations import Annotations
from ..inference.loading import load_trained
from ..inference.model_card import write_card
from ..inference.predictions import Predictions
from ..inference.predictor import Predictor
from ..model.facts import CAL, FOLDS, ModelFacts, write_facts
from ..predict_config import PredictConfig
from ..viz.report import CURVES, aligned, figures_in
from .bounds import bounds_of
from .compare import Evaluation, compare, predict_annotated
from .error_table import errors_table, fold_table
from .notes import result_notes, split_notes, start_notes
from .output import run_settings, write_evaluation, write_evaluation_report
from .stages import compare_stages

CALIBRATION = 'calibration'  # folder in that of a run


def evaluate_validation(config: TrainConfig, predictor: Predictor, dls: LandmarkDataLoaders) -> Evaluation:
    "Write `validation/`, the model card and `report.html` of a run: the validation images of `dls` by its `predictor`."
    annotations = dls.annotations.subset(np.flatnonzero(dls.split == 'val'))
    out = config.folder / 'validation'
    evaluation = predict_annotated(predictor, annotations, as_predict(config, out), out)
    notes = split_notes(evaluation, dict.fromkeys(annotations.image_names, 'val'))
    notes += start_notes(config, annotations.image_names)
    tables, of_stages = compare_stages(evaluation)
    notes += result_notes(evaluation, annotations) + of_stages
    summary, figures = write_evaluation(out, evaluation, notes, settings={})
    write_card(config.folder, config.folder)  # before the report, by which a run is finished
    figures += figures_in(config.folder / 'graph', CURVES)
    write_evaluation_report(config.folder / 'report.html', config.experiment_name, 'validation images of the training',
                            summary, figures, run_settings(config, predictor.facts), notes, tables)
    for note in of_stages: print(note)
    print(f'report: {config.folder / "report.html"}')
    return evaluation


def with_bounds(config: TrainConfig, facts: ModelFacts, annotations: Annotations,
                predictors: Mapping[str, Predictor]) -> ModelFacts:
    """The `facts` of a run with the bounds of its `predictors`, by stage, from the images of `annotations`, if any.

    Writes what these find on the images to `calibration/` in the folder of the run.
    """
    if not len(annotations): return facts
    bounds = {}
    for stage, predictor in predictors.items():
        out = config.folder / CALIBRATION / stage
        bounds[stage] = bounds_of(predict_annotated(predictor, annotations, as_predict(config, out), out), CAL)
    return replace(facts, bounds=bounds)


def as_predict(config: TrainConfig, out: Path) -> PredictConfig:
    "The flags of `predict` with which a training looks at its own images."
    return PredictConfig(image_dir=config.train_image_dir, output_dir=out, model=config.folder, no_overlays=True,
                         device=config.device, precision=config.precision)


def evaluate_again(config: TrainConfig, annotations: Annotations) -> Evaluation:
    "The `Evaluation` of a finished run on the images of `annotations`, its validation images."
    out = config.folder / 'validation'
    return predict_annotated(load_trained(config), annotations, as_predict(config, out), out)


def evaluate_folds(config: TrainConfig, facts: ModelFacts, annotations: Annotations, fold_of: np.ndarray,
                   evaluations: list[Evaluation], for_bounds: Annotations) -> dict:
    """Write `cross_validation/`, the model card and `report.html` of a cross-validation; returns the summary.

    Each image of `annotations` is predicted by the model of its fold, `fold_of` (n,), which was not trained on it:
    `evaluations` are those of the folds' validation images. The images `for_bounds`, if any, are in no fold.
    """
    out = config.folder / 'cross_validation'
    facts_of_folds = [each.predictor.facts for each in evaluations]
    facts = replace(facts, presence=in_any(annotations.names, [each.presence for each in facts_of_folds]),
                    flat=in_any(annotations.names, [each.flat for each in facts_of_folds]))
    predictions = merged(evaluations, annotations)
    predictions.write(out, PredictConfig.level)
    predictor = evaluations[0].predictor.with_facts(facts)
    evaluation = compare(predictor, annotations, Path(config.train_image_dir), predictions)
    # by models of fewer images than the ensemble has seen
    write_facts(config.folder, replace(facts, bounds={evaluations[0].predictor.stage: bounds_of(evaluation, FOLDS)}))
    if len(for_bounds):  # better than what folds tell: the ensemble itself, on images that are new to all of it
        ensemble = load_trained(config)
        write_facts(config.folder, with_bounds(config, ensemble.facts, for_bounds, {ensemble.stage: ensemble}))
    notes = ['Each image was predicted by the model that was not trained on it. It did choose the best epoch of that '
             'model, so errors are a little optimistic', *start_notes(config, annotations.image_names),
             *result_notes(evaluation, annotations)]
    summary, figures = write_evaluation(out, evaluation, notes, settings={})
    write_card(config.folder, config.folder)
    folds = fold_table(evaluation.scores, dict(zip(annotations.image_names, fold_of, strict=True)), summary)
    write_evaluation_report(config.folder / 'report.html', config.experiment_name,
                            f'cross-validation with {len(evaluations)} folds', summary, figures,
                            run_settings(config, facts), notes, [('Folds', folds)])
    print(aligned(folds), aligned(errors_table(summary)), *notes, f'report: {config.folder / "report.html"}', sep='\n')
    return summary


def in_any(names: list[str], lists: list[list[str]]) -> list[str]:
    "Those of `names` that are in any of `lists`."
    return [name for name in names if any(name in each for each in lists)]


def merged(evaluations: list[Evaluation], annotations: Annotations) -> Predictions:
    "The predictions of all `evaluations`, in the order of `annotations`."
    together = Predictions(annotations.names, annotations.image_names)
    for each in evaluations:
        together.found |= each.predictions.found
        together.facts |= each.predictions.facts
        together.looks |= each.predictions.looks
        together.failed |= each.predictions.failed
    return together
