"""Callbacks: the erosion schedule, what a run writes and says, and when it stops; `saving` has those of its weights.

`landmark_learner` attaches `ErosionSchedule`; the others are made by `run.train` and passed to `fit`, so that
`validate`, `get_preds` and `lr_find` never touch a file. Each counts epochs over all fits that it is passed to.
"""

from fastai.callback.core import Callback


def is_training_run(learn):
    "Whether the current fit trains: `lr_find` and `get_preds` go through the same events."
    return not hasattr(learn, 'lr_finder') and not hasattr(learn, 'gather_preds')


class RunCallback(Callback):
    "Base of the callbacks that are passed to `fit`."
    def before_fit(self): self.run = is_training_run(self.learn)
