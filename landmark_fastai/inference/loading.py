"A trained network on new images: from the folder of a run, or from weights of the original system."

import warnings
from pathlib import Path

import numpy as np

from ..errors import UsageError
from ..learner import check_decoder
from ..model import state as checkpoint
from ..model.network import create_model
from ..model.weights import load_weights
from ..training.config import make_config, normalization, read_config
from .predictor import Predictor


def load(run, decode=None, device=None, precision='auto'):
    """The `Predictor` of the run in the folder `run`, from `config.json` and `weight/best.pth` there and nothing else.

    A cross-validation gives the ensemble of its folds.
    A run without best weights (no validation image had a label) gives its last ones. `decode`, centroid or argmax, is
    the run's own when left out, `device` fastai's default, `precision` one of `precision.PRECISIONS`. Raises UsageError
    for a folder without a run or weights.
    """
    config = read_config(run)
    if not config['folds']: return with_weights(config, [read_weights(run)], decode, device, precision)
    folds = [Path(run, f'fold_{k}') for k in range(1, config['folds'] + 1)]
    weights = [read_weights(fold) for fold in folds]
    known = [factors for fold in folds if (factors := read_config(fold)['calibration'])]
    config['calibration'] = np.mean(known, 0).tolist() if known else None
    return with_weights(config, weights, decode, device, precision)


def read_weights(run):
    "The best weights of the run in the folder `run`, else its last ones, and their file. Raises UsageError."
    weight = Path(run, 'weight')
    best, last = weight / 'best.pth', weight / 'last.ckpt'
    if best.is_file(): return read_state(best), best
    if not last.is_file():
        raise UsageError(f'{run} has no weight/best.pth, expected the folder of a training that has finished an epoch')
    warnings.warn(f'{run} has no weight/best.pth: its last weights are taken', stacklevel=2)
    return read_state(last)['model'], last


def load_original(weights, encoder_name=None, n_landmarks=None, names=None, decode=None, device=None,
                  precision='auto'):
    """The `Predictor` of `weights`, a plain state dict (.pth) of the original system's U-Net.

    It sees images as the original does: 512 px, RGB, ImageNet's normalisation. When left out, `encoder_name` is
    resnet101, `decode` argmax, and `names` of the landmarks are landmark_1, landmark_2 and so on; `n_landmarks`, when
    given, must be that of the weights. Raises UsageError for weights of another network.
    """
    state = read_state(weights)
    head = state.get('segmentation_head.0.bias')
    if head is None: raise UsageError(f'{weights} has no segmentation head, expected the state dict of an smp.Unet')
    if n_landmarks not in (None, len(head)):
        raise UsageError(f'n_landmarks is {n_landmarks}, but {weights} has {len(head)} landmarks; leave it out')
    names = names or [f'landmark_{k}' for k in range(1, len(head) + 1)]
    if len(names) != len(head):
        raise UsageError(f'{len(names)} landmarks ({", ".join(names)}), but {weights} has {len(head)}')
    config = make_config({'recipe': 'original', 'encoder_name': encoder_name})
    config |= {'landmarks': names, 'presence': [], 'calibration': None, 'flat': []}
    config |= dict(zip(('mean', 'std'), normalization(config), strict=True))
    return with_weights(config, [(state, weights)], decode, device, precision)


def read_state(path):
    "The state dict in the file at `path`. Raises UsageError; code in the file is never run."
    if not Path(path).is_file(): raise UsageError(f'{path}: no such file, expected weights (.pth)')
    try: state = checkpoint.load(path)
    except Exception:
        raise UsageError(f'{path} cannot be read as weights: damaged, or no state dict of tensors') from None
    if isinstance(state, dict): return state
    raise UsageError(f'{path} holds a {type(state).__name__}, expected a state dict')


def with_weights(config, weights, decode, device, precision):
    "The `Predictor` of a run's `config` with `weights`: the state dict of each model, and the file that it was in."
    config = config | {'weights': ', '.join(str(path) for _, path in weights), 'decode': decode or config['decode']}
    check_decoder(config['decode'])
    models = []
    for state, path in weights:
        model = create_model(config['arch'], config['encoder_name'], 'none', len(config['landmarks']))
        load_weights(model, state, path, f"{config['arch']} with {config['encoder_name']}")
        models.append(model)
    return Predictor(models, config, device, precision)
