"""Anatomical landmark detection on medical images, on fastai.

`from landmark_fastai import landmark_dls, landmark_learner`; names load on first use, since torch takes seconds.
"""

from importlib import import_module

__version__ = '0.1.0'

_HOMES = {
    'UsageError': 'errors', 'Annotations': 'annotations', 'read_annotations': 'annotations',
    'write_annotations': 'annotations', 'LandmarkBlock': 'data', 'landmark_dls': 'data', 'landmark_learner': 'learner',
    'LandmarkLearner': 'learner', 'LandmarkLoss': 'losses', 'LandmarkError': 'metrics', 'DiceScore': 'metrics',
    'ErosionSchedule': 'callbacks', 'write_sample': 'sample', 'train': 'run', 'find_lr': 'run', 'demo': 'run',
}
__all__ = list(_HOMES)


def __getattr__(name):
    if name not in _HOMES: raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'.{_HOMES[name]}', __name__), name)


def __dir__(): return [*globals(), *_HOMES]
