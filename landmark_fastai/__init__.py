"""Anatomical landmark detection on medical images, on fastai.

`from landmark_fastai import landmark_dls, landmark_learner`; names load on first use, since torch takes seconds.
"""

from importlib import import_module

__version__ = '1.0.0'


def __getattr__(name):
    if name.startswith('_'): raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from importlib.util import find_spec
    if find_spec(f'{__name__}.{name}'): return import_module(f'.{name}', __name__)
    return getattr(import_module('.all', __name__), name)
