"Bundles of networks that find discs: what is exported in a second, and is right."

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from helpers import disc_finder
from PIL import Image
from torch import nn

from landmark_fastai.inference.bundle import FILE, digest_of
from landmark_fastai.inference.refining import RefinedPredictor
from landmark_fastai.inference.shape_model import learn_shape
from landmark_fastai.model.facts import CropFacts
from landmark_fastai.predict_config import ExportConfig

HOUSE = np.array([[50, 50], [200, 60], [210, 180], [120, 250], [40, 170.]])
GREYS = 60, 100, 150, 200, 250
POINTS = [[200.4, 150.7], [401.3, 260.2]]
SIZES = (600, 400), (500, 700), (640, 640)

ROOT = Path(__file__).parents[1]  # whose code a process of its own is to run
WITHOUT_TORCH = '''import sys
class Missing:
    def find_spec(self, name, *_):
        if name.split('.')[0] not in ('torch', 'fastai', 'segmentation_models_pytorch', 'timm'): return None
        raise ModuleNotFoundError(f'No module named {name!r}', name=name)
sys.meta_path.insert(0, Missing())
from landmark_fastai.cli import main'''


class Blurred(nn.Module):
    "A `DiscFinder` of soft peaks, whose last channel is never there on a dark image."
    def __init__(self, width=3):
        super().__init__()
        self.finder = disc_finder().engine.models[0]
        self.pool = nn.AvgPool2d(width, 1, width // 2)

    def forward(self, x): return self.pool(self.finder(x)) + 3


class Greys(nn.Module):
    "A network whose channels find discs of the `GREYS`, all that there are of one, and those a little darker less."
    def forward(self, x):
        x = F.avg_pool2d(x[:, :1], 3, 1, 1)
        uneven = F.max_pool2d(x, 5, 1, 2) + F.max_pool2d(-x, 5, 1, 2)
        return -100 * ((x - torch.tensor(GREYS).view(1, -1, 1, 1) / 255).abs() + uneven)


def house(path, k):
    """Write an image of five discs, the first a little darker, beside one as it should be; returns their places.

    Each house `k` is another one, and lies elsewhere.
    """
    points = HOUSE * (1 + 0.1 * k) + np.random.default_rng(k).uniform(-3, 3, HOUSE.shape) + 10 * k
    image = np.zeros((400, 400), np.uint8)
    for (x, y), grey in zip([*points, (370, 380)], [GREYS[0] - 4, *GREYS[1:], GREYS[0]], strict=True):
        cv2.circle(image, (round(x * 16), round(y * 16)), 18 * 16, grey, -1, cv2.LINE_AA, 4)
    Image.fromarray(image).save(path)
    return points


def of_a_shape():
    "A `Predictor` of `Greys` that knows the shape of the house."
    shapes = HOUSE + 5 * np.random.default_rng(0).standard_normal((20, *HOUSE.shape))
    return disc_finder(128, Greys(), landmarks=list('abcde'), shape=learn_shape(shapes))


def two_stages():
    "A `RefinedPredictor` of disc finders."
    crop = CropFacts(film=500, jitter=0.2, first_variance=[4., 9.], variance=[1., 2.])
    first = disc_finder(128, Blurred(), Blurred(5), calibration=[2., 3.], presence=['white'])
    return RefinedPredictor(first, [disc_finder(64, Blurred(), crop=crop)])


def flags(**kwargs): return ExportConfig(output_dir='unused', **kwargs)


def with_file(folder, copy, name, content):
    "A copy of the bundle in `folder` in whose file `name` is `content`, which bundle.json knows of."
    shutil.copytree(folder, copy)
    (copy / name).write_bytes(content)
    text = json.loads((copy / FILE).read_text())
    text['files'][name] = digest_of(copy / name)
    (copy / FILE).write_text(json.dumps(text))
    return copy
