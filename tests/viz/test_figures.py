"Figures of errors: every figure is written, whatever is missing, and shows the numbers it was given."

import imageio.v3 as iio
import numpy as np
import pytest

from landmark_fastai.viz import figures as figures_module
from landmark_fastai.viz.figures import plot_boxes, plot_confidence, plot_coverage, plot_cumulative, plot_vectors

pytestmark = pytest.mark.usefixtures('no_warnings')


@pytest.fixture
def drawn(monkeypatch):
    "A function that draws a figure, writes none, and returns its axes."
    figures = []
    monkeypatch.setattr(figures_module, 'save_forms', lambda figure, path: figures.append(figure))
    def draw(plot, *arguments):
        plot(*arguments, 'unwritten.png')
        return figures[-1].axes[0]
    return draw


def draw_all(folder, offsets, names):
    distances = np.linalg.norm(offsets, axis=-1)
    plot_cumulative(distances, names, (2, 2.5, 3, 4), 'mm', folder / 'cumulative.png')
    plot_boxes(distances, names, 'mm', folder / 'boxes.png')
    plot_vectors(offsets, names, 'mm', folder / 'vectors.png')
    plot_confidence(np.linspace(0, 1, distances.size).reshape(distances.shape), distances, None, 'mm',
                    folder / 'confidence.png')


def curves(ax):
    "Return the curves of `ax` by their labels."
    return {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith('_')}


def texts(ax):
    return [text.get_text() for text in ax.texts]


TWO, MORE = ['$x$', r'$\frac{$'], ['a_long_name_' * 9] + [f'l{k}' for k in range(10)]
MANY = [f'vertebra_{k}_upper_left_corner' for k in range(70)]


@pytest.mark.parametrize('n, names, kind', [
    *[(30, TWO, kind) for kind in ('usual', 'gaps', 'zeros', 'outlier', 'nothing')], (1, TWO, 'gaps'),
    (30, ['a'], 'usual'), (30, MORE, 'gaps'), (30, MORE, 'nothing'), (25, MANY, 'gaps')])
def test_all_figures_are_written(tmp_path, n, names, kind):
    offsets = np.random.default_rng(0).normal(0, 1.5, (n, len(names), 2))
    if kind == 'gaps': offsets[np.random.default_rng(1).random((n, len(names))) < 0.4] = np.nan
    if kind == 'zeros': offsets[:] = 0
    if kind == 'outlier': offsets[0, 0] = 5000
    if kind == 'nothing': offsets[:] = np.nan
    draw_all(tmp_path, offsets, names)
    assert len(list(tmp_path.iterdir())) == 4 * 3
    for path in tmp_path.glob('*.png'):
        height, width = iio.imread(path).shape[:2]
        assert width in (1003, 2066) and 300 < height < 1.8 * 2066  # 8.5 and 17.5 cm at 300 dpi


# Shares

def test_curve_is_the_share_of_landmarks_within(drawn):
    distances = np.array([[1.0, 3.0], [2.0, np.nan], [np.inf, 4.2]])
    ax = drawn(plot_cumulative, distances, ['tip', 'base'], (2, 4), 'mm')
    line = curves(ax)['all landmarks']
    assert line.get_drawstyle() == 'steps-post'
    assert np.allclose(line.get_xydata(), [[0, 0], [1, 20], [2, 40], [3, 60], [4.2, 80], [4.4, 80]])
    assert np.allclose(curves(ax)['1 tip'].get_ydata(), [0, 100 / 3, 200 / 3, 200 / 3])
    assert list(curves(ax)) == ['all landmarks', '1 tip', '2 base']


def test_rates_and_hidden_landmarks_are_told(drawn):
    distances = np.array([[1.0, 2.0, 2.1, 3.0, 4.5, 500.0, np.inf, np.nan]]).T
    ax = drawn(plot_cumulative, distances, ['tip'], (2, 4), 'mm')
    assert [label.get_text() for label in ax.child_axes[0].get_xticklabels()] == ['2 mm: 28.6 %', '4 mm: 57.1 %']
    assert ax.get_xlim()[1] == 4.5 and ax.get_xlabel() == 'error, mm\n(of 7 landmarks 1 beyond 4.5 mm and 1 missed)'


@pytest.mark.parametrize('thresholds, farthest', [
    ((2, 2.5, 3, 4), 100), ((2, 5, 10, 20), 500), ((1, 1.1, 1.2, 1.3, 3.7, 3.8, 3.9, 4), 1), ((3.9, 3.95, 4), 1),
    (np.linspace(1, 4, 28), 100)])
