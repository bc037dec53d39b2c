"The `find_lr` command."

from pathlib import Path

from ..config import TrainConfig
from ..errors import UsageError
from ..files import check_writable
from ..flags import takes
from ..viz.curves import plot_lr_find
from .build import cudnn_restored, make_learner
from .out_of_memory import or_say_what_fits


@takes(TrainConfig)
@cudnn_restored()
def find_lr(config: TrainConfig) -> float:
    "Run fastai's learning rate finder with the flags of `train`; writes the plot, returns the suggested rate."
    if config.resume: raise UsageError('find_lr has nothing to resume; leave resume out')
    path = Path(config.output_dir, f'{config.experiment_name}_lr_find.png')
    if path.exists() and not config.overwrite:
        raise UsageError(f'{path} exists; pass --overwrite or another --experiment_name', see='existing-folder')
    check_writable(path.parent)
    learn = make_learner(config)
    def find(): return learn.lr_find(show_plot=False).valley
    with learn.no_bar(): suggestion = or_say_what_fits(find, learn, config, started=False)
    plot_lr_find(learn.recorder.lrs, [float(loss) for loss in learn.recorder.losses], suggestion, path)
    print(f'suggested --lr {suggestion:.2g}, the plot is {path}')
    return suggestion
