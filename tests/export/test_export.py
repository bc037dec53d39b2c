"Bundles: what they find, without torch too, and how near that is to PyTorch."

import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from disc_bundles import ROOT, WITHOUT_TORCH, Blurred, flags, house, of_a_shape, two_stages
from helpers import disc_finder
from torch import nn

from landmark_fastai import cli
from landmark_fastai.errors import UsageError
from landmark_fastai.export.export import check_parity, record, without_machine, write_all
from landmark_fastai.export.int8 import outer_layers
from landmark_fastai.export.parity import Parity, compare
from landmark_fastai.formats.annotations import ABSENT, VISIBLE
from landmark_fastai.inference import bundle as bundles
from landmark_fastai.inference.bundle import load_bundle, share_near
from landmark_fastai.inference.graph_engines import OnnxEngine
from landmark_fastai.model.facts import without_shape


@pytest.mark.parametrize('engine', ['onnx', 'openvino'])
@pytest.mark.parametrize('refine', [True, False])
def test_a_bundle_finds_what_torch_finds(exported, images, refine, engine):
    reference = two_stages()
    if not refine: reference = disc_finder(128, *reference.engine.models, calibration=[2., 3.], presence=['white'])
    expected, found = reference.predict(images), load_bundle(exported, engine, refine).predict(images)
    np.testing.assert_allclose(found.points, expected.points, atol=0.002)
    np.testing.assert_allclose(found.expected_error, expected.expected_error, rtol=1e-3)
    np.testing.assert_allclose(found.spread, expected.spread, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(found.state, expected.state)
    np.testing.assert_array_equal(found.stage, expected.stage)
    assert expected.state.tolist()[2] == [VISIBLE, ABSENT] and np.isfinite(expected.spread[:2]).all()


def test_the_graph_says_what_error_to_expect(exported):
    "Scatter times calibration; on crops the root of scatter times variance."
    first, second = (OnnxEngine(exported / name / 'model.onnx', 64) for name in ('', 'refine'))
    square = np.zeros((1, 1, 128, 128), np.uint8)
    square[..., 60:70, 60:70] = 128
    frame = np.array([[128, 128, 0, 0, 1]], np.float32)
    names = ['scatter', 'expected_error']
    scatter, error = first.session.run(names, {'image': square, 'frame': frame})
    np.testing.assert_allclose(error[0, 0], scatter[0, 0] * 2, rtol=1e-5)
    crop = {'image': square[..., 32:96, 32:96], 'frame': frame, 'landmark': np.array([1])}
    scatter, error = second.session.run(names, crop)
    np.testing.assert_allclose(error, np.sqrt(scatter * 2), rtol=1e-5)
    assert scatter.shape == (1, 1)


def test_any_number_of_images_goes_through_together(exported):
    engine = load_bundle(exported).engine
    squares, frames = np.zeros((5, 1, 128, 128), np.uint8), np.tile([[128., 128, 0, 0, 1, 0, 0]], (5, 1))
    squares[:, :, 40:50, 30:40] = 128
    found = engine.decode(squares, frames.astype(np.float32))
    assert [values.shape for values in found[:4]] == [(5, 2, 2), (5, 2), (5, 2), (5, 2)]
    np.testing.assert_allclose(found.points[:, 0], found.points[:1, 0].repeat(5, 0), atol=1e-4)


@pytest.mark.slow
def test_predict_by_a_bundle_of_a_run_without_torch(finished, tmp_path, capsys):
    images = finished.parents[1] / 'images'
    assert cli.main(['export', '--model', str(finished), '--output_dir', str(tmp_path / 'bundle')]) == 0
    said = capsys.readouterr().out
    assert 'onnx: 20 points of 10 images: 100.00% within 0.01 network px' in said and 'openvino: 20 points' in said
    given = ['--image_dir', str(images), '--no_overlays', '--output_dir']
    assert cli.main(['predict', '--model', str(finished), *given, str(tmp_path / 'torch')]) == 0
    code = WITHOUT_TORCH + f'''
sys.exit(main(['predict', '--model', {str(tmp_path / 'bundle')!r}, *{given}, {str(tmp_path / 'none')!r}]))'''
    found = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT)
    assert found.returncode == 0, found.stderr
    tables = [pd.read_csv(tmp_path / name / 'predictions.csv') for name in ('torch', 'none')]
    pd.testing.assert_frame_equal(*tables, rtol=0, atol=0.01)
    assert (tmp_path / 'bundle' / 'model_card.md').is_file() and 'onnxruntime' in (
        tmp_path / 'bundle' / 'requirements.txt').read_text()
    card = (tmp_path / 'bundle' / 'model_card.md').read_text()
    assert '## Exported' in card and '- as onnx, in float32, points decoded by centroid' in card
    texts = [path.read_text() for path in (tmp_path / 'bundle').glob('*') if path.suffix in ('.json', '.yaml', '.md')]
    assert len(texts) == 4 and not any(str(finished.parents[1]) in text for text in texts)
    assert str(finished.parents[1]).encode() not in (tmp_path / 'bundle' / 'model.onnx').read_bytes()


