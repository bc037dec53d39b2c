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
# # 3. Annotate, train, review, retrain
#
# Clicking is the work that costs most. The way to less of it: click a few films, train, let the model find the points
# on the others, correct these, and train on. The better the model, the less there is to correct. This tutorial goes
# once around, on 40 drawn films with 13 landmarks, in a few minutes on two CPU cores.
#
# You click in the browser, and a notebook has no hand. So one cell below stands in for it: it hands points to the same
# desk that the page hands them to, and what comes out are the same files.

# %%
# !landmark-fastai sample --n_images 40 --landmarks all --output_dir drawn
# !landmark-fastai sample --n_images 12 --landmarks all --seed 43 --output_dir held_out

# %% [markdown]
# The films are in `drawn/train_images`. The table in `drawn/labels` is what only the hand knows. `held_out` is kept for
# the end: nothing is trained on these films, and nobody corrects them.
#
# ## Click the first films
#
# ```bash
# landmark-fastai annotate --image_dir drawn/train_images --label_dir labels --reader AB \
#     --landmarks right_femoral_head,right_teardrop,…
# ```
#
# opens this page. Click the landmarks one after another; the next film is the key `n`; every click is on disk before
# the page says *saved* ([all keys](../annotating.md)).
#
# ![The page of annotate: a film with rings at three landmarks, and the list of all landmarks](../images/annotate.png)
#
# This is the cell that stands in for the hand. The reader AB clicks the 13 landmarks of ten films, some two seconds
# each, within a pixel or so of where they are:

# %%
import numpy as np

from landmark_fastai.all import read_annotations
from landmark_fastai.annotate.actions import Action
from landmark_fastai.annotate.desk import Desk

FILMS, TABLE = 'drawn/train_images', 'labels/train_annotation.csv'
truth = read_annotations('drawn/labels/train_annotation.csv')
hand = np.random.default_rng(0)


def mark(desk, film, names, points, origin='click', seconds=2.):
    "Hand marks of one film to the desk, as the page does with a click."
    if not len(names): return
    marks = {name: tuple(point.tolist()) for name, point in zip(names, points)}
    n = desk.work.n  # actions so far
    desk.take([Action(id=f'{film} {n}', client='notebook', kind='mark', image=film, base=n, marks=marks, origin=origin,
                      seconds=seconds)])


desk = Desk(FILMS, TABLE, 'AB', truth.names)
for film, points in zip(truth.image_names[:10], truth.points[:10]):
    for name, point in zip(truth.names, points + hand.normal(scale=0.7, size=points.shape)):
        mark(desk, film, [name], point[None])
desk.close()

# %% [markdown]
# ## What is written
#
# The truth is a journal, one line for each action, `labels/readers/AB.jsonl`. It is never written over, so nothing is
# lost, and you can tell later who said what:

# %%
import json
from pathlib import Path

import pandas as pd


def read_journal():
    "The actions in the journal of AB; its first line only says of whom it is."
    return pd.DataFrame(map(json.loads, Path('labels/readers/AB.jsonl').read_text().splitlines()[1:]))


read_journal()[['image', 'marks', 'seconds']].head(3)

# %% [markdown]
# The table that `train` reads follows from it. A film that nobody has opened is not in it, and a landmark that is not
# marked is blank.

# %%
table = pd.read_csv(TABLE)
print(len(table), 'films')
table.iloc[:3, :8]

# %% [markdown]
# Ten films are few, but `check` already has something to compare:

# %%
# !landmark-fastai check --train_image_dir drawn/train_images --label_dir labels

# %% [markdown]
# ## Train on ten films
#
# With so few films take a small batch, so that there are steps enough. `--val_fraction 0.2` of ten are two films: the
# error that `train` tells of them is a guess, which is why films are held out here.

# %%
# !landmark-fastai train --n_landmarks 13 --train_image_dir drawn/train_images --label_dir labels \
#     --image_resize 128 --batch_size 4 --epochs 20 --experiment_name first

# %% [markdown]
# ## Let the model look at all films
#
# `--tolerance 5` puts all points into `review.csv` whose error is expected to be more than 5 mm (px here, since the
# size of a pixel is not known), beside those that do not fit the others of their film.

# %%
# !landmark-fastai predict --model runs/first --image_dir drawn/train_images --output_dir found --tolerance 5
pd.read_csv('found/review.csv').head()

