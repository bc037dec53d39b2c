"From films in files to predictions.csv and overlays: what files add to the network, and against another version."

from pathlib import Path

import cv2
import numpy as np
import pydicom

from .beside import compare, measure
from .fixtures import FILM, LITE0, write_films
from .timing import ROOT, longer, say

QUICK = dict(repetitions=1, n_films=2, size=(220, 190), image_resize=64, encoder='resnet18')
KINDS = {'jpeg': 'JPEG files', 'deep': 'DICOM files of 12 bits without a window',
         'window': 'DICOM files of 12 bits with one', 'overlays': 'JPEG files, with overlays'}
SYNTAX = pydicom.uid.ExplicitVRLittleEndian
UNTRAINED = 'The network has hardly been trained, which costs the same time.'


def run(folder, repetitions=5, n_films=6, size=FILM, image_resize=256, encoder=LITE0, n_landmarks=12, against=None):
    "Rows of the `predict` command on a folder of films of each kind; `against` is a folder with another version."
    say(f'writing {n_films} films')
    write_kinds(folder / 'films', n_films, size)
    versions = [ROOT] if against is None else [ROOT, Path(against).absolute()]
    case = dict(what='files', encoder=encoder, size=image_resize, n_landmarks=n_landmarks)
    network, *each = measure(folder, versions, case, ('network', *KINDS), repetitions)
    what = f'predict, {encoder}, {image_resize} px, {size[0]} × {size[1]} px'
    rows = [longer(f'{what}, {name}; against the network alone', seconds[0], network[0], unit='ms', note=UNTRAINED)
            for name, seconds in zip(KINDS.values(), each, strict=True)]
    for name, seconds in zip(KINDS.values(), each, strict=True):
        rows += compare(f'{what}, {name}', versions, seconds, None, 'images/s')
    return rows


def write_kinds(folder, n, size):
    "Write `n` films of `size` as JPEG and as DICOM of 12 bits, without a window and with one, to folders in `folder`."
    for name in ('deep', 'window'): (folder / name).mkdir(parents=True)
    paths, _ = write_films(folder / 'jpeg', n, size, n_drawn=8)
    grain = np.random.default_rng(0).integers(0, 16, size[::-1], np.uint16)
    for path in paths:
        pixels = 16 * cv2.imread(str(path), 0).astype(np.uint16) + grain
        write_dicom(folder / 'deep' / f'{path.stem}.dcm', pixels)
        write_dicom(folder / 'window' / f'{path.stem}.dcm', pixels, WindowCenter=2000, WindowWidth=3600)


def write_dicom(path, pixels, **tags):
    "Write grey `pixels` (H, W) uint16 of 12 bits as an uncompressed DICOM file, with further `tags`."
    ds = pydicom.Dataset()
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = SYNTAX
    elements = dict(SOPClassUID=pydicom.uid.SecondaryCaptureImageStorage, SOPInstanceUID='1.2.3', Rows=pixels.shape[0],
                    Columns=pixels.shape[1], SamplesPerPixel=1, PhotometricInterpretation='MONOCHROME2',
                    BitsAllocated=16, BitsStored=12, HighBit=11, PixelRepresentation=0, PixelData=pixels.tobytes())
    for keyword, value in (elements | tags).items(): setattr(ds, keyword, value)
    pydicom.dcmwrite(path, ds, enforce_file_format=True)
