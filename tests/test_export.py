"An exported learner predicts anywhere, and holds nothing of the images that it was trained on."

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from fastai.learner import load_learner
from helpers import write_dots

from landmark_fastai import landmark_dls

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope='module')
def secret(tmp_path_factory):
    "Dots whose folder, files, patients and points are told by names: (csv file, image folder)."
    folder = tmp_path_factory.mktemp('secret_folder')
    return write_dots(folder, patient_id=[f'Doe_{k}' for k in range(10)], pixel_spacing=[0.123456789] * 10)


@pytest.fixture
def learn(secret, make_learner, tmp_path):
    "A learner that has trained, validated and predicted, and knows an evaluation as after `train`."
    dls = landmark_dls(*secret, image_resize=64, batch_size=4)
    learn = make_learner(dls, path=tmp_path / 'secret_run', precision='bf16')
    learn.fit(1)
    learn.predict(secret[1] / 'dot_0.png')
    learn.evaluation = dls.annotations
    return learn


def test_the_file_has_no_image_no_label_no_path_and_no_patient(learn, tmp_path):
    items, annotations = learn.dls.train_ds.items, learn.dls.annotations
    traces = [b'secret', b'dot_', b'Doe_', b'annotation.csv', str(tmp_path).encode(),
              annotations.points.tobytes(), annotations.points[0].tobytes(), annotations.spacing[0].tobytes(),
              *(learn.dls.reader.squares[item.path].tobytes() for item in items)]
    traces += [torch.from_numpy(item.points).float().numpy().tobytes() for item in items]
    learn.export('model.pkl')
    content = (learn.path / 'model.pkl').read_bytes()
    assert len(content) > 10**6 and b'knee' in content  # weights, and names of landmarks
    assert [trace for trace in traces if trace in content] == []


def test_what_is_loaded_predicts_in_original_px_what_the_learner_did(learn, secret):
    path = secret[1] / 'dot_1.png'
    expected = learn.predict(path)
    learn.export('model.pkl')
    again = load_learner(learn.path / 'model.pkl')
    found = again.predict(path)
    for one, other in zip(found, expected, strict=True): assert torch.equal(one, other)
    assert torch.equal(again.predict(np.asarray(learn.dls.reader.image(path)))[0], expected[0])
    assert again.dls.names == ['head', 'knee']
    assert again.dls.train.after_batch.draw_masks is again.erosion_schedule.masks  # it can be trained on


def test_it_predicts_in_a_process_that_has_only_the_file(learn, secret):
    path = secret[1] / 'dot_1.png'
    learn.export('model.pkl')
    code = ('import sys; from fastai.learner import load_learner\n'
            'print(load_learner(sys.argv[1]).predict(sys.argv[2])[0].tolist())')
    found = subprocess.run([sys.executable, '-c', code, learn.path / 'model.pkl', path], cwd=ROOT, capture_output=True,
                           text=True)
    assert found.returncode == 0, found.stderr
    points = np.array(json.loads(found.stdout.splitlines()[-1]))
    np.testing.assert_allclose(points, learn.predict(path)[0].numpy(), atol=0.05)


def test_the_learner_goes_on_as_if_nothing_had_been_exported(learn):
    path, evaluation = learn.path, learn.evaluation
    squares, steps = learn.dls.reader.squares, learn.opt.state_dict()['state']
    learn.export('model.pkl')
    assert learn.path == path and learn.evaluation is evaluation and learn.dls.reader.squares is squares
    assert len(learn.opt.state_dict()['state']) == len(steps)
    learn.fit(1)
    assert np.isfinite(learn.recorder.values[-1][0])
