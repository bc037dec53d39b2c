"""`python -m docs.pictures` draws what docs/explanation shows, into docs/images; films in it are synthetic.

The animation is of a training of its own, `python -m docs.pictures animation`: minutes, and other pixels on another
machine.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import imageio.v3 as iio
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from PIL import Image

from landmark_fastai.config import RECIPES, TrainConfig
from landmark_fastai.data.items import make_frame
from landmark_fastai.data.radiograph import draw_radiograph
from landmark_fastai.data.sample import write_sample
from landmark_fastai.files import atomic, write_text
from landmark_fastai.formats.images import letterbox
from landmark_fastai.geometry.frame import to_network, to_original
from landmark_fastai.geometry.masks import diamond_area, draw_diamonds
from landmark_fastai.geometry.radius import REFERENCE_EPOCHS, REFERENCE_SIZE, fixed_radius
from landmark_fastai.measure.agree import agreement
from landmark_fastai.training.train import train
from landmark_fastai.viz.axes import new_figure, save_figure
from landmark_fastai.viz.overlays import BLUE, draw_masks, fit_into_box, write_png
from landmark_fastai.viz.text import GAP, blank, caption

from .diagram import Box, svg

IMAGES = Path(__file__).parent / 'images'
STAIRS = 'dilation_iters', 'erosion_freq', 'erosion_iters'
RED_INK, BLUE_INK, GREY = '#c0392b', '#2d7dff', '#808080'
# what the animation shows; minutes on one core
TRAINING = dict(image_resize=192, batch_size=4, epochs=20, gif=True, encoder_name='timm-tf_efficientnet_lite0')
SIDES, READERS = ('right', 'left'), {'AB': (1.5, 0), 'CD': (2.5, 1.5)}  # SD of clicks, and how much lower, px
SHOWN = 900  # px, the width of a figure for print on a page
PART = 0.6  # of the side of the square, that the animation shows
SECONDS, HOLD = 0.4, 2.5  # of a still, and of the last one
HALF = 128  # of the 256 colours of a GIF


# --- the erosion

def stairs(recipe: str) -> list[int]:
    "The radius (px at 512) in each of 350 epochs of `recipe`."
    arguments = [RECIPES[recipe].get(name, getattr(TrainConfig, name)) for name in STAIRS]
    return [fixed_radius(epoch, *arguments) for epoch in range(REFERENCE_EPOCHS)]


def draw_erosion():
    "The mask of a landmark at each radius of the default recipe, and the radius over the epochs of both recipes."
    film = draw_radiograph(np.random.default_rng([42, 3]))
    square = letterbox(film.image, REFERENCE_SIZE)
    frame = make_frame(film.image.shape[1::-1], (np.nan, np.nan), REFERENCE_SIZE)
    point = to_network(np.array(list(film.points.values())[0], np.float32), frame)
    x, y = np.rint(point).astype(int)
    reach = 60
    figure = new_figure(7.6, 4.6)
    shown = figure.subplot_mosaic([list('abcd'), list('eeee')], height_ratios=[1.1, 1])
    by_radius = stairs('default')
    for name, radius in zip('abcd', sorted(set(by_radius), reverse=True), strict=True):
        mask = draw_diamonds(torch.from_numpy(point), radius, REFERENCE_SIZE).numpy()
        picture = np.repeat(square[..., None], 3, -1)
        picture[mask] = 0.5 * picture[mask] + 0.5 * np.array(BLUE)
        ax, first = shown[name], by_radius.index(radius) + 1
        last = len(by_radius) - by_radius[::-1].index(radius)
        ax.imshow(picture, interpolation='nearest')
        ax.set(xlim=(x - reach, x + reach), ylim=(y + reach, y - reach), xticks=[], yticks=[])
        ax.set_title(f'radius {radius}: {diamond_area(radius):,} px\nepochs {first} to {last}', fontsize=9)
    draw_stairs(shown['e'])
    save_figure(figure, IMAGES / 'erosion_radii.png')


def draw_stairs(ax: Axes):
    "The radius over the epochs of both recipes."
    for recipe, ink in (('original', GREY), ('default', BLUE_INK)):
        radius = stairs(recipe)
        ax.step(range(1, len(radius) + 1), radius, where='post', color=ink, lw=2, label=f'{recipe} recipe')
    ax.set(xlabel='epoch, of 350', ylabel='radius, px at 512 px', xlim=(1, REFERENCE_EPOCHS), ylim=(0, 70))
    ax.spines[['top', 'right']].set_visible(False)
    ax.legend(frameon=False)


# --- the animation

def draw_animation():
    "Train on sample films with `--gif`, and join the label, the network's mask and the points of each epoch."
    with TemporaryDirectory() as folder:
        folder = Path(folder)
        csv_file = write_sample(folder / 'data', n_images=30)
        learn = train(train_image_dir=folder / 'data' / 'train_images', label_dir=csv_file.parent, output_dir=folder,
                      experiment_name='run', **TRAINING)
        results = folder / 'run' / 'train_results'
        image, side = learn.dls.valid_ds[0][0].permute(1, 2, 0).squeeze(-1).numpy(), TRAINING['image_resize']
        item = learn.dls.valid_ds.items[0]
        points = torch.from_numpy(to_network(item.points.astype(np.float32), item.frame))
        stills = []
        for k, radius in enumerate(pd.read_csv(results / 'training_log.csv').radius.astype(int), 1):
            label = draw_masks(image, draw_diamonds(points, radius, side).any(0)[None].numpy(), [''], BLUE)
            found = iio.imread(results / 'frames' / 'coordinates' / f'{k:04}.png')
            masks = iio.imread(results / 'frames' / 'masks' / f'{k:04}.png')
            stills.append(still(f'epoch {k} of {TRAINING["epochs"]}, radius {radius} px of {side}', {
                'label': near(label[-label.shape[1]:], points / side),
                "the network's mask": near(joined(masks), points / side),
                'points: truth blue, found red': near(found[:, :len(found)], points / side)}))
    write_animation(stills, IMAGES / 'erosion.gif')


def still(heading: str, pictures: dict[str, np.ndarray], side: int = 244) -> np.ndarray:
    "`pictures` beside each other, each under its name, under a `heading`."
    tiles = [np.vstack([caption(name, side), fit_into_box(picture, (side, side))])
             for name, picture in pictures.items()]
    gap = blank(GAP, len(tiles[0]))
    row = np.hstack([part for tile in tiles for part in (tile, gap)][:-1])
    return np.vstack([caption(heading, row.shape[1]), row])


def near(picture: np.ndarray, places: torch.Tensor) -> np.ndarray:
    "The part of a square `picture` around the middle of `places` (N, 2), which are shares of its side."
    first = (places.mean(0) - PART / 2).clamp(0, 1 - PART)
    x, y = (first * len(picture)).round().int().tolist()
    size = round(PART * len(picture))
    return picture[y:y + size, x:x + size]


def joined(tiles: np.ndarray) -> np.ndarray:
    "The masks of two landmarks, tiles beside each other as `--gif` has them, on one tile: where either is red."
    side = tiles.shape[1] // 2 - GAP
    left, right = (tiles[-side - GAP // 2:-(GAP // 2), start:start + side].astype(int)
                   for start in (GAP // 2, tiles.shape[1] // 2 + GAP // 2))
    redder = (left[..., 0] - left[..., 1] > right[..., 0] - right[..., 1])[..., None]
    return np.where(redder, left, right).astype(np.uint8)


def write_animation(stills: list[np.ndarray], path: Path):
    "Write `stills` as an endless GIF with one palette, so that what does not move takes no room."
    palette = palette_of(stills[::4])
    first, *others = (Image.fromarray(picture).quantize(palette=palette, dither=Image.Dither.NONE)
                      for picture in stills)
    durations = [1000 * SECONDS] * (len(stills) - 1) + [1000 * HOLD]
    with atomic(path) as temporary:
        first.save(temporary, 'GIF', save_all=True, append_images=others, duration=durations, loop=0, optimize=True)


def palette_of(stills: list[np.ndarray]) -> Image.Image:
    "An image whose palette is half greys, as films are, and half the colours of `stills`."
    colours = Image.fromarray(np.vstack(stills)).quantize(HALF, method=Image.Quantize.MAXCOVERAGE).getpalette()
    greys = np.linspace(0, 255, HALF).round().astype(int).repeat(3).tolist()
    image = Image.new('P', (1, 1))
    image.putpalette(greys + colours[:3 * HALF])
    return image


# --- readers

def draw_agreement():
    "The Bland-Altman plots that `agreement` draws of two readers, who are made of the truth and of noise."
    with TemporaryDirectory() as folder:
        folder = Path(folder)
        table = pd.read_csv(write_sample(folder / 'data', n_images=30, seed=7))
        rng, names = np.random.default_rng(0), [f'{side}_femoral_head_{axis}' for side in SIDES for axis in 'xy']
        for reader, (sd, lower) in READERS.items():
            clicked = {name: table[name] + rng.normal(lower * name.endswith('y'), sd, len(table)) for name in names}
            table.assign(**clicked).to_csv(folder / f'{reader}.csv', index=False)
        agreement(','.join(str(folder / f'{reader}.csv') for reader in READERS), folder / 'agreement')
        figure = iio.imread(folder / 'agreement' / 'figures' / 'bland_altman_1.png', mode='RGB')
    height, width = figure.shape[:2]
    write_png(IMAGES / 'agreement.png', fit_into_box(figure, (SHOWN, round(SHOWN * height / width))))


# --- half a pixel

def draw_half_pixel():
    "A film of 6 x 4 px on the square of 3 px: where its point (3, 1) lies, with and without the half pixel."
    frame = make_frame((6, 4), (np.nan, np.nan), 3)
    point = np.array([3., 1.])
    right = to_network(point, frame)
    wrong = (point + frame.padding) * frame.scale
    figure = new_figure(7.6, 3.7)
    left_ax, right_ax = figure.subplots(1, 2)
    draw_grid(left_ax, np.array([[(row in (0, 5)) for _ in range(6)] for row in range(6)]), 'the film, padded', (0, 1))
    draw_grid(right_ax, np.zeros((3, 3), bool), 'the square of the network', (0, 0))
    left_ax.plot(*(point + frame.padding), 'o', color=BLUE_INK, ms=9)
    left_ax.plot(*(to_original(wrong, frame) + frame.padding), 'x', color=RED_INK, ms=9, mew=2)
    right_ax.plot(*right, 'o', color=BLUE_INK, ms=9, label=f'half a pixel kept: {right[0]:g}, {right[1]:g}')
    right_ax.plot(*wrong, 'x', color=RED_INK, ms=9, mew=2, label=f'indices halved: {wrong[0]:g}, {wrong[1]:g}')
    figure.legend(*right_ax.get_legend_handles_labels(), loc='outside lower center', ncols=2, frameon=False)
    save_figure(figure, IMAGES / 'half_pixel.png')


def draw_grid(ax: Axes, is_padding: np.ndarray, title: str, first: tuple[int, int]):
    "The pixels of an image as squares, padding grey; index 0 stands in the middle of the pixel `first` of each axis."
    n = len(is_padding)
    ax.imshow(np.where(is_padding, 0.75, 1.), cmap='gray', vmin=0, vmax=1, extent=(-0.5, n - 0.5, n - 0.5, -0.5))
    for edge in np.arange(n + 1) - 0.5:
        ax.axhline(edge, color=GREY, lw=0.8)
        ax.axvline(edge, color=GREY, lw=0.8)
    ax.set(xticks=range(n), yticks=range(n), title=title)
    ax.set_xticklabels([k - first[0] for k in range(n)])
    ax.set_yticklabels([k - first[1] if not is_padding[k].all() else '' for k in range(n)])
    ax.xaxis.tick_top()
    ax.tick_params(length=0)


# --- the way of the data

def data_flow() -> str:
    "The way of the data as a diagram: training on the left, a new film on the right, the network for both."
    width, step, wide, high = 760, 82, 224, 58
    left, middle, right = 130, 380, 630
    def at(row): return 40 + step * row
    def box(x, row, *lines, fill='#eaf1f8'): return Box(x, at(row), wide, high, lines, fill)
    files, net = '#f7efdd', '#e6f3e6'
    boxes = [
        box(left, 0, 'annotation CSV', 'points in original px', fill=files),
        box(right, 0, 'a new film', 'PNG, JPEG, TIFF, DICOM', fill=files),
        box(left, 1, 'formats', 'every row and image checked'), box(right, 1, 'formats', 'read, 8 bits, upright'),
        box(left, 2, 'DataBlock (data)', 'square, points to network px'),
        box(right, 2, 'square', 'padded, resized once'), box(left, 3, 'batch', 'image and points augmented'),
        box(left, 4, 'masks (geometry)', 'diamonds of the radius'),
        box(middle, 5, 'network (model)', 'a heatmap for each landmark', fill=net),
        box(left, 6, 'loss', 'Dice + BCE + spatial CE'), box(right, 6, 'decoding (geometry)', 'centroid near the peak'),
        box(right, 7, 'to original px', 'and the error to expect, mm'),
        box(right, 8, 'predictions.csv', 'an annotation CSV again', fill=files),
        box(left, 8, 'run folder', 'config, model.json, weights', fill=files)]
    half = high / 2
    def down(x, row, to): return [(x, at(row) + half), (x, at(to) - half)]
    arrows = [down(left, 0, 1), down(left, 1, 2), down(left, 2, 3), down(left, 3, 4), down(left, 6, 8),
              down(right, 0, 1), down(right, 1, 2), down(right, 6, 7), down(right, 7, 8),
              [(left, at(4) + half), (left, at(6) - half)],
              [(left + wide / 2, at(3)), (middle, at(3)), (middle, at(5) - half)],
              [(right, at(2) + half), (right, at(4)), (middle + wide / 2 - 40, at(5) - half)],
              [(middle - 40, at(5) + half), (left + 40, at(6) - half)],
              [(middle + 40, at(5) + half), (right - 40, at(6) - half)]]
    return svg(width, int(at(8) + 50), boxes, arrows, 'The way of the data, in training and for a new film')


if __name__ == '__main__':
    if sys.argv[1:] == ['animation']: draw_animation()
    else:
        draw_erosion()
        draw_half_pixel()
        draw_agreement()
        write_text(IMAGES / 'data_flow.svg', data_flow())
