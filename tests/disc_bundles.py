"Bundles of networks that find discs: what is exported in a second, and is right."

import json
import shutil
from pathlib import Path

from helpers import disc_finder
from torch import nn

from landmark_fastai.inference.bundle import FILE, digest_of
from landmark_fastai.inference.refining import RefinedPredictor
from landmark_fastai.model.facts import CropFacts
from landmark_fastai.predict_config import ExportConfig

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
