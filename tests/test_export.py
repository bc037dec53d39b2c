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
from landmark_fastai.data.transforms import SquareReader
from landmark_fastai.formats.annotations import Annotations
from landmark_fastai.formats.images import read_image

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


def traces(dls, content):
    "What of the images, labels, names and paths of `dls` is in `content`, a file: by kind, how many."
    items, annotations = dls.train_ds.items, dls.annotations
    kinds = {'names': [b'secret', b'dot_', b'Doe_', b'annotation.csv'],
             'images': [dls.reader.squares[item.path].tobytes() for item in items],
             'labels': [annotations.points[0].tobytes(), annotations.spacing[0].tobytes(), items[0].points.tobytes(),
                        items[0].points.astype(np.float32).tobytes()]}
    # the old protocol of pickle, which fastai takes, writes the bytes of numpy as text
    return {kind: sum(trace in content or trace.decode('latin1').encode() in content for trace in wanted)
            for kind, wanted in kinds.items()}


def test_the_file_has_no_image_no_label_no_path_and_no_patient(learn, tmp_path):
    learn.export('model.pkl')
    content = (learn.path / 'model.pkl').read_bytes()
    assert len(content) > 10**6 and b'knee' in content  # weights, and names of landmarks
    assert traces(learn.dls, content) == {'names': 0, 'images': 0, 'labels': 0}
    assert str(tmp_path).encode() not in content


@pytest.mark.parametrize('full, kind', [(SquareReader, 'images'), (SquareReader, 'names'), (Annotations, 'labels'),
                                        (Annotations, 'names')])
def test_what_would_be_in_the_file_would_be_seen(learn, monkeypatch, full, kind):
    monkeypatch.setattr(full, 'new_empty', lambda self: self)
    learn.export('model.pkl')
    assert traces(learn.dls, (learn.path / 'model.pkl').read_bytes())[kind] > 0


def test_what_cannot_be_written_leaves_the_learner_and_the_earlier_file_as_they_were(learn):
    learn.export('model.pkl')
    before = (learn.path / 'model.pkl').read_bytes()
    kept = learn.dls, learn.opt, learn.path, learn.evaluation
    learn.note = (k for k in range(3))  # which pickle refuses
    with pytest.raises(TypeError, match='generator'): learn.export('model.pkl')
    assert (learn.dls, learn.opt, learn.path, learn.evaluation) == kept
    assert (learn.path / 'model.pkl').read_bytes() == before
    assert [path.name for path in learn.path.iterdir()] == ['model.pkl']


def test_what_is_loaded_predicts_in_original_px_what_the_learner_did(learn, secret):
    path = secret[1] / 'dot_1.png'
    expected = learn.predict(path)
    learn.export('model.pkl')
    again = load_learner(learn.path / 'model.pkl')
    found = again.predict(path)
    for one, other in zip(found, expected, strict=True): assert torch.equal(one, other)
    assert torch.equal(again.predict(read_image(path))[0], expected[0])
    assert again.dls.names == ['head', 'knee']
    assert again.dls.train.after_batch.draw_masks is again.erosion_schedule.masks  # it can be trained on


@pytest.mark.slow
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
