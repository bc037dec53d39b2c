"The `predict` command."

from pathlib import Path

import numpy as np

from ..flags import takes
from ..formats.annotations import Annotations, warn_doubtful
from ..formats.images import find_images, image_spacing
from ..formats.spacing import FLAG_SOURCE
from ..predict_config import PredictConfig
from ..viz.overlays import draw_landmarks
from .folder import make_output, predict_folder
from .loading import config_predictor
from .predictions import ImageFacts, confidence_note, spacing_notes, spread_notes
from .predictor import Prediction


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
        notes = [confidence_note(*facts) for facts
                 in zip(prediction.state, prediction.confidence, prediction.spread, strict=True)]
        unknown = np.full_like(prediction.points, np.nan)
        return draw_landmarks(pixels, unknown, prediction.points, predictor.names, notes=notes, heading='confidence')

    predictions = predict_folder(predictor, config, folder, image_names, facts_of, draw)
    print(f'{len(predictions)} images predicted: {folder / "predictions.csv"}')
    for line in spacing_notes(predictions) + spread_notes(predictions): print(line)
    annotations = predictions.annotations(folder)
    warn_doubtful(annotations)
    predictions.check_complete(folder, annotations)
    return annotations
