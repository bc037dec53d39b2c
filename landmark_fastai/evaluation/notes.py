"What a reader of the numbers must know, in sentences."

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ..config import TrainConfig
from ..formats.annotations import ABSENT, UNLABELLED, Annotations
from ..formats.splits import trained_images
from ..inference.predictions import spacing_notes
from ..predict_config import PredictConfig
from .compare import Evaluation


def split_notes(evaluation: Evaluation, sides: dict[str, str]) -> list[str]:
    "What it means for the errors that images were trained or validated on; `sides` are of `columns.SPLITS`, by name."
    names = evaluation.annotations.image_names
    counts = Counter(sides.get(name) for name in names)
    notes = []
    if counts['train']:
        notes.append(f'{counts["train"]} of {len(names)} images have the names of images that the model was trained '
                     'on: if they are the same, their errors say nothing about new images')
    if counts['val']:
        notes.append(f'{counts["val"]} of {len(names)} images have the names of validation images: if they are the '
                     'same, they chose the best epoch, and their errors are a little optimistic')
    if counts['cal']:
        notes.append(f'{counts["cal"]} of {len(names)} images have the names of images that the bounds are from: if '
                     'they are the same, it says nothing that bounds hold there')
    return notes


def start_notes(config: TrainConfig, image_names: Sequence[str]) -> list[str]:
    "What it means for errors on images called `image_names` that a training with the flags `config` began with a run."
    if not config.from_run or config.keeps_first_stage: return []
    trained = trained_images(Path(config.from_run))
    n = sum(name in trained for name in image_names)
    if not n: return []
    return [f'{n} of {len(image_names)} images that judge this training have the names of images that trained the '
            'network it began with: if they are the same, their errors are too small']


def flag_notes(config: PredictConfig, n_corner: int) -> list[str]:
    "What was done differently by the flags, and with `n_corner` points in the corner box."
    notes = []
    if config.min_confidence:
        notes.append(f'Landmarks of a confidence below {config.min_confidence} were left blank and count as missed')
    if config.tta: notes.append('Predictions are averages over shifted and scaled views of each image')
    if n_corner:
        notes.append(f'{n_corner} points in the top-left corner box of their images were taken for absent landmarks '
                     '(invisible_landmarks)')
    return notes


def result_notes(evaluation: Evaluation, annotations: Annotations) -> list[str]:
    "What a reader must know of images and landmarks that do not count; `annotations` are of all images."
    predictor = evaluation.predictor
    notes = spacing_notes(evaluation.predictions)
    if evaluation.scores.unit == 'px':
        notes.append('Errors are in pixels of the original images: for millimetres the pixel spacing of every image is '
                     'needed')
    if evaluation.predictions.failed:
        notes.append(f'{len(evaluation.predictions.failed)} images could not be read and are left out: see failed.csv')
    if predictor.facts.flat:
        notes.append(f"The network sees no place for {', '.join(predictor.facts.flat)}: its output is flat, and "
                     'errors of these landmarks mean nothing. Train longer, or look at their annotations')
    unlabelled = [name for name, state in zip(predictor.names, annotations.state.T, strict=True)
                  if (state == UNLABELLED).all()]
    if unlabelled: notes.append(f'No label on these images of {", ".join(unlabelled)}: their errors are not known')
    unlearned = [name for name, state in zip(predictor.names, annotations.state.T, strict=True)
                 if (state == ABSENT).any() and name not in predictor.facts.presence]
    if unlearned:
        notes.append(f'Absent landmarks of {", ".join(unlearned)} are not scored: nothing tells that the training had '
                     'images without them and a loss with bce, so the model never calls them absent')
    return notes
