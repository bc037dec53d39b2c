"Synthetic images, annotations and DICOM files, and networks that are right by construction, for all tests."

import re
import string
import struct
from pathlib import Path

import cv2
import fire
import numpy as np
import pandas as pd
import pydicom
import pytest
import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from fastai.callback.core import Callback
from PIL import Image
from pydicom.datadict import tag_for_keyword
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage
from torch import nn

from landmark_fastai.callbacks.checkpoint import SaveWeights
from landmark_fastai.callbacks.history import History
from landmark_fastai.callbacks.pictures import Pictures
from landmark_fastai.cli import command
from landmark_fastai.config import TrainConfig
from landmark_fastai.errors import UsageError
from landmark_fastai.formats.annotations import Annotations, read_annotations
from landmark_fastai.inference.predictor import Prediction
from landmark_fastai.inference.torch_engine import torch_predictor
from landmark_fastai.model.facts import ModelFacts

# the beginning of an annotation CSV, two landmarks, and a row of it
FIXED = 'image_name,image_width,image_height,n_landmarks'
HEADER = f'{FIXED},hip_x,hip_y,knee_x,knee_y'
GOOD = 'a.png,100,200,2,1,2,3.5,4.25'
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
    with pydicom.config.disable_value_validation():  # broken files are written, too
        for keyword, value in (defaults | tags).items():
            if value is not None: setattr(ds, keyword, value)
        pydicom.dcmwrite(path, ds, enforce_file_format=True)
    return path


def picture(height=40, width=60):
    "Smooth grey (height, width) uint8 with no symmetry."
    y, x = np.mgrid[:height, :width]
    return (200 * x / width + 50 * y / height).astype(np.uint8)


def save_picture(path, array, **kwargs):
    "Write `array` to `path` with Pillow; returns `path`."
    Image.fromarray(array).save(path, **kwargs)
    return path


def exif_of(orientation):
    "EXIF tags of that orientation."
    tags = Image.Exif()
    tags[0x112] = orientation
    return tags


class DiscFinder(nn.Module):
    "A network that is right: channel 0 finds the grey disc, channel 1 the white one."
    def forward(self, x):
        x = x[:, :1]
        uneven = F.max_pool2d(x, 3, 1, 1) + F.max_pool2d(-x, 3, 1, 1)  # the rim of the white disc is grey as well
        return -100 * ((x - torch.tensor([0.5, 1.]).view(1, 2, 1, 1)).abs() + uneven)


def disc_finder(image_resize=512, *models, flip_pairs=None, **facts):
    "A `Predictor` of `models`, else `DiscFinder`; `facts` win over those of a network of grey and white discs."
    known = dict(landmarks=['grey', 'white'], mean=[0.] * 3, std=[1.] * 3)
    config = TrainConfig(image_resize=image_resize, flip_pairs=flip_pairs)
    return torch_predictor(list(models) or [DiscFinder()], config, ModelFacts(**known | facts), 'cpu')


BLANK, GONE = (np.nan, np.nan), (-1, -1)  # points that are not labelled, and absent


def discs(width, height, points, dtype=np.uint8):
    "An image with a grey and a white disc of radius 5 % of the side at `points`, to a sixteenth of a pixel."
    image, radius = np.zeros((height, width), np.uint8), round(0.05 * max(width, height) * 16)
    for (x, y), level in zip(points, (128, 255, 128), strict=False):
        cv2.circle(image, (round(x * 16), round(y * 16)), radius, level, -1, cv2.LINE_AA, 4)
    return image if dtype == np.uint8 else (image.astype(dtype) * 100)


def predicted(points, state=0, confidence=np.nan, spread=np.nan):
    "A `Prediction` of `points` (n, N, 2) on images of 1000 px, visible and of unknown confidence unless told."
    points = np.array(points, float)
    n, n_landmarks = points.shape[:2]
    state, confidence, spread = (np.broadcast_to(values, (n, n_landmarks)) for values in (state, confidence, spread))
    return Prediction(points, state, confidence, spread, np.full((n, 2), 1000), np.full(state.shape, np.nan),
                      np.full(state.shape, ''), points, np.full(state.shape, np.nan))


def original_weights(folder, n_landmarks=3):
    "Write the state dict of a U-Net as the original system saves it; returns the network and the file."
    torch.manual_seed(0)
    model = smp.Unet('resnet18', encoder_weights=None, in_channels=3, classes=n_landmarks).eval()
    torch.save(model.state_dict(), folder / 'old.pth')
    return model, folder / 'old.pth'


def write_discs(path, width=200, height=160, points=((50, 60), (150, 100)), n=2):
    "Write the first `n` of the grey and the white disc."
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), discs(width, height, points[:n]))


SENTINEL = 'SENTINEL'


def element(keyword, vr, value):
    "An element as it lies in a file, whatever pydicom thinks of `value`."
    tag, long = tag_for_keyword(keyword), vr in ('OB', 'OW', 'SQ', 'UC', 'UN', 'UR', 'UT')
    return struct.pack('<HH2s' + ('xxI' if long else 'H'), tag >> 16, tag % 2**16, vr.encode(), len(value)) + value