def test_labels_of_near_thresholds_do_not_overlap(drawn, thresholds, farthest):
    distances = np.linspace(0, farthest, 200).reshape(100, 2)
    ax = drawn(plot_cumulative, distances, [MANY[0], MANY[1]], thresholds, 'mm')
    ax.figure.draw_without_rendering()
    labels = ax.child_axes[0].get_xticklabels()
    assert [label.get_text().split(' mm')[0] for label in labels] == [f'{value:g}' for value in thresholds]
    places = [label.get_transform().transform(label.get_position())[0] for label in labels]
    angle, height = np.deg2rad(labels[0].get_rotation()), labels[0].get_fontsize() * ax.figure.dpi / 72
    assert np.diff(places).min() * np.sin(angle) > height  # slanted lines of text, as far apart as they are high
    left, right = ax.bbox.x0, ax.bbox.x1
    assert left <= places[0] and places[-1] <= right + 1
    leaders = [line.get_xdata() for line in ax.get_lines() if not line.get_clip_on()]
    np.testing.assert_allclose([x[0] for x in leaders], thresholds)  # from the line to its label
    np.testing.assert_allclose(ax.transData.transform([[x[1], 0] for x in leaders])[:, 0], places)


def test_axis_reaches_over_the_thresholds(drawn):
    ax = drawn(plot_cumulative, np.full((9, 1), 0.1), ['tip'], (2, 4), 'mm')
    assert ax.get_xlim() == (0, pytest.approx(4.4)) and ax.get_xlabel() == 'error, mm'
    assert curves(ax)['all landmarks'].get_xdata()[-1] == pytest.approx(4.4)


def test_many_landmarks_are_grey_but_the_worst(drawn):
    distances = np.ones((5, 20)) * np.arange(20)
    distances[:3, 4] = np.inf
    ax = drawn(plot_cumulative, distances, [f'n{k}' for k in range(20)], (2, 4), 'mm')
    assert list(curves(ax)) == ['all landmarks', '5 n4', '20 n19', '19 n18', 'the other landmarks']
    assert len([line for line in ax.get_lines() if line.get_color() == 'grey' and len(line.get_xdata()) > 2]) == 17


# Boxes

