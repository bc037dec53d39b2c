"From the folder of a run, or a file of weights, to a `Predictor`."

import warnings
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ..config import TrainConfig, is_run, read_config
from ..errors import UsageError
from ..model.facts import ModelFacts, read_facts, without_shape
from ..model.network import create_model
from ..model.state import read_state_dict
from ..model.weights import IMAGENET_STATS, load_weights
from .bundle import check_asked, is_bundle, load_bundle
from .predictor import Predictor
from .refining import RefinedPredictor
from .torch_engine import torch_predictor

HEAD = 'segmentation_head.0.bias'
NESTED = 'state_dict', 'model_state_dict', 'model'  # where checkpoints of other programs keep the state dict
SECOND = 'refine'  # the folder of the second stage in that of a run


class WeightsFile(NamedTuple):
    "A state dict, and the file that it was in."
    state: dict[str, torch.Tensor]
    path: str | Path


def load(run: str | Path, decode: str | None = None, device: str | torch.device | None = None,
         precision: str = 'auto', refine: bool = True, shape: bool = True) -> Predictor:
    """The `Predictor` of the run in the folder `run`; a cross-validation gives the ensemble of its folds.

    With the second stage, where the run has one, unless `refine` is False, and with the shape of its landmarks, where
    it knows that, unless `shape` is False: then there are no bounds, which are made with it. It needs `config.yaml`,
    `model.json` and `weight/best.pth` there, and nothing else; a run without best weights (no validation image had a
    label) gives its last ones. The folder may be a bundle, see `load_bundle`. `decode`, centroid or argmax, is the
    run's own when left out, `device` fastai's default, `precision` one of `config.PRECISIONS`. Raises UsageError for a
    folder without a run or weights.
    """
    if is_bundle(run):
        check_asked(run, decode, device, precision)
        return load_bundle(run, refine=refine, shape=shape)
    config, facts = read_config(run), read_facts(run)
    if facts.crop:
        raise UsageError(f'{run} is the second stage of a run, which sees crops alone; take the folder above it')
    models = [Path(run, f'fold_{k}') for k in range(1, config.folds + 1)] or [Path(run)]
    if config.folds:
        calibrations = [known for fold in models if (known := read_facts(fold).calibration)]
        facts = replace(facts, calibration=np.mean(calibrations, 0).tolist() if calibrations else None)
    if not shape: facts = without_shape(facts)
    first = make_predictor(config, facts, list(map(read_weights, models)), decode, device, precision)
    if not (refine and config.refine): return first
    return RefinedPredictor(first, [load_second(model / SECOND, decode, device, precision) for model in models])


def load_trained(config: TrainConfig) -> Predictor:
    "The `Predictor` of the run that was trained with the flags `config`, on their device. Raises UsageError."
    return load(config.folder, device=None if config.device == 'auto' else config.device, precision=config.precision)


def load_second(folder: Path, decode: str | None, device: str | torch.device | None, precision: str) -> Predictor:
    "The `Predictor` of crops in the folder of a second stage. Raises UsageError where that is not whole."
    facts = read_facts(folder)
    if not facts.crop: raise UsageError(f'{folder} is no second stage of a run')
    return make_predictor(read_config(folder), facts, [read_weights(folder)], decode, device, precision)


def load_original(weights: str | Path, encoder_name: str | None = None, n_landmarks: int | None = None,
                  names: list[str] | None = None, decode: str | None = None,
                  device: str | torch.device | None = None, precision: str = 'auto') -> Predictor:
    """The `Predictor` of `weights`, the .pth or .safetensors of a state dict of the original system's U-Net.

    It sees images as the original does: 512 px, RGB, ImageNet's normalisation. When left out, `encoder_name` is
    resnet101, `decode` argmax, and `names` of the landmarks are landmark_1, landmark_2 and so on; `n_landmarks`, when
    given, must be that of the weights. Raises UsageError for weights of another network.
    """
    state = read_original(weights)
    head = state[HEAD]
    if n_landmarks not in (None, len(head)):
        raise UsageError(f'n_landmarks is {n_landmarks}, but {weights} has {len(head)} landmarks; leave it out')
    names = names or [f'landmark_{k}' for k in range(1, len(head) + 1)]
    if len(names) != len(head):
        raise UsageError(f'{len(names)} landmarks ({", ".join(names)}), but {weights} has {len(head)}')
    config = TrainConfig.of({'recipe': 'original', 'encoder_name': encoder_name})
    mean, std = IMAGENET_STATS
    facts = ModelFacts(landmarks=list(names), mean=list(mean), std=list(std))
    return make_predictor(config, facts, [WeightsFile(state, weights)], decode, device, precision)


def read_original(path: str | Path) -> dict:
    """The state dict in `path`, which may lie one level down in a checkpoint.

    Raises UsageError where there is none of a network of landmarks, and for weights of a run.
    """
    state = read_state_dict(path)
    # as its best.pth lies there, or its last.ckpt anywhere
    if is_run(Path(path).absolute().parent.parent) or {'history', 'shuffles'} <= state.keys():
        raise UsageError(f'{path} is of a run, which looks at images in its own way; pass --model with the folder of '
                         'the run in place of --weights')
    nested = [state[name] for name in NESTED if isinstance(state.get(name), dict)]
    if HEAD not in state and nested: state = nested[0]
    head = state.get(HEAD)
    if isinstance(head, torch.Tensor) and head.ndim == 1: return state
    raise UsageError(f'{path} has no segmentation head (a tensor {HEAD}), but {", ".join(map(str, list(state)[:3]))}'
                     f'{", …" * (len(state) > 3)}; expected the state dict of an smp.Unet')


def read_weights(run: str | Path) -> WeightsFile:
    "The best weights of the run in the folder `run`, else its last ones. Raises UsageError."
    weight = Path(run, 'weight')
    best, last = weight / 'best.pth', weight / 'last.ckpt'
    if best.is_file(): return WeightsFile(read_state_dict(best), best)
    if not last.is_file():
        raise UsageError(f'{run} has no weight/best.pth, expected the folder of a training that has finished an epoch')
    warnings.warn(f'{run} has no weight/best.pth: its last weights are taken', stacklevel=2)
    return WeightsFile(read_state_dict(last)['model'], last)


def make_predictor(config: TrainConfig, facts: ModelFacts, weights: list[WeightsFile], decode: str | None,
                   device: str | torch.device | None, precision: str) -> Predictor:
    "The `Predictor` of a run with `weights`, those of each model. Raises UsageError where they do not fit."
    if decode is not None: config = replace(config, decode=decode)
    models = []
    for each in weights:
        model = create_model(config.arch, config.encoder_name, 'none', len(facts.landmarks))
        load_weights(model, each.state, each.path, f'{config.arch} with {config.encoder_name}')
        models.append(model)
    return torch_predictor(models, config, facts, device, precision, [each.path for each in weights])
