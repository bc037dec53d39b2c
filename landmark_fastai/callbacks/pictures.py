"Pictures of the same few validation images over the epochs, and curves of the log."

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from fastai.torch_core import maybe_gather, rank_distrib

from ..config import TrainConfig
from ..data.crops import AnnotatedCrop
from ..geometry.decoding import decode
from ..viz.curves import plot_history
from ..viz.gif import write_gif
from ..viz.overlays import BLUE, RED, draw_landmarks, draw_masks, write_png
from .core import RunCallback
from .history import History


class FirstImages(RunCallback):
    "Keep, of the first `wanted` validation images of an epoch, true and predicted masks and points in `kept`."
    wanted = 0

    def before_validate(self): self.kept = []

    def after_batch(self):
        if self.training or len(self.kept) >= self.wanted: return
        left = self.wanted - len(self.kept)
        mask, true, _, frame, _ = (self._first(y, left) for y in self.yb)
        logits = self._first(self.pred.detach().float(), left)
        batch = mask, logits.sigmoid(), true, decode(logits, frame, self.loss_func.decoder)
        self.kept += zip(*(values.numpy() for values in batch), strict=True)

    def _first(self, values, n):
        "The first `n` of a batch of `values`, which several processes share in order, on the CPU."
        return maybe_gather(values[:n])[:n].cpu()

    def image(self, k: int) -> np.ndarray:
        "The square of image `k`, (S, S) or (S, S, 3) uint8."
        return self.dls.valid_ds[k][0].permute(1, 2, 0).squeeze(-1).numpy()

    def shown(self, k: int) -> tuple:
        "True and predicted masks and points of image `k`, and their names; of a crop those of its own landmark."
        item, names = self.dls.valid_ds.items[k], self.dls.names
        own = slice(item.landmark, item.landmark + 1) if isinstance(item, AnnotatedCrop) else slice(None)
        return *(values[own] for values in self.kept[k]), names[own]


class Pictures(FirstImages):
    """Draw a fixed handful of validation images and the curves, every `every` epochs and at the last.

    `visualization/Epoch{n}/` gets, per image, the true and the predicted masks and the coordinates; `graph/` the
    curves. With `gif`, `train_results/frames/` gets pictures of the first image every epoch, of which GIFs are made.
    """
    order = History.order + 11
    n_images = 4

    def __init__(self, folder: Path, names: Sequence[str], total: int, every: int = TrainConfig.visualize_every,
                 gif: bool = False):
        self.folder, self.names = folder, names
        self.total, self.every = total, every
        self.gif = gif

    def _is_due(self, epoch): return epoch % self.every == 0 or epoch == self.total

    def before_validate(self):
        super().before_validate()
        most = self.n_images if self._is_due(len(self.history.rows) + 1) else int(self.gif)
        self.wanted = min(most, len(self.dls.valid_ds))  # several processes fill up the last batch by repetition

    def after_epoch(self):
        if rank_distrib(): return
        epoch = len(self.history.rows)
        if self.gif and self.kept: self._picture(epoch)
        if not self._is_due(epoch): return
        for k in range(len(self.kept)): self._overlay(self.folder / 'visualization' / f'Epoch{epoch}', k)
        plot_history(self.history.table, self.names, self.folder / 'graph')
        if self.gif: self._gifs()

    def after_fit(self):
        epoch = len(self.history.rows)
        if rank_distrib() or not epoch or self._is_due(epoch): return  # drawn already, unless it was stopped early
        plot_history(self.history.table, self.names, self.folder / 'graph')

    def _overlay(self, folder, k):
        true_mask, pred_mask, true, pred, names = self.shown(k)
        image, stem = self.image(k), f'{k + 1}_{as_file_name(self.dls.valid_ds.items[k].name)}'
        write_png(folder / f'{stem}_true_masks.png', draw_masks(image, true_mask, names, BLUE))
        write_png(folder / f'{stem}_predicted_masks.png', draw_masks(image, pred_mask, names, RED))
        write_png(folder / f'{stem}_coordinates.png', draw_landmarks(image, true, pred, names))

    def _picture(self, epoch):
        "Keep pictures of the first image in `epoch`, as files: in memory they would be many in the end."
        _, pred_mask, true, pred, names = self.shown(0)
        image, folder = self.image(0), self.folder / 'train_results' / 'frames'
        write_png(folder / 'coordinates' / f'{epoch:04}.png', draw_landmarks(image, true, pred, names))
        write_png(folder / 'masks' / f'{epoch:04}.png', draw_masks(image, pred_mask, names, RED))

    def _gifs(self):
        for folder in (self.folder / 'train_results' / 'frames').iterdir():
            pictures = sorted(folder.glob('[0-9]*.png'))  # and no half a picture of a killed process
            write_gif(self.folder / 'train_results' / f'{folder.name}.gif', pictures, seconds=0.2)


def as_file_name(name: str) -> str:
    "The end of an image name, 100 bytes, as a part of a file name: letters, digits, dot, dash and underscore stay."
    return ''.join(c if c.isalnum() or c in '._-' else '_' for c in name).encode()[-100:].decode(errors='ignore')
