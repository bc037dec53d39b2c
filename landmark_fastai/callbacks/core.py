"""What the callbacks of a run have in common.

`landmark_learner` attaches `ErosionSchedule`. All others are made by `training.build` and passed to `fit`, so that
`validate`, `get_preds` and `lr_find` never touch a file. They count epochs over all fits that they are passed to.
"""

from fastai.callback.core import Callback
from fastai.learner import Learner


def is_training_run(learn: Learner) -> bool:
    "Whether the current fit trains: `lr_find` and `get_preds` go through the same events."
    return not hasattr(learn, 'lr_finder') and not hasattr(learn, 'gather_preds')


class RunCallback(Callback):
    "Base of the callbacks that are passed to `fit`."
    def before_fit(self): self.run = is_training_run(self.learn)
