"The `train` command."

from collections.abc import Sequence

from fastai.callback.core import Callback
from fastcore.foundation import L

from ..config import TrainConfig
from ..flags import takes
from ..learner import LandmarkLearner
from .build import cudnn_restored
from .folds import cross_validate
from .run import train_run


@takes(TrainConfig, shared=True)
@cudnn_restored()
def train(config: TrainConfig, cbs: Callback | Sequence[Callback] = ()) -> LandmarkLearner | dict:
    """Train a model and write the run folder `<output_dir>/<experiment_name>/`; `cbs` are more callbacks of the fit.

    Returns the learner with the best weights, whose `evaluation` is that of the validation images; with `folds` the
    summary of the cross-validation. The arguments are the flags of `landmark-fastai train`. Raises UsageError for every
    mistake in arguments, annotations or images before anything is written, Diverged where the loss is NaN, and
    OutOfMemory, which says what fits.
    """
    return cross_validate(config, L(cbs)) if config.folds else train_run(config, cbs=L(cbs))
