"""Callbacks: the erosion schedule, what a run writes and says, and when it stops; `saving` has those of its weights.

`landmark_learner` attaches `ErosionSchedule`; the others are made by `run.train` and passed to `fit`, so that
`validate`, `get_preds` and `lr_find` never touch a file. Each counts epochs over all fits that it is passed to.
"""

from fastai.callback.core import Callback

from ..errors import UsageError
from ..geometry.erosion import auto_radius, fixed_radius
from .core import is_training_run


class ErosionSchedule(Callback):
    """Set the radius of the masks before each training epoch; several fits count on.

    The radius is a function of the epochs finished by earlier fits + `learn.epoch`, and of `total_epochs` (by default
    all epochs so far and those of the current fit); it never grows again. An epoch with a frozen encoder does not use
    up the schedule. `validate`, `get_preds` and `lr_find` leave it alone.
    """
    def __init__(self, schedule='auto', dilation_iters=25, erosion_freq=35, erosion_iters=10, total_epochs=None):
        if schedule not in ('auto', 'fixed'):
            raise UsageError(f'erosion_schedule {schedule!r} is unknown; choose auto or fixed')
        for name, value, least in (('dilation_iters', dilation_iters, 0), ('erosion_freq', erosion_freq, 1),
                                   ('erosion_iters', erosion_iters, 0)):
            if value < least: raise UsageError(f'{name} is {value}; expected at least {least}')
        self.schedule, self.total_epochs = schedule, total_epochs
        self.stairs = dilation_iters, erosion_freq, erosion_iters
        self.finished = self.offset = 0

    def after_create(self):
        self._find_masks()
        self.masks.radius = self.radius_at(0, 1)

    def _find_masks(self):
        "Keep the `DrawMasks` that all batches share: while several processes train, their loaders hide it."
        self.masks = self.dls.train.after_batch.draw_masks

    def radius_at(self, epoch, total):
        "Radius in network px in `epoch` (from 0) of `total`."
        if self.schedule == 'fixed': return fixed_radius(epoch, *self.stairs)
        return auto_radius(epoch, max(total, 1), self.masks.image_resize, *self.stairs)

    def before_fit(self):
        self._find_masks()
        self.offset = self.finished

    def before_train(self):
        if not self._counts: return
        radius = self.radius_at(self.offset + self.epoch, self.total_epochs or self.offset + self.n_epoch)
        self.masks.radius = min(radius, self.masks.radius)

    def after_train(self):
        if self._counts: self.finished = self.offset + self.epoch + 1

    @property
    def _counts(self): return is_training_run(self.learn) and not self.opt.frozen_idx
