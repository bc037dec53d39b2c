"Runs: wire the parts, own the output folder. What the command line does, a notebook can call here."

import shutil
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from fastai.torch_core import num_distrib, rank_distrib, set_seed
from fastcore.meta import use_kwargs_dict

from . import checkpoint, distributed
from .annotations import VISIBLE, fingerprint, read_annotations, split_folds
from .cache import clear_cache
from .callbacks import CheckLoss, Console, EarlyStop, History, Pictures, in_words, is_stale
from .check import check_images
from .config import (
    ARGUMENTS,
    annotation_csv,
    dls_arguments,
    is_run,
    learner_arguments,
    make_config,
    read_config,
    resumed_config,
    run_folder,
    write_config,
)
from .data import landmark_dls, make_films, usable_device
from .draw import contact_sheet, draw_landmarks, write_png
from .errors import Diverged, UsageError
from .evaluation import evaluate, evaluate_again, evaluate_folds, evaluate_validation
from .files import check_writable, lies_in, remove_leftovers, write_text
from .geometry import to_network, to_original
from .images import read_image
from .inference import predict
from .learner import LITE0, landmark_learner
from .plots import plot_lr_find
from .precision import choose_precision
from .predictor import load, read_state
from .sample import write_sample
from .saving import AverageWeights, Resume, SaveWeights

__all__ = ['train', 'find_lr', 'predict', 'evaluate', 'sample', 'demo']  # the commands

DEMO = dict(image_resize=128, epochs=30, encoder_name=LITE0)


# --- commands

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


def train_once(config, split=None):
    "Train the model of `config`; `split` (n,) is the side of each image, drawn when left out. Returns the learner."
    first, folder = not rank_distrib(), run_folder(config)
    device = distributed.join(config['batch_size'], config['device'])
    with distributed.in_turn():
        state = read_state_of(folder, config) if config['resume'] else None
        if state is None: check_folder(folder, config)
        of_state = {'encoder_weights': 'none', 'from_run': None} if state else {}  # it has all weights
        learn = make_learner(config | {'device': device} | of_state, split)
        data = fingerprint(learn.dls.annotations, learn.dls.split)
        if state: check_data(folder, state['data'], data)
    if first:
        if state: remove_leftovers(folder)
        else: make_folder(folder)
        known = write_config(folder, config, learn, data)
        announce(config, learn)
    history, cbs = make_callbacks(folder, config, learn, data, state)
    fit(learn, config, cbs)
    check_loss(folder, cbs)
    if first and history.best is not None:
        learn.model.load_state_dict(checkpoint.load(folder / 'weight' / 'best.pth'))
    distributed.part(learn.model)
    if first:
        report(folder, history, learn.dls.valid_ds.items)
        learn.evaluation = evaluate_validation(folder, known, learn)
    return learn


def cross_validate(config):
    """Train a model for each fold of `config`, into `fold_1/` and so on, validated on the images of that fold.

    Writes what is known of all of them together beside these folders. Returns the summary of the errors, a dict.
    """
    distributed.refuse('train --folds')
    folder, n_folds = run_folder(config), config['folds']
    resumed = config['resume'] and (folder / 'config.json').is_file()
    if not resumed: check_folder(folder, config)
    elif (folder / 'report.html').is_file(): raise UsageError(f'{folder} is finished, all {n_folds} folds of it')
    fold_of = split_folds(read_annotations(annotation_csv(config), config['n_landmarks']), n_folds, config['seed'])
    learn = make_learner(config, fold_split(fold_of, 1))  # every mistake shows before anything is written
    annotations, data = learn.dls.annotations, fingerprint(learn.dls.annotations, fold_of)
    if resumed: check_data(folder, read_config(folder).get('data'), data)
    else: make_folder(folder)
    learn.dls.split = fold_split(fold_of, 0)
    known = write_config(folder, config, learn, data)
    split = pd.DataFrame({'image_name': annotations.image_names, 'split': learn.dls.split, 'fold': fold_of})
    write_text(folder / 'split.csv', split.to_csv(index=False))
    evaluations = []
    for k in range(1, n_folds + 1):
        print(f'--- fold {k} of {n_folds}')
        of_fold = config | {'folds': 0, 'output_dir': str(folder), 'experiment_name': f'fold_{k}'}
        if (run_folder(of_fold) / 'report.html').is_file():
            of_it = annotations.subset(np.flatnonzero(fold_of == k))
            evaluations.append(evaluate_again(run_folder(of_fold), of_it, config))
        else: evaluations.append(train_once(of_fold, fold_split(fold_of, k)).evaluation)
    rows = np.flatnonzero(fold_of)
    return evaluate_folds(folder, known, annotations.subset(rows), fold_of[rows], evaluations)


