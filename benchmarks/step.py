"A training step: resnet18, 256 px, 8 images in memory, ours in `Learner.fit` against the original's."

import time

import torch

from landmark_fastai import landmark_dls, landmark_learner

from . import reference
from .fixtures import write_csv, write_small
from .timing import alternate, faster, has_amx, longer, say, timed
from .turns import Repeated, Stopwatch

QUICK = dict(repetitions=1, image_resize=64, n_steps=1, n_compiled=0)
ENCODER = 'resnet18'
TARGET, TARGET_AMX = 1, 2.3  # times the reference
COMPILED = 'Reckoned from the time of the first steps, which compile, and the time of a later step.'


def make_learner(dls, encoder_name=ENCODER, **kwargs):
    "A learner as users get it, but of random weights, and in an erosion that does not end within a benchmark."
    return landmark_learner(dls, encoder_name=encoder_name, encoder_weights='none', total_epochs=350, **kwargs)


def train_epoch(learn, train_dl):
    "Seconds of the training part of an epoch of `learn` over `train_dl`."
    watch, kept = Stopwatch(), learn.dls.loaders[0]
    learn.dls.loaders[0] = train_dl
    try:
        with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-4, cbs=watch)
    finally: learn.dls.loaders[0] = kept
    return watch.seconds


def make_side(csv_file, image_dir, image_resize, n_steps, **kwargs):
    "A side of `alternate` that takes `n_steps` of our learner, and the batch that it takes them on."
    dls = landmark_dls(csv_file, image_dir, image_resize=image_resize, batch_size=8)
    learn = make_learner(dls, **kwargs)
    repeated = Repeated(dls.train, n_steps)
    return lambda: train_epoch(learn, repeated) / n_steps, repeated.batch


def run(folder, repetitions=5, image_resize=256, n_steps=2, n_compiled=160):
    "Rows of the training step; one says what torch.compile brings in `n_compiled` steps, 20 epochs of 64 images."
    paths, points = write_small(folder / 'images', 9)
    data = write_csv(folder / 'small.csv', paths, points, (96, 80)), folder / 'images'
    say(f'{n_steps} steps of {ENCODER} at {image_resize} px, {repetitions} times')
    ours, batch = make_side(*data, image_resize, n_steps)
    same_loss, _ = make_side(*data, image_resize, n_steps, loss='bce')
    image, mask, *_, radius = batch
    plain = image.as_subclass(torch.Tensor)  # fastai's tensors take detours
    step = reference.make_step(ENCODER, plain.contiguous(), mask.float(), int(radius[0]))
    theirs = timed(lambda: [step() for _ in range(n_steps)], n_steps)
    seconds = alternate(ours, same_loss, theirs, repetitions=repetitions)
    target = dict(at_least=TARGET_AMX if has_amx() else TARGET, unit='steps/s',
                  wanted=f'≥ {TARGET_AMX} with AMX, ≥ {TARGET} without')
    what = f'training step, {ENCODER}, {image_resize} px, batch 8, 2 landmarks'
    rows = [faster(f'{what}, default loss', seconds[0], seconds[2], **target),
            faster(f'{what}, BCE as the reference', seconds[1], seconds[2], **target)]
    return rows + ([compiled(ours, data, image_resize, n_steps, repetitions, n_compiled)] if n_compiled else [])


def compiled(eager, data, image_resize, n_steps, repetitions, n):
    "A row of a training of `n` steps with torch.compile, against one without, from the seconds of the first and later."
    say('compiling')
    fast, _ = make_side(*data, image_resize, n_steps, compile=True)
    start = time.perf_counter()
    fast()
    start = time.perf_counter() - start
    say(f'{start:.0f} s; steps, {repetitions} times')
    ours, theirs = ([side * n for side in seconds] for seconds in alternate(fast, eager, repetitions=repetitions))
    return longer(f'{n} steps (20 epochs of 64 images) of {ENCODER} with --compile; against those without',
                  [start + seconds for seconds in ours], theirs, note=COMPILED)
