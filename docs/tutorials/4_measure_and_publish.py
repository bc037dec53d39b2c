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
# # 4. Measure and publish
#
# A paper seldom wants points. It wants angles and lengths, how far two readers are apart, how far the model is from
# them, and figures that a journal takes. All of it is here, on drawn films of the pelvis, in a few minutes on two CPU
# cores.
#
# | the question | the command |
# |---|---|
# | How far are readers apart? | `agreement` |
# | What is the angle, and how sure is it? | `measure` |
# | How good is the model, in points and in angles? | `evaluate` |

# %%
# !landmark-fastai sample --n_images 60 --landmarks all
# !landmark-fastai sample --n_images 30 --landmarks all --seed 43 --output_dir test

# %% [markdown]
# ## Define what is measured
#
# There are [templates](../measuring.md#templates) for the long leg, hip arthroplasty, cephalograms, the spine and more.
# For anything else a file of a few lines does. It is written once, for the right side; `mirror: true` makes it right
# for the left one. `other(…)` is the same on the other side.

# %%
from pathlib import Path

Path('pelvis.yaml').write_text('''\
name: Pelvis, AP
sides:
  right: {prefix: right_}
  left: {prefix: left_, mirror: true}
define:
  teardrops: line(other(teardrop), teardrop)
  leg: distance(lesser_trochanter, teardrops)
measure:
  leg_length_difference:
    value: leg - other(leg)
    unit: mm
    tolerance: 3
    description: lesser trochanter below the inter-teardrop line, against the other side
  trochanters:
    value: angle(line(lesser_trochanter, greater_trochanter), teardrops)
    unit: deg
    tolerance: 2
    description: the line through both trochanters, against the inter-teardrop line
  head:
    value: distance(femoral_head, teardrop)
    unit: mm
    tolerance: 2
    description: from the centre of the head to the teardrop
''');

# %%
# !landmark-fastai measure --csv test/labels/train_annotation.csv --definitions pelvis.yaml --output_dir measured \
#     --image_dir test/train_images

# %% [markdown]
# Look at a few pictures before you trust a definition. The lines should be where you mean them:

# %%
from PIL import Image


def show(path, size=700):
    "A picture that a command has written, shrunk to `size` px."
    picture = Image.open(path).convert('RGB')
    picture.thumbnail((size, size))
    return picture


show('measured/pictures/hip_001.png.png')

# %% [markdown]
# `measurements_wide.csv` has a row for each film, for your statistics program:

# %%
import pandas as pd

pd.read_csv('measured/measurements_wide.csv').head(3).round(1)

# %% [markdown]
# ## Two readers
#
# AB and CD have clicked the same 30 films. (They are made up: both scatter by a pixel around the truth, and CD takes a
# point three pixels further up for the left greater trochanter.)

# %%
from dataclasses import replace

import numpy as np

from landmark_fastai.all import read_annotations, write_annotations

truth = read_annotations('test/labels/train_annotation.csv')
hand = np.random.default_rng(1)
habit = np.zeros((len(truth.names), 2))
habit[truth.names.index('left_greater_trochanter')] = 0, -3
write_annotations('AB.csv', replace(truth, points=truth.points + hand.normal(size=truth.points.shape)))
write_annotations('CD.csv', replace(truth, points=truth.points + habit + hand.normal(size=truth.points.shape)))

# %%
# !landmark-fastai agreement --csvs AB.csv,CD.csv --definitions pelvis.yaml --output_dir agreement

# %% [markdown]
# Three things to look at. The *distances* are the floor: no model that learns from one of them can agree with the other
# better than that. The *limits of agreement* say how far apart both readers are in 95 % of all films, and the *ICC* how
# much of the variance is patients and not readers. And `agreement` has noticed by itself that the left greater
# trochanter *drifts*: that is the habit of CD. In a real study you would settle such a landmark before you train.

# %%
show('agreement/figures/drift_1.png')

# %%
show('agreement/figures/bland_altman_1.png')

