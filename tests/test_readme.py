"The Python of the README and of docs/python.md runs, on sample films and with a network small enough for a test."

import re
from pathlib import Path

import numpy as np
import pytest
from helpers import write_dicom

from landmark_fastai.data.sample import write_sample
from landmark_fastai.formats.images import read_image
from landmark_fastai.training.train import train

ROOT = Path(__file__).parents[1]
TINY = "encoder_name='timm-mobilenetv3_small_minimal_100', encoder_weights='none'"
SMALLER = {  # what a page says, and what is run in its place
    'image_resize=256': 'image_resize=32, batch_size=4', 'landmark_learner(dls': f'landmark_learner(dls, {TINY}',
    'learn.lr_find()': 'learn.lr_find(num_it=4)', 'fit_one_cycle(20': 'fit_one_cycle(1',
    'epochs=40': f'epochs=1, {TINY}'}


def blocks(page):
    "The Python blocks of a page."
    return re.findall(r'^```python\n(.*?)^```', page.read_text(encoding='utf-8'), re.DOTALL | re.MULTILINE)


def smaller(code):
    "`code` for a test."
    for said, run in SMALLER.items(): code = code.replace(said, run)
    return code


@pytest.fixture(scope='module')
def workplace(tmp_path_factory):
    "A folder with what the pages speak of: sample data, a run, and two films."
    folder = tmp_path_factory.mktemp('workplace')
    write_sample(folder / 'data', n_images=10)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train(image_resize=32, batch_size=4, epochs=1, encoder_name='timm-mobilenetv3_small_minimal_100',
              encoder_weights='none')
    film = read_image(folder / 'data' / 'train_images' / 'hip_001.png')
    (folder / 'films').mkdir()
    write_dicom(folder / 'films' / 'a.dcm', film)
    (folder / 'films' / 'b.png').write_bytes((folder / 'data' / 'train_images' / 'hip_002.png').read_bytes())
    return folder


@pytest.mark.parametrize('name', ['README.md', 'docs/python.md'])
def test_the_python_of_a_page_runs(name, workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    for said in SMALLER: assert any(said in code for code in blocks(ROOT / 'docs' / 'python.md')), said
    names = {}
    for code in blocks(ROOT / name): exec(compile(smaller(code), name, 'exec'), names)
    found = names['found']
    assert found.points.shape == (2, 2, 2) and np.isfinite(found.confidence).all()
    if name == 'README.md': return
    assert names['points'].shape == (2, 2) and names['logits'].shape == (2, 32, 32)
    assert (workplace / 'found' / 'predictions.csv').is_file() and names['summary']['overall']['px']['mean'] > 0
    for name in ('found', 'summary', 'measured'): assert '<b>' in names[name]._repr_html_(), name
