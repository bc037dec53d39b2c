"Checkpoints: plain values in, the same out, and no code run on the way."

import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch
from fastai.optimizer import Adam
from fastcore.foundation import L
from safetensors.torch import save_file

from landmark_fastai.errors import UsageError
from landmark_fastai.model.state import as_plain, read_state_dict, write_checkpoint


def test_what_is_saved_is_loaded(tmp_path):
    state = {'epoch': 3, 'best': {'mean_error_px': 1.5, 'name': 'ok'}, 'none': None, 'flag': True, 'list': [1, [2.5]]}
    write_checkpoint(tmp_path / 'weight' / 'last.ckpt', state | {'tensor': torch.arange(3)})
    loaded = read_state_dict(tmp_path / 'weight' / 'last.ckpt')
    assert torch.equal(loaded.pop('tensor'), torch.arange(3)) and loaded == state
    assert [path.name for path in (tmp_path / 'weight').iterdir()] == ['last.ckpt']


def test_state_dict_is_loaded_by_plain_torch(tmp_path):
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    write_checkpoint(tmp_path / 'best.pth', model.state_dict())
    loaded = torch.load(tmp_path / 'best.pth', weights_only=True)
    assert list(loaded) == list(model.state_dict())
    assert all(torch.equal(loaded[key], tensor) for key, tensor in model.state_dict().items())


class Malicious:
    def __init__(self, path): self.path = str(path)

    def __reduce__(self): return open, (self.path, 'w')


@pytest.mark.parametrize('write', [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value, protocol=2))])
def test_file_that_would_run_code_is_refused(tmp_path, write):
    path, victim = tmp_path / 'best.pth', tmp_path / 'victim'
    write({'model': Malicious(victim)}, path)
    with pytest.raises(UsageError, match='best.pth cannot be read as weights'): read_state_dict(path)
    assert not victim.exists()


def test_a_safetensors_file_is_read_as_well(tmp_path):
    save_file({'a': torch.arange(3)}, tmp_path / 'weights.safetensors')
    assert read_state_dict(str(tmp_path / 'weights.safetensors'))['a'].tolist() == [0, 1, 2]


@pytest.mark.parametrize('name', ['weights.pth', 'weights.safetensors'])
def test_what_is_no_state_dict_is_refused_by_name(tmp_path, name):
    with pytest.raises(UsageError, match=f'{name}: no such file'): read_state_dict(tmp_path / name)
    (tmp_path / name).write_bytes(b'no weights')
    with pytest.raises(UsageError, match=f'{name} cannot be read as weights'): read_state_dict(tmp_path / name)
    torch.save([torch.zeros(2)], tmp_path / 'list.pth')
    with pytest.raises(UsageError, match='list.pth holds a list, expected a state dict'):
        read_state_dict(tmp_path / 'list.pth')


def test_failed_save_keeps_the_last_checkpoint(tmp_path):
    path = tmp_path / 'last.ckpt'
    write_checkpoint(path, {'epoch': 1})
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)): write_checkpoint(path, {'bad': lambda: None})
    assert read_state_dict(path) == {'epoch': 1} and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize('value, expected', [
    (None, None), (True, True), (False, False), (3, 3), (2.5, 2.5), ('text', 'text'), ('', ''),
    (np.float32(0.5), 0.5), (np.float64(0.1), 0.1), (np.int64(7), 7), (np.bool_(True), True),
    (L(1, 2), [1, 2]), (L(), []), ((1, np.int64(2)), [1, 2]), ([np.float32(0.25), 'a'], [0.25, 'a']),
    (L({'lr': np.float64(1e-3)}, {'lr': None}), [{'lr': 1e-3}, {'lr': None}]),
    (OrderedDict(a=L(L(np.int8(1)), L(2))), {'a': [[1], [2]]}),
    ({'a': {'b': {'c': L('x', True)}}}, {'a': {'b': {'c': ['x', True]}}}),
])
def test_plain_values_are_pythons_own(tmp_path, value, expected):
    result = as_plain(value)
    assert result == expected and type(result) is type(expected)
    write_checkpoint(tmp_path / 'a.ckpt', {'value': result})
    loaded = read_state_dict(tmp_path / 'a.ckpt')['value']
    assert loaded == expected and type(loaded) is type(expected)


def test_plain_keeps_tensors_of_every_shape():
    value = {'one': torch.tensor(1.5), 'many': torch.zeros(2, 3), 'listed': [torch.tensor([True])]}
    result = as_plain(value)
    assert torch.equal(result['one'], value['one']) and torch.equal(result['many'], value['many'])
    assert torch.equal(result['listed'][0], value['listed'][0])


def test_optimiser_state_after_a_step_goes_through_a_file(tmp_path):
    def optimiser(model): return Adam(L(list(model[0].parameters()), list(model[1].parameters())), lr=1e-2, wd=0.01)

    def step(model, opt):
        model(torch.ones(4, 3)).square().sum().backward()
        opt.step()
        opt.zero_grad()

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    opt = optimiser(model)
    opt.set_hyper('lr', slice(1e-3, 1e-2))  # fastai keeps these in an L of numpy numbers
    step(model, opt)
    write_checkpoint(tmp_path / 'last.ckpt', {'model': model.state_dict(), 'opt': as_plain(opt.state_dict())})

    loaded = read_state_dict(tmp_path / 'last.ckpt')
    twin = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    twin.load_state_dict(loaded['model'])
    twin_opt = optimiser(twin)
    twin_opt.load_state_dict(loaded['opt'])
    assert [hyper['lr'] for hyper in twin_opt.hypers] == pytest.approx([1e-3, 1e-2])
    step(model, opt)
    step(twin, twin_opt)
    for mine, its in zip(model.parameters(), twin.parameters(), strict=True): assert torch.equal(mine, its)
