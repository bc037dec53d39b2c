"Curves: every figure is written, whatever is missing in the log, and nothing is left behind."

import re
from io import StringIO

import imageio.v3 as iio
import numpy as np
import pandas as pd
import pytest

from landmark_fastai.viz import curves as curves_module
from landmark_fastai.viz.curves import plot_history, plot_lr_find

FIGURES = {'loss_curve.png', 'mean_landmark_error.png', 'mean_landmark_error_log.png', 'mean_dice_score.png',
           'per_landmark_error.png', 'per_landmark_error_log.png', 'per_landmark_dice.png'}

pytestmark = pytest.mark.usefixtures('no_warnings')


@pytest.fixture
def drawn(monkeypatch):
    "Collect the figures by file name and write none."
    figures = {}
    monkeypatch.setattr(curves_module, 'save_figure', lambda figure, path: figures.update({path.name: figure}))
    return figures


def log(names, epochs=30, units=('px',)):
    "Return a training log with falling loss and error."
    n, epoch = len(names), np.arange(1.0, epochs + 1)
    fall = 1 / epoch
    columns = {'epoch': epoch, 'train_loss': fall, 'val_loss': 1.1 * fall, 'mean_dist': 40 * fall}
    columns |= {f'landmark{k}_dist': 40 * fall for k in range(1, n + 1)} | {'mean_dice': 1 - fall}
    columns |= {f'landmark{k}_dice': 1 - fall / k for k in range(1, n + 1)}
    for unit in units:
        columns |= {f'mean_error_{unit}': 90 * fall} | {f'{name}_{unit}': 90 * fall + k for k, name in enumerate(names)}
    return pd.DataFrame(columns | {'radius': np.maximum(60 - 10 * (epoch // 5), 0), 'lr': 1e-3})


def curves(ax):
    "Return the labelled curves of `ax`."
    handles, labels = ax.get_legend_handles_labels()
    return dict(zip(labels, handles, strict=True))


@pytest.mark.parametrize('names, epochs, units', [
    (['a'], 1, ['px']),
    (['left hip', '_x', r'$\frac{$', 'Hüfte', 'a_long_name_' * 9], 350, ['px', 'mm']),
    ([f'vertebra_{k}_upper_left_corner' for k in range(64)], 12, ['px']),
])
def test_all_figures_are_written(tmp_path, names, epochs, units):
    plot_history(log(names, epochs, units), names, tmp_path / 'graph')
    assert {path.name for path in (tmp_path / 'graph').iterdir()} == FIGURES
    for path in (tmp_path / 'graph').iterdir():
        height, width = iio.imread(path).shape[:2]
        assert 400 < height < 1200 and 900 < width < 2000


def test_gaps_in_the_log(tmp_path):
    history = log(['a', 'b'])
    history[['a_px', 'landmark1_dice']] = np.nan
    history.loc[3:6, 'mean_error_px':] = np.nan
    history.loc[9, ['val_loss', 'b_px']] = np.inf
    plot_history(history, ['a', 'b'], tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == FIGURES


def test_a_log_without_any_value(tmp_path):
    history = log(['a', 'b'])
    history.loc[:, 'train_loss':] = np.nan
    plot_history(history, ['a', 'b'], tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == FIGURES


def test_a_log_read_back_from_csv(tmp_path):
    history = log(['a', 'b'], 3)
    history['a_px'] = np.nan
    history.astype({'epoch': int}).to_csv(tmp_path / 'log.csv', index=False)
    plot_history(pd.read_csv(tmp_path / 'log.csv'), ['a', 'b'], tmp_path / 'graph')
    assert len(list((tmp_path / 'graph').iterdir())) == len(FIGURES)


def test_errors_are_in_original_px(drawn):
    plot_history(log(['a', 'b'], units=['px', 'mm']), ['a', 'b'], '.')
    axes = drawn['mean_landmark_error.png'].axes
    assert [ax.get_ylabel() for ax in axes] == ['error, original px', 'error, mm']
    assert np.allclose(curves(axes[0])['mean'].get_ydata(), 90 / np.arange(1, 31))
    shown = curves(drawn['per_landmark_error.png'].axes[0])
    assert np.allclose(shown['2 b'].get_ydata(), 90 / np.arange(1, 31) + 1)


def test_train_and_validation_loss_share_a_figure(drawn):
    plot_history(log(['a']), ['a'], '.')
    assert list(curves(drawn['loss_curve.png'].axes[0]))[:2] == ['training', 'validation']


def test_best_epoch_is_the_smallest_original_error(drawn):
    history = log(['a'])
    history.loc[11, 'mean_error_px'] = 0.5
    plot_history(history, ['a'], '.')
    for figure in drawn.values(): assert 'best: epoch 12, 0.50 px' in curves(figure.axes[0])
    assert curves(drawn['loss_curve.png'].axes[0])['best: epoch 12, 0.50 px'].get_xdata()[0] == 12


def test_where_the_median_chooses_it_is_drawn_and_marks_the_best_epoch(drawn):
    history = log(['a']).assign(median_error_px=7.)
    history.loc[11, 'mean_error_px'] = 0.5
    history.loc[19, 'median_error_px'] = 3.25
    plot_history(history, ['a'], '.')
    found = curves(drawn['mean_landmark_error.png'].axes[0])
    assert found['best: epoch 20, median 3.25 px'].get_xdata()[0] == 20 and {'mean', 'median'} < found.keys()
    assert 'median' not in curves(drawn['loss_curve.png'].axes[0])


@pytest.mark.parametrize('every', [1, 50])
def test_radius_labels_are_few_and_true(drawn, every):
    history = log(['a'], 350)
    history['radius'] = 400 - (history.epoch - 1) // every
    plot_history(history, ['a'], '.')
    top = drawn['loss_curve.png'].axes[0].child_axes[0]
    labels = {tick: text.get_text() for tick, text in zip(top.get_xticks(), top.get_xticklabels(), strict=True)}
    assert 7 <= len(labels) <= 10 and labels[1] == 'r 400'
    assert all(text == f'r {400 - (epoch - 1) // every:g}' for epoch, text in labels.items())


def test_legend_has_all_names_beside_the_axes(drawn):
    names = [f'vertebra_{k}' for k in range(64)]
    plot_history(log(names), names, '.')
    figure = drawn['per_landmark_error.png']
    figure.draw_without_rendering()
    legend, ax = figure.legends[0], figure.axes[0]
    assert [text.get_text() for text in legend.get_texts()][:64] == [f'{k} {name}' for k, name in enumerate(names, 1)]
    box, canvas = legend.get_window_extent(), figure.bbox
    assert box.x0 >= ax.get_window_extent().x1 and box.x1 <= canvas.x1 and box.y0 >= 0
    assert ax.get_window_extent().width > 500


def test_landmarks_look_different(drawn):
    names = [f'vertebra_{k}' for k in range(64)]
    plot_history(log(names), names, '.')
    lines = list(curves(drawn['per_landmark_dice.png'].axes[0]).values())[:64]
    for k, line in enumerate(lines): line.set_gid(f'curve{k}')
    drawing = StringIO()
    drawn['per_landmark_dice.png'].savefig(drawing, format='svg')
    looks = re.findall('<g id="curve[0-9]+">.*?style="(.*?)"', drawing.getvalue(), re.DOTALL)
    assert len(looks) == len(set(looks)) == 64


def test_log_scale_shows_zeros(drawn):
    history = log(['a', 'b'])
    history.loc[5:7, 'a_px'] = 0
    plot_history(history, ['a', 'b'], '.')
    ax = drawn['per_landmark_error_log.png'].axes[0]
    assert ax.get_yscale() == 'symlog' and ax.get_ylim()[0] <= 0
    assert drawn['mean_landmark_error_log.png'].axes[0].get_yscale() == 'log'
    assert drawn['mean_landmark_error.png'].axes[0].get_yscale() == 'linear'


def test_lonely_values_get_a_dot():
    values = pd.Series([1, np.nan, 2, 3, np.nan, 4])
    assert curves_module.isolated(values).tolist() == [True, False, False, False, False, True]


def test_lr_find(tmp_path):
    lrs = np.geomspace(1e-6, 1, 80)
    losses = 1 / (1 + 1e3 * lrs) + 5 * lrs
    losses[-1] = np.nan
    plot_lr_find(list(lrs), list(losses), 1e-3, tmp_path / 'lr_find.png')
    assert iio.imread(tmp_path / 'lr_find.png').shape[:2] == (500, 800)


def test_smoothing_keeps_level_and_place():
    assert np.allclose(curves_module.smooth_losses(np.full(50, 3.0)), 3)
    assert curves_module.smooth_losses(np.abs(np.arange(101) - 50.0)).argmin() == 50


def test_no_figure_is_left_in_pyplot(tmp_path):
    import matplotlib.pyplot as plt
    others = plt.get_fignums()  # of tests before this one
    plot_history(log(['a'], 2), ['a'], tmp_path)
    plot_lr_find([1e-3, 1e-2, 1e-1], [3, 2, 4], 1e-2, tmp_path / 'lr_find.png')
    assert plt.get_fignums() == others


def test_failed_figure_leaves_no_file(tmp_path):
    with pytest.raises(KeyError): plot_history(log(['a']).drop(columns='val_loss'), ['a'], tmp_path)
    assert not list(tmp_path.iterdir())
