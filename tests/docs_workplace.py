"A folder with what the pages of the documentation speak of, and their commands, small enough for a test."

import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import segmentation_models_pytorch as smp
import torch
from helpers import write_dicom

from docs.templates import SPACING, long_leg
from landmark_fastai.all import convert, predict, train, write_sample
from landmark_fastai.formats.images import read_image

ENCODER = dict(encoder_name='timm-mobilenetv3_small_minimal_100', encoder_weights='none')
SMALL = dict(image_resize=64, batch_size=2, epochs=1)
SHARP = 'train_image_dir: sharp/train_images\nlabel_dir: sharp/labels\n'  # as a page says how to write it


def write_workplace(folder: Path):
    "Sample data with a test part, a run of it, films, and their points as several files and formats have them."
    csv_file, images = write_sample(folder / 'data', n_images=10), folder / 'data' / 'train_images'
    table = pd.read_csv(csv_file).assign(split=['train'] * 7 + ['val'] * 2 + ['test'])
    table.to_csv(csv_file, index=False)
    train(train_image_dir=images, label_dir=csv_file.parent, output_dir=folder / 'runs', **SMALL, **ENCODER)
    films, names = folder / 'films', ['a.png', 'c.png', 'd.png']
    films.mkdir()
    for name, image in zip(names, table.image_name, strict=False): shutil.copy(images / image, films / name)
    for name in ('a.dcm', 'b.dcm'): write_dicom(films / name, read_image(images / table.image_name[3]))
    shutil.copy(images / table.image_name[4], films / 'b.png')
    points = table[:len(names)].drop(columns='split').assign(image_name=names)
    for k, name in enumerate(['truth', 'points', 'clicked', 'predictions', 'AB', 'CD']):
        points.assign(right_femoral_head_x=points.right_femoral_head_x + k).to_csv(folder / f'{name}.csv', index=False)


def prepare(folder: Path, name: str, flags: dict):
    "Change the workplace to what the command `name` of a page expects in it."
    labels = folder / 'data' / 'labels'
    if name == 'annotate' and 'landmarks' in flags: shutil.rmtree(labels)  # nothing has been clicked
    if name == 'annotate' and 'csv' in flags: predict(flags['image_dir'], 'found', no_overlays=True)
    if name == 'sample' and 'output_dir' not in flags: shutil.rmtree(folder / 'data')
    if name == 'measure': write_leg(folder)
    if name == 'convert': write_points(folder, **flags)
    if 'resume' in flags: (folder / 'runs' / 'baseline' / 'report.html').unlink()  # stopped before it was written
    if flags.get('config') == 'sharp.yaml':
        write_sample(folder / 'sharp', n_images=6, landmarks='all')
        (folder / 'sharp.yaml').write_text(SHARP)
    if name != 'sample' and 'drawn' in str(flags): write_sample(folder / 'drawn', n_images=6)
    if flags.get('model') == 'runs/first': shutil.copytree(folder / 'runs' / 'baseline', folder / 'runs' / 'first')
    for csv_file in flags.get('csvs', '').split(',') if name == 'agreement' else ():
        (folder / csv_file).parent.mkdir(parents=True, exist_ok=True)
        if not (folder / csv_file).exists(): shutil.copy(folder / Path(csv_file).name, folder / csv_file)
    if flags.get('n_landmarks') == 3: add_third(labels / 'train_annotation.csv', folder / 'runs')
    if 'flip_pairs' in flags: assert set(flags['flip_pairs'].split(':')) == {'left_femoral_head', 'right_femoral_head'}
    if 'encoder_weights' in flags:
        encoder = smp.encoders.get_encoder(flags['encoder_name'], weights=None)
        torch.save(encoder.state_dict(), folder / flags['encoder_weights'])


def write_points(folder, source, source_format, target_format, image_dir='data/train_images', **_):
    "The source of a conversion: points of the images in `image_dir`, for DICOM SR of a DICOM image."
    if image_dir != 'films' or target_format == 'dicom_sr':
        table = pd.read_csv(folder / 'data' / 'labels' / 'train_annotation.csv')
        if image_dir == 'films':
            table = table[3:4].assign(image_name='a.dcm')
            write_dicom(folder / 'films' / 'a.dcm', read_image(folder / 'films' / 'a.dcm'), StudyInstanceUID='1.2.9',
                        SeriesInstanceUID='1.2.8')
        table.to_csv(folder / 'points.csv', index=False)
    if source != 'points.csv': convert('points.csv', 'csv', source, source_format)


def add_third(csv_file, runs):
    "A third landmark for the data, and for the run."
    table = pd.read_csv(csv_file).assign(n_landmarks=3, third_x=100., third_y=120.)
    table.to_csv(csv_file, index=False)
    train(train_image_dir=csv_file.parents[1] / 'train_images', label_dir=csv_file.parent, output_dir=runs,
          overwrite=True, **SMALL, **ENCODER)


def write_leg(folder):
    "The film of a leg in place of the first one, and its points as if they had been found."
    (width, height), points, _ = long_leg()
    cv2.imwrite(str(folder / 'films' / 'a.png'), np.zeros((height, width), np.uint8))
    row = dict(image_name='a.png', image_width=width, image_height=height, n_landmarks=len(points))
    for name, (x, y) in points.items(): row |= {f'{name}_x': x, f'{name}_y': y}
    (folder / 'found').mkdir()
    pd.DataFrame([row | dict(pixel_spacing=SPACING)]).to_csv(folder / 'found' / 'predictions.csv', index=False)


def smaller(name: str, flags: dict) -> dict:
    "`flags` of a command of a page with a network and epochs for a test, and leave to replace what is there."
    if flags.get('resume'): return flags
    small = {}
    if name == 'sample': small = dict(n_images=6)
    if name in ('train', 'find_lr'):
        small = dict(SMALL)
        if 'from_run' not in flags and flags.get('encoder_weights') is None: small |= ENCODER
        if 'from_run' in flags and 'refine' in flags: small = {}  # the first stage is that of the run
        if 'refine' in flags: small |= dict(refine_epochs=1)
        if 'minutes' in flags: small = {key: small[key] for key in small if 'epochs' not in key} | dict(minutes=0.1)
    if name not in ('find_lr', 'sample', 'check'): small |= dict(overwrite=True)
    return flags | small
