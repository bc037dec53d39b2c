"Precision: the layers run in it and nothing else does; it is chosen by what the device can."

import copy
import pickle

import pytest
import torch
from fastai.callback.core import Callback
from torch import nn

from landmark_fastai import UsageError
from landmark_fastai.config import PRECISIONS
from landmark_fastai.model import precision
from landmark_fastai.model.precision import DTYPES, FloatHead, autocast, choose_precision, run_in_precision

CPU, GPU, MPS = torch.device('cpu'), torch.device('cuda', 0), torch.device('mps')


def dtypes(learn):
    "The dtypes that the first layer of the encoder and the loss see while `learn` runs, filled as it does."
    seen = {}
    learn.model.encoder.conv1.register_forward_hook(lambda layer, x, y: seen.__setitem__('layer', y.dtype))
    forward = learn.loss_func.forward
    def loss(pred, *targets):
        seen['loss'] = pred.dtype, torch.is_autocast_enabled('cpu')
        return forward(pred, *targets)
    learn.loss_func.forward = loss
    return seen


def test_bf16_is_for_the_layers_only(make_learner):
    learn = make_learner(encoder_name='resnet18', precision='bf16')
    seen = dtypes(learn)
    learn.fit(1)
    assert seen == {'layer': torch.bfloat16, 'loss': (torch.float32, False)}
    assert {p.dtype for p in learn.model.parameters()} == {torch.float32}
    assert learn.precision == 'bf16'


def test_validation_and_prediction_run_in_it_as_well(make_learner):
    learn = make_learner(encoder_name='resnet18', precision='bf16')
    for act in (learn.validate, learn.get_preds, lambda: learn.predict(learn.dls.valid_ds.items[0].path)):
        seen = dtypes(learn)
        act()
        assert seen['layer'] == torch.bfloat16


def test_fp32_leaves_everything_alone(make_learner):
    learn = make_learner(encoder_name='resnet18', precision='fp32')
    seen = dtypes(learn)
    learn.fit(1)
    assert seen == {'layer': torch.float32, 'loss': (torch.float32, False)} and 'forward' not in vars(learn.model)


def test_an_interruption_leaves_no_autocast_behind(make_learner):
    learn = make_learner(encoder_name='resnet18', precision='bf16')
    def interrupt(*_): raise KeyboardInterrupt
    hook = learn.model.decoder.register_forward_pre_hook(interrupt)
    with pytest.raises(KeyboardInterrupt): learn.fit(1)
    assert not torch.is_autocast_enabled('cpu')
    assert torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype == torch.float32
    hook.remove()
    learn.fit(1)


@pytest.mark.parametrize('copied', [copy.deepcopy, lambda network: pickle.loads(pickle.dumps(network))])
def test_a_copy_of_a_network_runs_in_it_with_weights_of_its_own(copied):
    network, x = nn.Sequential(nn.Linear(2, 2)), torch.ones(1, 2)
    run_in_precision(network, 'bf16', CPU)
    twin = copied(network)
    nn.init.zeros_(twin[0].weight), nn.init.ones_(twin[0].bias)
    assert twin(x).dtype == network(x).dtype == torch.bfloat16
    assert twin(x).eq(1).all() and not network(x).eq(1).all()
    assert list(network.state_dict()) == ['0.weight', '0.bias']


def test_a_network_that_moved_to_another_kind_of_device_runs_in_float32_there():
    network = nn.Sequential(nn.Linear(2, 2))
    run_in_precision(network, 'fp16', GPU)
    assert network(torch.ones(1, 2)).dtype == torch.float32  # as after `load_learner` on a machine without a GPU


def test_a_validation_within_a_fit_leaves_both_in_bf16(make_learner):
    learn = make_learner(encoder_name='resnet18', precision='bf16')
    dtypes = []
    learn.model.encoder.conv1.register_forward_hook(lambda layer, x, y: dtypes.append(y.dtype))
    class Nested(Callback):
        def after_step(self): self.learn.validate()
    learn.fit(1, cbs=Nested())
    assert len(dtypes) > len(learn.dls.train) + len(learn.dls.valid) and set(dtypes) == {torch.bfloat16}


