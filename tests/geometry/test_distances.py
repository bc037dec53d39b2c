"Distances and spread, against numbers worked out by hand."

import torch

from landmark_fastai.geometry.distances import radial_errors, spread

nan = float('nan')


def close(actual, expected, atol=1e-4):
    torch.testing.assert_close(actual, torch.as_tensor(expected), rtol=0, atol=atol, equal_nan=True, check_dtype=False)


def test_radial_errors_in_network_px_original_px_and_mm():
    frame = torch.tensor([[100, 100, 0, 0, 0.5, 0.1, 0.2], [100, 100, 7, 9, 2, nan, nan]])
    true = torch.tensor([[[10., 10.], [0, 0]], [[1, 2], [nan, nan]]])
    pred = torch.tensor([[[13., 14.], [6, 0]], [[1, 6], [3, 3]]])
    errors = radial_errors(pred, true, frame)
    assert set(errors) == {'network', 'px', 'mm'}
    close(errors['network'], [[5, 6], [4, nan]])
    close(errors['px'], [[10, 12], [2, nan]])
    # 6 px of 0.1 mm and 8 px of 0.2 mm: sqrt(0.36 + 2.56); 12 px of 0.1 mm
    close(errors['mm'], [[2.92 ** 0.5, 1.2], [nan, nan]])


def test_spread_is_the_standard_deviation_of_the_distances():
    points = torch.tensor([[0., 0.], [4., 0.], [2., 6.]]).view(3, 1, 1, 2)
    # mean (2, 2): squared distances 8, 8, 16, over 3 - 1
    assert spread(points).tolist() == [[4.]]
    assert spread(points[:1]).isnan().all()
