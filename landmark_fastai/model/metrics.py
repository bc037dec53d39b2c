"Metrics over all labelled points of the validation set: mean radial error, Dice, presence."

from functools import partial

import torch
from fastai.learner import Learner, Metric, ValueMetric

from ..config import TrainConfig
from ..formats.annotations import UNLABELLED, VISIBLE
from ..geometry.decoding import decode, is_present
from ..geometry.distances import radial_errors


class PerLandmark(Metric):
    "Base of metrics that keep one value per image and landmark, NaN where there is nothing to score."
    def reset(self): self.kept = {}

    def keep(self, learn: Learner, **values: torch.Tensor):
        "Add a batch of `values` (B, N), by name; of all processes, where `learn` trains in several."
        for name, value in values.items(): self.kept.setdefault(name, []).append(learn.to_detach(value.float()))

    def per_landmark(self, name: str) -> torch.Tensor:
        "Mean of the values called `name` for each landmark (N,); NaN for a landmark that was never scored."
        return torch.cat(self.kept[name]).nanmean(0) if self.kept.get(name) else torch.tensor([])

    def mean(self, name: str) -> float:
        "Mean of the values called `name` over every scored point, not over batches or images; NaN if there is none."
        return torch.cat(self.kept[name]).nanmean().item() if self.kept.get(name) else float('nan')

    def median(self, name: str) -> float:
        "As `mean`, their median."
        values = torch.cat(self.kept[name]) if self.kept.get(name) else torch.tensor([])
        return values.nanquantile(0.5).item() if values.numel() else float('nan')


class LandmarkError(PerLandmark):
    "Mean radial error of the landmarks in original px; `mean('network')` and `mean('mm')` give network px and mm."
    name = 'mean_error_px'

    def __init__(self, decoder: str = TrainConfig.decode): self.decoder = decoder

    def accumulate(self, learn):
        mask, points, state, frame, radius = learn.yb
        pred = decode(learn.pred, frame, self.decoder).nan_to_num(torch.inf)  # a diverged network is not left out
        self.keep(learn, **radial_errors(pred, points, frame))

    @property
    def value(self): return self.mean('px')


class DiceScore(PerLandmark):
    "Mean Dice score of the masks (sigmoid, and share, at least 0.5) of visible landmarks, at the current radius."
    name = 'mean_dice'

    def accumulate(self, learn):
        mask, points, state, *_ = learn.yb
        pred = (learn.pred >= 0).contiguous()  # else sums stride through all channels, which come last
        mask = mask >= 0.5
        shared, predicted, true = (each.sum((2, 3), dtype=torch.float32) for each in (pred & mask, pred, mask))
        dice = 2 * shared / (predicted + true)
        self.keep(learn, dice=torch.where(state == VISIBLE, dice, torch.nan))

    @property
    def value(self): return self.mean('dice')


class PresenceAccuracy(PerLandmark):
    "Share of labelled landmarks rightly called present (largest sigmoid of the channel at least 0.5) or absent."
    name = 'presence_accuracy'

    def accumulate(self, learn):
        mask, points, state, frame, radius = learn.yb
        right = is_present(learn.pred, frame) == (state == VISIBLE)
        self.keep(learn, right=torch.where(state == UNLABELLED, torch.nan, right.float()))

    @property
    def value(self): return self.mean('right')


def landmark_metrics(decoder: str = TrainConfig.decode, mm: bool = False, presence: bool = False) -> list[Metric]:
    "The metrics of a landmark learner: mean error in original px, network px and, if known, `mm`; Dice; `presence`."
    error = LandmarkError(decoder)
    metrics = [error, ValueMetric(partial(error.mean, 'network'), 'mean_dist')]
    if mm: metrics.append(ValueMetric(partial(error.mean, 'mm'), 'mean_error_mm'))
    metrics.append(DiceScore())
    if presence: metrics.append(PresenceAccuracy())
    return metrics