def fold_split(fold_of, k):
    "The side of each image, (n,), where fold `k` of `fold_of` (n,) validates; none does for 0, whose images are test."
    return np.select([fold_of == 0, fold_of == k], ['test', 'val'], 'train')


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


def sample(output_dir='data', n_images=60, seed=42):
    "Write synthetic radiographs where `train` looks for them by default; returns the path of the CSV."
    distributed.refuse('sample')
    csv_file = write_sample(output_dir, n_images, seed)
    print(f'{n_images} synthetic radiographs and their landmarks: {csv_file}')
    return csv_file


def demo(output_dir='runs'):
    """Sample data, a short training with a small encoder, and a sheet of held-out images, in the next free folder.

    The held-out images are drawn apart and take no part in the training, nor in choosing the best epoch. Returns the
    mean error on them and that of predicting the mean position, in original px.
    """
    distributed.refuse('demo')
    folder = free_folder(Path(output_dir), 'demo')
    csv_file = sample(folder / 'data')
    learn = train(train_image_dir=folder / 'data' / 'train_images', label_dir=csv_file.parent,
                  train_csv_file=csv_file.name, output_dir=folder, experiment_name='run', **DEMO)
    films = read_films(write_sample(folder / 'held_out', n_images=12, seed=43), folder / 'held_out' / 'train_images')
    points = load(folder / 'run').predict([film.path for film in films]).points
    error, baseline = mean_error(points, films), mean_error(mean_positions(learn.dls.train_ds.items, films), films)
    write_png(folder / 'held_out.png', sheet(films[:6], points[:6], learn.dls.annotations.names))
    print(f'{len(films)} held-out images: mean error {error:.2f} px; predicting the mean position: {baseline:.1f} px, '
          f"{baseline / error:.0f} times as far; pictures: {folder / 'held_out.png'}")
    return error, baseline


# --- demo

def free_folder(parent, name):
    "The first of `name`, `name_2`, `name_3`... that is not in `parent`."
    return next(path for k in count(1) if not (path := parent / (name if k == 1 else f'{name}_{k}')).exists())


def read_films(csv_file, image_dir):
    "The images that `csv_file` annotates, checked."
    return make_films(*check_images(read_annotations(csv_file), image_dir), DEMO['image_resize'])


def mean_error(points, films):
    "Mean radial error of `points`, (N, 2) in original px for each of `films`."
    return float(np.nanmean([np.linalg.norm(p - film.points, axis=1) for p, film in zip(points, films, strict=True)]))


def mean_positions(train_films, films):
    "The landmarks of each of `films` (original px) if they lay where they lie on average on the training squares."
    mean = torch.stack([to_network(*as_tensors(film)) for film in train_films]).nanmean(0)
    return [to_original(mean, as_tensors(film)[1]).numpy() for film in films]


def as_tensors(film):
    "The points (N, 2) and the frame (7,) of `film`."
    return torch.from_numpy(film.points).float(), torch.from_numpy(film.frame)


def sheet(films, points, names):
    "A contact sheet of `films` with true and predicted landmarks, on the images as they are."
    pictures = [draw_landmarks(read_image(film.path), film.points, p, names, 'errors in original px')
                for film, p in zip(films, points, strict=True)]
    return contact_sheet(pictures, [film.name for film in films], columns=2)


# --- steps of a training

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


def check_folder(folder, config):
    """Raise UsageError unless `folder` can be made for the run of `config`.

    An earlier run there may be overwritten, or resumed from its start, but nothing else, and nothing that is read.
    """
    check_writable(folder)
    if not folder.exists(): return
    if not (config['overwrite'] or config['resume']):
        raise UsageError(f'{folder} exists; pass --overwrite to replace it, or another --experiment_name')
    if any(folder.iterdir()) and not is_run(folder):
        raise UsageError(f'{folder} is no run folder (no config.json of landmark_fastai): remove it yourself')
    read = {name: config[name] for name in ('train_image_dir', 'label_dir', 'from_run')}
    read['train_csv_file'] = annotation_csv(config)  # which may be a path of its own
    if config['encoder_weights'] not in ('imagenet', 'none'): read['encoder_weights'] = config['encoder_weights']
    for name, path in read.items():
        if path and lies_in(path, folder):
            raise UsageError(f'{name} {path} lies in {folder}, which would be replaced; pass another '
                             '--experiment_name, or move it away')


