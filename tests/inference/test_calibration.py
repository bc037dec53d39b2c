"What training images tell of a network: the error to expect of its heatmaps, and landmarks that it sees no place for."

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from helpers import DiscFinder, disc_finder, discs, write_dots

from landmark_fastai import landmark_dls
from landmark_fastai.inference.calibration import Observed, calibrate, flat_landmarks, observe, variances


@pytest.fixture
def discs_csv(tmp_path):
    "A function that writes ten images of a grey and a white disc; returns (csv file, image folder)."
    def write(height):
        csv_file, images = write_dots(tmp_path, names=('grey', 'white'), sizes=((128, height),))
        for row in pd.read_csv(csv_file).itertuples():
            points = [[row.grey_x, row.grey_y], [row.white_x, row.white_y]]
            cv2.imwrite(str(images / row.image_name), discs(128, height, points))
        return csv_file, images
    return write


def test_the_confidence_is_calibrated_by_the_errors_on_training_images(discs_csv):
    csv_file, images = discs_csv(128)
    table = pd.read_csv(csv_file)
    table['white_x'] -= 4  # clicked 4 px beside what is found: 2 px on the square
    table.loc[::2, ['grey_x', 'grey_y']] = np.nan  # and not on all images
    table.to_csv(csv_file, index=False)
    dls, finder = landmark_dls(csv_file, images, image_resize=64, batch_size=4), disc_finder(64)
    paths = [image.path for image in dls.train_ds.items]
    before = finder.predict(paths)
    factors = calibrate(observe(finder, dls.train_ds))
    errors = np.linalg.norm(before.points - np.stack([image.points for image in dls.train_ds.items]), axis=-1) / 2
    scatters = 0.04 * 64 * (1 / before.confidence - 1)
    labelled = np.isfinite(errors)
    expected = [errors[labelled[:, k], k].mean() / scatters[labelled[:, k], k].mean() for k in (0, 1)]
    np.testing.assert_allclose(factors, expected, rtol=0.01)
    assert errors[:, 1].mean() == pytest.approx(2, abs=0.3) and factors[1] > 2 * factors[0]
    after = disc_finder(64, calibration=factors).predict(paths)
    np.testing.assert_allclose(0.04 * 64 * (1 / after.confidence[:, 1] - 1).mean(), errors[:, 1].mean(), rtol=0.01)


def test_the_factor_is_the_mean_error_over_the_mean_scatter_and_1_where_that_cannot_be_told():
    errors = np.array([[1., 3., np.nan, 0.], [3., 5., 2., 0.]])
    scatters = np.array([[1., 4., 1., 1.], [1., np.nan, np.nan, 1.]])
    assert calibrate(Observed(errors, scatters)) == [2, 0.75, 1, 1]


def test_a_variance_is_the_squared_mean_error_over_the_median_scatter_of_what_is_within_reach():
    errors = np.array([[1., 3., np.nan, 0.], [3., 50., 2., 0.], [2., 5., 70., 0.]])
    scatters = np.array([[1., 4., np.nan, 1.], [8., 9., np.nan, 1.], [2., 2., 1., 1.]])
    assert variances(Observed(errors, scatters), reach=20) == [2, 4 ** 2 / 3, 1, 1]


class Half(DiscFinder):
    "A `DiscFinder` whose second channel is the same everywhere, or nearly."
    def forward(self, x):
        found = super().forward(x)
        return torch.cat([found[:, :1], 0.01 * torch.rand_like(found[:, 1:])], 1)


def test_a_landmark_without_a_peak_is_told(discs_csv):
    csv_file, images = discs_csv(100)
    dls = landmark_dls(csv_file, images, image_resize=64, batch_size=4)
    for network, flat in ((DiscFinder(), []), (Half(), ['white'])):
        finder = disc_finder(64, network)
        assert flat_landmarks(finder, observe(finder, dls.train_ds)) == flat


def test_a_landmark_that_is_found_has_a_place_however_its_heatmap_scatters():
    finder = disc_finder(96)  # of grey and white
    scatters = np.array([[30., 30.], [30., 30.], [np.nan, 1.]])
    assert flat_landmarks(finder, Observed(np.array([[40., 3.], [30., 2.], [1., 90.]]), scatters)) == ['grey']
    unlabelled = np.full((3, 2), np.nan)
    assert flat_landmarks(finder, Observed(unlabelled, scatters)) == ['grey', 'white']
    assert flat_landmarks(finder, Observed(unlabelled, unlabelled)) == []
