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
# # 6. Deploy
#
# A model that is finished goes to where the films are: a workstation without a GPU, another program, another language.
# `export` writes it as a *bundle* that ONNX Runtime or OpenVINO run, without PyTorch. This takes a few minutes on two
# CPU cores.
#
# Exporting needs a few packages more, `pip install "landmark-fastai[export]"`. First a small model to export:

# %%
# !landmark-fastai sample --n_images 40
# !landmark-fastai train --n_landmarks 2 --image_resize 128 --epochs 15
# !landmark-fastai sample --n_images 8 --seed 43 --output_dir new

# %% [markdown]
# ## Export

# %%
# !landmark-fastai export --model runs/baseline --output_dir bundle

# %% [markdown]
# These lines are the *parity*. `export` has predicted 20 films with PyTorch and with each engine that is installed, and
# says how far the points are apart, in pixels of the network's square. If they were not the same, nothing would be
# written.

# %%
from pathlib import Path

for path in sorted(Path('bundle').iterdir()): print(f'{path.name:20}{path.stat().st_size / 1e6:8.2f} MB')

# %% [markdown]
# No image, no label and no name of a patient is in it. Whoever gets it should read `model_card.md`, and you should fill
# it in first: what the software cannot know is marked so.

# %%
from IPython.display import Markdown

card = Path('bundle/model_card.md').read_text()
beginning = card[card.index('# Model card'):card.index('## Data')]
Markdown(beginning.replace('# ', '## '))

# %% [markdown]
# ## Predict with the bundle
#
# `--model` takes the bundle where it takes a run. `--engine auto`, the default, takes the fastest engine that is
# installed and finds the right points on the bundle's own check; here one is chosen.

# %%
# !landmark-fastai predict --model bundle --engine onnx --image_dir new/train_images --output_dir by_bundle
# !landmark-fastai predict --model runs/baseline --image_dir new/train_images --output_dir by_run

# %% [markdown]
# Both say the same. This is the largest difference of any coordinate, in pixels of the films:

# %%
import numpy as np
import pandas as pd

by_bundle, by_run = (pd.read_csv(f'{folder}/predictions.csv') for folder in ('by_bundle', 'by_run'))
points = [f'{name}_head_{axis}' for name in ('right_femoral', 'left_femoral') for axis in 'xy']
print(f'{np.abs(by_bundle[points] - by_run[points]).to_numpy().max():.3f} px')

# %% [markdown]
# In Python a bundle is a predictor, as a run is:

# %%
from landmark_fastai.all import load_bundle

predictor = load_bundle('bundle')
found = predictor.predict(['new/train_images/hip_001.png', 'new/train_images/hip_002.png'])
print(predictor.names)
found.points

# %% [markdown]
# On the machine that predicts, PyTorch is not needed. `bundle/requirements.txt` says what is:
#
# ```bash
# python -m venv runtime
# runtime/bin/pip install -r bundle/requirements.txt
# runtime/bin/pip install --no-deps landmark-fastai
# ```

# %%
print(Path('bundle/requirements.txt').read_text())

# %% [markdown]
# ## Without this package
#
# The graph takes a square of pixels and gives points: normalisation, network and the reading of the heatmap are all in
# it. So any program that has ONNX Runtime can use it. In Python that is twenty lines: pad to a square, shrink, run, and
# bring the points back to the film.

# %%
import json

import cv2
import onnxruntime
import yaml

side = yaml.safe_load(Path('bundle/config.yaml').read_text())['image_resize']
names = json.loads(Path('bundle/model.json').read_text())['landmarks']
session = onnxruntime.InferenceSession('bundle/model.onnx')


def landmarks(path):
    "Points of a grey image by name, in px of the film; (0, 0) is the centre of its first pixel."
    image = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
    height, width = image.shape
    longest = max(height, width)
    left, top = (longest - width) // 2, (longest - height) // 2
    square = cv2.copyMakeBorder(image, top, longest - height - top, left, longest - width - left, cv2.BORDER_CONSTANT)
    square = cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA if side < longest else cv2.INTER_LINEAR)
    frame = np.array([[width, height, left, top, side / longest]], np.float32)
    points, = session.run(['points'], {'image': square[None, None], 'frame': frame})
    original = (points[0] + 0.5) / frame[0, 4] - 0.5 - (left, top)
    return dict(zip(names, original.round(2).tolist()))


landmarks('new/train_images/hip_001.png')

# %% [markdown]
# The same points again. On the film:

# %%
import matplotlib.pyplot as plt

plt.figure(figsize=(5, 5))
plt.imshow(cv2.imread('new/train_images/hip_001.png'))
for name, (x, y) in landmarks('new/train_images/hip_001.png').items():
    plt.plot(x, y, 'o', fillstyle='none', markersize=12, label=name)
plt.legend(fontsize=8)
plt.axis('off');

# %% [markdown]
# ## OpenVINO
#
# OpenVINO runs the same ONNX file. Which of both is faster depends on the machine, so measure it on yours ([how
# fast](../exporting.md#how-fast)).

# %%
# !landmark-fastai predict --model bundle --engine openvino --image_dir new/train_images --output_dir by_openvino

# %% [markdown]
# `landmark-fastai export --format openvino` writes the network in OpenVINO's own form, for programs that know no other.
#
# ## Where to go on
#
# - [Deploying](../exporting.md): what is in a bundle, inputs and outputs of the graph, 8 bits, and how fast it is.
# - [Predicting](../predicting.md): all that `predict` writes. Large folders on many machines: [scaling](../scaling.md).
# - The [model card](../outputs.md#model-card), and [how far to trust a point](../bounds.md), which a bundle knows as
#   well.
# - Research software: it is no medical device, and not for diagnosis.
