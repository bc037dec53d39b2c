"Whole epochs: the default recipe beside the original recipe, and what it brings to keep the memory of a step."

from landmark_fastai.training.config import make_config

from landmark_fastai.model.weights import LITE0
from landmark_fastai.training.build import make_learner
from landmark_fastai.training.memory import KeepMemory

from .fixtures import write_csv, write_small
from .timing import alternate, longer, say, timed

QUICK = dict(repetitions=1, image_resize=64, n_films=8)


def run(folder, repetitions=5, image_resize=256, n_films=32, n_landmarks=20):
    "Rows of epochs of `n_films` images, and a quarter as many to validate; fp32 on all sides."
    n_val = n_films // 4
    paths, points = write_small(folder / 'films', n_films + n_val, n_landmarks)
    csv_file = write_csv(folder / 'films.csv', paths, points, (96, 80), n_val)
    def epoch(recipe, keep=True):
        learn = make_learner(make_config(dict(
            train_image_dir=paths[0].parent, label_dir=folder, train_csv_file=csv_file.name, recipe=recipe,
            encoder_name=LITE0, image_resize=image_resize, precision='fp32')))
        if not keep: learn.remove_cb(KeepMemory)
        return timed(lambda: fit(learn))
    say(f'epochs, {repetitions} times')
    default, original, forgetful = alternate(epoch('default'), epoch('original'), epoch('default', keep=False),
                                             repetitions=repetitions)
    what = (f'epoch of the default recipe, {LITE0}, {image_resize} px, {n_films} + {n_val} images, {n_landmarks} '
            'landmarks, fp32')
    return [longer(f'{what}; against the original recipe', default, original, 1.25),
            longer(f'{what}; against giving the memory of each step back', default, forgetful)]


def fit(learn):
    "An epoch of `learn`, validation included."
    with learn.no_bar(), learn.no_logging(): learn.fit(1, 1e-4)
