"Two stages on one image: what is seen in crops, and what becomes of both points."

import cv2
import numpy as np
import pytest
from helpers import disc_finder, discs, predicted

from landmark_fastai.data.items import AnnotatedImage, make_frame
from landmark_fastai.formats.annotations import ABSENT, UNLABELLED, VISIBLE
from landmark_fastai.formats.images import letterbox
from landmark_fastai.geometry.pieces import cut_around, piece_of
from landmark_fastai.inference import refining
from landmark_fastai.inference.calibration import observe_crops
from landmark_fastai.inference.refining import (
    BOTH,
    FIRST,
    REFINED,
    RefinedPredictor,
    Seen,
    combine,
    expected_error,
    look_closer,
)
from landmark_fastai.model.facts import CropFacts

TRUE = np.array([[200.4, 150.7], [401.3, 260.2]])


def second_stage(film=600, side=128, first_variance=(1., 1.), variance=(1., 1.)):
    "A `Predictor` of crops that finds discs."
    return disc_finder(side, crop=CropFacts(film, 0.2, list(first_variance), list(variance)))


def one(points, **changes):
    "The `Prediction` of one image of 600 x 400 px, with expected errors of 4 px."
    stacked = predicted([points], **changes)._replace(size=np.array([[600, 400]]),
                                                      expected_error=np.full((1, len(points)), 4.))
    return type(stacked)(*(values[0] for values in stacked))


def closer(stage, image, first):
    "What the `stage` sees in crops of `image`."
    return look_closer(stage, letterbox(image, stage.facts.crop.film), first)


# --- crops

@pytest.mark.parametrize('film, atol', [(600, 0.3), (900, 0.3), (300, 0.6)])
def test_a_crop_finds_what_is_near_its_middle_in_original_px(film, atol):
    image = discs(600, 400, TRUE)
    seen = closer(second_stage(film), image, one(TRUE + (7, -9)))
    np.testing.assert_allclose(seen.points, TRUE, atol=atol)
    assert seen.counts.all() and np.isfinite(seen.scatter).all()


def test_an_expected_error_is_the_root_of_the_variance_in_original_px():
    size = np.array([600, 400])  # a px of a square of 300 is 2 px of the image
    np.testing.assert_allclose(expected_error([1., 4.], np.array([4., 9.]), 300, size), [2 * 2, 2 * 6])


def test_the_scatter_is_that_of_each_landmark_in_its_own_crop():
    image, stage = discs(600, 400, TRUE), second_stage(film=300)
    seen = closer(stage, image, one(TRUE))
    film, frames = letterbox(image, 300), [cut_around(make_frame((600, 400), (np.nan, np.nan), 300), point, 128)
                                           for point in TRUE]
    squares = np.stack([piece_of(film, corner, 128)[None] for corner, _ in frames])
    scatter = stage.engine.decode(squares, np.stack([frame.row() for _, frame in frames])).scatter
    np.testing.assert_allclose(seen.scatter, scatter.diagonal(), rtol=1e-5)


def test_crops_reach_over_the_border_and_over_a_film_that_is_smaller_than_they_are():
    at = np.array([[14.2, 20.1], [90.6, 40.3]])
    seen = closer(second_stage(film=110), discs(110, 70, at), one(at + 3)._replace(size=np.array([110, 70])))
    np.testing.assert_allclose(seen.points, at, atol=0.4)


def test_a_landmark_without_a_first_point_has_no_crop():
    first = one([TRUE[0], (np.nan, np.nan)], state=[[VISIBLE, ABSENT]])
    seen = closer(second_stage(), discs(600, 400, TRUE), first)
    assert seen.counts.tolist() == [True, False] and np.isnan(seen.points[1]).all()
    seen = closer(second_stage(), discs(600, 400, TRUE), one([(np.nan, np.nan)] * 2, state=ABSENT))
    assert not seen.counts.any()


def test_a_peak_at_the_margin_of_its_crop_does_not_count():
    image = discs(600, 400, TRUE)
    seen = closer(second_stage(), image, one(TRUE - (88, 0)))  # of the disc 6 px are left
    assert not seen.counts.any()


def test_crops_are_observed_as_they_are_when_predicting(tmp_path):
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), discs(600, 400, TRUE))
    off = TRUE + [(3, 4), (0, 0)]  # 5 px beside
    frame = make_frame((600, 400), (np.nan, np.nan), 300)
    image = AnnotatedImage(path, 'a.png', off, np.array([VISIBLE] * 2), frame, 300)
    stage, first = second_stage(film=300, variance=(1., 4.)), disc_finder(64)
    seen = closer(stage, discs(600, 400, TRUE), one(first.predict(path).points[0]))
    found = observe_crops(stage, first, [image])
    np.testing.assert_allclose(found.errors, [[2.5, 0]], atol=0.4)  # film px
    np.testing.assert_allclose(found.scatters, [seen.scatter], rtol=1e-5)


