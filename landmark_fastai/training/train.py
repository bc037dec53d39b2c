"The `train` command."

from fastcore.meta import use_kwargs_dict

from .config import ARGUMENTS, make_config, resumed_config
from .folds import cross_validate
from .run import train_once


@use_kwargs_dict(**ARGUMENTS)
def train(**kwargs):
    """Train a model and write the run folder `<output_dir>/<experiment_name>/`.

    Returns the learner, with the best weights loaded; its `evaluation` is that of the validation images. With `folds`
    it returns the summary of the cross-validation. Arguments are those of `python cli.py train`. Raises
    UsageError, before anything is written, for every mistake in arguments, annotations or images.
    """
    config = resumed_config(kwargs) if kwargs.get('resume') else None
    if config is None: config = make_config(kwargs)
    return cross_validate(config) if config['folds'] else train_once(config)
