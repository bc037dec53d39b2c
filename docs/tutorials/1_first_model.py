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
# # 1. A first model, by the command line
#
# In a few minutes you have a model that finds both femoral heads on hip radiographs, you have looked at its mistakes,
# and you know its error in millimetres. The films are drawn, of nobody, so you need no data. Everything that you do
# here works in the same way with your own.
#
# Each line that begins with `!` is a command. In a terminal you type it without the `!`. The command `landmark-fastai`
# is there after `pip install .`; in a checkout where only the requirements are installed it is `python cli.py` instead
# ([the command line](../commands.md)).

# %% [markdown]
# ## Films and a table of points
#
# `sample` draws 60 films and writes a table of where the landmarks are. Your own data have the same form: a folder of
# images, and a CSV with one row for each of them.

# %%
# !landmark-fastai sample

# %%
import pandas as pd

table = pd.read_csv('data/labels/train_annotation.csv')
table.head()

# %% [markdown]
# `x` goes to the right and `y` goes down, in pixels of the original image. `pixel_spacing` is the size of a pixel in
# mm. It is optional; with it you get errors in mm. This is the first film, with the two points on it. Right and left
# are those of the patient, who faces you:

# %%
import matplotlib.pyplot as plt
from PIL import Image

film = table.iloc[0]
plt.figure(figsize=(5, 5))
plt.imshow(Image.open('data/train_images/' + film.image_name), cmap='gray')
for name in ('right_femoral_head', 'left_femoral_head'):
    plt.plot(film[name + '_x'], film[name + '_y'], 'o', fillstyle='none', markersize=12, label=name)
plt.legend(fontsize=8)
plt.axis('off');

# %% [markdown]
# ## Look for slips before you train
#
# A wrong click costs more than a missing one, since the model learns it. `check` looks for points that do not fit the
# others, for exchanged names, for images that are there twice, and for all that training would refuse.

# %%
# !landmark-fastai check --n_landmarks 2 --html check.html

# %% [markdown]
# Nothing, as it should be. So that you see what it says when there is something, exchange right and left of one film in
# a copy of the table:

# %%
slip = table.copy()
right, left = ['right_femoral_head_x', 'right_femoral_head_y'], ['left_femoral_head_x', 'left_femoral_head_y']
slip.loc[7, right + left] = table.loc[7, left + right].values
slip.to_csv('data/labels/with_a_slip.csv', index=False)

# %%
# !landmark-fastai check --n_landmarks 2 --train_csv_file with_a_slip.csv

# %% [markdown]
# ## Train
#
# Three flags matter at first. `--n_landmarks 2` guards against the wrong table. `--epochs` is how often the network
# sees all films. `--image_resize` is the side of the square that it sees: 128 px are enough for these films and quick
# on any laptop; with your own, begin with 256 on a CPU and with the default of 512 on a GPU.

# %%
# !landmark-fastai train --n_landmarks 2 --image_resize 128 --epochs 15 --experiment_name first

# %% [markdown]
# Look at two columns. `mean error` is how far the points are off on the 12 *validation* films, which the network does
# not learn from. It falls from more than a hundred pixels to one or two. A jump up in the middle, as in epoch 5, is
# common while the learning rate is high. `radius` is how large the labels are: a landmark is taught as a diamond around
# the point, at first a large one, so that the network finds the region, then smaller and smaller.
#
# The run is a folder. Begin with `runs/first/report.html` in a browser. Here are two of its pictures: the errors over
# the epochs, and one validation film with the true point (blue) and the predicted one (red) with the distance between
# them.

# %%
def show(path, size=640):
    "A picture that a command has written, shrunk to `size` px."
    picture = Image.open(path).convert('RGB')
    picture.thumbnail((size, size))
    return picture


show('runs/first/graph/mean_landmark_error.png')

# %%
from pathlib import Path

show(next(Path('runs/first/visualization/Epoch15').glob('1_*_coordinates.png')))

# %% [markdown]
# ## Find the landmarks on new films
#
# Draw twelve more films, of another seed. To `predict` they are a folder of images, no more. So it does not know how
# large a pixel is: PNG files do not tell, DICOM files do, and so does the flag `--pixel_spacing`.

# %%
# !landmark-fastai sample --n_images 12 --seed 43 --output_dir new
# !landmark-fastai predict --model runs/first --image_dir new/train_images --output_dir found

# %%
found = pd.read_csv('found/predictions.csv')
found.filter(regex='image_name|right_.*').head()

# %% [markdown]
# `predictions.csv` has the form of the table that you have trained on, with more columns behind it. The confidence
# ranks points: look first at the low ones. `review.csv` lists what is worth a look, and why ([how far to trust a
# point](../bounds.md)). And there is a picture for each film:

# %%
show('found/overlays/hip_001.png.png')

# %% [markdown]
# ## Measure the error
#
# Whether that is any good, only films tell that took part in nothing. You know the truth of these twelve, since
# `sample` has written it down:

# %%
# !landmark-fastai evaluate --model runs/first --image_dir new/train_images --csv new/labels/train_annotation.csv \
#     --output_dir judged

# %% [markdown]
# The table is in mm, since every film has a pixel spacing in the table of points. *mean* is the mean radial error, the
# mean distance between the found and the true point, with its 95 % interval. *SDR 2 mm*, the success detection rate, is
# the share of points nearer than 2 mm. Two lines warn of names: these films are called `hip_001.png` and so on as those
# of the training are, and `evaluate` cannot know that they are others. With your own films such a line is a reason to
# look twice.
#
# `judged/report.html` has all of it on a page that can be mailed. Its figures are files for a manuscript, too, as PNG,
# SVG and PDF. The first one shows which share of the points (vertical) is within a given error (horizontal): a steep
# rise on the left is good. The second one shows the worst films. Look at these before you believe any mean.

# %%
show('judged/figures/cumulative.png')

# %%
show('judged/figures/worst.png', size=800)

# %% [markdown]
# ## Where to go on
#
# - Your own films: [the table of points](../annotations.md), [images and DICOM](../images.md), and [clicking
#   points](../annotating.md) in the browser, which [tutorial 3](3_annotate_train_review.ipynb) is about.
# - All flags of `train`, and what they are good for: [training](../training.md). If it was stopped:
#   [resuming](../resuming.md).
# - [What a run writes](../outputs.md), [what predict writes](../predicting.md), [what evaluate
#   writes](../evaluation.md).
# - The same in Python, with your own loss and augmentation: [tutorial 2](2_the_fastai_way.ipynb).