# %% [markdown]
# ## Review
#
# ```bash
# landmark-fastai annotate --image_dir drawn/train_images --label_dir labels --reader AB \
#     --csv found/predictions.csv --review found/review.csv
# ```
#
# brings the doubtful films first and says why. What the model has found is offered as dotted rings: `t` takes all, `y`
# takes one, and one that is dragged is yours. What you have clicked before stays.
#
# ![The page with dotted rings at all landmarks, and a button that takes all of them](../images/offered.png)
#
# The hand does that on the other 30 films: a point that looks right, within 1.5 px, is taken, and every other one is
# clicked anew. Be strict with what you take. A point that is taken says that the model was right, so a careless *take
# all* makes the model look better than it is, and it learns its own mistakes.

# %%
found = read_annotations('found/predictions.csv')
desk = Desk(FILMS, TABLE, 'AB')
taken = 0
for film, points in zip(truth.image_names[10:], truth.points[10:]):
    offered = found.points[found.image_names.index(film)]
    right = np.linalg.norm(offered - points, axis=1) < 1.5
    taken += right.sum()
    mark(desk, film, np.array(truth.names)[right], offered[right], 'model', seconds=3.)
    for name, point in zip(np.array(truth.names)[~right], points[~right]): mark(desk, film, [name], point[None])
desk.close()
print(f'{taken} of {30 * 13} points were taken, {30 * 13 - taken} were clicked')

# %% [markdown]
# The journal keeps them apart. In a paper you can say how many points were a reader's own, and how long a film took:

# %%
journal = read_journal()
journal['points'] = journal.marks.map(len)
journal['origin'] = journal.origin.fillna('click')
journal['round'] = np.where(journal.image.isin(truth.image_names[:10]), 'first 10 films', 'the other 30')
journal.pivot_table(index='round', columns='origin', values='points', aggfunc='sum').fillna(0).astype(int)

# %%
(journal.groupby(['round', 'image']).seconds.sum().groupby('round').mean().rename('seconds a film').round(1)
    .to_frame())

# %% [markdown]
# (Seconds of a hand that is made up. Yours are measured by the page, without pauses.) A model of ten films is rough,
# and the hand is strict, so that few points were taken. In a second round it would be most of them.
#
# ## Train on
#
# `--from_run` begins with the network of the first run, so that fewer epochs do.

# %%
# !landmark-fastai train --n_landmarks 13 --train_image_dir drawn/train_images --label_dir labels \
#     --from_run runs/first --epochs 12 --experiment_name second

# %% [markdown]
# ## Is it better?
#
# Only the held-out films can say that. Both models on the same twelve (two lines warn of names, since drawn films are
# called alike, whatever their seed):

# %%
from landmark_fastai.all import evaluate

summaries = {}
for name in ('first', 'second'):
    print(name)
    summaries[name] = evaluate('held_out/train_images', 'held_out/labels/train_annotation.csv', f'judged_{name}',
                               model=f'runs/{name}', no_overlays=True)

# %% [markdown]
# The mean error is less than half of what it was, and the large misses are gone: look at the SD, and at *SDR 4 mm*. The
# same in one picture, landmark by landmark. Those that are still far off want more films, or a clearer rule where to
# click.

# %%
import matplotlib.pyplot as plt

errors = pd.DataFrame({name: {landmark: each['mm']['mean'] for landmark, each in summary['landmarks'].items()}
                       for name, summary in summaries.items()})
axes = errors.plot.barh(figsize=(7, 4.5), color=['0.7', 'C0'])
axes.invert_yaxis()
axes.set_xlabel('mean error on held-out films, mm')
plt.tight_layout()

# %% [markdown]
# Go around again as long as the error falls and your patience lasts.
#
# ## Where to go on
#
# - [Clicking](../annotating.md): all keys, less to click, several readers, repeats, adjudication.
# - [Looking for slips](../checking.md), and `annotate --from_check`, which brings films with slips first.
# - [Starting from a run](../training.md#starting-from-a-run), and how far to trust a point: [bounds](../bounds.md).
# - Points that were clicked elsewhere, in CVAT, Label Studio, 3D Slicer: [converting](../converting.md).
# - How far readers are apart: [tutorial 4](4_measure_and_publish.ipynb).
