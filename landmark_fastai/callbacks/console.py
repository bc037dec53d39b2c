"What a training says while it runs."

import sys
import time

from tqdm.auto import tqdm

from .core import RunCallback
from .history import History, describe_errors

FASTEST = 'timm-tf_efficientnet_lite0'  # on a CPU, of the usual encoders


class Console(RunCallback):
    """A progress bar on a terminal, and one plain line an epoch; the time an epoch takes on a CPU, early on.

    Bar and lines tell the loss, the mean error, the radius and the time left of `total` epochs.
    """
    order = History.order + 13  # after `SaveWeights`: a line tells of what is kept
    n_warm, n_timed = 1, 3  # batches: the first also sets up memory and threads

    def __init__(self, total: int, encoder_name: str):
        self.total, self.encoder_name = total, encoder_name
        self.bar = None

    def before_train(self):
        if self.bar is not None: return
        self.started = time.time()
        self.earlier = len(self.history.rows)  # epochs before the run was stopped and resumed
        n = len(self.dls.train)
        self.bar = tqdm(total=self.total * n, initial=self.earlier * n, unit='batch', disable=not sys.stderr.isatty())

    def before_batch(self):
        if self.training and self._first_epoch and self.iter == self.n_warm: self.clock = time.time()

    def after_batch(self):
        if not self.training: return
        if not self.bar.disable: self.bar.set_postfix(self._postfix(), refresh=False)  # the loss waits for a GPU
        self.bar.update()
        if self._first_epoch and self.iter + 1 == self.n_warm + self.n_timed: self._estimate()

    def after_epoch(self):
        row = self.history.rows[-1]
        left = (time.time() - self.started) / (row['epoch'] - self.earlier) * (self.total - row['epoch'])
        self._say(f"epoch {row['epoch']}/{self.total}  train loss {row['train_loss']:.4f}  "
                  f"val loss {row['val_loss']:.4f}  mean error {describe_errors(row)}  "
                  f"dice {row['mean_dice']:.3f}  radius {row['radius']}  {tqdm.format_interval(left)} left")
        if row['epoch'] == self.total: self.bar.close()

    @property
    def _first_epoch(self): return len(self.history.rows) == self.earlier

    def _postfix(self):
        postfix = {'loss': f'{self.loss.item():.3f}'}
        if self.history.rows: postfix['error'] = f"{self.history.rows[-1]['mean_error_px']:.1f} px"
        return postfix

    def _estimate(self):
        if self.xb[0].device.type != 'cpu': return
        seconds = (time.time() - self.clock) / self.n_timed * len(self.dls.train)
        faster = 'a smaller --image_resize' + (f' or --encoder_name {FASTEST}' if self.encoder_name != FASTEST else '')
        self._say(f'on this CPU an epoch takes about {tqdm.format_interval(seconds)} and all {self.total} about '
                  f'{tqdm.format_interval(seconds * self.total)}; {faster} is faster')

    def _say(self, line): self.bar.write(line, file=sys.stdout)