NAMED = [
    ('SpecificCharacterSet', 'CS'), ('ImageType', 'CS'), ('SOPInstanceUID', 'UI'), ('StudyDate', 'DA'),
    ('StudyTime', 'TM'), ('AcquisitionDateTime', 'DT'), ('AccessionNumber', 'SH'), ('Modality', 'CS'),
    ('InstitutionName', 'LO'), ('InstitutionAddress', 'ST'), ('StudyDescription', 'LO'), ('PatientName', 'PN'),
    ('PatientID', 'LO'), ('PatientAge', 'AS'), ('PatientComments', 'LT'), ('RetrieveURL', 'UR'),
    ('LongCodeValue', 'UC'), ('TextValue', 'UT'), ('SeriesNumber', 'IS'), ('PatientWeight', 'DS')]


def data_start(content):
    "Where the data set begins behind the file header."
    return 132 + 12 + struct.unpack('<I', content[140:144])[0]


def rewrite_syntax(path, syntax):
    "State another transfer syntax in the header of the file at `path`, whose data already have it."
    content, header = path.read_bytes(), element('TransferSyntaxUID', 'UI', syntax.encode() + b'\0' * (len(syntax) % 2))
    start, length = data_start(content), element('FileMetaInformationGroupLength', 'UL', struct.pack('<I', len(header)))
    path.write_bytes(content[:132] + length + header + content[start:])


def noise(shape, dtype=np.uint8, top=None, seed=0):
    info = np.iinfo(dtype)
    return np.random.default_rng(seed).integers(info.min, (top or info.max) + 1, shape, dtype)


def spoiled(path, elements, pixels=None, **tags):
    "A file in which the text of `elements` (keyword, VR) is the sentinel."
    left_out = {keyword: None for keyword, _ in elements if keyword != 'SOPInstanceUID'}
    content = write_dicom(path, noise((30, 41)) if pixels is None else pixels, **tags, **left_out).read_bytes()
    texts = b''.join(element(keyword, vr, SENTINEL.encode()) for keyword, vr in elements)
    path.write_bytes(content[:data_start(content)] + texts + content[data_start(content):])
    return path


def message_of(path, **kwargs):
    "The error of reading the annotation CSV `path`, which must be one line that starts with the file."
    with pytest.raises(UsageError) as caught: read_annotations(path, **kwargs)
    message = str(caught.value)
    assert '\n' not in message and path.name in message.split(':')[0]
    return message


def printed(capsys):
    "The lines on stdout."
    return capsys.readouterr().out.splitlines()


def refused(words, make, *args, **kwargs):
    "`make(...)` raises a UsageError that has all `words`."
    with pytest.raises(UsageError) as error: make(*args, **kwargs)
    assert all(word in str(error.value) for word in words), str(error.value)


def write_definitions(folder, text):
    "Write a file of definitions; returns its path."
    path = folder / 'definitions.yaml'
    path.write_text(text, encoding='utf-8')
    return path


def annotated(points, spacing=None, names=None, state=0):
    """`Annotations` of `points` (n, N, 2) on images of 1000 px, called a, b, c... unless told.

    `spacing` in mm: a number, (2,), or (n, 2).
    """
    points = np.array(points, float)
    n, n_landmarks = points.shape[:2]
    spacing = np.broadcast_to(np.nan if spacing is None else spacing, (n, 2)).astype(float)
    state = np.broadcast_to(state, (n, n_landmarks)).astype(np.uint8)
    return Annotations(
        path=Path('points.csv'), names=list(names or string.ascii_lowercase[:n_landmarks]),
        image_names=[f'{k}.png' for k in range(n)], rows=list(range(2, n + 2)), sizes=np.full((n, 2), 1000),
        points=np.where(state[..., None] == 0, points, np.nan), state=state, spacing=spacing,
        spacing_source=np.where(np.isnan(spacing).any(1), '', np.array('CSV', object)), patient_id=None, split=None)


# --- callbacks

class After(Callback):
    "Call `do`, with the callback, after each epoch."
    def __init__(self, do, order): self.do, self.order = do, order

    def after_epoch(self): self.do(self)


def run_callbacks(folder, total=2, **kwargs):
    "The `History` of a run of `total` epochs that writes to `folder`, and all callbacks that write there."
    names = ['head', 'knee']
    history = History(folder / 'log.csv', names)
    return history, [history, SaveWeights(folder / 'weight'), Pictures(folder, names, total, **kwargs)]


def weights_of(learn):
    "A copy of the weights of `learn`."
    return {key: value.clone() for key, value in learn.model.state_dict().items()}


def code_of(text, language):
    "The code blocks of a page in a language; of commands those that go on in the next line are one line."
    blocks = re.findall(rf'^```{language}\n(.*?)^```', text, re.DOTALL | re.MULTILINE)
    return [block.replace('\\\n', ' ') for block in blocks] if language == 'bash' else blocks


def job_of(argv):
    "The command of `argv` with the flags that Fire reads from it."
    return fire.Fire({argv[0]: command(argv[0], with_defaults=False)}, command=argv, serialize=lambda job: None)


def check_links(page, text):
    "Each link of `text`, that of the file `page`, leads to a file and a heading of it."
    for target in re.findall(r'\]\((?!https?:)([^)]+)\)', text):
        path, _, anchor = target.partition('#')
        file = page.parent / path if path else page
        assert file.is_file(), target
        if anchor: assert anchor in map(slug, re.findall('^#+ (.*)', file.read_text(encoding='utf-8'), re.M)), target


def slug(heading):
    "The anchor that GitHub gives a heading."
    return re.sub(r'[^\w\- ]', '', heading.replace('`', '').lower()).replace(' ', '-')
