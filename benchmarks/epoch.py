"Whole epochs: the default recipe beside the original recipe, and what it brings to keep the memory of a step."

from landmark_fastai.config import TrainConfig
from landmark_fastai.training.build import make_learner
from landmark_fastai.training.memory import keep_freed_memory

from .fixtures import LITE0, in_child, write_csv, write_small
from .timing import alternate, longer, say, timed

QUICK = dict(repetitions=1, image_resize=64, n_films=8)


def run(folder, repetitions=5, image_resize=256, n_films=32, n_landmarks=20):
    "Rows of epochs of `n_films` images, and a quarter as many to validate; fp32 on all sides."
    n_val = n_films // 4
    paths, points = write_small(folder / 'films', n_films + n_val, n_landmarks)
    csv_file = write_csv(folder / 'films.csv', paths, points, (96, 80), n_val)
    flags = dict(train_image_dir=paths[0].parent, label_dir=folder, train_csv_file=csv_file.name, encoder_name=LITE0,
                 image_resize=image_resize, precision='fp32')
    def side(recipe, keep=True): return lambda: in_child(seconds_of_epoch, flags | {'recipe': recipe}, keep)
    say(f'epochs, {repetitions} times')
    default, original, forgetful = alternate(side('default'), side('original'), side('default', keep=False),
                                             repetitions=repetitions)
    what = (f'epoch of the default recipe, {LITE0}, {image_resize} px, {n_films} + {n_val} images, {n_landmarks} '
            'landmarks, fp32')
    return [longer(f'{what}; against the original recipe', default, original, 1.25),
            longer(f'{what}; against giving the memory of each step back', default, forgetful)]


def seconds_of_epoch(flags, keep):
    "Seconds of the second epoch with `flags`, validation included, in a process that may `keep` freed memory."
    if keep: keep_freed_memory()
    learn = make_learner(TrainConfig.of(flags))
    def fit():
        with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-4)
    fit()
    return timed(fit)()
