"""Callbacks that keep what a training has learned: averaged, saved after each epoch, and gone on with.

Like those of `callbacks`, `run.train` makes and passes them to `fit`.
"""

from copy import deepcopy

from fastai.torch_core import get_model
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .core import RunCallback


class AverageWeights(RunCallback):
    """Validate, and leave the network with, an exponential moving average of the weights of all steps.

    Its decay grows with the steps t taken up to `decay`, as min(`decay`, (1 + t) / (10 + t)): a short training is not
    held back by its first weights. Statistics of BatchNorm are averaged along. After validation the network has the
    weights of the training again, so that `SaveWeights` asks here for the `average`.
    """
    def __init__(self, decay): self.decay, self.averaged = decay, None

    def start(self, weights, n_steps):
        "Begin with an average, `weights`, of `n_steps`."
        self.averaged, self.n_steps = AveragedModel(get_model(self.model), use_buffers=True), n_steps
        self.averaged.module.load_state_dict(weights)
        self.averaged.n_averaged.fill_(n_steps)  # at 0 the first weights are taken as they are

    def before_train(self):
        if self.averaged is None: self.start(get_model(self.model).state_dict(), 0)

    def after_step(self):
        self.n_steps += 1
        self.averaged.multi_avg_fn = get_ema_multi_avg_fn(min(self.decay, (1 + self.n_steps) / (10 + self.n_steps)))
        self.averaged.update_parameters(get_model(self.model))

    @property
    def average(self):
        "The state dict of the averaged network."
        return self.averaged.module.state_dict()

    def before_validate(self):
        self.trained = deepcopy(get_model(self.model).state_dict())
        get_model(self.model).load_state_dict(self.average)

    def after_validate(self): get_model(self.model).load_state_dict(self.trained)

    def after_fit(self):
        if self.averaged is not None: get_model(self.model).load_state_dict(self.average)