@pytest.fixture(scope='module')
def houses(tmp_path_factory):
    "Images whose first landmark has two places, and the right ones (n, N, 2)."
    folder = tmp_path_factory.mktemp('houses')
    points = np.stack([house(folder / f'{k}.png', k) for k in range(3)])
    return sorted(folder.iterdir()), points


def test_the_shape_tells_one_place_from_another(houses):
    images, points = houses
    predictor = of_a_shape()
    np.testing.assert_allclose(predictor.predict(images).points, points, atol=2)
    plain = predictor.with_facts(without_shape(predictor.facts)).predict(images).points
    np.testing.assert_allclose(plain[:, 1:], points[:, 1:], atol=2)
    np.testing.assert_allclose(plain[:, 0], [(370, 380)] * 3, atol=2)


@pytest.mark.slow
@pytest.mark.parametrize('engine', ['onnx', 'openvino'])
def test_a_bundle_knows_the_shape(houses, engine, tmp_path):
    images, points = houses
    write_all(tmp_path, flags(), of_a_shape(), images)
    np.testing.assert_allclose(load_bundle(tmp_path, engine).predict(images).points, points, atol=2)
    plain = load_bundle(tmp_path, engine, shape=False).predict(images).points
    np.testing.assert_allclose(plain[:, 0], [(370, 380)] * 3, atol=2)


@pytest.mark.slow
def test_a_bundle_in_openvinos_own_format_finds_the_same(images, tmp_path):
    predictor = disc_finder(64, Blurred())
    assert write_all(tmp_path, flags(format='openvino'), predictor, images)['openvino'].exact == 1
    assert {path.name for path in tmp_path.iterdir()} >= {'model.xml', 'model.bin'}
    found = load_bundle(tmp_path)
    assert found.engine.name == 'openvino'
    np.testing.assert_allclose(found.predict(images).points, predictor.predict(images).points, atol=0.002)
    with pytest.raises(UsageError, match="engine 'onnx' with .*model.xml is run by openvino"):
        load_bundle(tmp_path, 'onnx')


def test_nothing_of_this_machine_is_in_the_graph(exported):
    root = str(bundles.__file__).split('/landmark_fastai/')[0].encode()
    for path in exported.rglob('model.*'): assert root not in path.read_bytes(), path


# --- parity

class Moved:
    "An engine whose points are `by` px to the right of those of `engine`."
    def __init__(self, engine, by): self.engine, self.by, self.name, self.batch_size = engine, by, 'onnx', 2
    def decode(self, squares, frames, landmarks=None, tta=False):
        found = self.engine.decode(squares, frames, landmarks, tta)
        return found._replace(points=found.points + np.float32([self.by, 0]))


