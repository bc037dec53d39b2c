"Erosion while training: the masks get the radius of their epoch, which `geometry.radius` decides."

from fastai.callback.core import Callback

from ..config import TrainConfig
from ..flags import check_values
from ..geometry.radius import auto_radius, fixed_radius
from .core import is_training_run


class ErosionSchedule(Callback):
    """Set the radius of the masks before each training epoch; several fits count on.

    The radius is a function of the epochs finished by earlier fits + `learn.epoch`, and of `total_epochs` (by default
    all epochs so far and those of the current fit); it never grows again. An epoch with a frozen encoder does not use
    up the schedule. `validate`, `get_preds` and `lr_find` leave it alone. Raises UsageError.
    """
    def __init__(self, schedule: str = TrainConfig.erosion_schedule, dilation_iters: int = TrainConfig.dilation_iters,
                 erosion_freq: int = TrainConfig.erosion_freq, erosion_iters: int = TrainConfig.erosion_iters,
                 total_epochs: int | None = None):
        check_values(TrainConfig, erosion_schedule=schedule, dilation_iters=dilation_iters, erosion_freq=erosion_freq,
                     erosion_iters=erosion_iters)
        self.schedule = schedule
        self.stairs = dilation_iters, erosion_freq, erosion_iters
        self.total_epochs = total_epochs
        self.finished = 0  # epochs that count, of all fits
        self.offset = 0  # those of earlier fits

    def after_create(self):
        self._find_masks()
        self.masks.radius = self.radius_at(0, 1)

    def _find_masks(self):
        "Keep the `DrawMasks` that all batches share: while several processes train, their loaders hide it."
        self.masks = self.dls.train.after_batch.draw_masks

    def radius_at(self, epoch: int, total: int) -> int:
        "Radius in network px in `epoch` (from 0) of `total`."
        if self.schedule == 'fixed': return fixed_radius(epoch, *self.stairs)
        return auto_radius(epoch, max(total, 1), self.masks.image_resize, *self.stairs)

    def before_fit(self):
        self._find_masks()
        self.offset = self.finished

    def before_train(self):
        if not self.counts: return
        radius = self.radius_at(self.offset + self.epoch, self.total_epochs or self.offset + self.n_epoch)
        self.masks.radius = min(radius, self.masks.radius)

    def after_train(self):
        if self.counts: self.finished = self.offset + self.epoch + 1

    @property
    def counts(self) -> bool:
        "Whether the epochs of the current fit use up the schedule."
        return is_training_run(self.learn) and not self.opt.frozen_idx
