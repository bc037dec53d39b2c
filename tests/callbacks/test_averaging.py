"Averaged weights: the moving average of every step, which is validated and saved."

import torch
from fastai.callback.core import Callback
from helpers import run_callbacks, weights_of

from landmark_fastai.callbacks.averaging import AverageWeights


def test_averaged_weights_are_the_moving_average_of_every_step(make_learner):
    learn, average = make_learner(), AverageWeights(0.5)
    seen = []
    class Spy(Callback):
        order = average.order + 1
        def after_step(self): seen.append(weights_of(self.learn))
    learn.fit(2, 1e-2, cbs=[average, Spy()])
    key = next(key for key, value in seen[0].items() if value.is_floating_point() and value.ndim == 4)
    expected, decays = seen[0][key], []  # the first step is taken as it is
    for t, weights in enumerate(seen[1:], 2):
        decays.append(min(0.5, (1 + t) / (10 + t)))
        expected = decays[-1] * expected + (1 - decays[-1]) * weights[key]
    assert decays[0] == 0.25 and len(seen) == 4
    torch.testing.assert_close(learn.model.state_dict()[key], expected)  # which the network is left with


def test_averaging_changes_what_is_validated_and_saved_and_not_the_training(make_learner, make_dls, tmp_path):
    lasts, validated = [], []
    class Spy(Callback):
        order = AverageWeights.order + 1
        def before_validate(self): validated.append(weights_of(self.learn))
    for name, averaging in (('plain', []), ('averaged', [AverageWeights(0.9)])):
        torch.manual_seed(0)
        learn = make_learner(make_dls(augment='none'))
        _, cbs = run_callbacks(tmp_path / name)
        torch.manual_seed(1)
        learn.dls.train.rng.seed(1)
        learn.fit(2, 1e-2, cbs=[*cbs[:2], *averaging, Spy()])
        lasts.append(torch.load(tmp_path / name / 'weight' / 'last.ckpt', weights_only=True))
    plain, averaged = lasts
    assert 'average' not in plain and averaged['average']['n_steps'] == 4
    assert all(torch.equal(plain['model'][k], averaged['average']['trained'][k]) for k in plain['model'])
    assert any(not torch.equal(plain['model'][k], averaged['model'][k]) for k in plain['model'])
    assert all(torch.equal(averaged['model'][k], validated[-1][k]) for k in averaged['model'])
    assert all(torch.equal(averaged['model'][k], value) for k, value in learn.model.state_dict().items())
