"""Callbacks: the erosion schedule, what a run writes and says, and when it stops; `saving` has those of its weights.

`landmark_learner` attaches `ErosionSchedule`; the others are made by `run.train` and passed to `fit`, so that
`validate`, `get_preds` and `lr_find` never touch a file. Each counts epochs over all fits that it is passed to.
"""

from fastai.torch_core import maybe_gather, rank_distrib

from ..geometry.decoding import decode
from ..viz.curves import plot_history
from ..viz.gif import write_gif
from ..viz.overlays import BLUE, RED, draw_landmarks, draw_masks, write_png
from .core import RunCallback
from .history import History


class Pictures(RunCallback):
    """Draw a fixed handful of validation images and the curves, every `every` epochs and at the last.

    `visualization/Epoch{n}/` gets, per image, the true and the predicted masks and the coordinates; `graph/` the
    curves. With `gif`, frames of the first image are kept every epoch and made into GIFs.
    """
    order = History.order + 11
    n_images = 4

    def __init__(self, folder, names, total, every=10, gif=False):
        self.folder, self.names, self.total, self.every, self.gif = folder, names, total, every, gif

    def _is_due(self, epoch): return epoch % self.every == 0 or epoch == self.total

    def before_validate(self):
        self.kept, epoch = [], len(self.history.rows) + 1
        self.wanted = self.n_images if self._is_due(epoch) else int(self.gif)

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

    def after_epoch(self):
        if rank_distrib(): return
        epoch = len(self.history.rows)
        if self.gif: self._frame(epoch)
        if not self._is_due(epoch): return
        for k in range(len(self.kept)): self._overlay(self.folder / 'visualization' / f'Epoch{epoch}', k)
        plot_history(self.history.frame, self.names, self.folder / 'graph')
        if self.gif: self._gifs()

    def after_fit(self):
        epoch = len(self.history.rows)
        if rank_distrib() or not epoch or self._is_due(epoch): return  # drawn already, unless it was stopped early
        plot_history(self.history.frame, self.names, self.folder / 'graph')

    def _image(self, k): return self.dls.valid_ds[k][0].permute(1, 2, 0).squeeze(-1).numpy()

    def _overlay(self, folder, k):
        mask, pred_mask, true, pred = self.kept[k]
        stem = f'{k + 1}_{safe_name(self.dls.valid_ds.items[k].name)}'
        image = self._image(k)
        write_png(folder / f'{stem}_true_masks.png', draw_masks(image, mask, self.names, BLUE))
        write_png(folder / f'{stem}_predicted_masks.png', draw_masks(image, pred_mask, self.names, RED))
        write_png(folder / f'{stem}_coordinates.png', draw_landmarks(image, true, pred, self.names))

    def _frame(self, epoch):
        if not self.kept: return
        _, pred_mask, true, pred = self.kept[0]
        image, frames = self._image(0), self.folder / 'train_results' / 'frames'
        write_png(frames / 'coordinates' / f'{epoch:04}.png', draw_landmarks(image, true, pred, self.names))
        write_png(frames / 'masks' / f'{epoch:04}.png', draw_masks(image, pred_mask, self.names, RED))

    def _gifs(self):
        for frames in (self.folder / 'train_results' / 'frames').iterdir():
            pictures = sorted(frames.glob('[0-9]*.png'))  # and no half a picture of a killed process
            write_gif(self.folder / 'train_results' / f'{frames.name}.gif', pictures, seconds=0.2)


def safe_name(name):
    "The end of an image name, 100 bytes, as a part of a file name: letters, digits, dot, dash and underscore stay."
    return ''.join(c if c.isalnum() or c in '._-' else '_' for c in name).encode()[-100:].decode(errors='ignore')
