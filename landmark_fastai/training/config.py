"The configuration of a run: from flags to one dict, and to the functions that use it; `config.json` and back."

import json
import platform
import subprocess
from pathlib import Path

import cv2
import fastai
import numpy as np
import pandas as pd
import segmentation_models_pytorch as smp
import torch

from .. import __version__
from ..errors import UsageError
from ..files import write_text
from ..formats.annotations import ABSENT
from ..learner import OPTIMIZERS
from ..model.losses import LandmarkLoss
from ..model.weights import IMAGENET_STATS, encoder_stats
from .recipes import RECIPES, fill

SCHEDULES = ('constant', 'one_cycle', 'fine_tune')
TRAIN_DEFAULTS = dict(
    train_image_dir='./data/train_images', label_dir='./data/labels', train_csv_file='train_annotation.csv',
    n_landmarks=None, seed=42, gif=False, experiment_name='baseline', output_dir='runs', recipe='default',
    from_run=None, folds=0, freeze_epochs=1, early_stop=0, flip_pairs=None, val_fraction=0.2, pixel_spacing=None,
    invisible_landmarks=False, num_workers=0, device='auto', precision='auto', compile=False,
    cache='auto', clear_cache=False, visualize_every=10, overwrite=False, resume=False)
ARGUMENTS = TRAIN_DEFAULTS | dict.fromkeys(RECIPES['default'])  # None: the recipe's value
LEAST = {1: 'epochs visualize_every freeze_epochs',
         0: 'seed folds weight_decay num_workers early_stop dice_weight bce_weight spatial_weight ema'}
# what runs of earlier versions lack, and what they stood for
ADDED = dict(presence=[], calibration=None, flat=[], dice_weight=1., bce_weight=1., spatial_weight=1., ema=0.,
             elastic=0.)
# flags that a run may be resumed with other values of: where things are, and how they are shown
FREE = ('resume', 'experiment_name', 'output_dir', 'epochs', 'train_image_dir', 'label_dir', 'cache', 'clear_cache',
        'num_workers', 'device', 'visualize_every', 'overwrite')
NETWORK = ('arch', 'encoder_name', 'color')  # what weights are bound to
KEPT = ('image_resize', 'decode', 'normalization')  # what a run also hands on to one that starts from it
NEEDED = (*NETWORK, *KEPT, 'landmarks', 'mean', 'std')  # to predict


# --- from flags

def make_config(flags):
    "All arguments of a run: defaults, recipe, the run that it starts from, and `flags`, checked. Raises UsageError."
    unknown = flags.keys() - ARGUMENTS.keys()
    if unknown: raise UsageError(f'unknown argument {", ".join(sorted(unknown))}; expected those of train')
    if flags.get('from_run'): flags = _from_run(flags)
    config = fill(flags.get('recipe', 'default'), TRAIN_DEFAULTS | flags)
    check_values(config)
    return config


def check_values(config):
    "Raise UsageError for a value of `config` that makes no sense."
    for least, names in LEAST.items():
        for name in names.split():
            if config[name] < least: raise UsageError(f'{name} is {config[name]}; expected at least {least}')
    if not config['lr'] > 0: raise UsageError(f"lr is {config['lr']}; expected a positive number")
    if config['ema'] >= 1: raise UsageError(f"ema is {config['ema']}; expected less than 1, such as 0.99; 0 is none")
    if config['schedule'] not in SCHEDULES:
        raise UsageError(f"schedule {config['schedule']!r} is unknown; choose one of {', '.join(SCHEDULES)}")
    name = config['experiment_name']
    if name in ('', '.', '..') or Path(name).name != name:
        raise UsageError(f'experiment_name is {name!r}; expected the name of a folder, no path')


