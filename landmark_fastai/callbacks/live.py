"A training to look at while it goes on, in a notebook."

import math

import pandas as pd
from fastai.torch_core import rank_distrib
from fastcore.basics import first
from fastcore.imports import in_notebook

from ..model.metrics import LandmarkError
from ..viz.axes import figure_uri
from ..viz.curves import progress_figure
from ..viz.overlays import draw_markers
from ..viz.shown import jpeg_uri, notebook_html
from .core import is_training_run
from .history import History, best_row, describe_errors
from .pictures import FirstImages


class ShowProgress(FirstImages):
    """In a notebook, after each epoch: curves of losses and mean error, and the first `n_images` of the validation.

    True landmarks are blue rings, predicted ones red dots. For `fit` or `landmark_learner`, or `train(cbs=...)`. The
    fits of a cell share a display, and epochs count on over all fits. Elsewhere nothing is shown.
    """
    order = History.order + 14  # after the line that tells of the epoch
    side = 320                  # longer side of an image, px
    is_on = False               # between the first training epoch of a fit and its end

    def __init__(self, n_images: int = 3):
        self.n_images = n_images
        self.rows = []  # of all fits, see `viz.curves`
        self.cell = self.display = None

    def before_train(self):  # which, unlike `before_fit`, `validate` and `get_preds` do not come by
        self.is_on = is_training_run(self.learn) and in_notebook() and not rank_distrib()
        if not self.is_on: return
        from IPython import get_ipython  # which a notebook has, and the package does not ask for
        from IPython.display import HTML, display
        if self.cell == (cell := get_ipython().execution_count): return
        self.cell, self.html = cell, HTML
        self.display = display(HTML(''), display_id=True)

    def before_validate(self):
        super().before_validate()
        self.wanted = min(self.n_images, len(self.dls.valid_ds)) if self.is_on else 0

    def after_fit(self): self.is_on = False

    def after_epoch(self):
        if not self.is_on: return
        train_loss, val_loss, *_ = self.recorder.values[-1]
        error = first(self.learn.metrics, lambda metric: isinstance(metric, LandmarkError))
        self.rows.append({'epoch': len(self.rows) + 1, 'train_loss': float(train_loss), 'val_loss': float(val_loss),
                          'mean_error_px': error.mean('px') if error else math.nan,
                          'radius': self.erosion_schedule.masks.radius})
        self.display.update(self.html(self.page()))

    def page(self) -> str:
        "What is shown after an epoch: how good it is in a sentence, curves, images."
        last, best = self.rows[-1], best_row(self.rows)
        verdict = f'epoch {last["epoch"]}: mean error {describe_errors(last)}'
        if best: verdict += f', the best so far {describe_errors(best)} in epoch {best["epoch"]}'
        curves = '', figure_uri(progress_figure(pd.DataFrame(self.rows)))
        return notebook_html(verdict, pictures=[curves, *map(self._picture, range(len(self.kept)))])

    def _picture(self, k):
        "Name and picture of image `k`."
        _, _, true, pred, _ = self.shown(k)
        return self.dls.valid_ds.items[k].name, jpeg_uri(draw_markers(self.image(k), true, pred, largest=self.side))
