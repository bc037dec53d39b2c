"Pictures: where markers land, in which colour, and what they leave alone."

import imageio.v3 as iio
import numpy as np
import pytest

from landmark_fastai.viz.overlays import (
    BLUE,
    RED,
    contact_sheet,
    draw_landmarks,
    draw_markers,
    draw_masks,
    fit_into_box,
    write_png,
)

NOWHERE = [[np.nan, np.nan]]


def black(side=256):
    return np.zeros((side, side), np.uint8)


def center(picture, color):
    "Return the (x, y) centre of mass of `color`, by how much its strong channel exceeds the opposite one."
    strong, weak = (0, 2) if color == RED else (2, 0)
    weight = (picture[..., strong].astype(float) - picture[..., weak]).clip(0)
    rows, columns = np.indices(weight.shape)
    return [(weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()]


def has(picture, color):
    return bool((picture == color).all(-1).any())


# Landmarks

@pytest.mark.parametrize('side, scale', [(64, 12), (256, 3), (512, 1.5), (1024, 1), (1600, 0.8),
                                         (4000, 0.32)])
@pytest.mark.parametrize('color', [BLUE, RED])
def test_marker_is_where_the_half_pixel_rule_puts_it(side, scale, color):
    point = [[0.4 * side + 0.3, 0.6 * side + 0.7]]
    true, pred = (point, NOWHERE) if color == BLUE else (NOWHERE, point)
    shown = round(side * scale)
    picture = draw_landmarks(black(side), true, pred, ['tip'])[:, :shown]
    assert len(picture) == shown
    expected = [(value + 0.5) * scale - 0.5 for value in point[0]]
    assert np.allclose(center(picture, color), expected, atol=0.1)


@pytest.mark.parametrize('shape, shown', [((2400, 3000), (1024, 1280)), ((3001, 1003, 3), (1280, 428)),
                                          ((2, 4000), (1, 1280))])
def test_large_pictures_are_shrunk_and_keep_their_aspect(shape, shown):
    true = np.array([[0, 0], [shape[1] - 1, shape[0] - 1]])
    picture = draw_markers(np.full(shape, 100, np.uint8), true, true + np.nan)
    assert picture.shape == (*shown, 3) and has(picture[:9, :9], BLUE) and has(picture[-9:, -9:], BLUE)


def test_markers_keep_their_size_on_large_pictures():
    def area(side): return (draw_markers(black(side), NOWHERE, [[side / 2, side / 2]])[..., 0] > 200).sum()
    assert area(4000) == pytest.approx(area(1024), abs=4)


def test_markers_alone_are_the_picture_of_a_sheet():
    image, true, pred = black(1000), [[500, 600]], [[550, 650]]
    alone = draw_markers(image, true, pred)
    assert np.array_equal(alone, draw_landmarks(image, true, pred, ['tip'])[:, :1000])
    small = draw_markers(image, true, NOWHERE, largest=400)
    assert small.shape == (400, 400, 3) and np.allclose(center(small, BLUE), [199.7, 239.7], atol=0.1)


def test_truth_is_blue_and_prediction_red():
    both = draw_landmarks(black(), [[50, 60]], [[200, 90]], ['tip'])[:, :768]
    assert (both[round(60.5 * 3 - 0.5) - 6, round(50.5 * 3 - 0.5)] == BLUE).all()
    assert (both[round(90.5 * 3 - 0.5), round(200.5 * 3 - 0.5)] == RED).all()
    assert BLUE[2] > 200 > BLUE[0] and RED[0] > 200 > RED[2]


def test_prediction_on_the_truth_hides_neither():
    picture = draw_landmarks(black(), [[50, 60]], [[50, 60]], ['tip'])[:, :768]
    assert has(picture, BLUE) and has(picture, RED)


def test_missing_points_are_skipped():
    assert not draw_landmarks(black(), NOWHERE, NOWHERE, ['tip'])[:, :768].any()
    assert not has(draw_landmarks(black(), NOWHERE, [[50, 60]], ['tip'])[:, :768], BLUE)
    assert not has(draw_landmarks(black(), [[50, np.nan]], [[50, 60]], ['tip'])[:, :768], BLUE)
    assert not has(draw_landmarks(black(), [[50, 60]], NOWHERE, ['tip'])[:, :768], RED)


def test_colours_of_the_photograph_stay():
    image = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), np.uint8)
    picture = draw_landmarks(image, [[500, 500]], [[510, 505]], ['tip'])[:, :1024]
    changed = np.argwhere((picture != image).any(-1))
    assert np.array_equal(draw_landmarks(image, NOWHERE, NOWHERE, ['tip'])[:, :1024], image)
    assert len(changed) and (abs(changed - [500, 505]).max(0) <= 40).all()


