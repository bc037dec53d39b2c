"Runs: wire the parts, own the output folder. What the command line does, a notebook can call here."

from pathlib import Path

from fastcore.meta import use_kwargs_dict

from ..errors import UsageError
from ..training import distributed
from ..viz.curves import plot_lr_find
from .build import make_learner
from .config import ARGUMENTS, make_config


@use_kwargs_dict(**ARGUMENTS)
def find_lr(**kwargs):
    "Run fastai's learning rate finder with the arguments of `train`; writes the plot, returns the suggested rate."
    distributed.refuse('find_lr')
    config = make_config(kwargs)
    path = Path(config['output_dir'], f"{config['experiment_name']}_lr_find.png")
    if path.exists() and not config['overwrite']:
        raise UsageError(f'{path} exists; pass --overwrite or another --experiment_name')
    learn = make_learner(config)
    with learn.no_bar(): suggestion = learn.lr_find(show_plot=False).valley
    plot_lr_find(learn.recorder.lrs, [float(loss) for loss in learn.recorder.losses], suggestion, path)
    print(f'suggested --lr {suggestion:.2g}, the plot is {path}')
    return suggestion
