# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 2. The fastai way
#
# The same model as in [tutorial 1](1_first_model.ipynb), but from Python: `DataLoaders`, a `Learner`, `lr_find`,
# `fit_one_cycle`, callbacks. If you know fastai, you know most of it. Then you put in a loss and an augmentation of
# your own. It takes a few minutes on two CPU cores.

# %%
from landmark_fastai.all import *

csv_file = sample(n_images=50)

# %% [markdown]
# ## Data
#
# `landmark_dls` reads the table of points and the folder of images, checks all of it, and keeps a fifth of the images
# for validation. Patients are kept together where the table has a column `patient_id`.

# %%
dls = landmark_dls(csv_file, 'data/train_images', n_landmarks=2, image_resize=128)
dls.show_batch(max_n=4, figsize=(7, 7))

# %% [markdown]
# Each dot is a landmark, and the diamond around it is what the network learns to paint. The films are turned, zoomed
# and lit at random, and the points move along. Look here first when a model learns nothing: are the points where they
# should be?
#
# ## A learner
#
# `landmark_learner` puts a U-Net with ImageNet weights, the loss, the metrics and the erosion of the diamonds together.
# `lr_find` trains a few batches with a growing learning rate. A good one lies where the loss falls steeply, well before
# it rises again.

# %%
learn = landmark_learner(dls)
learn.lr_find(num_it=30)

# %% [markdown]
# 3e-3, which is the default as well, is in that range: the orange dot, fastai's own proposal, is careful. Any callback
# of fastai can be given to a fit. This one is our own: it writes down the radius of the diamonds and the error after
# each epoch. The erosion schedule is a callback, too, and so `self.erosion_schedule` is at hand.

# %%
from fastai.callback.core import Callback


class Watch(Callback):
    "Keep the radius of the masks and the mean error, in px of the films, after each epoch."
    def before_fit(self): self.radii, self.errors = [], []

    def after_epoch(self):
        self.radii.append(self.erosion_schedule.masks.radius)
        self.errors.append(self.recorder.metrics[0].value)


watch = Watch()
learn.fit_one_cycle(12, 3e-3, cbs=watch)

# %% [markdown]
# `mean_error_px` is in pixels of the films, `mean_dist` in pixels of the network's square, `mean_error_mm` in
# millimetres. Dice compares the painted diamonds with the true ones. With small diamonds it stays low, since a pixel
# beside one is a miss. That is no reason to worry: the error goes down.

# %%
import matplotlib.pyplot as plt

figure, above = plt.subplots(figsize=(7, 3))
above.semilogy(range(1, 13), watch.errors, 'o-', label='mean error')
above.set(xlabel='epoch', ylabel='mean error, px of the films')
beside = above.twinx()
beside.step(range(1, 13), watch.radii, 'C1', where='mid')
beside.set_ylabel('radius of the diamonds, px of the square', color='C1')
figure.tight_layout()

# %% [markdown]
# Blue is the truth, red the prediction, on films that the network did not learn from. Where you see only one of them,
# they lie on each other.

# %%
learn.show_results(max_n=4, figsize=(7, 7))

# %% [markdown]
# ## An augmentation of your own
#
# Masks are drawn after everything else, so an augmentation only has to change the image, and the points if it moves
# something. This one darkens a strip on both sides, as a collimator does. It moves nothing, so it says what becomes of
# a `TensorRadiograph` and no more. (fastai's own geometric transforms move the points by themselves: `TensorLandmarks`
# is a `TensorPoint`.)

# %%
import random

import torch
from fastai.vision.all import Transform