def resumed_config(flags):
    """The arguments of the run that `flags` name, to go on with; None where it has none yet.

    Flags that are given must be those of the run, but for the `FREE` ones. Raises UsageError.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    folder = run_folder(ARGUMENTS | given)
    if not folder.is_dir() or not any(folder.iterdir()): return None
    if given.get('overwrite'): raise UsageError('resume beside overwrite: one goes on with what the other removes')
    saved = read_config(folder)
    for name, value in given.items():
        if name not in FREE and str(value) != str(saved.get(name)):
            raise UsageError(f'{folder} was started with {name} {saved.get(name)!r}, not {value!r}; leave it out, or '
                             'start another run with --experiment_name')
    _check_more_epochs(saved, given, folder)
    missing = [name for name in ARGUMENTS if name not in saved]
    if missing: raise UsageError(f'{folder / "config.json"} lacks {", ".join(missing)}, and cannot be resumed')
    config = {name: saved[name] for name in ARGUMENTS}
    config |= {name: value for name, value in given.items() if name in FREE} | {'resume': True}
    check_values(config)
    return config


def _check_more_epochs(saved, given, folder):
    epochs = given.get('epochs', saved['epochs'])
    if epochs == saved['epochs']: return
    steady = (saved['schedule'], saved['erosion_schedule'], saved['folds']) == ('constant', 'fixed', 0)
    if epochs < saved['epochs'] or not steady:
        raise UsageError(f"{folder} was started with epochs {saved['epochs']}, not {epochs}, and its schedules are "
                         'made for them: more can only be given to a constant rate with fixed erosion, without folds; '
                         'see --from_run')


def _from_run(flags):
    "`flags` with the network of the run that they start from."
    flags = {name: value for name, value in flags.items() if value is not None}
    run, earlier = flags['from_run'], read_config(flags['from_run'])
    for name in NETWORK:
        if name in flags and flags[name] != earlier[name]:
            raise UsageError(f'{name} is {flags[name]!r}, but {run} was trained with {earlier[name]!r}; leave it out')
    if 'encoder_weights' in flags: raise UsageError(f'encoder_weights beside from_run: all weights are those of {run}')
    return {name: earlier[name] for name in (*NETWORK, *KEPT)} | flags | {'encoder_weights': 'none'}


def run_folder(config):
    "The folder that a run of `config` writes."
    return Path(config['output_dir'], config['experiment_name'])


def annotation_csv(config):
    "The CSV that a run of `config` is trained on."
    return Path(config['label_dir'], config['train_csv_file'])


def dls_arguments(config):
    "The arguments of `landmark_dls` for `config`."
    return dict(
        csv_file=annotation_csv(config), image_dir=config['train_image_dir'],
        device=device_name(config['device']), flip_pairs=parse_pairs(config['flip_pairs']),
        **_pick(config, 'n_landmarks image_resize batch_size val_fraction seed augment elastic '
                        'pixel_spacing invisible_landmarks color drop_last cache num_workers'))


def learner_arguments(config):
    "The arguments of `landmark_learner`, beside `dls`, for `config`."
    return dict(
        loss=LandmarkLoss(config['loss'], **_pick(config, 'dice_weight bce_weight spatial_weight')),
        decoder=config['decode'], normalize=normalization(config), opt_func=OPTIMIZERS[config['optimizer']],
        lr=config['lr'], wd=config['weight_decay'],
        **_pick(config, 'arch encoder_name encoder_weights erosion_schedule dilation_iters erosion_freq '
                        'erosion_iters precision compile'))


def device_name(flag):
    "What `usable_device` takes for the value of --device."
    return None if flag == 'auto' else flag


def normalization(config):
    "Mean and standard deviation per channel that images are normalised with."
    return IMAGENET_STATS if config['normalization'] == 'imagenet' else encoder_stats(config['encoder_name'])


def parse_pairs(text):
    "The pairs of names in 'left_a:right_a,left_b:right_b'. Raises UsageError."
    pairs = [tuple(name.strip() for name in pair.split(':')) for pair in (text or '').split(',') if pair]
    for pair in pairs:
        if len(pair) != 2: raise UsageError(f"flip_pairs has {':'.join(pair)!r}; expected left:right,left:right")
    return pairs


def _pick(config, names):
    "The entries of `config` called `names`, a string."
    return {name: config[name] for name in names.split()}


# --- the file

def write_config(folder, config, learn, data):
    "Write `config.json` and `split.csv` of a run on `data`, a fingerprint; returns what config.json holds."
    annotations = learn.dls.annotations
    known = {name: str(value) if isinstance(value, Path) else value for name, value in config.items()}
    mean, std = normalization(config)
    spacing = annotations.spacing[np.isfinite(annotations.spacing).all(1)]
    known |= {'landmarks': annotations.names, 'presence': _presence(learn), 'calibration': None, 'flat': [],
              'mean': mean, 'std': std, 'device_used': str(learn.dls.device), 'precision_used': learn.precision,
              'median_pixel_spacing': np.median(spacing, 0).tolist() if len(spacing) else None,
              'data': data, 'versions': versions(), 'git_commit': git_commit()}
    write_known(folder, known)
    split = pd.DataFrame({'image_name': annotations.image_names, 'split': learn.dls.split})
    write_text(folder / 'split.csv', split.to_csv(index=False))
    return known


def write_known(folder, known):
    "Write `known`, what config.json of the run in `folder` holds."
    write_text(folder / 'config.json', json.dumps(known, indent=2, ensure_ascii=False) + '\n')


def _presence(learn):
    "The landmarks whose absence the run learns: absent on a training image, and a loss that sees it."
    if 'bce' not in learn.loss_func.parts: return []
    absent = (learn.dls.annotations.state[learn.dls.split == 'train'] == ABSENT).any(0)
    return [name for name, seen in zip(learn.dls.annotations.names, absent, strict=True) if seen]


def read_config(folder):
    "The content of `config.json` of the run in `folder`. Raises UsageError where that is no run."
    folder = Path(folder)
    if not folder.is_dir(): raise UsageError(f'{folder}: no such folder, expected the folder of a run')
    try: config = json.loads((folder / 'config.json').read_text(encoding='utf-8'))
    except OSError:
        raise UsageError(f'{folder} has no config.json that can be read, expected the folder of a run') from None
    except ValueError: raise UsageError(f'{folder / "config.json"} is damaged, expected that of a run') from None
    missing = [name for name in NEEDED if not isinstance(config, dict) or name not in config]
    if missing:
        raise UsageError(f'{folder / "config.json"} lacks {", ".join(missing)}, expected that of a run of this package')
    return TRAIN_DEFAULTS | ADDED | config


def is_run(folder):
    "Whether a training has written `folder`."
    try: return 'landmark_fastai' in json.loads((folder / 'config.json').read_text(encoding='utf-8'))['versions']
    except (OSError, ValueError, KeyError, TypeError): return False


def versions():
    "Versions of what the result depends on."
    modules = {'fastai': fastai, 'torch': torch, 'segmentation_models_pytorch': smp, 'opencv': cv2, 'numpy': np}
    return {'landmark_fastai': __version__, 'python': platform.python_version()} | {
        name: module.__version__ for name, module in modules.items()}


def git_commit():
    "The commit of the code that runs, if it lies in a git checkout of its own; else None."
    root = Path(__file__).resolve().parent.parent
    command = ['git', '-C', str(root), 'rev-parse', '--show-toplevel', 'HEAD']
    try: toplevel, commit = subprocess.run(command, capture_output=True, text=True).stdout.split('\n')[:2]
    except (OSError, ValueError): return None  # no git here, or no commit
    return commit if Path(toplevel) == root else None
