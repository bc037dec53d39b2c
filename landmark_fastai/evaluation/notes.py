"What a reader of the numbers must know, in sentences."

from collections import Counter

import numpy as np

from ..config import PredictConfig
from ..formats.annotations import ABSENT, UNLABELLED, VISIBLE
from ..inference.predictions import spacing_notes


def error_note(true_state, pred_state, offset, spacing):
    "What an overlay says of a landmark whose prediction is `offset` px away."
    if true_state == UNLABELLED: return 'not labelled'
    if true_state == ABSENT: return 'absent, as predicted' if pred_state == ABSENT else 'absent in truth'
    if pred_state != VISIBLE: return 'called absent' if pred_state == ABSENT else 'left blank'
    mm = np.linalg.norm(offset * spacing)
    return f'{np.linalg.norm(offset):.1f} px' + (f' = {mm:.2f} mm' if np.isfinite(mm) else '')


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


def result_notes(evaluation, annotations):
    "What a reader must know of images and landmarks that do not count; `annotations` are of all images."
    notes, predictor = spacing_notes(evaluation.predictions), evaluation.predictor
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
