"Bundles: what they find, without torch too, and which are refused."

import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from helpers import disc_finder, discs
from onnx import external_data_helper
from PIL import Image
from torch import nn

from landmark_fastai import cli
from landmark_fastai.errors import UsageError
from landmark_fastai.export.export import check_parity, export, images_of, record, without_machine, write_all
from landmark_fastai.export.parity import Parity, compare
from landmark_fastai.formats.annotations import ABSENT, VISIBLE
from landmark_fastai.inference import bundle as bundles
from landmark_fastai.inference.bundle import FILE, Check, choose_engine, digest_of, load_bundle, read_bundle, share_near
from landmark_fastai.inference.engine import Decoded
from landmark_fastai.inference.graph_engines import ENGINES, OnnxEngine
from landmark_fastai.inference.refining import RefinedPredictor
from landmark_fastai.model.facts import CropFacts
from landmark_fastai.predict_config import ExportConfig

POINTS = [[200.4, 150.7], [401.3, 260.2]]
SIZES = (600, 400), (500, 700), (640, 640)


class Blurred(nn.Module):
    "A `DiscFinder` of soft peaks, whose last channel is never there on a dark image."
    def __init__(self, width=3):
        super().__init__()
        self.finder = disc_finder().engine.models[0]
        self.pool = nn.AvgPool2d(width, 1, width // 2)

    def forward(self, x): return self.pool(self.finder(x)) + 3


def two_stages():
    "A `RefinedPredictor` of disc finders."
    crop = CropFacts(film=500, jitter=0.2, first_variance=[4., 9.], variance=[1., 2.])
    first = disc_finder(128, Blurred(), Blurred(5), calibration=[2., 3.], presence=['white'])
    return RefinedPredictor(first, [disc_finder(64, Blurred(), crop=crop)])


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    "Three images of discs, one of them without the white one."
    folder = tmp_path_factory.mktemp('discs')
    for k, size in enumerate(SIZES): Image.fromarray(discs(*size, POINTS[:2 - (k == 2)])).save(folder / f'{k}.png')
    return sorted(folder.iterdir())


def flags(**kwargs): return ExportConfig(output_dir='unused', **kwargs)


@pytest.fixture(scope='module')
def exported(images, tmp_path_factory):
    "The bundle of `two_stages`, as ONNX."
    folder = tmp_path_factory.mktemp('onnx')
    assert set(write_all(folder, flags(), two_stages(), images)) == {'onnx', 'openvino'}
    return folder


def with_file(folder, copy, name, content):
    "A copy of the bundle in `folder` in whose file `name` is `content`, which bundle.json knows of."
    shutil.copytree(folder, copy)
    (copy / name).write_bytes(content)
    text = json.loads((copy / FILE).read_text())
    text['files'][name] = digest_of(copy / name)
    (copy / FILE).write_text(json.dumps(text))
    return copy


# --- what is found

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
    assert [values.shape for values in found] == [(5, 2, 2), (5, 2), (5, 2), (5, 2)]
    np.testing.assert_allclose(found.points[:, 0], found.points[:1, 0].repeat(5, 0), atol=1e-4)


@pytest.mark.slow
def test_predict_by_a_bundle_of_a_run_without_torch(finished, tmp_path, capsys):
    images = finished.parents[1] / 'images'
    assert cli.main(['export', '--model', str(finished), '--output_dir', str(tmp_path / 'bundle')]) == 0
    said = capsys.readouterr().out
    assert 'onnx: 20 points of 10 images: 100.00% within 0.01 network px' in said and 'openvino: 20 points' in said
    given = ['--image_dir', str(images), '--no_overlays', '--output_dir']
    assert cli.main(['predict', '--model', str(finished), *given, str(tmp_path / 'torch')]) == 0
    code = f'''import sys
class Missing:
    def find_spec(self, name, *_):
        if name.split('.')[0] in ('torch', 'fastai', 'segmentation_models_pytorch', 'timm'): raise ImportError(name)
sys.meta_path.insert(0, Missing())
from landmark_fastai.cli import main
sys.exit(main(['predict', '--model', {str(tmp_path / 'bundle')!r}, *{given}, {str(tmp_path / 'none')!r}]))'''
    found = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    tables = [pd.read_csv(tmp_path / name / 'predictions.csv') for name in ('torch', 'none')]
    pd.testing.assert_frame_equal(*tables, rtol=0, atol=0.01)
    assert (tmp_path / 'bundle' / 'model_card.md').is_file() and 'onnxruntime' in (
        tmp_path / 'bundle' / 'requirements.txt').read_text()
    texts = [path.read_text() for path in (tmp_path / 'bundle').glob('*') if path.suffix in ('.json', '.yaml', '.md')]
    assert len(texts) == 4 and not any(str(finished.parents[1]) in text for text in texts)
    assert str(finished.parents[1]).encode() not in (tmp_path / 'bundle' / 'model.onnx').read_bytes()


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
    found = compare(reference, moved, images[:2])
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


# --- what is refused

@pytest.mark.parametrize('change, what', [
    (dict(format=2), 'another version'), (dict(kind='tflite'), 'damaged'), (dict(more=1), 'damaged'),
    (dict(landmarks=['grey', 'black']), 'landmarks grey, black in bundle.json, but grey, white'),
    (dict(files={}), 'damaged'), (dict(files=['x']), 'damaged'), (dict(seconds=['../other']), 'damaged')])
def test_a_bundle_that_says_something_else_is_refused(exported, tmp_path, change, what):
    text = json.loads((exported / FILE).read_text()) | change
    shutil.copytree(exported, tmp_path, dirs_exist_ok=True)
    (tmp_path / FILE).write_text(json.dumps(text))
    with pytest.raises(UsageError, match=what): load_bundle(tmp_path)


def test_a_file_outside_of_the_bundle_is_refused(exported, tmp_path):
    copy = shutil.copytree(exported, tmp_path / 'a')
    (tmp_path / 'b').write_text('b')
    text = json.loads((copy / FILE).read_text())
    text['files']['../b'] = digest_of(tmp_path / 'b')
    (copy / FILE).write_text(json.dumps(text))
    with pytest.raises(UsageError, match='not what bundle.json says'): load_bundle(copy)


@pytest.mark.parametrize('content', ['', 'null', '[]', '{"format": 1}', 'x'])
def test_a_damaged_bundle_file_is_refused(tmp_path, content):
    (tmp_path / FILE).write_text(content)
    with pytest.raises(UsageError, match='export the run again'): read_bundle(tmp_path)


def test_a_graph_that_is_cut_off_or_missing_is_refused(exported, tmp_path):
    graph = exported / 'model.onnx'
    copy = with_file(exported, tmp_path / 'a', graph.name, graph.read_bytes())
    load_bundle(copy)
    (copy / graph.name).write_bytes(graph.read_bytes()[:-100])
    with pytest.raises(UsageError, match='missing, cut off or changed'): load_bundle(copy)
    (copy / graph.name).unlink()
    with pytest.raises(UsageError, match='missing, cut off or changed'): load_bundle(copy)


def test_a_graph_that_no_engine_reads_is_refused(exported, tmp_path):
    graph = exported / 'model.onnx'
    copy = with_file(exported, tmp_path / 'a', graph.name, b'nonsense')
    with pytest.raises(UsageError, match='cannot be run by openvino'): load_bundle(copy, 'openvino')


def test_weights_outside_of_the_bundle_are_refused(exported, tmp_path):
    graph = onnx.load(exported / 'model.onnx')
    tensor = next(each for each in graph.graph.initializer if len(each.raw_data) >= 4)
    (tmp_path / 'secret.bin').write_bytes(tensor.raw_data)
    external_data_helper.set_external_data(tensor, '../secret.bin', 0, len(tensor.raw_data))
    tensor.ClearField('raw_data')
    copy = with_file(exported, tmp_path / 'a', 'model.onnx', graph.SerializeToString())
    for name in ENGINES:
        with pytest.raises(UsageError, match=f'cannot be run by {name}.*secret.bin'): load_bundle(copy, name)


def test_an_engine_that_finds_other_points_is_refused(exported, tmp_path):
    with np.load(exported / 'check.npz') as values: check = Check(*(values[name] for name in Check._fields))
    moved = tmp_path / 'check.npz'
    np.savez(moved, **check._replace(points=check.points + 1)._asdict())
    copy = with_file(exported, tmp_path / 'a', 'check.npz', moved.read_bytes())
    with pytest.raises(UsageError, match='openvino on this machine finds 0% of the points'):
        load_bundle(copy, 'openvino')
    with pytest.warns(UserWarning, match='on this machine'), pytest.raises(UsageError, match='no engine'):
        load_bundle(copy)


def test_auto_is_the_faster_of_those_that_are_right(exported, monkeypatch):
    class Slow(OnnxEngine):
        def decode(self, *args, **kwargs):
            time.sleep(0.3)
            return super().decode(*args, **kwargs)
    monkeypatch.setitem(ENGINES, 'openvino', Slow)
    assert type(choose_engine(exported, 'model.onnx', 'auto')) is OnnxEngine
    class Wrong(OnnxEngine):
        def decode(self, *args, **kwargs): return Decoded(*(np.zeros_like(x) for x in super().decode(*args, **kwargs)))
    monkeypatch.setitem(ENGINES, 'onnx', Wrong)
    with pytest.warns(UserWarning, match='onnx on this machine'):
        assert type(choose_engine(exported, 'model.onnx', 'auto')) is Slow


def test_an_engine_that_is_not_installed_is_named(exported, monkeypatch):
    monkeypatch.setattr(bundles, 'is_installed', lambda name: False)
    with pytest.raises(UsageError, match='pip install openvino'): load_bundle(exported)


@pytest.mark.parametrize('more, what', [
    (['--tta'], 'tta with a bundle'), (['--decode', 'argmax'], 'decodes by centroid; export the run with --decode'),
    (['--precision', 'bf16'], "precision 'bf16' with a bundle"), (['--device', 'cuda'], "device 'cuda'"),
    (['--engine', 'torch'], 'pass --model with the folder of the run'), (['--n_landmarks', '5'], 'n_landmarks is 5')])
def test_what_a_bundle_cannot_do_is_said(exported, images, tmp_path, capsys, more, what):
    given = ['predict', '--model', str(exported), '--image_dir', str(images[0].parent), '--output_dir', str(tmp_path)]
    assert cli.main([*given, *more]) == 2
    assert what in capsys.readouterr().err and not any(tmp_path.iterdir())


def test_a_run_is_no_bundle(finished, images, tmp_path, capsys):
    assert cli.main(['predict', '--model', str(finished), '--image_dir', str(images[0].parent), '--engine', 'onnx',
                     '--output_dir', str(tmp_path)]) == 2
    assert 'which is no bundle; export the run first' in capsys.readouterr().err


def test_a_bundle_is_not_trained_on(exported):
    with pytest.raises(UsageError, match='not trained on'): load_bundle(exported).learner()


def test_a_folder_that_is_no_bundle_is_not_replaced(finished, exported, tmp_path):
    (tmp_path / 'mine.txt').write_text('mine')
    with pytest.raises(UsageError, match='has no bundle.json'): export(model=finished, output_dir=tmp_path)
    with pytest.raises(UsageError, match='pass --overwrite'): export(model=finished, output_dir=exported)
    with pytest.raises(UsageError, match='is read, and lies in'): export(model=finished, output_dir=finished.parent)
    assert [path.name for path in tmp_path.iterdir()] == ['mine.txt']


def test_without_images_nothing_is_compared_and_that_is_said(tmp_path):
    of_run = replace(disc_finder().config, train_image_dir=str(tmp_path / 'gone'))
    with pytest.warns(UserWarning, match='gone of the run is not here, so no image is compared; pass --image_dir'):
        assert images_of(flags(), of_run) == []
    with pytest.raises(UsageError, match='int8 needs images'): images_of(flags(int8=True), of_run)


def test_images_to_compare_with_are_spread_over_the_folder(tmp_path):
    for k in range(41): (tmp_path / f'{k:02}.png').touch()
    found = images_of(flags(image_dir=tmp_path), disc_finder().config)
    assert [path.stem for path in found[:3]] == ['00', '02', '04'] and len(found) == 20 and found[-1].stem == '40'


def test_parity_is_stored(exported):
    parity = read_bundle(exported).parity['openvino']
    assert Parity(**parity).exact == 1 and parity['n_images'] == 3 and parity['states'] == 1
