"Images of discs and the bundle of a network that finds them, made once."

import pytest
from disc_bundles import POINTS, SIZES, flags, two_stages
from helpers import discs
from PIL import Image

from landmark_fastai.export.export import write_all


@pytest.fixture(scope='session')
def images(tmp_path_factory):
    "Three images of discs, one of them without the white one."
    folder = tmp_path_factory.mktemp('discs')
    for k, size in enumerate(SIZES): Image.fromarray(discs(*size, POINTS[:2 - (k == 2)])).save(folder / f'{k}.png')
    return sorted(folder.iterdir())


@pytest.fixture(scope='session')
def exported(images, tmp_path_factory):
    "The bundle of `two_stages`, as ONNX."
    folder = tmp_path_factory.mktemp('onnx')
    assert set(write_all(folder, flags(), two_stages(), images)) == {'onnx', 'openvino'}
    return folder
