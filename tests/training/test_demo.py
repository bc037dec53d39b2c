"The demo: a folder of its own, an honest error beside that of guessing the mean position."

import imageio.v3 as iio
import numpy as np
import pytest

from landmark_fastai import cli
from landmark_fastai.data.items import AnnotatedImage, make_frame
from landmark_fastai.training import demo


@pytest.mark.slow
def test_demo_takes_the_next_free_folder_and_says_its_error(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, 'DEMO', dict(image_resize=64, epochs=1, encoder_name='resnet18', encoder_weights='none'))
    for name in ('demo', 'demo_2'):
        assert cli.main(['demo', '--output_dir', str(tmp_path)]) == 0
        assert iio.imread(tmp_path / name / 'held_out.png').shape[2] == 3
        assert (tmp_path / name / 'run' / 'weight' / 'best.pth').exists()
    assert 'held-out images: mean error' in capsys.readouterr().out


def test_mean_position_is_mapped_through_each_square():
    images = [annotated(100, 50, [[10., 20.]]), annotated(50, 50, [[30., 5.]])]
    # in the square of the first, 25 px of padding above: (10, 45) of 100 is (5, 22.5) of 50
    first, second = demo.mean_positions(images, images)
    np.testing.assert_allclose(second, [[(4.75 + 30) / 2, (22.25 + 5) / 2]], atol=1e-4)
    np.testing.assert_allclose((first + 0.5 + [0, 25]) / 2, second + 0.5, atol=1e-4)
    assert demo.mean_error([[[13., 24.]], [[30., 5.]]], images) == pytest.approx(2.5)


def annotated(width, height, points):
    "An image of that size on a square of 50 px."
    frame = make_frame((width, height), (np.nan, np.nan), 50)
    return AnnotatedImage('', '', np.array(points), np.array([0]), frame, 50)
