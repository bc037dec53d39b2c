"A NaN loss stops a training before it reaches the weights."

import math

import torch
from fastai.callback.core import Callback
from helpers import run_callbacks, weights_of

from landmark_fastai.callbacks.stopping import CheckLoss


def test_a_loss_that_is_no_number_stops_before_it_reaches_the_weights(make_learner, tmp_path):
    learn, check = make_learner(), CheckLoss()
    history, cbs = run_callbacks(tmp_path)
    before = weights_of(learn)
    class Poison(Callback):
        order = -1
        def after_loss(self):
            if self.training and self.epoch == self.iter == 1: self.learn.loss = self.loss * math.nan
    learn.fit(3, 1e-3, cbs=[*cbs, check, Poison()])
    names = [film.name for film in learn.dls.train.images_of(1)]
    assert check.problem == f'epoch 2, batch 2: the loss is nan on the images {", ".join(names)}' and len(names) == 4
    assert len(history.rows) == 1 and all(value.isfinite().all() for value in learn.model.state_dict().values())
    assert any(not torch.equal(value, before[key]) for key, value in learn.model.state_dict().items())
