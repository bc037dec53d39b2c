"""A process that times one version of landmark_fastai, the one on its path; `beside` lets two of them take turns.

It stands alone, since another version has other benchmarks, and uses what of landmark_fastai is public. A line of JSON
on stdin says what is to be timed, then each line is the name of a timing, and is answered with a number.
"""

import ctypes
import json
import sys
import time
import warnings
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import torch
from fastai.callback.core import Callback


class Repeated:
    "In place of a `DataLoader`: one batch of it, `n` times."
    def __init__(self, dl, n):
        self.dl = dl
        self.n = n
        self.batch = dl.one_batch()

    def __getattr__(self, name): return getattr(self.dl, name)

    def __len__(self): return self.n

    def __iter__(self): return (self.batch for _ in range(self.n))


class Stopwatch(Callback):
    "Seconds of the training part of an epoch."
    order = 100  # starts after everything that prepares an epoch

    def before_train(self): self.start = time.perf_counter()

    def after_train(self): self.seconds = time.perf_counter() - self.start


def training(csv_file, images, encoder, size, batch_size, n_steps, **_):
    "Of a training: seconds of a `step` and of its `loss` with gradient, and the most `memory` (MB) until then."
    from landmark_fastai.all import landmark_dls, landmark_learner
    keep_memory()
    dls = landmark_dls(csv_file, images, image_resize=size, batch_size=batch_size)
    learn = landmark_learner(dls, encoder_name=encoder, encoder_weights='none', total_epochs=350)
    batch = learn.dls.loaders[0] = Repeated(dls.train, n_steps)
    watch = Stopwatch()
    x, *y = batch.batch
    with torch.no_grad(): logits = learn.model.train()(x)

    def step():
        with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-4, cbs=watch)
        return watch.seconds / n_steps

    def loss():
        start = time.perf_counter()
        for _ in range(n_steps): learn.loss_func(logits.detach().requires_grad_(), *y).backward()
        return (time.perf_counter() - start) / n_steps

    return dict(step=step, loss=loss, memory=peak_memory)


def prediction(csv_file, images, encoder, size, n_images, **_):
    "Of `predict` from squares in memory: seconds an image in `all`, and of the `network` of the call before."
    from landmark_fastai.all import load, train
    keep_memory()
    folder = Path(images) / f'run_{time.time_ns()}'
    train(train_image_dir=images, label_dir=Path(csv_file).parent, train_csv_file=Path(csv_file).name, epochs=1,
          output_dir=folder, experiment_name='run', encoder_name=encoder, encoder_weights='none', image_resize=size,
          batch_size=2, visualize_every=1000)
    predictor = load(folder / 'run')
    squares = list(np.random.default_rng(0).integers(0, 256, (n_images, size, size), np.uint8))
    times = []
    for model in getattr(predictor, 'engine', predictor).models:  # of version 0.4 it has them itself
        model.register_forward_pre_hook(lambda *_: times.append(-time.perf_counter()))
        model.register_forward_hook(lambda *_: times.append(time.perf_counter()))

    def whole():
        times.clear()
        start = time.perf_counter()
        predictor.predict(squares)
        return (time.perf_counter() - start) / n_images

    return dict(all=whole, network=lambda: sum(times) / n_images)


def keep_memory():
    "Keep what is freed, as the command line of this version does; on both sides, so that what is compared is the rest."
    library = ctypes.CDLL(None)
    for option in (-4, -1): library.mallopt(option, 0 if option == -4 else -1)  # M_MMAP_MAX, M_TRIM_THRESHOLD


def peak_memory():
    "The most memory that this process has had, MB."
    lines = Path('/proc/self/status').read_text().splitlines()
    return int(next(line for line in lines if line.startswith('VmHWM')).split()[1]) / 1024


def main():
    "Answer what is asked on stdin, until it ends."
    warnings.simplefilter('ignore')
    with redirect_stdout(StringIO()):
        case = json.loads(sys.stdin.readline())
        timings = dict(training=training, prediction=prediction)[case['what']](**case)
    print('ready', flush=True)
    for line in sys.stdin:
        with redirect_stdout(StringIO()): answer = timings[line.strip()]()
        print(answer, flush=True)


if __name__ == '__main__': main()
