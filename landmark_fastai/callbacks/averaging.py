"A moving average of the weights, in place of those of the last step."

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
    def __init__(self, decay: float):
        self.decay = decay
        self.averaged = None  # the averaged network, from the first epoch on
        self.n_steps = 0

    def start(self, n_steps: int):
        "Take the weights that the network has for the average of `n_steps`."
        self.averaged = AveragedModel(get_model(self.model), use_buffers=True)
        self.averaged.n_averaged.fill_(n_steps)  # at 0 the weights of the first step are taken as they are
        self.n_steps = n_steps

    def before_train(self):
        if self.averaged is None: self.start(0)

    def after_step(self):
        self.n_steps += 1
        self.averaged.multi_avg_fn = get_ema_multi_avg_fn(min(self.decay, (1 + self.n_steps) / (10 + self.n_steps)))
        self.averaged.update_parameters(get_model(self.model))

    @property
    def average(self) -> dict:
        "The state dict of the averaged network."
        return self.averaged.module.state_dict()

    def before_validate(self):
        self.trained = deepcopy(get_model(self.model).state_dict())
        get_model(self.model).load_state_dict(self.average)

    def after_validate(self): get_model(self.model).load_state_dict(self.trained)

    def after_fit(self):
        if self.averaged is not None: get_model(self.model).load_state_dict(self.average)