def test_parity_is_told_in_network_px(images):
    reference, moved = disc_finder(96), disc_finder(96)
    moved.engine = Moved(moved.engine, 0.5)
    found = compare(reference.predict(images[:2]), moved, images[:2])
    assert (found.n_images, found.n_points, found.exact, found.states) == (2, 4, 0, 1)
    assert found.mean == pytest.approx(0.5, abs=1e-3) and found.most == pytest.approx(0.5, abs=1e-3)
    assert found.error == pytest.approx(0, abs=1e-5)
    with pytest.raises(UsageError, match='not what PyTorch is, by onnx: 4 points of 2 images: 0.00%'):
        check_parity('onnx', found, flags())
    check_parity('onnx', found, flags(int8=True, tolerance=0.6))
    with pytest.raises(UsageError, match='move by 0.500 network px .*tolerance is 0.4'):
        check_parity('onnx', found, flags(int8=True, tolerance=0.4))


def test_a_share_is_of_points_that_are_known():
    points = np.array([[[0., 0], [3, 4]], [[1, 1], [9, 9]]])
    expected = np.array([[[0., 0], [0, 0]], [[1, 1.5], [np.nan, np.nan]]])
    assert share_near(points, expected, 0.5) == pytest.approx(2 / 3)
    assert share_near(points[:1], expected, 0.5) == 0


@pytest.mark.slow
def test_eight_bits_are_near_or_refused(images, tmp_path):
    torch.manual_seed(0)
    class Layers(nn.Module):
        "Discs behind some layers that leave them as they are, nearly."
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=1) for _ in range(4)))
            for layer in self.layers:
                nn.init.dirac_(layer.weight)
                layer.weight.data += 0.01 * torch.randn_like(layer.weight)
                nn.init.zeros_(layer.bias)
            self.finder = Blurred()
        def forward(self, x): return self.finder(self.layers(x.repeat(1, 3 // x.shape[1], 1, 1)))
    predictor = disc_finder(128, Layers())
    parity = write_all(tmp_path, flags(int8=True, tolerance=5.), predictor, images)
    assert 0 < parity['onnx'].mean < 5
    with pytest.raises(UsageError, match='with 8 bits points move'):
        check_parity('onnx', parity['onnx'], flags(int8=True, tolerance=1e-9))
    assert {node.op_type for node in onnx.load(tmp_path / 'model.onnx').graph.node} >= {'QuantizeLinear', 'Conv'}


def test_absence_must_be_the_same_and_some_landmark_seen(images):
    same = Parity(3, 6, exact=1., mean=0., most=0., error=0., states=1.)
    check_parity('onnx', same, flags())
    with pytest.raises(UsageError, match='10.0% of the landmarks are absent for one alone'):
        check_parity('onnx', replace(same, states=0.9), flags())
    with pytest.raises(UsageError, match='no landmark is seen on the 3 images'):
        check_parity('onnx', replace(same, n_points=0), flags(int8=True))


def test_outer_layers_are_those_of_each_network():
    "Two chains of three layers from one input to one sum, with other nodes around."
    nodes = [onnx.helper.make_node('Cast', ['image'], ['x'], name='cast')]
    for net in 'ab':
        tensors = ['x', *(f'{net}{k}' for k in range(3))]
        nodes += [onnx.helper.make_node('Conv', [tensors[k], 'w'], [tensors[k + 1]], name=f'{net}{k}')
                  for k in range(3)]
    nodes.append(onnx.helper.make_node('Add', ['a2', 'b2'], ['y'], name='add'))
    assert sorted(outer_layers(nodes)) == ['a0', 'a2', 'b0', 'b2']


def test_what_stages_are_given_is_recorded(images):
    predictor = two_stages()
    stages = [predictor, *predictor.seconds]
    engines = [stage.engine for stage in stages]
    seen = record(predictor, stages, images)
    assert sum(len(each['image']) for each in seen[predictor]) == 3
    assert sum(len(each['landmark']) for each in seen[predictor.seconds[0]]) == 5  # one is absent
    assert [stage.engine for stage in stages] == engines


def test_a_config_keeps_no_place_of_the_machine():
    config = replace(disc_finder().config, train_image_dir='/home/me/films', output_dir='/home/me/runs',
                     encoder_weights='/home/me/w.pth', epochs=7)
    kept = without_machine(config)
    assert 'home' not in str(kept) and kept.epochs == 7 and kept.encoder_weights == 'none'
