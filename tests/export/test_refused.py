"Bundles, engines and flags that are refused, each in one line."

import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import onnx
import pytest
from disc_bundles import ROOT, WITHOUT_TORCH, flags, with_file
from helpers import disc_finder
from onnx import external_data_helper
from PIL import Image

from landmark_fastai import cli
from landmark_fastai.errors import UsageError
from landmark_fastai.export.export import export, images_of
from landmark_fastai.export.parity import Parity
from landmark_fastai.inference import bundle as bundles
from landmark_fastai.inference.bundle import FILE, Check, choose_engine, digest_of, load_bundle, read_bundle
from landmark_fastai.inference.engine import Decoded
from landmark_fastai.inference.graph_engines import ENGINES, OnnxEngine
from landmark_fastai.inference.loading import load


@pytest.mark.parametrize('change, what', [
    (dict(format=2), 'another version'), (dict(kind='tflite'), 'damaged'), (dict(kind=[]), 'damaged'),
    (dict(seconds=[1]), 'damaged'), (dict(landmarks=[1, 2]), 'damaged'), (dict(more=1), 'damaged'),
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


def test_a_card_may_be_filled_in(exported, tmp_path):
    copy = shutil.copytree(exported, tmp_path / 'a')
    (copy / 'model_card.md').write_text('mine')
    load_bundle(copy)


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


def test_load_refuses_what_a_bundle_cannot_do(exported):
    assert load(exported).engine.name in ENGINES
    with pytest.raises(UsageError, match="decode 'argmax' with the bundle"): load(exported, decode='argmax')
    with pytest.raises(UsageError, match="precision 'bf16' with a bundle"): load(exported, precision='bf16')
    with pytest.raises(UsageError, match="device 'cuda'"): load(exported, device='cuda')


def test_a_run_without_torch_is_one_line(finished, tmp_path):
    code = WITHOUT_TORCH + f'''
sys.exit(main(['predict', '--model', {str(finished)!r}, '--image_dir', {str(finished.parents[1] / 'images')!r},
               '--output_dir', {str(tmp_path)!r}]))'''
    found = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT)
    assert found.returncode == 2 and 'is run by PyTorch, which is not installed here' in found.stderr
    assert 'Traceback' not in found.stderr and not any(tmp_path.iterdir())


def test_signals_are_handled_after_bundles_have_come_and_gone(exported):
    "Two `Core`s of OpenVINO would leave a process that the next signal ends, see `openvino_core`."
    code = f'''
import os, signal
from landmark_fastai.inference.bundle import load_bundle
handled = []
signal.signal(signal.SIGUSR1, lambda *_: handled.append(True))
one = load_bundle({str(exported)!r}, 'openvino')
two = load_bundle({str(exported)!r}, 'openvino')
del one
del two
os.kill(os.getpid(), signal.SIGUSR1)
print(handled)'''
    found = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT)
    assert (found.returncode, found.stdout) == (0, '[True]\n'), found


def test_a_bundle_has_no_split(exported, images, tmp_path, capsys):
    (tmp_path / 'a.csv').write_text('x')
    assert cli.main(['evaluate', '--model', str(exported), '--image_dir', str(images[0].parent), '--csv',
                     str(tmp_path / 'a.csv'), '--output_dir', str(tmp_path / 'out'), '--split', 'val']) == 2
    assert "split 'val' with a bundle" in capsys.readouterr().err


def test_a_bundle_is_not_trained_on(exported):
    with pytest.raises(UsageError, match='not trained on'): load_bundle(exported).learner()


def test_a_folder_that_is_no_bundle_is_not_replaced(finished, exported, tmp_path):
    (tmp_path / 'mine.txt').write_text('mine')
    with pytest.raises(UsageError, match='has no bundle.json'): export(model=finished, output_dir=tmp_path)
    with pytest.raises(UsageError, match='pass --overwrite'): export(model=finished, output_dir=exported)
    with pytest.raises(UsageError, match='is read, and lies in'): export(model=finished, output_dir=finished.parent)
    assert [path.name for path in tmp_path.iterdir()] == ['mine.txt']
    copy = shutil.copytree(exported, tmp_path / 'a')
    (copy / 'films').mkdir()
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(copy / 'films' / 'a.png')
    with pytest.raises(UsageError, match='a.png is read, and lies in'):
        export(model=finished, output_dir=copy, image_dir=copy / 'films', overwrite=True)
    with pytest.raises(UsageError, match='a.png is not of the bundle there'):
        export(model=finished, output_dir=copy, overwrite=True)
    with pytest.raises(UsageError, match='is a bundle; pass the folder of a run'):
        export(model=exported, output_dir=tmp_path / 'b')


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