# %% [markdown]
# ## A model
#
# The column `split` says what each film is for: `train`, `val`, which chooses the best epoch, and `cal`, which is kept
# for *bounds*: radii that the error of a point stays within in 90 % of all cases.

# %%
table = pd.read_csv('data/labels/train_annotation.csv')
table['split'] = ['train'] * 40 + ['val'] * 8 + ['cal'] * 12
table.to_csv('data/labels/train_annotation.csv', index=False)

# %%
# !landmark-fastai train --n_landmarks 13 --image_resize 128 --epochs 15

# %% [markdown]
# ## How good is it, in points and in angles?
#
# `evaluate` with definitions compares both with the truth of the 30 test films. (A line warns of names: drawn films are
# called alike, whatever their seed.)

# %%
# !landmark-fastai evaluate --model runs/baseline --image_dir test/train_images \
#     --csv test/labels/train_annotation.csv --definitions pelvis.yaml --output_dir judged

# %% [markdown]
# Points and measurements need not tell the same. The line through both trochanters is known nearly as well as among
# readers: limits of agreement of three degrees, an ICC of 0.95. The difference in leg length is not: eight millimetres
# and an ICC below 0.4. It is made of four points of a model that looks at 128 px, and it is small in most patients, so
# that the errors are as large as what is measured. A larger `--image_resize`, or a [second
# stage](5_refine_large_films.ipynb), is what such a measurement wants. Without this table you would not have known.
#
# ## Figures and tables for print
#
# `judged/report.html` is the page to read, and to mail. For the manuscript there is each figure as PNG of 300 dpi, SVG
# and PDF in the width of a column or a page, and each table as CSV and LaTeX:

# %%
for folder in (Path('judged/figures'), Path('judged/tables')):
    print(f'{folder}:', *sorted(path.name for path in folder.iterdir()))

# %%
show('judged/figures/cumulative.png')

# %%
show('judged/figures/measurements.png')

# %%
print('\n'.join(Path('judged/tables/errors.tex').read_text().splitlines()[:12]))

# %% [markdown]
# Did the bounds hold? On the diagonal they do. With twelve films to make them, single landmarks (thin lines) may lie
# far off it by chance alone.

# %%
show('judged/figures/coverage.png')

# %% [markdown]
# ## Intervals for the next patient
#
# An angle without its uncertainty is half an answer. Where the truth of some films is known, intervals follow from the
# errors that the measurement has had on these. Take half of the test films for that, and look at the other half:

# %%
known = truth.subset(range(15))
write_annotations('known.csv', known)

# %%
# !landmark-fastai measure --csv judged/predictions.csv --definitions pelvis.yaml --truth known.csv \
#     --output_dir with_intervals

# %%
values = pd.read_csv('with_intervals/measurements.csv')
values[values.image_name == 'hip_020.png'].drop(columns=['image_name', 'reason']).round(1)

# %% [markdown]
# `lower` and `upper` hold the true value in 90 % of new films that are like these. So on the fifteen films whose truth
# was kept back it should be about nine in ten:

# %%
true = pd.read_csv('measured/measurements.csv')[['image_name', 'side', 'measurement', 'value']]
both = values.merge(true, on=['image_name', 'side', 'measurement'], suffixes=('', '_true'))
both = both[~both.image_name.isin(known.image_names)]
both['held'] = both.value_true.between(both.lower, both.upper)
both.groupby('measurement').held.mean().map('{:.0%}'.format).to_frame('intervals that held')

# %% [markdown]
# Fifteen films are few: what is called 90 % may come out as 70 or 100 % of a handful of new films, by chance. Take
# fifty or more where the number goes into a paper ([few images](../bounds.md#measured)).
#
# ## Where to go on
#
# - [Measuring](../measuring.md): all functions, the templates with their sources, signs and units.
# - [Agreement](../agreement.md): every number of the tables, with its reference. Tools for studies of readers, such as
#   repeats and blinding, are in [clicking](../annotating.md#several-readers).
# - [Evaluation](../evaluation.md): figures and tables for print. Keep a test set that took part in nothing.
# - [Bounds](../bounds.md): when they hold, and when they do not.
