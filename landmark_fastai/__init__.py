"""Anatomical landmark detection on medical images, on fastai.

`from landmark_fastai import landmark_dls, landmark_learner`; names load on first use, since torch takes seconds.
"""

from importlib import import_module

__version__ = '0.1.0'


def __getattr__(name):
    if name.startswith('_') or name == 'all': raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module('.all', __name__), name)
