"Predictions of annotated images against their truth."

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..formats.annotations import ABSENT, UNLABELLED, VISIBLE, Annotations
from ..inference.folder import predict_folder
from ..inference.predictions import ImageFacts, Predictions
from ..inference.predictor import Prediction, Predictor
from ..predict_config import PredictConfig
from ..viz.overlays import draw_landmarks
from .scores import Scores, score


@dataclass
class Evaluation:
    "A model's predictions of annotated images, in the same order."
    predictor: Predictor
    annotations: Annotations  # of the images that could be read
    image_dir: Path
    predictions: Predictions
    scores: Scores
    tta: bool  # whether they are averages over views, for which there are no bounds


def predict_annotated(predictor: Predictor, annotations: Annotations, config: PredictConfig,
                      folder: Path) -> Evaluation:
    "The `Evaluation` of `predictor` on the images of `annotations`; writes what `predict_folder` does into `folder`."
    index = {name: i for i, name in enumerate(annotations.image_names)}

    def facts_of(name: str) -> ImageFacts:
        i = index[name]
        patient = None if annotations.patient_id is None else annotations.patient_id[i]
        return ImageFacts(annotations.spacing[i], annotations.spacing_source[i], patient)

    def draw(name: str, pixels: np.ndarray, prediction: Prediction) -> np.ndarray:
        return draw_errors(annotations, index[name], pixels, prediction)

    predictions = predict_folder(predictor, config, folder, annotations.image_names, facts_of, draw)
    return compare(predictor, annotations, Path(config.image_dir), predictions, config.tta)


def compare(predictor: Predictor, annotations: Annotations, image_dir: Path, predictions: Predictions,
            tta: bool = False) -> Evaluation:
    "The `Evaluation` of `predictions` of the images of `annotations` by a `predictor` of these landmarks."
    index = {name: i for i, name in enumerate(annotations.image_names)}
    read = annotations.subset([index[name] for name in predictions.done])
    scores = score(read, predictions.stacked(), predictor.facts.presence)
    return Evaluation(predictor, read, image_dir, predictions, scores, tta)


def draw_errors(annotations: Annotations, i: int, pixels: np.ndarray, prediction: Prediction) -> np.ndarray:
    "Image `i` of `annotations` with true and predicted landmarks and, beside it, their distances: RGB uint8."
    offsets = prediction.points - annotations.points[i]
    states = zip(annotations.state[i], prediction.state, strict=True)
    notes = [error_note(*both, offset, annotations.spacing[i]) for both, offset in zip(states, offsets, strict=True)]
    return draw_landmarks(pixels, annotations.points[i], prediction.points, annotations.names, 'errors in original px',
                          notes)


def error_note(true_state: int, pred_state: int, offset: np.ndarray, spacing: np.ndarray) -> str:
    "What an overlay says of a landmark that was predicted `offset` (2,) px away, with `spacing` (2,) mm per px."
    if true_state == UNLABELLED: return 'not labelled'
    if true_state == ABSENT: return 'absent, as predicted' if pred_state == ABSENT else 'absent in truth'
    if pred_state != VISIBLE: return 'called absent' if pred_state == ABSENT else 'left blank'
    mm = np.linalg.norm(offset * spacing)
    return f'{np.linalg.norm(offset):.1f} px' + (f' = {mm:.2f} mm' if np.isfinite(mm) else '')
