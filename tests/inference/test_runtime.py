"What a bundle needs to be run is what the package needs, less what it does not."

import re
from pathlib import Path

from landmark_fastai.inference.graph_engines import REQUIRES

ROOT = Path(__file__).parents[2]
OF_FASTAI = 'fastcore'  # which it brings


def ranges(path):
    "The range of each package that a file of requirements names."
    lines = path.read_text(encoding='utf-8').split()
    return dict(re.match(r'([\w.-]+)(.*)', line).groups() for line in lines if line[0].isalpha())


def test_ranges_are_those_of_the_package():
    runtime, package = ranges(ROOT / 'landmark_fastai' / 'inference' / 'runtime.txt'), ranges(ROOT / 'requirements.txt')
    assert {name: spec for name, spec in runtime.items() if name != OF_FASTAI} == {
        name: package[name] for name in runtime if name != OF_FASTAI}
    assert not {'torch', 'fastai', 'timm', 'segmentation-models-pytorch'} & set(runtime)
    assert f'runtime = ["{REQUIRES["onnx"]}", "{REQUIRES["openvino"]}"]' in (
        ROOT / 'pyproject.toml').read_text(encoding='utf-8')
    assert set(REQUIRES.values()) <= set((ROOT / 'requirements-dev.txt').read_text(encoding='utf-8').split())
