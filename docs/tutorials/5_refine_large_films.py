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
# # 5. Refine large films
#
# A network looks at a square of 128, 256 or 512 px. A radiograph has 2000 px or more. So a point that is one pixel off
# in the square is several pixels off on the film, and a good part of the error is no more than that. A *second stage*
# looks at crops around the landmarks, as sharp as the film is. You train it with one more flag. Here it takes a few
# minutes on two CPU cores.
#
# First films that are large: up to 1600 px, with all 13 landmarks.

# %%
# !landmark-fastai sample --n_images 24 --image_size 1600 --landmarks all
# !landmark-fastai sample --n_images 8 --image_size 1600 --landmarks all --seed 43 --output_dir new

# %% [markdown]
# ## Train both stages
#
# `--refine` trains the first stage, looks how far off it is on the validation films, and cuts crops that are large
# enough for such errors. `--refine_epochs` are the epochs of the second stage. With your own films leave the first
# stage at its 256 px; 128 px is for a quick example.

# %%
# !landmark-fastai train --n_landmarks 13 --image_resize 128 --epochs 40 --refine --refine_epochs 12

# %% [markdown]
# There are two trainings, one after the other. The line between them says how much of the film a crop shows, and how
# much sharper it is than what the first stage sees. Where it is less than twice as sharp, little is to be gained. The
# error of the second stage is told by its median, since it can only mend points that the first one has found.
#
# The second stage is in `runs/baseline/refine/`, and everything that takes the run takes both.
#
# ## Both errors, on new films

# %%
# !landmark-fastai evaluate --model runs/baseline --image_dir new/train_images --csv new/labels/train_annotation.csv \
#     --output_dir both --no_overlays

# %% [markdown]
# The report has the errors of both stages beside each other:

# %%
import pandas as pd

pd.read_csv('both/tables/both_stages.csv')

# %% [markdown]
# Look at the medians: with both stages the error of most points is a small part of what it was. The tips of bones gain
# most. The centres of the femoral heads gain little: no edge marks them, so that a sharper picture does not help. And
# what the first stage has not found, no crop can mend: the mean of the left iliac spine is that of one film, on which
# it is taken for something else. More films, and a first stage of 256 px, make that rare; then the means fall as the
# medians do.
#
# `--no_refine` leaves the second stage out, for comparison or where every second counts:

# %%
# !landmark-fastai evaluate --model runs/baseline --image_dir new/train_images --csv new/labels/train_annotation.csv \
#     --output_dir first_only --no_refine --no_overlays

# %% [markdown]
# How both are spread over all points. The curve that rises more steeply is better:

# %%
import matplotlib.pyplot as plt
import numpy as np

figure, axes = plt.subplots(figsize=(6, 3.5))
for folder, label in (('first_only', 'first stage alone'), ('both', 'both stages')):
    distances = pd.read_csv(f'{folder}/distances.csv').filter(regex='_px$').drop(columns='mean_error_px')
    errors = np.sort(distances.to_numpy().ravel())
    axes.plot(errors, np.linspace(0, 100, len(errors)), label=label)
axes.set(xlim=(0, 20), ylim=(0, 100), xlabel='error, px of the film', ylabel='share of the points, %')
axes.legend()
figure.tight_layout()

# %% [markdown]
# ## What predict writes
#
# Each point of `predictions.csv` says which stages it is of: `both`, or `first` where the landmark was not in the
# middle of its crop, so that the crop is not believed, or `refined` where the first stage hardly counts.

# %%
found = pd.read_csv('both/predictions.csv')
stages = found.filter(regex='_stage$').apply(lambda column: column.value_counts()).fillna(0).astype(int)
stages.sum(axis=1).to_frame('points')

# %% [markdown]
# ## Look closely
#
# One landmark on four films, at the sharpness of the film. The blue ring is the truth, the orange cross is what the
# first stage says (outside of the picture where it is more than 40 px off), and the red dot is the point of both.

# %%
from PIL import Image

landmark = 'right_ischium'
truth = pd.read_csv('new/labels/train_annotation.csv').set_index('image_name')
results = {'first stage': (pd.read_csv('first_only/predictions.csv').set_index('image_name'), 'x', 'orange'),
           'both stages': (found.set_index('image_name'), '.', 'red')}
figure, all_axes = plt.subplots(1, 4, figsize=(10, 2.9))
for axes, film in zip(all_axes, truth.index):
    x, y = truth.loc[film, [f'{landmark}_x', f'{landmark}_y']].astype(float)
    axes.imshow(Image.open(f'new/train_images/{film}'), cmap='gray')
    axes.plot(x, y, 'o', color='deepskyblue', fillstyle='none', markersize=12, label='truth')
    for label, (table, marker, color) in results.items():
        axes.plot(*table.loc[film, [f'{landmark}_x', f'{landmark}_y']].astype(float), marker, color=color, label=label)
    axes.set(xlim=(x - 40, x + 40), ylim=(y + 40, y - 40), xticks=[], yticks=[])
    axes.set_title(film, fontsize=8)
handles, labels = axes.get_legend_handles_labels()
figure.legend(handles, labels, ncols=3, loc='lower center', fontsize=8)
figure.tight_layout(rect=(0, 0.08, 1, 1))

# %% [markdown]
# ## A second stage for a run that you have
#
# It need not be trained from the beginning. To a run that is finished you add one:
#
# ```bash
# landmark-fastai train --refine --from_run runs/baseline --experiment_name refined
# ```
#
# ## Where to go on
#
# - [Refining](../refining.md): how crops are cut, how both points are put together, what else was tried, and what it
#   brings on real images.
# - [Speed and memory](../performance.md), and where large films are kept.
# - How far to trust each point: [bounds](../bounds.md), which both stages have of their own.
# - Without PyTorch on the machine that predicts: [tutorial 6](6_deploy.ipynb); a bundle has both stages.
