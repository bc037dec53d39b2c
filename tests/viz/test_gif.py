"GIFs: every still for its time, in its colours, whole or not at all."

import weakref

import cv2
import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

from landmark_fastai.viz.gif import write_gif
from landmark_fastai.viz.overlays import BLUE, RED, write_png


def stills(folder, pictures):
    paths = [folder / f'{k:03}.png' for k in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True): write_png(path, picture)
    return paths


def test_gif_shows_every_still_and_loops(tmp_path):
    pictures = [np.full((60, 80, 3), shade, np.uint8) for shade in (10, 100, 30, 250)]
    write_gif(tmp_path / 'a.gif', stills(tmp_path, pictures), 0.5)
    with Image.open(tmp_path / 'a.gif') as gif:
        assert gif.n_frames == 4 and gif.size == (80, 60) and gif.info['loop'] == 0
        shades, durations = [], []
        for k in range(4):
            gif.seek(k)
            shades.append(gif.convert('RGB').getpixel((40, 30))[0])
            durations.append(gif.info['duration'])
    assert shades == [10, 100, 30, 250] and durations == [500, 500, 500, 2500]
    assert iio.imread(tmp_path / 'a.gif').shape == (4, 60, 80, 3)


def test_equal_stills_are_joined_and_keep_their_time(tmp_path):
    pictures = [np.full((60, 80, 3), shade, np.uint8) for shade in (10, 100, 100, 250)]
    write_gif(tmp_path / 'a.gif', stills(tmp_path, pictures), 0.5)
    with Image.open(tmp_path / 'a.gif') as gif:
        durations = []
        for k in range(gif.n_frames):
            gif.seek(k)
            durations.append(gif.info['duration'])
    assert durations == [500, 1000, 2500]


def test_one_still_is_a_gif(tmp_path):
    write_gif(tmp_path / 'a.gif', stills(tmp_path, [np.full((60, 80, 3), 99, np.uint8)]), 0.5)
    with Image.open(tmp_path / 'a.gif') as gif: assert gif.size == (80, 60) and gif.info['duration'] == 2500


def test_stills_are_read_one_after_the_other(tmp_path, monkeypatch):
    alive, read = [], iio.imread
    def watched(path, **kwargs):
        alive.append(sum(ref() is not None for ref in seen))
        picture = read(path, **kwargs)
        seen.append(weakref.ref(picture))
        return picture
    seen = []
    pictures = [np.full((20, 20, 3), shade, np.uint8) for shade in range(0, 240, 20)]
    paths = stills(tmp_path, pictures)
    monkeypatch.setattr(iio, 'imread', watched)
    write_gif(tmp_path / 'a.gif', paths, 0.2)
    assert len(alive) == 12 and max(alive) <= 1


def test_gif_of_large_and_unequal_stills(tmp_path):
    pictures = [np.zeros((768, 1280, 3), np.uint8), np.zeros((500, 500, 3), np.uint8)]
    write_gif(tmp_path / 'a.gif', stills(tmp_path, pictures), 0.2)
    with Image.open(tmp_path / 'a.gif') as gif: assert gif.n_frames == 2 and gif.size == (640, 384)


def test_gif_keeps_the_colours_of_small_markers(tmp_path):
    picture = np.zeros((400, 400, 3), np.uint8)
    picture[100:300] = np.linspace(0, 255, 400, dtype=np.uint8)[:, None]
    picture[180:220, 100:300] = cv2.applyColorMap(np.arange(200, dtype=np.uint8), cv2.COLORMAP_BONE)[:, 0]
    picture[150:153, 150:153], picture[250:253, 250:253] = BLUE, RED
    write_gif(tmp_path / 'a.gif', stills(tmp_path, [picture]), 0.2)
    with Image.open(tmp_path / 'a.gif') as gif: shown = np.array(gif.convert('RGB')).astype(int)
    assert abs(shown - picture).max() <= 8


def test_failed_gif_leaves_the_old_one(tmp_path):
    paths = stills(tmp_path, [np.zeros((20, 20, 3), np.uint8)] * 2)
    write_gif(tmp_path / 'a.gif', paths, 0.2)
    before = (tmp_path / 'a.gif').read_bytes()
    with pytest.raises(FileNotFoundError): write_gif(tmp_path / 'a.gif', [*paths, tmp_path / 'gone.png'], 0.2)
    assert (tmp_path / 'a.gif').read_bytes() == before and len(list(tmp_path.iterdir())) == 3
