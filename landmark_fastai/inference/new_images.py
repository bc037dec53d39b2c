"Images of which nothing is known but what their files say: their spacing, and what is drawn of what was found."

from pathlib import Path

import numpy as np

from ..formats.images import image_spacing
from ..formats.spacing import FLAG_SOURCE
from ..predict_config import PredictConfig
from ..viz.overlays import draw_landmarks
from .predictions import ImageFacts
from .predictor import Prediction
from .trust import trust_notes


class NewImages:
    "The images in the folder that the flags `config` name, on which the landmarks `names` are looked for."

    def __init__(self, config: PredictConfig, names: list[str]):
        self.config, self.names = config, names

    def facts_of(self, name: str) -> ImageFacts:
        "What is known of the image called `name`."
        spacing, source = image_spacing(Path(self.config.image_dir, name))
        if source or self.config.pixel_spacing is None: return ImageFacts(spacing, source, None)
        return ImageFacts((self.config.pixel_spacing,) * 2, FLAG_SOURCE, None)

    def draw(self, name: str, pixels: np.ndarray, prediction: Prediction) -> np.ndarray:
        "The overlay of the image called `name`, which has these `pixels`: RGB uint8."
        unknown = np.full_like(prediction.points, np.nan)
        return draw_landmarks(pixels, unknown, prediction.points, self.names, heading='confidence, error',
                              notes=trust_notes(prediction, self.facts_of(name).spacing), radii=prediction.bound)
