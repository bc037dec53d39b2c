"Transforms of items and batches: squares that are kept, and normalising in one pass."

import pytest
import torch
from fastai.data.transforms import Normalize

from landmark_fastai import landmark_dls
from landmark_fastai.data.tensors import TensorRadiograph
from landmark_fastai.data.transforms import NormalizeOnce


@pytest.mark.parametrize('cache', ['ram', 'disk', 'none'])
def test_a_cache_changes_nothing_but_the_time(make_dls, cache, tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    image, *_ = next(iter(make_dls(augment='none', cache=cache).valid))
    expected, *_ = next(iter(make_dls(augment='none').valid))
    torch.testing.assert_close(image, expected)


def test_colour_is_cached_as_colour(dots, tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    for color, channels in ((True, 3), (False, 1), (True, 3)):
        dls = landmark_dls(*dots, image_resize=64, batch_size=4, color=color, cache='disk')
        assert dls.one_batch()[0].shape[1] == channels


def test_no_room_for_squares_is_said(make_dls, monkeypatch):
    monkeypatch.setattr('landmark_fastai.formats.cache.SHARE', 0)
    monkeypatch.setattr('landmark_fastai.formats.cache.free_space', lambda folder: 0)
    with pytest.warns(UserWarning, match='every image is decoded in every epoch'): make_dls()


def test_normalising_in_one_pass_is_fastais():
    mean, std = (torch.tensor(v)[None, :, None, None] for v in ((0.4, 0.5, 0.6), (0.1, 0.2, 0.3)))
    image = TensorRadiograph(torch.rand(2, 1, 8, 8))
    once, fastais = NormalizeOnce(mean, std)(image), Normalize(mean, std)(image)
    assert type(once) is type(fastais) and once.shape == (2, 3, 8, 8)
    torch.testing.assert_close(once, fastais)
    torch.testing.assert_close(NormalizeOnce(mean, std).decode(once), Normalize(mean, std).decode(fastais))
