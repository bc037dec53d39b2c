"`predict`: a trained model on a folder of images; what it has in common with `evaluate`."

from pathlib import Path

import numpy as np
from fastcore.meta import use_kwargs_dict

from ..formats.images import find_images, image_spacing
from ..training import distributed
from ..viz.overlays import draw_landmarks
from .folder import apply, confidence_note, make_output, spacing_notes, spread_notes
from .options import OPTIONS, make_options, make_predictor


@use_kwargs_dict(**OPTIONS)
def predict(image_dir, output_dir, **kwargs):
    """Write the landmarks of all images below `image_dir` to `output_dir`: predictions.csv, and overlays.

    Arguments are those of `python cli.py predict`. Returns the predictions as an `Annotations`, in original px. Raises
    UsageError before anything is written, and Incomplete at the end where images could not be read: see failed.csv.
    """
    distributed.refuse('predict')
    options = make_options(kwargs)
    image_names, predictor = find_images(image_dir), make_predictor(options)
    folder = make_output(output_dir, image_dir, options)

    def facts_of(name):
        spacing, source = image_spacing(Path(image_dir, name))
        if source or options['pixel_spacing'] is None: return spacing, source, None
        return (options['pixel_spacing'],) * 2, '--pixel_spacing', None

    def overlay(name, image, prediction):
        notes = [confidence_note(*facts) for facts
                 in zip(prediction.state, prediction.confidence, prediction.spread, strict=True)]
        unknown = np.full_like(prediction.points, np.nan)
        return draw_landmarks(image, unknown, prediction.points, predictor.names, notes=notes, heading='confidence')

    found = apply(predictor, image_dir, image_names, folder, options, facts_of, overlay)
    print(f'{len(found)} images predicted: {folder / "predictions.csv"}')
    for line in spacing_notes(found): print(line)
    predicted = found.annotations(folder)
    for line in spread_notes(predicted, found.estimates('spread', predicted)): print(line)
    found.complain(folder, predicted)
    return predicted
