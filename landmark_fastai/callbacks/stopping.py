"When a training stops before its last epoch: a NaN loss, or no progress."

from collections.abc import Sequence

import torch
from accelerate.utils import gather
from fastai.callback.core import CancelFitException
from fastai.torch_core import num_distrib, rank_distrib

from .checkpoint import innermost
from .core import RunCallback
from .history import History, best_row


class CheckLoss(RunCallback):
    """Stop before a NaN or infinite loss reaches the weights; `problem` then says where it was.

    Of several processes all stop where the loss of one is no number.
    """
    problem: str | None = None

    def after_loss(self):
        if not self.training: return
        losses = self.loss.detach()[None]
        if num_distrib() > 1: losses = gather(losses)
        if torch.isfinite(losses).all(): return
        names = ', '.join(image.name for image in innermost(self.dls.train).images_of(self.iter))
        self.problem = (f'epoch {len(self.history.rows) + 1}, batch {self.iter + 1}: the loss is {losses.sum().item()} '
                        f'on the images {names}')
        raise CancelFitException


class EarlyStop(RunCallback):
    """Stop after `patience` epochs without a smaller error in original px; at once where a run resumes after that.

    The first `n_frozen` epochs, of a frozen encoder, do not count.
    """
    order = History.order + 20  # after everything that is written after an epoch

    def __init__(self, patience: int, n_frozen: int = 0): self.patience, self.n_frozen = patience, n_frozen

    @property
    def is_over(self) -> bool:
        "Whether the training has gone on for long enough."
        return is_stale(self.history.rows, self.patience, self.n_frozen)

    def before_fit(self):
        super().before_fit()
        if self.run and self.learn.first_epoch and self.is_over: raise CancelFitException

    def after_epoch(self):
        if not self.is_over: return
        if not rank_distrib(): print(f'stopped early: no smaller error in {self.patience} epochs')
        raise CancelFitException


def is_stale(rows: Sequence[dict], patience: int, n_frozen: int) -> bool:
    "Whether the last `patience` of the epochs of a log, without its first `n_frozen`, had no smaller error."
    best = best_row(rows)
    return len(rows) - max(best['epoch'] if best else 0, n_frozen) >= patience
