"`predict`: a trained model on a folder of images; what it has in common with `evaluate`."

from ..errors import UsageError
from ..formats.annotations import check_spacing
from ..training.config import device_name
from .loading import load, load_original

OPTIONS = dict(model='runs/baseline', weights=None, encoder_name=None, n_landmarks=None, decode=None, tta=False,
               min_confidence=0., no_overlays=False, pixel_spacing=None, device='auto', precision='auto',
               overwrite=False)


def make_options(flags):
    "All options of `predict` and `evaluate`: defaults and `flags`, checked. Raises UsageError."
    unknown = flags.keys() - OPTIONS.keys()
    if unknown: raise UsageError(f'unknown argument {", ".join(sorted(unknown))}; expected {", ".join(OPTIONS)}')
    options = OPTIONS | flags
    if not 0 <= options['min_confidence'] <= 1:
        raise UsageError(f"min_confidence is {options['min_confidence']}; expected 0 to 1")
    if options['pixel_spacing'] is not None: check_spacing(options['pixel_spacing'], '--pixel_spacing')
    if options['encoder_name'] and not options['weights']:
        raise UsageError('encoder_name without weights; a run knows its encoder, leave it out')
    return options


def make_predictor(options, names=None):
    "The predictor that `options` ask for; `names` are for weights, which have none. Raises UsageError."
    n_landmarks = options['n_landmarks']
    how = options['decode'], device_name(options['device']), options['precision']
    if options['weights']:
        return load_original(options['weights'], options['encoder_name'], n_landmarks, names, *how)
    predictor = load(options['model'], *how)
    if n_landmarks not in (None, len(predictor.names)):
        raise UsageError(f"n_landmarks is {n_landmarks}, but {options['model']} has {len(predictor.names)} landmarks "
                         f"({', '.join(predictor.names)}); leave it out")
    return predictor
