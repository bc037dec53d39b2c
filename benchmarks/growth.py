"What grows and what must not: speed with the number of images, memory with landmarks and with predicted images."

import csv
import os
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

import numpy as np

from landmark_fastai import landmark_dls
from landmark_fastai.data.sample import write_sample
from landmark_fastai.inference.predict import predict

from .data import go_through, prepare
from .fixtures import SEED, in_child, memory, write_csv, write_small
from .predict import short_training
from .step import make_learner
from .timing import alternate, rate, ratios, row, say, timed

QUICK = dict(repetitions=1, n_images=(8, 16), n_drawn=3, image_resize=64, n_landmarks=(2, 4), memory_resize=32,
             n_predicted=(8, 16), predict_resize=32)
FLAT = 0.15          # images/s may differ by this share
BEND = 0.10          # the memory of a number of landmarks may lie this share of the whole growth off a straight line
SAME_MEMORY = 50     # MB
DRAWN = 'Sample images of 400 to 640 px a side; 64 are drawn, the others are links to them.'
TRAINING = 'Largest memory of a process that trains resnet18 on two batches of 8, everything included.'
STREAM = 'The command without overlays, in one process: memory at the end of the first and of the second folder.'


def run(folder, repetitions=5, n_images=(64, 256, 1024), n_drawn=64, image_resize=512, n_landmarks=(2, 8, 32, 64),
        memory_resize=256, n_predicted=(500, 5000), predict_resize=32):
    "Rows of the growth."
    return [*speed(folder, n_images, n_drawn, image_resize, repetitions),
            training(folder, n_landmarks, memory_resize),
            prediction(folder, n_predicted, predict_resize)]


# --- images/s over the number of images

def speed(folder, n_images, n_drawn, image_resize, repetitions):
    "Images/s of the data path for each of `n_images`, the first of which is the reference of the others."
    say(f'drawing {n_drawn} sample images, linking {max(n_images) + 1}')
    image_dir, csv_files = write_linked(folder / 'sample', n_drawn, n_images)
    loaders = [prepare(file, [image_dir / 'any'], image_resize=image_resize, batch_size=8, drop_last=False)
               for file in csv_files]
    say(f'data path, {repetitions} times')
    rounds = [max(1, n_images[-1] // (4 * n)) for n in n_images]  # a side must last for its time to be one
    seconds = alternate(*(timed(lambda dls=dls, k=k: [go_through(dls.train) for _ in range(k)], k * n)
                          for dls, k, n in zip(loaders, rounds, n_images, strict=True)), repetitions=repetitions)
    rows = []
    for n, taken in list(zip(n_images, seconds, strict=True))[1:]:
        flat = ratios(seconds[0], taken)
        r = row(f'data path of {n} images, {image_resize} px; against that of {n_images[0]}', rate(taken, 'images/s'),
                rate(seconds[0], 'images/s'), f'{1 - FLAT:g} to {1 + FLAT:g}', ratios=flat, note=DRAWN,
                seconds=dict(ours=taken, reference=seconds[0]))
        rows.append(r | dict(met=abs(r['ratio'] - 1) <= FLAT))
    return rows


def write_linked(folder, n_drawn, n_images):
    "Sample images under as many names as are needed: their folder, and a CSV for each of `n_images` (and one more)."
    header, *drawn = read_rows(write_sample(folder, n_drawn, SEED))
    image_dir, rows = folder / 'train_images', []
    for k in range(max(n_images) + 1):
        row = drawn[k % n_drawn]
        os.link(image_dir / row[0], image_dir / f'link_{k:04}.png')
        rows.append([f'link_{k:04}.png', *row[1:]])
    files = [folder / f'{n}.csv' for n in n_images]
    for file, n in zip(files, n_images, strict=True):
        parts = ['split'] + ['train'] * n + ['val']
        with open(file, 'w', newline='', encoding='utf-8') as f:
            csv.writer(f).writerows([*row, part] for row, part in zip([header, *rows], parts, strict=False))
    return image_dir, files


def read_rows(path):
    "The rows of a CSV file, lists of texts, the header first."
    with open(path, newline='', encoding='utf-8') as f: return list(csv.reader(f))


# --- memory over the number of landmarks

def training(folder, n_landmarks, image_resize):
    "The largest memory of a short training, each in a process of its own."
    peaks = []
    for n in n_landmarks:
        say(f'memory with {n} landmarks')
        peaks.append(in_child(training_memory, folder / f'landmarks_{n}', n, image_resize))
    slope, offset = np.polyfit(n_landmarks, peaks, 1)
    bend = np.abs(np.polyval((slope, offset), n_landmarks) - peaks).max() / (max(peaks) - min(peaks))
    here = ', '.join(f'{peak:.0f} MB for {n}' for n, peak in zip(n_landmarks, peaks, strict=True))
    return row(f'memory of a training over landmarks, {image_resize} px, batch 8',
               f'{here}: {slope:.1f} MB a landmark, at most {bend:.0%} of the growth off the line',
               wanted=f'linear (within {BEND:.0%})', met=bool(bend <= BEND), note=TRAINING,
               memory=dict(zip(map(str, n_landmarks), peaks, strict=True)))


def training_memory(folder, n_landmarks, image_resize):
    "In a child: MB that two steps take at most."
    paths, points = write_small(folder, 17, n_landmarks)
    csv_file = write_csv(folder / 'small.csv', paths, points, (96, 80))
    learn = make_learner(landmark_dls(csv_file, folder, image_resize=image_resize, batch_size=8))
    with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-4)
    return memory(peak=True)


# --- memory over the number of predicted images

def prediction(folder, n_predicted, image_resize):
    "The memory at the end of `predict` over few and over many images."
    say(f'predicting {" and ".join(map(str, n_predicted))} small images')
    few, many = in_child(prediction_memory, folder / 'predicted', n_predicted, image_resize)
    return row(f'memory at the end of predict, {n_predicted[1]} images; against {n_predicted[0]}', f'{many:.0f} MB',
               f'{few:.0f} MB', f'within {SAME_MEMORY} MB', abs(many - few) <= SAME_MEMORY, note=STREAM)


def prediction_memory(folder, n_predicted, image_resize):
    "In a child: MB at the end of `predict` for each of `n_predicted` images."
    paths, points = write_small(folder / 'train', 9)
    csv_file = write_csv(folder / 'train.csv', paths, points, (96, 80))
    flags = dict(encoder_name='resnet18', encoder_weights='none', image_resize=image_resize, epochs=1)
    model, found = short_training(csv_file, folder / 'train', folder / 'runs', flags), []
    for n in n_predicted:
        write_small(folder / f'images_{n}', n)
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            predict(folder / f'images_{n}', folder / f'found_{n}', model=model, no_overlays=True)
        found.append(memory())
    return found
