"From the flags of a command to a `Predictor`: of a run, of a bundle or of weights. Torch only where one needs it."

from pathlib import Path
from types import ModuleType

from ..errors import UsageError
from ..predict_config import PredictConfig
from .bundle import check_asked, is_bundle, load_bundle
from .predictor import Predictor


def config_predictor(config: PredictConfig, names: list[str] | None = None) -> Predictor:
    "The `Predictor` that the flags `config` ask for; `names` are for weights, which have none. Raises UsageError."
    if takes_bundle(config): predictor = bundle_predictor(config)
    else: predictor = run_predictor(config, names)
    if config.weights or config.n_landmarks in (None, len(predictor.names)): return predictor
    raise UsageError(f'n_landmarks is {config.n_landmarks}, but {config.model} has {len(predictor.names)} '
                     f'landmarks ({", ".join(predictor.names)}); leave it out')


def takes_bundle(config: PredictConfig) -> bool:
    "Whether the flags `config` name a bundle, and not a run or weights."
    return not config.weights and is_bundle(config.model)


def bundle_predictor(config: PredictConfig) -> Predictor:
    "The `Predictor` of the bundle `config.model`. Raises UsageError for what a bundle cannot do."
    check_asked(config.model, config.decode, config.device, config.precision)
    if config.tta:
        raise UsageError('tta with a bundle, which looks at every image once; pass --model with the folder of the run')
    predictor = load_bundle(config.model, config.engine, not config.no_refine, not config.no_shape)
    if config.engine == 'auto': print(f'engine: {predictor.engine.name}')
    return predictor


def run_predictor(config: PredictConfig, names: list[str] | None) -> Predictor:
    "The `Predictor` of the run `config.model`, or of weights, by PyTorch. Raises UsageError."
    if config.engine not in ('auto', 'torch'):
        raise UsageError(f'engine {config.engine!r} with {config.weights or config.model}, which is no bundle; export '
                         'the run first, and pass --model with the bundle')
    loading = loading_with_torch(config.weights or config.model)
    device = None if config.device == 'auto' else config.device
    if not config.weights:
        return loading.load(config.model, config.decode, device, config.precision, not config.no_refine,
                            not config.no_shape)
    return loading.load_original(config.weights, config.encoder_name, config.n_landmarks, names, config.decode, device,
                                 config.precision)


def load_any(model: str | Path) -> Predictor:
    "The `Predictor` of the run or the bundle in the folder `model`, as it is by default. Raises UsageError."
    return load_bundle(model) if is_bundle(model) else loading_with_torch(model).load(model)


def loading_with_torch(model: str | Path) -> ModuleType:
    "The module that loads what only PyTorch can run, such as `model`. Raises UsageError where there is no PyTorch."
    try:
        from . import loading
    except ModuleNotFoundError as e:
        if e.name != 'torch': raise
        raise UsageError(f'{model} is run by PyTorch, which is not installed here; pass a bundle that export has made '
                         'of it, or install torch') from None
    return loading
