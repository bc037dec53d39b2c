"A tiny data set of bright dots on dark squares, and learners small enough for two cores."

import warnings

import cv2
import matplotlib
import numpy as np
import pandas as pd
import pydicom
import pytest
import torch
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

matplotlib.use('Agg')
torch.set_num_threads(1)  # models this small gain nothing from more, and a busy machine stays usable
warnings.filterwarnings('ignore', category=FutureWarning)  # of libraries about each other

TINY = ['--image_resize', '64', '--batch_size', '4', '--encoder_name', 'resnet18', '--encoder_weights', 'none']


def dot_image(width, height, points, rng):
    "A grey image with noise, a bright disc at the first of `points` and a darker one at the second."
    image = rng.normal(30, 6, (height, width))
    for (x, y), brightness in zip(points, (220, 140), strict=False):
        image += brightness * np.exp(-((np.arange(width) - x) ** 2 + (np.arange(height)[:, None] - y) ** 2) / 18)
    return image.clip(0, 255).astype(np.uint8)


def write_dots(folder, n=10, names=('head', 'knee'), seed=0, sizes=((96, 80), (70, 100), (90, 90)), **columns):
    "Write `n` dot images of varying size and their CSV; returns (csv file, image folder)."
    rng, images = np.random.default_rng(seed), folder / 'images'
    images.mkdir(parents=True)
    rows = []
    for k in range(n):
        width, height = sizes[k % len(sizes)]
        points = rng.uniform(12, [width - 13, height - 13], (len(names), 2)).round(1)
        cv2.imwrite(str(images / f'dot_{k}.png'), dot_image(width, height, points, rng))
        coordinates = {f'{name}_{axis}': value for name, point in zip(names, points, strict=True)
                       for axis, value in zip('xy', point, strict=True)}
        rows.append({'image_name': f'dot_{k}.png', 'image_width': width, 'image_height': height,
                     'n_landmarks': len(names), **coordinates, **{key: value[k] for key, value in columns.items()}})
    csv_file = folder / 'annotation.csv'
    pd.DataFrame(rows).to_csv(csv_file, index=False)
    return csv_file, images


def write_unlabelled_validation(folder):
    "Write dots whose two validation images have no label; returns (csv file, image folder)."
    csv_file, images = write_dots(folder, split=['train'] * 8 + ['val'] * 2)
    table = pd.read_csv(csv_file)
    table.loc[table.split == 'val', ['head_x', 'head_y', 'knee_x', 'knee_y']] = np.nan
    table.to_csv(csv_file, index=False)
    return csv_file, images


def write_dicom(path, pixels, **tags):
    """Write `pixels`, uint8, uint16 or int16 (H, W) or uint8 or uint16 (H, W, 3), as a DICOM file; returns `path`.

    `tags` are set as attributes of the data set, last; None leaves one out. Explicit VR Little Endian.
    """
    grey, bits = pixels.ndim == 2, 8 * pixels.itemsize
    ds = pydicom.Dataset()
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    defaults = dict(
        SOPClassUID=SecondaryCaptureImageStorage, SOPInstanceUID='1.2.3', Rows=pixels.shape[0],
        Columns=pixels.shape[1], SamplesPerPixel=1 if grey else 3, PlanarConfiguration=None if grey else 0,
        PhotometricInterpretation='MONOCHROME2' if grey else 'RGB', BitsAllocated=bits, BitsStored=bits,
        HighBit=bits - 1, PixelRepresentation=int(pixels.dtype.kind == 'i'), PixelData=pixels.tobytes())
    for keyword, value in (defaults | tags).items():
        if value is not None: setattr(ds, keyword, value)
    pydicom.dcmwrite(path, ds, enforce_file_format=True)
    return path


@pytest.fixture(scope='session', autouse=True)
def fp32_unless_asked():
    "The same numbers on every machine: `precision='auto'` is fp32 on CPUs that are fast with bf16, too."
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('landmark_fastai.precision.has_fast_bf16', lambda: False)
        yield


@pytest.fixture
def no_warnings():
    "No warning passes unseen."
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        yield


@pytest.fixture(scope='session')
def dots(tmp_path_factory):
    "Ten images with two landmarks: (csv file, image folder). Not to be changed."
    return write_dots(tmp_path_factory.mktemp('dots'))


@pytest.fixture
def make_dls(dots):
    "A function that makes small DataLoaders of the dots."
    from landmark_fastai import landmark_dls
    def make(**kwargs): return landmark_dls(*dots, **dict(image_resize=64, batch_size=4) | kwargs)
    return make


@pytest.fixture
def make_learner(make_dls, tmp_path):
    "A function that makes a small learner in a folder of its own, without progress bars."
    from landmark_fastai import landmark_learner
    def make(dls=None, **kwargs):
        small = dict(encoder_name='timm-mobilenetv3_small_minimal_100', encoder_weights='none', path=tmp_path)
        learn = landmark_learner(dls or make_dls(), **small | kwargs)
        learn.remove_cb(learn.progress)
        learn.logger = lambda row: None
        return learn
    return make


@pytest.fixture(scope='session')
def finished(tmp_path_factory):
    """A finished run of two epochs of dots, with GIFs and a pixel spacing of 0.5 mm: its folder. Not to be changed.

    The images are in `images` two folders above, the CSV beside them.
    """
    import cli
    folder = tmp_path_factory.mktemp('finished')
    csv_file, images = write_dots(folder, pixel_spacing=[0.5] * 10)
    assert cli.main(['train', '--train_image_dir', str(images), '--label_dir', str(folder), '--train_csv_file',
                     csv_file.name, '--output_dir', str(folder / 'runs'), *TINY, '--epochs', '2', '--gif',
                     '--n_landmarks', '2']) == 0
    return folder / 'runs' / 'baseline'
