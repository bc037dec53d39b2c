"The `predict` command."

from pathlib import Path

import numpy as np

from ..flags import takes
from ..formats.annotations import Annotations, warn_doubtful
from ..formats.images import find_images, image_spacing
from ..formats.spacing import FLAG_SOURCE
from ..predict_config import PredictConfig
from ..viz.overlays import draw_landmarks
from ..viz.report import counted
from .choosing import config_predictor
from .folder import make_output, predict_folder
from .predictions import ImageFacts, spacing_notes, spread_notes
from .predictor import Prediction
from .review import doubts, write_review
from .trust import bound_notes, trust_notes


@takes(PredictConfig)
def predict(config: PredictConfig) -> Annotations:
    """Write the landmarks of all images below `image_dir` to `output_dir`: predictions.csv, and overlays.

    Returns the predictions, in original px. The arguments are the flags of `landmark-fastai predict`. Raises UsageError
    before anything is written, and Incomplete at the end where images could not be read: see failed.csv.
    """
    image_names = find_images(config.image_dir)
    predictor = config_predictor(config)
    folder = make_output(config)

    def facts_of(name: str) -> ImageFacts:
        spacing, source = image_spacing(Path(config.image_dir, name))
        if source or config.pixel_spacing is None: return ImageFacts(spacing, source, None)
        return ImageFacts((config.pixel_spacing,) * 2, FLAG_SOURCE, None)

    def draw(name: str, pixels: np.ndarray, prediction: Prediction) -> np.ndarray:
        unknown = np.full_like(prediction.points, np.nan)
        return draw_landmarks(pixels, unknown, prediction.points, predictor.names, heading='confidence, error',
                              notes=trust_notes(prediction, facts_of(name).spacing), radii=prediction.bound)

    predictions = predict_folder(predictor, config, folder, image_names, facts_of, draw)
    print(f'{counted(len(predictions), "image")} predicted: {folder / "predictions.csv"}')
    notes = [*spacing_notes(predictions), *spread_notes(predictions),
             *bound_notes(predictor.bounds, config, predictions)]
    for line in notes: print(line)
    annotations = predictions.annotations(folder)
    warn_doubtful(annotations)
    doubted = doubts(predictions.stacked(), annotations, config.tolerance)
    write_review(folder / 'review.csv', doubted, annotations)
    print(f'{counted(len({doubt.i for doubt in doubted}), "image")} to look at: {folder / "review.csv"}')
    predictions.check_complete(folder, annotations)
    return annotations
