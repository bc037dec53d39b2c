"Pictures of the same images over the epochs."

import imageio.v3 as iio
import pytest
from helpers import run_callbacks

from landmark_fastai.callbacks.pictures import as_file_name


def test_pictures_show_the_same_handful_at_the_promised_epochs(make_learner, tmp_path):  # trap 10
    _, cbs = run_callbacks(tmp_path, total=3, every=2)
    make_learner().fit(3, 1e-3, cbs=cbs)
    folders = sorted(path.name for path in (tmp_path / 'visualization').iterdir())
    assert folders == ['Epoch2', 'Epoch3']
    files = [sorted(path.name for path in (tmp_path / 'visualization' / folder).iterdir()) for folder in folders]
    assert files[0] == files[1] and len(files[0]) == 2 * 3  # two validation images
    assert not (tmp_path / 'train_results').exists()  # no frames without --gif


def test_gif_has_a_frame_an_epoch_kept_as_files(make_learner, tmp_path):
    _, cbs = run_callbacks(tmp_path, total=3, every=2, gif=True)
    make_learner().fit(3, 1e-3, cbs=cbs)
    for kind in ('coordinates', 'masks'):
        assert len(list((tmp_path / 'train_results' / 'frames' / kind).glob('*.png'))) == 3
        assert len(iio.imread(tmp_path / 'train_results' / f'{kind}.gif', index=None)) == 3


@pytest.mark.parametrize('name, safe', [('a.png', 'a.png'), ('sub/b c.png', 'sub_b_c.png'), ('../x', '.._x'),
                                        ('Hüfte<1>.png', 'Hüfte_1_.png'), (200 * '膝', 33 * '膝')])
def test_as_file_name(name, safe): assert as_file_name(name) == safe