class Collimated(Transform):
    "Darken a strip on the left and on the right of each training film, of up to a sixth of its side."
    order, split_idx = 21, 0  # once the pixels are floats (10) and before films are moved (30); in training only

    def encodes(self, films: TensorRadiograph):
        light = torch.ones_like(films)
        for film in light:
            width = random.randrange(1, films.shape[-1] // 6)
            film[..., :width] = film[..., -width:] = 0.2
        return films * light


dls = landmark_dls(csv_file, 'data/train_images', image_resize=128)
dls.add_tfms([Collimated()], 'after_batch')
dls.show_batch(max_n=2, figsize=(7, 4))

# %% [markdown]
# ## A loss of your own
#
# A loss is called with the logits of a batch, one channel for each landmark, and with all that the batch knows of the
# truth. The easiest way to your own is to add to the one that is there. This one also counts how far the centre of the
# heatmap is from the point. `state` says which landmarks are visible: points of the others are NaN, and must not count.

# %%
from landmark_fastai.formats.annotations import VISIBLE


class WithDistance(LandmarkLoss):
    "The default loss, and the distance between the centre of each heatmap and its point, in sides of the square."
    def forward(self, pred, mask, points, state, frame, radius):
        heat = pred.as_subclass(torch.Tensor).float().flatten(2).softmax(-1).view(pred.shape)
        places = torch.arange(pred.shape[-1], device=pred.device)
        centre = torch.stack([(heat.sum(2) * places).sum(-1), (heat.sum(3) * places).sum(-1)], -1)
        seen = state == VISIBLE
        away = torch.where(seen[..., None], centre - points, 0.).norm(dim=-1) / pred.shape[-1]
        away = away.sum(1) / seen.sum(1).clamp(min=1)  # of each film
        if self.reduction == 'mean': away = away.mean()
        return super().forward(pred, mask, points, state, frame, radius) + away


learn = landmark_learner(dls, loss=WithDistance())
with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(8, 3e-3)
dict(zip(learn.recorder.metric_names[1:], learn.recorder.values[-1]))

# %% [markdown]
# In eight epochs it comes to about two pixels, as the default did. To say which one is better you would need several
# seeds and a test set: see how [losses and encoders were compared](../results.md).
#
# ## Keep the learner, and use it
#
# `export` writes one file, `load_learner` reads it, as always in fastai. The file has no image, no label and no path of
# the films that the learner was trained on. It is a pickle, which can run code when it is loaded: load only those that
# you trust. Points come back in pixels of the film, whatever its size.

# %%
from fastai.learner import load_learner

learn.export('finder.pkl')
finder = load_learner('finder.pkl')
write_sample('new', n_images=12, seed=43)
with finder.no_bar(): points, _, logits = finder.predict('new/train_images/hip_001.png')
dict(zip(finder.dls.names, points.tolist()))

# %% [markdown]
# The logits are what the network says of each pixel. Bright is where it sees the landmark:

# %%
from PIL import Image

film = Image.open('new/train_images/hip_001.png')
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 4))
left.imshow(film, cmap='gray')
left.plot(points[:, 0], points[:, 1], 'ro', fillstyle='none')
left.set_title('the film, and what was found', fontsize=9)
right.imshow(logits.sigmoid().amax(0), cmap='gray')
right.set_title('what the network paints (a square, padded)', fontsize=9)
for axes in (left, right): axes.axis('off')
figure.tight_layout()

# %% [markdown]
# How far off is it on twelve films that took part in nothing? `read_annotations` gives the truth as an array of points,
# (films, landmarks, 2).

# %%
import numpy as np

truth = read_annotations('new/labels/train_annotation.csv')
with finder.no_bar(): found = np.stack([finder.predict(f'new/train_images/{name}')[0] for name in truth.image_names])
errors = np.linalg.norm(found - truth.points, axis=-1)
print(f'mean {errors.mean():.1f} px, median {np.median(errors):.1f} px, largest {errors.max():.1f} px')

# %% [markdown]
# ## Where to go on
#
# - [In Python](../python.md): every command is a function too, and `train(cbs=…)` takes callbacks, so that you get the
#   run folder, the report and resuming as well. `load('runs/first')` is a predictor of such a run.
# - [Training](../training.md): the loss, the erosion, the augmentation and the learning rate, and what their flags do.
# - Architectures and encoders: `landmark_learner(dls, arch=…, encoder_name=…)` takes any of segmentation-models-pytorch
#   ([weights](../training.md#encoders-and-their-weights)).
# - Angles, distances and readers side by side: [tutorial 4](4_measure_and_publish.ipynb).