def check_data(folder, before, now):
    "Raise UsageError unless the run in `folder` was started on the data whose fingerprint is `now`."
    if before == now: return
    raise UsageError(f'{folder} was started with other annotations or another split; restore them, or start another '
                     'run with --experiment_name')


def make_folder(folder):
    "Make the run folder, removing an earlier run there."
    if folder.exists(): shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def n_epochs(config):
    "Number of epochs of a run, frozen ones included."
    return config['epochs'] + n_frozen(config)


def n_frozen(config):
    "Number of epochs with a frozen encoder, at the start of a run."
    return config['freeze_epochs'] if config['schedule'] == 'fine_tune' else 0


def check_loss(folder, cbs):
    "Raise Diverged if a callback has stopped the training of the run in `folder` for its loss."
    problem = next((cb.problem for cb in cbs if isinstance(cb, CheckLoss)), None)
    if problem is None: return
    weight = folder / 'weight'
    kept = [str(path) for path in (weight / 'best.pth', weight / 'last.ckpt') if path.is_file()]
    raise Diverged(f'{problem}; try a smaller --lr, or look at these images. '
                   f'{" and ".join(kept) or "No weights"} of earlier epochs are kept')


def read_state_of(folder, config):
    """What last.ckpt of the run of `config` in `folder` holds, to be resumed; None where it has not finished an epoch.

    Raises UsageError where the run has finished its training and its report, and where the file is damaged.
    """
    if not (folder / 'weight' / 'last.ckpt').is_file():
        if (folder / 'report.html').is_file():
            raise UsageError(f'{folder} has no weight/last.ckpt to go on with; train on with --from_run {folder}')
        return None
    state = read_state(folder / 'weight' / 'last.ckpt')
    if 'random' not in state: raise UsageError(f'{folder} is of an earlier version, which cannot be resumed')
    epoch, total = state['epoch'], n_epochs(config)
    stopped = config['early_stop'] and is_stale(state['history'], config['early_stop'], n_frozen(config))
    if (epoch >= total or stopped) and (folder / 'report.html').is_file():
        how = f'stopped early after {epoch} of {total} epochs' if epoch < total else f'all {epoch} epochs of it'
        raise UsageError(f'{folder} is finished, {how}; train on with --from_run {folder}')
    return state


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


def announce(config, learn):
    "Say what is trained on what."
    train_set, valid_set = learn.dls.train_ds, learn.dls.valid_ds
    print(f"{len(train_set)} training and {len(valid_set)} validation images, "
          f"{len(learn.dls.annotations.names)} landmarks, {config['arch']} with {config['encoder_name']} at "
          f"{config['image_resize']} px on {learn.dls.device} in {learn.precision}, writing {run_folder(config)}",
          flush=True)


def fit(learn, config, cbs):
    "Train by the schedule of `config`."
    epochs, lr = config['epochs'], config['lr']
    if rank_distrib(): set_seed(config['seed'] + rank_distrib())  # each process augments in its own way
    with learn.no_bar(), learn.no_logging():
        if config['schedule'] == 'constant': learn.fit(epochs, lr, cbs=cbs)
        elif config['schedule'] == 'one_cycle': learn.fit_one_cycle(epochs, lr, cbs=cbs)
        else: learn.fine_tune(epochs, lr, freeze_epochs=config['freeze_epochs'], cbs=cbs)


def report(folder, history, valid_films):
    "Say what came out, and why there are no best weights where there are none."
    if history.best is not None:
        best = history.best
        print(f"best epoch {best['epoch']}: mean error {in_words(best)} in original pixels, "
              f"{best['mean_dist']:.2f} px of the network")
    else:
        seen = any((film.state == VISIBLE).any() for film in valid_films)
        why = 'the network diverged, try a smaller --lr' if seen else 'no validation image has a visible landmark'
        print(f"{why}: no error is known and no best weights were chosen; the last are in "
              f"{folder / 'weight' / 'last.ckpt'}")
    print(f'the run is in {folder}')
