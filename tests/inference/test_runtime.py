"What a bundle needs to be run is what the package needs, less what it does not."

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEEDED_BY_OTHERS = 'fastcore', 'onnxruntime'  # that fastai brings; that an extra brings


def ranges(path):
    "The range of each package that a file of requirements names."
    lines = path.read_text(encoding='utf-8').split()
    return dict(re.match(r'([\w.-]+)(.*)', line).groups() for line in lines if line[0].isalpha())


def test_ranges_are_those_of_the_package():
    runtime, package = ranges(ROOT / 'landmark_fastai' / 'inference' / 'runtime.txt'), ranges(ROOT / 'requirements.txt')
    assert {name: spec for name, spec in runtime.items() if name not in NEEDED_BY_OTHERS} == {
        name: package[name] for name in runtime if name not in NEEDED_BY_OTHERS}
    assert not {'torch', 'fastai', 'timm', 'segmentation-models-pytorch'} & set(runtime)
    assert f'"onnxruntime{runtime["onnxruntime"]}"' in (ROOT / 'pyproject.toml').read_text(encoding='utf-8')
