"The trial of a radius from readers: its masks, its readers, its table."

from types import SimpleNamespace

import numpy as np
import torch

from benchmarks.floors import RadiusFloor, change, key_of, rounded, tables
from landmark_fastai.geometry.masks import draw_diamonds, draw_diamonds_fast


def test_a_floor_widens_the_masks_that_would_be_smaller():
    points = torch.tensor([[[8., 8.], [8., 8.], [8., 8.], [torch.nan] * 2]])
    floor = RadiusFloor(np.array([(1, 1), (4, 4), (5, 1), (3, 3)]))
    floor.learn = SimpleNamespace(yb=(draw_diamonds_fast(points, 2, 17), points, 'state'),
                                  erosion_schedule=SimpleNamespace(masks=SimpleNamespace(radius=2)))
    floor.before_batch()
    masks, _, state = floor.learn.yb
    assert state == 'state'
    assert torch.equal(masks[:, :1], draw_diamonds(points[:, :1], 2, 17))
    assert torch.equal(masks[:, 1:2], draw_diamonds(points[:, 1:2], 4, 17))
    columns = [1, 1, 1, 3, 3, 5, 3, 3, 1, 1, 1]  # 5 px along x, 2 px along y
    assert masks[0, 2].sum(0).tolist() == [0] * 3 + columns + [0] * 3
    assert not masks[0, 3].any()


def test_no_radius_is_below_that_of_the_default():
    assert rounded(np.array([0.2, 1.4, 2.6])).tolist() == [1, 1, 3]


def result(*means):
    return dict(noise=['precise', 'SD 2'], rank=0.5, each_mean=means, each_last=means, each_bound=means)


def test_the_table_compares_with_the_default_of_the_same_seeds():
    found = {key_of('one', 'default', 0): result(2., 8.), key_of('one', 'default', 1): result(4., 4.),
             key_of('one', 'readers', 0): result(1., 2.)}
    lines = [[cell.strip() for cell in line.split('|')[1:-1]] for line in tables(found).splitlines()]
    assert lines[2][:4] == ['default', '2', '3.00 px', '6.00 px']
    assert lines[3][:4] == ['readers', '1', '1.00 px', '2.00 px']
    assert {len(line) for line in lines} == {len(lines[0])}
    assert change(found, 'one', 'readers', 'mean').startswith('-65 %')  # the root of 1/2 times 1/4 is 0.354
    assert change(found, 'one', 'default', 'mean') == ''
    assert tables({}) == ''