def labels(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def test_worst_landmark_is_on_top(drawn):
    distances = np.array([[1.0, 9.0, np.nan, 5.0]] * 6)
    distances[0, 1], distances[0, 3] = np.inf, np.nan
    ax = drawn(plot_boxes, distances, ['a', 'b', 'c', 'd'], 'mm')
    assert labels(ax) == ['3 c (0)', '1 a (6)', '4 d (5)', '2 b (5)'] and ax.get_ylim()[0] < ax.get_ylim()[1]
    medians = [line.get_xdata()[0] for line in ax.get_lines() if line.get_color() == 'C3']
    assert medians == [1, 5, 9]


def test_few_values_are_points(drawn):
    ax = drawn(plot_boxes, np.array([[1.0], [2.0], [4.0], [3.0]]), ['a'], 'mm')
    assert not ax.patches and sorted(ax.get_lines()[0].get_xdata()) == [1, 2, 3, 4]


def test_scale_is_logarithmic_for_outliers_only(drawn):
    usual = np.linspace(0.5, 3, 40)[:, None]
    assert drawn(plot_boxes, usual, ['a'], 'mm').get_xscale() == 'linear'
    ax = drawn(plot_boxes, np.vstack([usual, [[80]]]), ['a'], 'mm')
    assert ax.get_xscale() == 'log' and ax.get_xlabel() == 'error, mm, logarithmic'
    assert ax.get_xlim()[0] < 1 and ax.get_xlim()[1] > 80
    assert 80 in [value for line in ax.get_lines() for value in line.get_xdata()]


# Directions

def markers(ax, marker):
    "Return the (x, y) of the points of `ax` that are drawn with `marker`, filled ones and hollow ones apart."
    lines = [line for line in ax.get_lines() if line.get_marker() == marker]
    return [np.concatenate([line.get_xydata() for line in lines if (line.get_fillstyle() == 'none') == hollow] or [[]])
            for hollow in (False, True)]


def test_offsets_are_seen_as_on_the_image(drawn):
    offsets = np.array([[[0.5, 0.25]], [[-0.5, 0.45]], [[np.nan, np.nan]]])
    ax = drawn(plot_vectors, offsets, ['tip'], 'mm')
    assert np.allclose(markers(ax, 'o')[0], offsets[:2, 0]) and np.allclose(markers(ax, 'x')[0], [[0, 0.35]])
    assert ax.get_ylim()[0] > ax.get_ylim()[1] and ax.get_xlim()[0] < ax.get_xlim()[1] and ax.get_aspect() == 1
    assert [circle.radius for circle in ax.patches] == [0.4, 0.8] and 'circles: 0.4 and 0.8 mm' in ax.get_title()


def test_far_predictions_lie_hollow_on_the_circle(drawn):
    offsets = np.full((50, 1, 2), [0.6, 0.8])
    offsets[0] = [-30, 40]
    ax = drawn(plot_vectors, offsets, ['tip'], 'mm')
    near, far = markers(ax, 'o')
    assert len(near) == 49 and np.allclose(far, [[-0.6, 0.8]])


def test_tiles_share_a_scale_and_do_not_touch(drawn):
    offsets = np.random.default_rng(0).normal(0, 1, (30, 70, 2))
    ax = drawn(plot_vectors, offsets, [f'name_{k}' for k in range(70)], 'mm')
    circles = [circle for circle in ax.patches if circle.radius == max(circle.radius for circle in ax.patches)]
    centers = np.array([circle.center for circle in circles])
    gaps = np.linalg.norm(centers[:, None] - centers, axis=-1) + 1e9 * np.eye(70)
    assert len(circles) == 70 and gaps.min() > 2 * circles[0].radius
    assert [text for text in texts(ax) if text.startswith('70 ')] == ['70 name_69']


def test_landmark_without_values_says_so(drawn):
    offsets = np.full((3, 2, 2), 1.0)
    offsets[:, 1] = np.nan
    ax = drawn(plot_vectors, offsets, ['a', 'b'], 'mm')
    assert texts(ax).count('no values') == 1
    assert 'no values' in texts(drawn(plot_cumulative, np.full((3, 1), np.nan), ['a'], (2,), 'mm'))
    assert 'no values' in texts(drawn(plot_boxes, np.full((3, 1), np.nan), ['a'], 'mm'))


@pytest.mark.parametrize('value, radius', [(0, 1), (0.3, 0.3), (0.31, 0.4), (1, 1), (1.2, 1.5), (7, 8), (9, 10),
                                           (230, 300)])
def test_radii_are_round(value, radius):
    assert figures_module.round_up(value) == pytest.approx(radius)


# Confidence

def test_confidence_is_drawn_against_the_errors_it_has(drawn):
    confidence, distances = np.array([[0.9, 0.2], [0.5, np.nan]]), np.array([[1., 20.], [np.inf, 3.]])
    ax = drawn(plot_confidence, confidence, distances, -1., 'px')
    points = curves(ax)['a landmark of an image']
    assert points.get_xdata().tolist() == [0.9, 0.2] and points.get_ydata().tolist() == [1, 20]
    assert 'rank correlation -1.00' in ax.get_title() and 'median of each tenth' not in curves(ax)


def test_medians_are_of_tenths_of_the_confidences(drawn):
    confidence = np.linspace(0, 1, 100)[:, None]
    line = curves(drawn(plot_confidence, confidence, 100 - 99 * confidence, -1., 'mm'))['median of each tenth']
    assert len(line.get_xdata()) == 10 and line.get_xdata()[0] == pytest.approx(0.0455, abs=1e-3)
    assert line.get_ydata()[0] == pytest.approx(95.5)


# Bounds

def test_coverage_is_drawn_over_the_levels(drawn):
    coverage = np.array([[0.4, 0.6, np.nan], [0.8, 1.0, np.nan]])
    ax = drawn(plot_coverage, (0.5, 0.9), coverage)
    assert curves(ax)['as they say'].get_xydata().tolist() == [[0.5, 0.5], [1, 1]]
    assert curves(ax)['a landmark'].get_xydata().tolist() == [[0.5, 0.4], [0.9, 0.8]]
    np.testing.assert_allclose(curves(ax)['mean of the landmarks'].get_xydata(), [[0.5, 0.5], [0.9, 0.9]])
    each = [line.get_ydata() for line in ax.get_lines() if line.get_color() == 'C0']
    np.testing.assert_array_equal(each, coverage.T)
    assert ax.get_xlabel() == 'level of the bounds' and ax.yaxis.get_major_formatter()(0.9) == '90%'


def test_levels_without_any_bound_are_left_out(drawn):
    ax = drawn(plot_coverage, (0.5, 0.9, 0.95), np.array([[0.4, 0.6], [0.8, 1.0], [np.nan, np.nan]]))
    np.testing.assert_allclose(curves(ax)['mean of the landmarks'].get_xydata(), [[0.5, 0.5], [0.9, 0.9]])
