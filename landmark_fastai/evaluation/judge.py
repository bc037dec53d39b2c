"Predictions against annotations: scores, and the files and figures that show them."

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..config import PredictConfig
from ..files import write_text
from ..formats.annotations import Annotations
from ..formats.images import read_image
from ..inference.folder import predict_folder
from ..inference.predictions import ImageFacts, Predictions, printable
from ..inference.predictor import Prediction, Predictor
from ..viz.figures import plot_boxes, plot_confidence, plot_cumulative, plot_vectors
from ..viz.overlays import contact_sheet, draw_landmarks, draw_markers, write_png
from ..viz.report import FIGURES, Figure, Table, figures_in, write_report
from .notes import error_note
from .scores import Scores, score
from .summary import RESAMPLES, headline, summarize, table, write_distances

N_WORST = 12  # images on the sheet of the worst
TILE = 590     # longer side of an image there, px: three fill the sheet


@dataclass
class Evaluation:
    "A model's predictions of annotated images, in the same order."
    predictor: Predictor
    annotations: Annotations  # of the images that could be read
    image_dir: Path
    predictions: Predictions
    scores: Scores


def predict_annotated(predictor: Predictor, annotations: Annotations, config: PredictConfig,
                      folder: Path) -> Evaluation:
    "The `Evaluation` of `predictor` on the images of `annotations`; writes what `predict_folder` does into `folder`."
    index = {name: i for i, name in enumerate(annotations.image_names)}

    def facts_of(name: str) -> ImageFacts:
        i, patients = index[name], annotations.patient_id
        return ImageFacts(annotations.spacing[i], annotations.spacing_source[i], patients and patients[i])

    def draw(name: str, pixels: np.ndarray, prediction: Prediction) -> np.ndarray:
        return draw_errors(annotations, index[name], pixels, prediction)

    predictions = predict_folder(predictor, config, folder, annotations.image_names, facts_of, draw)
    return judge(predictor, annotations, Path(config.image_dir), predictions, folder)


def judge(predictor: Predictor, annotations: Annotations, image_dir: Path, predictions: Predictions,
          folder: Path) -> Evaluation:
    "The `Evaluation` of `predictions` of the images of `annotations`, which are written to `folder`."
    index = {name: i for i, name in enumerate(annotations.image_names)}
    read = annotations.subset([index[name] for name in predictions.done])
    predicted = predictions.annotations(folder)
    confidence, spread = (predictions.estimates(name, predicted) for name in ('confidence', 'spread'))
    scores = score(read, predicted.points, predicted.state, predictor.facts.presence, confidence, spread)
    return Evaluation(predictor, read, image_dir, predictions, scores)


def draw_errors(annotations, i, image, prediction):
    "Image `i` of `annotations` with true and predicted landmarks and, beside it, their distances."
    offsets = prediction.points - annotations.points[i]
    states = zip(annotations.state[i], prediction.state, strict=True)
    notes = [error_note(*both, offset, annotations.spacing[i]) for both, offset in zip(states, offsets, strict=True)]
    return draw_landmarks(image, annotations.points[i], prediction.points, annotations.names, 'errors in original px',
                          notes)


def write_evaluation(folder, evaluation, thresholds, settings, notes):
    """Write distances.csv, summary.json and figures into `folder`.

    Returns the summary and the figures, as (title, explanation, path).
    """
    summary = summarize(evaluation.scores, thresholds)
    write_distances(folder / 'distances.csv', evaluation.scores)
    settings = {name: printable(str(value)) if isinstance(value, (str, Path)) else value
                for name, value in settings.items()}
    sources = Counter(source or 'unknown' for source in evaluation.annotations.spacing_source)
    known = {'settings': settings, 'notes': notes, 'n_failed': len(evaluation.predictions.failed),
             'spacing': dict(sources)}
    write_text(folder / 'summary.json', json.dumps(summary | known, indent=2, ensure_ascii=False) + '\n')
    return summary, write_figures(folder / 'figures', evaluation, summary)


def report_on(path: Path, title: str, subtitle: str, summary: dict, figures: list[Figure], settings: dict,
              notes: list[str], tables: Iterable[tuple[str, Table]] = ()):
    "Write the report of `summary` to `path`: its headline and table, then more `tables`, as `write_report` takes them."
    write_report(path, title, subtitle, headline(summary), [('Errors', table(summary)), *tables], figures, settings,
                 notes, summary, RESAMPLES)


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
    pictures, captions = [], []
    for i in worst:
        name = evaluation.annotations.image_names[i]
        points = evaluation.predictions.found[name].points
        image = read_image(Path(evaluation.image_dir, name), evaluation.predictor.config.color)
        pictures.append(draw_markers(image, evaluation.annotations.points[i], points, largest=TILE))
        facts = [f'{missed[i]} missed'] if missed[i] else []
        if np.isfinite(distances[i]).any(): facts.append(f'{means[i]:.2f} {evaluation.scores.unit}')
        captions.append(f'{", ".join(facts)}: {name}')
    write_png(path, contact_sheet(pictures, captions, columns=3))


def mean_of_finite(distances):
    "The mean of the finite values in each row of `distances`, 0 where there is none."
    finite = np.isfinite(distances)
    return np.where(finite, distances, 0).sum(1) / finite.sum(1).clip(1)
