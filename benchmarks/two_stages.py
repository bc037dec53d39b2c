"A second stage beside the first alone: what it adds to the time and to the memory of prediction."

import os
import time
from contextlib import redirect_stdout
from io import StringIO

import cv2
import pandas as pd

from landmark_fastai.data.sample import write_sample
from landmark_fastai.inference.loading import load
from landmark_fastai.training.train import train

from .fixtures import JPEG, SEED, in_child, memory
from .growth import SAME_MEMORY
from .timing import alternate, faster, longer, row, say, timed

QUICK = dict(repetitions=1, n_films=5, n_timed=2, n_predicted=(2, 4), image_size=700, image_resize=64,
             encoder_name='resnet18')
LANDMARKS = 12
UNTRAINED = ('JPEG films of several sizes; crops are as sharp as the median one. The networks have hardly been '
             'trained, which costs the same time.')


def run(folder, repetitions=5, n_films=8, n_timed=16, n_predicted=(50, 300), image_size=2400, image_resize=256,
        encoder_name='timm-tf_efficientnet_lite1'):
    "Rows of both stages."
    say(f'drawing {n_films} films and training on them')
    csv_file = first_landmarks(write_sample(folder / 'films', n_films, SEED, image_size=image_size, landmarks='all'))
    with redirect_stdout(StringIO()):
        train(train_image_dir=folder / 'films' / 'train_images', label_dir=csv_file.parent, output_dir=folder,
              experiment_name='run', encoder_name=encoder_name, encoder_weights='none', image_resize=image_resize,
              batch_size=2, epochs=1, refine=True, refine_scale=1, refine_epochs=1)
    files = write_jpegs(folder / 'films' / 'train_images', folder / 'jpegs', max(n_predicted))
    both, first = load(folder / 'run'), load(folder / 'run', refine=False)
    what = f'{encoder_name}, {image_resize} px, films of up to {image_size} px, {LANDMARKS} landmarks'
    say(f'predicting {n_timed} films, {repetitions} times')
    seconds = alternate(*(timed(lambda predictor=each: predictor.predict(files[:n_timed]), n_timed)
                          for each in (both, first)), repetitions=repetitions)
    networks = Clock(both.engine.models[0], both.seconds[0].engine.models[0]), Clock(first.engine.models[0])
    of_networks = alternate(*(networks_alone(*sides, files[:n_timed])
                              for sides in zip((both, first), networks, strict=True)), repetitions=repetitions)
    few, many = in_child(memory_of, folder / 'run', files, n_predicted)
    return [faster(f'predict in two stages, {what}; against the first alone', *seconds, note=UNTRAINED),
            longer(f'networks of both stages, {what}; against that of the first', *of_networks, 4, 'ms'),
            row(f'memory at the end of predict in two stages, {n_predicted[1]} films; against {n_predicted[0]}',
                f'{many:.0f} MB', f'{few:.0f} MB', f'within {SAME_MEMORY} MB', abs(many - few) <= SAME_MEMORY)]


def first_landmarks(csv_file):
    "Keep the first `LANDMARKS` of an annotation CSV; returns its path."
    table = pd.read_csv(csv_file)
    table = table[list(table.columns[:table.columns.get_loc('n_landmarks') + 1 + 2 * LANDMARKS])]
    table.assign(n_landmarks=LANDMARKS).to_csv(csv_file, index=False)
    return csv_file


def write_jpegs(source, folder, n):
    "The images of `source` as JPEGs, under `n` names; returns their paths."
    folder.mkdir()
    images = sorted(source.iterdir())
    for k in range(n):
        path = folder / f'{k:04}.jpg'
        if k < len(images): path.write_bytes(cv2.imencode('.jpg', cv2.imread(str(images[k]), 0), JPEG)[1].tobytes())
        else: os.link(folder / f'{k % len(images):04}.jpg', path)
    return sorted(folder.iterdir())


class Clock:
    "The `seconds` that networks have taken."
    def __init__(self, *models):
        self.seconds = 0.
        for model in models:
            model.register_forward_pre_hook(lambda *_: self.start())
            model.register_forward_hook(lambda *_: self.stop())

    def start(self): self.started = time.perf_counter()

    def stop(self): self.seconds += time.perf_counter() - self.started


def networks_alone(predictor, clock, files):
    "A side for `alternate`: the seconds that the networks of `predictor`, which `clock` times, take for an image."
    def side():
        before = clock.seconds
        predictor.predict(files)
        return (clock.seconds - before) / len(files)
    return side


def memory_of(run_folder, files, n_predicted):
    "In a child: MB at the end of predicting each of `n_predicted` files."
    predictor, found = load(run_folder), []
    for n in n_predicted:
        for _ in predictor.stream(files[:n]): pass
        found.append(memory())
    return found
