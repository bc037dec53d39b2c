"From the flags of a command to a `Predictor`: of a run, of a bundle or of weights. Torch only where one needs it."

from ..config import read_config
from ..errors import UsageError
from ..predict_config import PredictConfig
from .bundle import is_bundle, load_bundle
from .predictor import Predictor


def config_predictor(config: PredictConfig, names: list[str] | None = None) -> Predictor:
    "The `Predictor` that the flags `config` ask for; `names` are for weights, which have none. Raises UsageError."
    if not config.weights and is_bundle(config.model): predictor = bundle_predictor(config)
    else: predictor = torch_predictor(config, names)
    if config.weights or config.n_landmarks in (None, len(predictor.names)): return predictor
    raise UsageError(f'n_landmarks is {config.n_landmarks}, but {config.model} has {len(predictor.names)} '
                     f'landmarks ({", ".join(predictor.names)}); leave it out')


def bundle_predictor(config: PredictConfig) -> Predictor:
    "The `Predictor` of the bundle `config.model`. Raises UsageError for what a bundle cannot do."
    decode = read_config(config.model).decode
    if config.decode not in (None, decode):
        raise UsageError(f'decode {config.decode!r} with the bundle {config.model}, whose graph decodes by {decode}; '
                         f'export the run with --decode {config.decode}')
    if config.tta:
        raise UsageError('tta with a bundle, which looks at every image once; pass --model with the folder of the run')
    if config.device not in ('auto', 'cpu') or config.precision not in ('auto', 'fp32'):
        raise UsageError(f'device {config.device!r} and precision {config.precision!r} with a bundle, which is run on '
                         'the CPU in fp32; leave them out, or pass --model with the folder of the run')
    predictor = load_bundle(config.model, config.engine, not config.no_refine)
    if config.engine == 'auto': print(f'engine: {predictor.engine.name}')
    return predictor


def torch_predictor(config: PredictConfig, names: list[str] | None) -> Predictor:
    "The `Predictor` of the run `config.model`, or of weights, by PyTorch. Raises UsageError."
    if config.engine not in ('auto', 'torch'):
        raise UsageError(f'engine {config.engine!r} with {config.weights or config.model}, which is no bundle; export '
                         'the run first, and pass --model with the bundle')
    from .loading import load, load_original
    device = None if config.device == 'auto' else config.device
    if not config.weights: return load(config.model, config.decode, device, config.precision, not config.no_refine)
    return load_original(config.weights, config.encoder_name, config.n_landmarks, names, config.decode, device,
                         config.precision)