# --- both points

def combined(first, first_error, *crops):
    "Both stages, `crops` being what each model of the second sees: points, the error to expect, whether they count."
    seen = [Seen(np.array(points, float), np.full(len(points), np.nan), np.full(len(points), counts))
            for points, _, counts in crops]
    errors = [np.full(len(points), error) for points, error, _ in crops]
    return combine(first, np.array(first_error), seen, np.stack(errors))


def test_points_count_by_the_inverse_square_of_their_expected_errors():
    first = one([(100, 100), (200, 200)])
    found = combined(first, [4., 2.], ([(110, 100), (200, 220)], 2., True))  # 4 : 1 and 1 : 1
    np.testing.assert_allclose(found.points, [(108, 100), (200, 210)])
    np.testing.assert_allclose(found.expected_error, [0.8 * 2 + 0.2 * 4, 2])
    assert found.stage.tolist() == [BOTH, BOTH]
    np.testing.assert_array_equal(found.first, first.points)


def test_where_no_crop_counts_the_first_point_stays_to_the_digit():
    first = one([(100.123, 100), (200, 200)])
    found = combined(first, [4., 4.], ([(110, 100)] * 2, 2., False))
    np.testing.assert_array_equal(found.points, first.points)
    assert found.stage.tolist() == [FIRST, FIRST] and found.expected_error.tolist() == [4., 4.]


def test_a_much_surer_crop_stands_alone():
    found = combined(one([(100, 100)]), [4.], ([(110, 100)], 0.01, True))
    assert found.stage.tolist() == [REFINED]
    np.testing.assert_allclose(found.points, [(110, 100)], atol=1e-3)


def test_models_of_an_ensemble_count_as_one_crop():
    first, crop = one([(100, 100)]), ([(110, 100)], 2., True)
    one_model = combined(first, [4.], crop)
    three = combined(first, [4.], *[crop] * 3)
    np.testing.assert_allclose(three.points, one_model.points)
    apart = combined(first, [4.], ([(108, 100)], 2., True), ([(112, 100)], 2., True))
    np.testing.assert_allclose(apart.points, one_model.points)
    without = combined(first, [4.], crop, ([(0, 0)], 2., False))
    np.testing.assert_allclose(without.points, one_model.points)


def test_absent_and_blank_landmarks_stay_what_they_are():
    first = one([(np.nan, np.nan), (np.nan, np.nan)], state=[[ABSENT, UNLABELLED]])
    found = combined(first, [np.nan] * 2, ([(np.nan, np.nan)] * 2, np.nan, False))
    assert np.isnan(found.points).all() and found.stage.tolist() == ['', '']
    assert found.state.tolist() == [ABSENT, UNLABELLED]


# --- a predictor of two stages

def test_two_stages_are_sharper_than_one_which_stays_what_it_was():
    images = [discs(600, 400, TRUE), discs(600, 400, TRUE[::-1] - 20)]
    first = disc_finder(64)
    before = first.predict(images)
    both = RefinedPredictor(first, [second_stage(first_variance=(25., 25.))]).predict(images)
    np.testing.assert_array_equal(both.first, before.points)
    errors = [np.linalg.norm(found.points - [TRUE, TRUE[::-1] - 20], axis=-1).mean() for found in (before, both)]
    assert errors[1] < 0.5 * errors[0]
    assert (before.stage == '').all() and (both.stage != '').all()


def test_an_ensemble_resizes_an_image_once_for_all_that_see_it_at_one_size(monkeypatch):
    sides = []
    monkeypatch.setattr(refining, 'letterbox', lambda pixels, side: sides.append(side) or letterbox(pixels, side))
    seconds = [second_stage(film=film) for film in (600, 450, 600)]
    found = RefinedPredictor(disc_finder(64), seconds).predict(discs(600, 400, TRUE))
    assert sorted(sides) == [450, 600]
    np.testing.assert_allclose(found.points[0], TRUE, atol=1)


def test_the_first_stage_counts_by_its_errors_on_images_that_it_does_not_know():
    image = discs(600, 400, TRUE)
    first = disc_finder(64, calibration=[2., 2.])  # on images that it knows
    trusted, doubted = (RefinedPredictor(first, [second_stage(first_variance=factors)])
                        for factors in ([1e-4] * 2, [1e4] * 2))
    before = first.predict(image).points[0]
    again = RefinedPredictor(disc_finder(64), [second_stage(first_variance=[1e-4] * 2)])
    np.testing.assert_allclose(trusted.predict(image).expected_error, again.predict(image).expected_error, rtol=1e-5)
    assert abs(trusted.predict(image).points[0] - before).max() < abs(doubted.predict(image).points[0] - before).max()