def test_image_is_not_drawn_upon():
    image = np.zeros((1024, 1024, 3), np.uint8)
    draw_landmarks(image, [[50, 60]], [[70, 60]], ['tip'])
    assert not image.any()


def test_points_on_and_over_the_border_are_drawn():
    corners = np.array([[0, 0], [255, 0], [0, 255], [255, 255], [-20, 300]], float)
    picture = draw_landmarks(black(), corners, corners + 0.4, list('abcde'))
    assert has(picture[:20, :20], BLUE) and has(picture[748:768, 748:768], BLUE)


def test_mismatched_names_are_refused():
    with pytest.raises(ValueError): draw_landmarks(black(), NOWHERE, NOWHERE, ['a', 'b'])
    with pytest.raises(ValueError): draw_landmarks(black(), NOWHERE, NOWHERE, ['a'], notes=['x', 'y'])
    with pytest.raises(ValueError): draw_masks(black(), np.zeros((1, 256, 256)), ['a', 'b'], RED)


# Masks and sheets

@pytest.mark.parametrize('count', [1, 2, 20, 64])
def test_a_tile_for_each_mask(count):
    picture = draw_masks(black(), np.zeros((count, 256, 256), bool), ['tip'] * count, RED)
    assert picture.dtype == np.uint8 and picture.shape[1] <= 1800 and picture.shape[1] > 500


@pytest.mark.parametrize('color', [BLUE, RED])
def test_mask_is_tinted_in_its_colour_and_place(color):
    mask = np.zeros((1, 512, 512), bool)
    mask[0, 90:111, 290:311] = True
    picture = draw_masks(black(512), mask, ['tip'], color)[24:-4, 4:-4]
    assert picture.shape == (512, 512, 3)
    assert np.allclose(center(picture, color), [300, 100], atol=0.1)
    assert np.allclose(picture[100, 300], np.multiply(color, 0.6), atol=1)


@pytest.mark.parametrize('side', [64, 256, 768, 1024])
def test_mask_of_one_pixel_keeps_its_place(side):
    mask = np.zeros((1, side, side), np.float32)
    mask[0, side // 4, side // 2] = 1
    x, y = center(draw_masks(black(side), mask, ['tip'], RED)[24:-4, 4:-4], RED)
    assert np.allclose([x, y], [(value + 0.5) * 512 / side - 0.5 for value in (side // 2, side // 4)], atol=0.2)


def test_probability_and_anatomy_both_show():
    image = np.full((512, 512), 100, np.uint8)
    image[:, 256:] = 200
    masks = np.full((1, 512, 512), 0.5, np.float32)
    masks[..., 256:] = 1
    picture = draw_masks(image, masks, ['tip'], RED)[24:-4, 4:-4].astype(int)
    assert np.allclose(picture[100, [100, 400]], [[146, 85, 85], [233, 110, 110]], atol=1)


@pytest.mark.parametrize('side, count', [(1024, 64), (512, 20), (256, 20)])
def test_mask_of_one_pixel_stays_visible(side, count):
    masks = np.zeros((count, side, side), np.float32)
    masks[:, 300 * side // 512, 200 * side // 512] = 1
    picture = draw_masks(black(side), masks, ['tip'] * count, RED)
    strong = (picture[..., 0] > 120) & (picture[..., 2] < 60)
    assert strong.sum() >= 4 * count


def test_contact_sheet_keeps_the_aspect_of_each_picture():
    wide, high = np.full((100, 300, 3), RED, np.uint8), np.full((300, 100, 3), BLUE, np.uint8)
    sheet = contact_sheet([wide, high, wide], ['wide', 'Höhe', 'a long caption ' * 20], 2)
    assert sheet.shape == (2 * (300 + 20 + 8), 2 * (300 + 8), 3)
    assert (sheet[150, [10, 150, 298]] == RED).all() and (sheet[[90, 230], 150] == 255).all()
    assert (sheet[[10, 150, 298], 308 + 150] == BLUE).all()


def test_a_picture_stands_in_the_middle_of_its_box():
    box = fit_into_box(np.full((10, 20, 3), RED, np.uint8), (60, 50))
    assert box.shape == (50, 60, 3) and (box[10:40] == RED).all() and (box[[9, 40]] == 255).all()


def test_contact_sheet_of_large_pictures_is_not_too_wide():
    picture = np.zeros((768, 1100, 3), np.uint8)
    assert contact_sheet([picture] * 5, ['one'] * 5, 4).shape[1] <= 1800
    assert contact_sheet([picture], ['one'], 4).shape[1] == 1100 + 8


# Files

def test_png_keeps_every_value(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    write_png(tmp_path / 'new' / 'a.png', picture)
    assert np.array_equal(iio.imread(tmp_path / 'new' / 'a.png'), picture)
    assert [path.name for path in (tmp_path / 'new').iterdir()] == ['a.png']