def test_logits_are_not_rounded_to_bf16(make_learner):  # argmax would take the first pixel of a plateau
    learn, x = make_learner(precision='bf16'), torch.rand(2, 3, 64, 64)
    learn.model.eval()
    with autocast('bf16', CPU): logits = learn.model(x)
    assert logits.dtype == torch.float32 and (logits != logits.bfloat16()).float().mean() > 0.9


def test_a_float_head_computes_in_float32_in_any_surroundings():
    layer, x = nn.Conv2d(16, 2, 3, padding=1), torch.randn(1, 16, 8, 8).bfloat16()
    with autocast('bf16', CPU):
        assert FloatHead(layer)(x).equal(FloatHead(layer)(x.float())) and layer(x).dtype == torch.bfloat16
    assert FloatHead(layer)(x.float()).equal(layer(x.float()))


def test_bf16_sees_the_loss_that_fp32_sees(make_dls, make_learner):
    losses = []
    for name in ('fp32', 'bf16'):
        torch.manual_seed(0)
        learn = make_learner(make_dls(augment='none', seed=1), precision=name)
        learn.dls.train.rng.seed(0)
        learn.fit(1, 1e-5)
        losses.append(learn.recorder.values[-1][0])
    assert losses[0] != losses[1] and losses[1] == pytest.approx(losses[0], rel=0.01)


# --- what auto chooses

@pytest.mark.parametrize('capabilities, chosen', [({'amx_bf16': True}, 'bf16'), ({'avx512_bf16': True}, 'bf16'),
                                                  ({'avx512_f': True, 'avx2': True}, 'fp32'), ({}, 'fp32')])
def test_auto_on_a_cpu_asks_for_hardware(monkeypatch, capabilities, chosen):
    monkeypatch.setattr(torch.cpu, 'get_capabilities', lambda: capabilities)
    monkeypatch.setattr(precision, 'has_fast_bf16', HAS_FAST_BF16)
    assert choose_precision('auto', CPU) == chosen


HAS_FAST_BF16 = precision.has_fast_bf16  # before the suite replaces it, see conftest


def test_auto_elsewhere_is_fp32():
    assert choose_precision('auto', MPS) == 'fp32'


@pytest.mark.parametrize('name, device, hint', [('fp16', CPU, 'cannot be had on cpu; choose auto or fp32 or bf16'),
                                                ('bf16', MPS, 'choose auto or fp32'),
                                                ('half', CPU, 'one of auto, fp32, bf16, fp16')])
def test_what_cannot_be_had_is_refused(name, device, hint):
    with pytest.raises(UsageError, match=hint): choose_precision(name, device)


def test_precisions_of_the_flag_are_those_that_there_are():
    assert PRECISIONS == ('auto', 'fp32', *DTYPES)


def test_autocast_of_fp32_does_nothing():
    with autocast('fp32', CPU): assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == torch.float32
    with autocast('bf16', CPU): assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == torch.bfloat16


# --- compiled networks

@pytest.fixture
def eager_compile(monkeypatch):
    "torch.compile without a C++ compiler: the graph is traced and then run as it is."
    compile = torch.compile
    monkeypatch.setattr(torch, 'compile', lambda f, **kwargs: compile(f, **kwargs | {'backend': 'eager'}))


@pytest.mark.slow
@pytest.mark.parametrize('precision', ['fp32', 'bf16'])
def test_a_compiled_network_trains_and_keeps_the_names_of_its_weights(eager_compile, make_learner, precision):
    plain, learn = (make_learner(compile=compiled, precision=precision) for compiled in (False, True))
    learn.fit(1)
    assert learn.model.state_dict().keys() == plain.model.state_dict().keys()
    plain.model.load_state_dict(learn.model.state_dict())
    x = torch.rand(2, 3, 64, 64)
    learn.model.eval(), plain.model.eval()
    torch.testing.assert_close(learn.model(x), plain.model(x), rtol=1e-4, atol=1e-4)


def test_a_machine_that_cannot_compile_says_so(monkeypatch, make_learner):
    def no_compiler(*_, **__): raise RuntimeError('InvalidCxxCompiler: No working C++ compiler found')
    monkeypatch.setattr(torch, 'compile', no_compiler)
    with pytest.raises(UsageError, match='torch.compile does not work here .*No working C.. compiler'):
        make_learner(compile=True)
