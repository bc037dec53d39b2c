"Runs: wire the parts, own the output folder. What the command line does, a notebook can call here."

from fastai.torch_core import num_distrib, rank_distrib, set_seed

from ..callbacks.averaging import AverageWeights
from ..callbacks.checkpoint import Resume, SaveWeights
from ..callbacks.console import Console
from ..callbacks.history import History
from ..callbacks.pictures import Pictures
from ..callbacks.stopping import CheckLoss, EarlyStop
from ..data.loaders import landmark_dls, usable_device
from ..formats.cache import clear_cache
from ..inference.loading import load
from ..learner import landmark_learner
from ..model.precision import choose_precision
from ..training import distributed
from .config import dls_arguments, learner_arguments, run_folder
from .run_folder import n_epochs, n_frozen


def make_learner(config, split=None):
    "The learner of a run, its data checked and in memory; equal seeds make equal learners."
    arguments = dls_arguments(config)
    choose_precision(config['precision'], usable_device(arguments['device']))  # before images are read
    set_seed(config['seed'], reproducible=True)
    if config['clear_cache'] and not rank_distrib(): clear_cache()
    dls = landmark_dls(**arguments, split=split)
    fixed = learner_arguments(config) | dict(total_epochs=config['epochs'], path=run_folder(config))
    if config['from_run']: return load(config['from_run'], device=dls.device).learner(dls, **fixed)
    return landmark_learner(dls, **fixed)


def make_callbacks(folder, config, learn, data, state):
    "The history and all callbacks of a run on `data`, in this process; `state` is what it is resumed with, or None."
    names, total = learn.dls.annotations.names, n_epochs(config)
    history = History(folder / 'train_results' / 'training_log.csv', names)
    if state: history.rows = state['history']
    cbs = [history, Pictures(folder, names, total, config['visualize_every'], config['gif'])]
    if config['ema']: cbs.append(AverageWeights(config['ema']))
    if config['early_stop']: cbs.append(EarlyStop(config['early_stop'], n_frozen(config)))
    if state: cbs.append(Resume(state))
    if not rank_distrib(): cbs += [SaveWeights(folder / 'weight', data), Console(total, config['encoder_name'])]
    cbs.append(distributed.ShareTrainer() if num_distrib() > 1 else CheckLoss())
    return history, cbs
