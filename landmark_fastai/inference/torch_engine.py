"A trained network, or several, in PyTorch: the reference of the other engines."

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..config import TrainConfig
from ..data.augmentation import mirror_order
from ..data.loaders import upload, usable_device
from ..geometry.decoding import decode, read
from ..geometry.distances import spread
from ..model.facts import ModelFacts
from ..model.precision import choose_precision, run_in_precision
from .engine import Decoded, fitting
from .predictor import Predictor
from .shape_model import N_PEAKS
from .views import average_views


class PointNetwork(nn.Module):
    """Networks between an image and points: normalisation before them, decoding behind them.

    The heatmaps of several `models` are averaged, and their points tell the spread.
    """
    def __init__(self, models: Sequence[nn.Module], config: TrainConfig, facts: ModelFacts):
        super().__init__()
        self.models = nn.ModuleList(models)
        self.method = config.decode
        self.mirrored = mirror_order(config.pairs, facts.landmarks) if config.pairs else None
        for name, values in ('mean', facts.mean), ('std', facts.std):
            self.register_buffer(name, torch.tensor(values)[:, None, None])
        self.n_peaks = N_PEAKS if facts.shape else 1
        self.register_buffer('can_be_absent', torch.tensor([name in facts.presence for name in facts.landmarks]))

    def forward(self, squares: Tensor, frames: Tensor, landmarks: Tensor | None = None,
                tta: bool = False) -> tuple[Tensor, ...]:
        """The fields of `Decoded`, without those that are None, for `squares` (B, C, S, S) uint8 with `frames` (B, 7).

        With `landmarks` (B,) only that one on each square, so that N is 1. `tta` averages over views.
        """
        images = squares.float() / 255
        points_of_each = []
        total = None
        for model in self.models:  # the heatmaps of one at a time are in memory
            logits = self.heatmaps(model, images, tta)
            if landmarks is not None: logits = chosen(logits, landmarks)
            total = logits if total is None else total + logits
            if len(self.models) > 1: points_of_each.append(decode(logits, frames, self.method))
        seen = read(total / len(self.models) if points_of_each else total, frames, self.method, self.n_peaks)
        points = seen.points[:, :, 0]
        apart = spread(torch.stack(points_of_each or [points]))
        can_be_absent = self.can_be_absent if landmarks is None else self.can_be_absent[landmarks][:, None]
        absent = ~seen.present & can_be_absent
        scatter = seen.scatter.masked_fill(absent[..., None], torch.nan)
        peaks = (seen.points, seen.heights, scatter) if self.n_peaks > 1 else ()
        return points, scatter[..., 0], apart, absent, *peaks

    def heatmaps(self, model: nn.Module, images: Tensor, tta: bool = False) -> Tensor:
        "The logits (B, N, S, S) of `model` for `images` (B, C, S, S), 0 to 1; with `tta` averaged over views."
        def logits(view): return model((view - self.mean) / self.std)
        return average_views(logits, images, self.mirrored) if tta else logits(images)


def chosen(logits: Tensor, landmarks: Tensor) -> Tensor:
    "The heatmap (B, 1, S, S) of one of the `landmarks` (B,) on each image, of `logits` (B, N, S, S)."
    return logits.gather(1, landmarks[:, None, None, None].expand(-1, 1, *logits.shape[2:]))


class TorchEngine:
    "An `Engine` of `models`; device and precision as in `config.TrainConfig`."
    name = 'torch'

    def __init__(self, models: Sequence[nn.Module], config: TrainConfig, facts: ModelFacts,
                 device: str | torch.device | None = None, precision: str = 'auto'):
        self.device = usable_device(device)
        self.precision = choose_precision(precision, self.device)
        # the networks alone: points that are read in 16 bits are some tenths of a pixel off
        for model in models: run_in_precision(model, self.precision, self.device)
        self.network = PointNetwork(models, config, facts).to(self.device)
        self.batch_size = fitting(config.image_resize)
        if self.device.type == 'cpu':  # which one image a thread fills
            self.batch_size = min(self.batch_size, torch.get_num_threads())

    @property
    def models(self) -> nn.ModuleList:
        "The networks, whose heatmaps are averaged."
        return self.network.models

    @torch.inference_mode()
    def decode(self, squares: np.ndarray, frames: np.ndarray, landmarks: Sequence[int] | None = None,
               tta: bool = False) -> Decoded:
        "See `Engine`."
        given = [np.ascontiguousarray(squares), frames] + ([] if landmarks is None else [np.array(landmarks)])
        batch = upload(tuple(map(torch.from_numpy, given)), self.device)
        return Decoded(*(values.cpu().numpy() for values in self.network.eval()(*batch, tta=tta)))


def torch_predictor(models: Sequence[nn.Module], config: TrainConfig, facts: ModelFacts,
                    device: str | torch.device | None = None, precision: str = 'auto',
                    weights: Sequence[str | Path] = ()) -> Predictor:
    "A `Predictor` of `models` with the flags `config` and the `facts` of their run; `weights` are their files."
    return Predictor(TorchEngine(models, config, facts, device, precision), config, facts, weights)
