"From folders of runs, and files of weights old and new, to predictors and learners."

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import original_weights, write_dots
from safetensors.torch import save_file

import landmark_fastai
from landmark_fastai import UsageError, landmark_dls
from landmark_fastai.inference.choosing import config_predictor
from landmark_fastai.inference.loading import load, load_original
from landmark_fastai.model.facts import BoundFacts, ShapeFacts, read_facts, write_facts
from landmark_fastai.predict_config import PredictConfig


@pytest.fixture
def copy(finished, tmp_path):
    "A copy of a run, to be damaged."
    return shutil.copytree(finished, tmp_path / 'copy')


def replace_in(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_run_folder_is_all_that_is_needed(finished, tmp_path, monkeypatch):
    for name in ('config.yaml', 'model.json', 'weight/best.pth'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(finished / name, tmp_path / name)
    def refuse(*_, **__): raise AssertionError('asked the network')
    monkeypatch.setattr('socket.socket.connect', refuse)
    image = finished.parent.parent / 'images' / 'dot_0.png'
    found = landmark_fastai.load(tmp_path).predict([image])
    assert found.points.shape == (1, 2, 2) and np.isfinite(found.points).all()


def test_predictions_are_those_of_the_learner(finished):
    dls = landmark_dls(finished.parent.parent / 'annotation.csv', finished.parent.parent / 'images', image_resize=64,
                       batch_size=4)
    model, images = load(finished), [image.path for image in dls.valid_ds.items]
    learn = model.learner(dls)
    with learn.no_bar(), learn.no_logging(): expected = [np.array(learn.predict(image)[0]) for image in images]
    np.testing.assert_allclose(model.predict(images).points, expected, atol=2e-3)


def test_without_data_the_learner_takes_those_of_the_run(finished):
    learn = load(str(finished)).learner()
    assert len(learn.dls.train_ds) == 8 and learn.erosion_schedule.total_epochs is None


def test_a_predictor_knows_the_files_of_its_weights(finished, tmp_path):
    predictor = load(finished)
    assert predictor.weights == predictor.with_facts(predictor.facts).weights == [finished / 'weight' / 'best.pth']
    _, weights = original_weights(tmp_path)
    assert load_original(weights, 'resnet18').weights == [weights]


def test_a_run_is_loaded_without_the_shape_it_knows(copy):
    shape = ShapeFacts([[0., 1.], [1., 0.]], [[1., 0., 0., 0.]], [0.1], 0.01)
    bounds = {'first': BoundFacts([[1.]] * 2, 'cal', [])}
    write_facts(copy, replace(read_facts(copy), shape=shape, bounds=bounds))
    whole, plain = load(copy), load(copy, shape=False)
    assert whole.facts.shape == shape and whole.bounds and whole.shape
    assert plain.facts.shape is plain.shape is plain.bounds is None
    config = PredictConfig(image_dir='unused', output_dir='unused', model=copy, no_shape=True)
    assert config_predictor(config).facts == plain.facts


def test_what_is_given_to_the_learner_wins(finished):
    learn = load(finished).learner(lr=0.5, loss='bce')
    assert learn.lr == 0.5 and learn.loss_func.name == 'bce'


def test_another_network_for_the_weights_is_refused(finished):
    with pytest.raises(UsageError, match="encoder_name is 'resnet34'.*'resnet18'"):
        load(finished).learner(encoder_name='resnet34')


def test_the_learner_trains_a_model_of_its_own(finished):
    predictor = load(finished)
    before = {name: value.clone() for name, value in predictor.engine.models[0].state_dict().items()}
    learn = predictor.learner()
    with learn.no_bar(), learn.no_logging(): learn.fit(1)
    after = predictor.engine.models[0].state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_a_learner_on_other_landmarks_is_refused(finished, tmp_path):
    csv_file, images = write_dots(tmp_path, names=('knee', 'head'))
    with pytest.raises(UsageError, match='knee, head; the model has the 2 landmarks head, knee'):
        load(finished).learner(landmark_dls(csv_file, images, image_resize=64, batch_size=4))


def test_a_learner_on_images_of_other_colour_is_refused(finished, dots):
    with pytest.raises(UsageError, match='color of the DataLoaders is True.*False'):
        load(finished).learner(landmark_dls(*dots, image_resize=64, batch_size=4, color=True))


def test_last_weights_do_where_there_are_no_best_ones(copy):
    (copy / 'weight' / 'best.pth').unlink()
    last = torch.load(copy / 'weight' / 'last.ckpt', weights_only=True)['model']
    with pytest.warns(UserWarning, match='no weight/best.pth'): predictor = load(copy)
    model = predictor.engine.models[0]
    assert predictor.weights == [copy / 'weight' / 'last.ckpt']
    assert all(torch.equal(value, last[key]) for key, value in model.state_dict().items())


def test_the_calibration_of_a_run_is_that_of_its_facts(finished, copy):
    factors = json.loads((finished / 'model.json').read_text())['calibration']
    assert len(factors) == 2 and min(factors) > 0
    np.testing.assert_allclose(load(finished).calibration, factors, rtol=1e-6)
    facts = json.loads((copy / 'model.json').read_text())
    (copy / 'model.json').write_text(json.dumps(facts | {'calibration': None}))
    assert load(copy).calibration.tolist() == [1, 1]


def of_version_04(run):
    (run / 'config.yaml').unlink()
    (run / 'model.json').unlink()
    (run / 'config.json').write_text('{"versions": {"landmark_fastai": "0.4.0"}}')


@pytest.mark.parametrize('damage, words', [
    (lambda run: shutil.rmtree(run), ['copy', 'no such folder']),
    (of_version_04, ['copy', '0.4', 'train again']),
    (lambda run: (run / 'config.yaml').unlink(), ['copy', 'config.yaml']),
    (lambda run: (run / 'config.yaml').write_text('{'), ['config.yaml', 'YAML']),
    (lambda run: (run / 'config.yaml').write_text('[]'), ['config.yaml', 'image_resize', 'encoder_name']),
    (lambda run: (run / 'model.json').unlink(), ['copy', 'model.json']),
    (lambda run: (run / 'model.json').write_text('{'), ['model.json', 'damaged']),
    (lambda run: (run / 'model.json').write_text('[]'), ['model.json', 'format']),
    (lambda run: replace_in(run / 'model.json', '"format": 1', '"format": 2'), ['model.json', 'format 2', '1']),
    (lambda run: shutil.rmtree(run / 'weight'), ['copy', 'weight/best.pth']),
    (lambda run: (run / 'weight' / 'best.pth').write_bytes(b'junk'), ['best.pth', 'cannot be read']),
    (lambda run: torch.save([1], run / 'weight' / 'best.pth'), ['best.pth', 'list', 'state dict']),
    (lambda run: replace_in(run / 'config.yaml', 'resnet18', 'resnet34'), ['best.pth', 'unet', 'resnet34']),
])
def test_a_damaged_run_is_one_clear_line(copy, damage, words):
    damage(copy)
    with pytest.raises(UsageError) as error: load(copy)
    line = str(error.value)
    assert '\n' not in line and all(word in line for word in words), line


@pytest.mark.parametrize('flags, words', [
    (dict(decode='max'), ['decode', "'max'", 'centroid', 'argmax']),
    (dict(device='tpu9'), ['device', "'tpu9'"]),
    (dict(precision='fp8'), ['precision', "'fp8'", 'bf16']),
])
def test_what_a_run_cannot_be_loaded_with_is_named(finished, flags, words):
    with pytest.raises(UsageError) as error: load(finished, **flags)
    assert all(word in str(error.value) for word in words), error.value


# --- weights of the original system

def test_code_in_weights_is_never_run(tmp_path):
    class Evil:
        def __reduce__(self): return open, (str(tmp_path / 'owned'), 'w')
    torch.save({'x': Evil()}, tmp_path / 'evil.pth')
    with pytest.raises(UsageError, match='evil.pth cannot be read'): load_original(tmp_path / 'evil.pth')
    assert not (tmp_path / 'owned').exists()


def test_weights_of_the_original_system_see_images_as_it_did(tmp_path):
    model, weights = original_weights(tmp_path)
    image = np.random.default_rng(0).integers(0, 255, (512, 512, 3), np.uint8)
    mean, std = (np.array(values, np.float32) for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    with torch.inference_mode():
        logits = model(torch.from_numpy((image / np.float32(255) - mean) / std).permute(2, 0, 1)[None])[0]
    y, x = np.unravel_index(logits.flatten(1).argmax(1), (512, 512))
    found = load_original(weights, 'resnet18', n_landmarks=3).predict([image])
    np.testing.assert_array_equal(found.points[0], np.stack([x, y], 1))
    assert load_original(weights, 'resnet18', decode='centroid').predict([image]).points[0, 0, 0] != x[0]


def test_safetensors_predict_what_the_same_weights_do_as_pth(tmp_path):
    model, weights = original_weights(tmp_path)
    save_file(model.state_dict(), tmp_path / 'old.safetensors')
    image = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    pth, safe = (load_original(path, 'resnet18').predict(image) for path in (weights, tmp_path / 'old.safetensors'))
    np.testing.assert_array_equal(pth.points, safe.points)
    np.testing.assert_array_equal(pth.confidence, safe.confidence)


@pytest.mark.parametrize('arguments, words', [
    (dict(encoder_name='resnet18', n_landmarks=2), ['n_landmarks is 2', 'old.pth', '3 landmarks']),
    (dict(encoder_name='resnet18', names=['a', 'b']), ['2 landmarks (a, b)', 'old.pth', '3']),
    (dict(encoder_name='resnet34'), ['old.pth', 'unet', 'resnet34']),
    (dict(encoder_name='resnet19'), ['encoder_name', "'resnet19'"]),
    (dict(encoder_name='resnet18', decode='max'), ['decode', "'max'"]),
])
def test_weights_of_another_network_are_refused(tmp_path, arguments, words):
    _, weights = original_weights(tmp_path)
    with pytest.raises(UsageError) as error: load_original(weights, **arguments)
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_weights_that_are_none_are_refused(tmp_path, suffix):
    path = tmp_path / f'x{suffix}'
    with pytest.raises(UsageError, match=f'x{suffix}.*no such file'): load_original(path)
    path.write_bytes(b'junk')
    with pytest.raises(UsageError, match=f'x{suffix} cannot be read'): load_original(path)
    save = save_file if suffix == '.safetensors' else torch.save
    save({'x': torch.zeros(1)}, path)
    with pytest.raises(UsageError, match='no segmentation head'): load_original(path)


@pytest.mark.parametrize('head', ['text', [0., 1.], torch.tensor(1.), torch.zeros(3, 16, 3, 3),
                                  {'bias': torch.zeros(3)}])
def test_a_head_that_is_none_is_refused(tmp_path, head):
    torch.save({'encoder.weight': torch.zeros(1), 'segmentation_head.0.bias': head}, tmp_path / 'x.pth')
    with pytest.raises(UsageError, match='x.pth.*segmentation head.*encoder.weight'): load_original(tmp_path / 'x.pth')


@pytest.mark.parametrize('name', ['state_dict', 'model_state_dict', 'model'])
def test_a_state_dict_one_level_down_in_a_checkpoint_is_found(tmp_path, name):
    model, weights = original_weights(tmp_path)
    torch.save({'epoch': 3, name: model.state_dict(), 'optimizer': {'lr': 1.}}, tmp_path / 'checkpoint.pth')
    image = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    plain, nested = (load_original(path, 'resnet18').predict(image) for path in (weights, tmp_path / 'checkpoint.pth'))
    np.testing.assert_array_equal(plain.points, nested.points)


def test_a_checkpoint_without_such_weights_is_refused_by_what_it_has(tmp_path):
    torch.save({'state_dict': {'net.a': torch.zeros(1)}}, tmp_path / 'x.pth')
    with pytest.raises(UsageError, match='x.pth.*segmentation head.*net.a'): load_original(tmp_path / 'x.pth')
    torch.save({'net': {'a': torch.zeros(1)}, 'epoch': 1}, tmp_path / 'x.pth')
    with pytest.raises(UsageError, match='x.pth.*segmentation head.*net, epoch'): load_original(tmp_path / 'x.pth')


def test_weights_of_a_run_are_not_taken_for_those_of_the_original_system(finished, tmp_path):
    last = finished / 'weight' / 'last.ckpt'
    for path in (finished / 'weight' / 'best.pth', last, shutil.copy(last, tmp_path / 'moved.ckpt')):
        with pytest.raises(UsageError, match=f'{path.name} is of a run.*--model'): load_original(path, 'resnet18')
