"The `predict` command."

from pathlib import Path

from ..flags import takes
from ..formats.annotations import Annotations, warn_doubtful
from ..formats.images import find_images
from ..predict_config import ClusterConfig
from ..viz.report import counted
from .choosing import config_predictor
from .folder import make_output, predict_folder
from .new_images import NewImages
from .predictions import spacing_notes, spread_notes
from .review import review
from .trust import bound_notes


@takes(ClusterConfig)
def predict(config: ClusterConfig) -> Annotations:
    """Write the landmarks of all images below `image_dir` to `output_dir`: predictions.csv, and overlays.

    Returns the predictions, in original px. The arguments are the flags of `landmark-fastai predict`. Raises UsageError
    before anything is written, and Incomplete at the end where images could not be read: see failed.csv.
    """
    image_names = find_images(config.image_dir)
    folder = Path(config.output_dir)
    if config.cluster:
        from . import on_cluster
        predictor, config = on_cluster.local_predictor(config)
        key = on_cluster.key_of(predictor, config)
        if (known := on_cluster.found_before(config, key, image_names)) is not None: return known
        predictions = on_cluster.predict_on_cluster(predictor, config, key, image_names)
    else:
        predictor = config_predictor(config)
        make_output(config)
        new = NewImages(config, predictor.names)
        predictions = predict_folder(predictor, config, folder, image_names, new.facts_of, new.draw)
    print(f'{counted(len(predictions), "image")} predicted: {folder / "predictions.csv"}')
    notes = [*spacing_notes(predictions), *spread_notes(predictions),
             *bound_notes(predictor.bounds, config, predictions)]
    for line in notes: print(line)
    annotations = predictions.annotations(folder)
    warn_doubtful(annotations)
    review(predictions, annotations, config.tolerance)
    if config.cluster: on_cluster.finish_job(folder, key, predictions)
    predictions.check_complete(folder, annotations)
    return annotations
