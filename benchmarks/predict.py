"Prediction: from JPEG files to points in network px, by `Predictor.predict` and by the original's loop."

from contextlib import redirect_stdout
from functools import partial
from io import StringIO

import cv2
import numpy as np
import torch

from landmark_fastai.data.items import make_frame
from landmark_fastai.formats.images import letterbox, read_image
from landmark_fastai.geometry.frame import to_network
from landmark_fastai.inference.loading import load
from landmark_fastai.model.state import read_state_dict
from landmark_fastai.training.train import train

from . import reference
from .fixtures import FILM, LITE0, write_csv, write_films
from .timing import alternate, faster, row, say, timed

QUICK = dict(repetitions=1, n_train=9, n_films=4, n_timed=2, size=(220, 190), image_resize=64,
             encoders={'resnet18': dict(encoder_weights='none', epochs=1)})
# trained just long enough for clear peaks; lite0 starts from its ImageNet weights, resnet18 from none
ENCODERS = {LITE0: dict(encoder_weights='imagenet', epochs=30, batch_size=4, lr=3e-3),
            'resnet18': dict(encoder_weights='none', epochs=60, batch_size=4, lr=3e-3)}
NEAR = 0.5   # network px
SHARE = 0.99
LINEAR = ('Argmax on both sides. The reference resizes linearly, as albumentations does; we average over the pixels '
          'that become one.')
OWN_SQUARES = ('Argmax on both sides; the reference is given our squares. It takes the argmax of the sigmoid, whose '
               'steps near 1 are so coarse in float32 that neighbours of a clear peak are equal to it.')
NETWORK = ('From squares in memory to points. Both sides do the same arithmetic here: where the CPU has nothing faster '
           'than fp32, no way of reading files can bring the row before far above this one.')
LOGITS = 'As before, but the reference takes the argmax before the sigmoid: what is left is the network.'


def run(folder, repetitions=5, n_train=25, n_films=64, n_timed=32, size=FILM, image_resize=256, encoders=ENCODERS):
    "Rows of the prediction, on films that are none of the `n_train` that the networks are trained and chosen by."
    rows = []
    for run_folder, paths in trained(folder, n_train, n_films, size, image_resize, encoders):
        rows += compare(run_folder, paths, n_timed, size, repetitions)
    return rows


def trained(folder, n_train, n_films, size, image_resize, encoders):
    "Yield a run of each of `encoders` on `n_train` films, its folder, and the paths of `n_films` that are new to it."
    say(f'writing {n_train + n_films} films')
    paths, points = write_films(folder / 'films', n_train + n_films, size)
    csv_file = write_csv(folder / 'train.csv', paths[:n_train], points[:n_train], size, n_val=max(n_train // 8, 1))
    for encoder, training in encoders.items():
        say(f'training {encoder}')
        flags = dict(encoder_name=encoder, image_resize=image_resize) | training
        yield short_training(csv_file, paths[0].parent, folder / 'runs', flags), paths[n_train:]


def short_training(csv_file, image_dir, output_dir, flags):
    "The folder of a run of `train` with `flags`, which keeps silent."
    name = flags['encoder_name']
    with redirect_stdout(StringIO()):
        train(train_image_dir=image_dir, label_dir=csv_file.parent, train_csv_file=csv_file.name,
              output_dir=output_dir, experiment_name=name, visualize_every=flags['epochs'], **flags)
    return output_dir / name


def compare(run_folder, paths, n_timed, size, repetitions):
    "Rows of one network: its speed on `n_timed` of the files, and how often both sides say the same on all of them."
    predictor = load(run_folder, decode='argmax')
    config, facts = predictor.config, predictor.facts
    image_resize, stats = config.image_resize, (facts.mean, facts.std)
    weights = read_state_dict(run_folder / 'weight' / 'best.pth')
    model = reference.make_model(config.encoder_name, len(predictor.names), weights).eval()
    def theirs(paths, read, **kwargs):
        return np.stack([reference.predict(model, read(path), *stats, **kwargs) for path in paths])
    def ours(paths): return network_points(predictor.predict(paths).points, size, image_resize)

    linear, own = partial(reference.read_square, size=image_resize), partial(our_square, size=image_resize)
    say(f'predicting {n_timed} films, {repetitions} times')
    seconds = alternate(timed(lambda: ours(paths[:n_timed]), n_timed),
                        timed(lambda: theirs(paths[:n_timed], linear), n_timed), repetitions=repetitions)
    found = ours(paths)
    what = f"predict, {config.encoder_name}, {image_resize} px"
    return [faster(f'{what}, files of {size[0]} × {size[1]} px', *seconds, 3),
            network(what, predictor, theirs, paths[:n_timed], repetitions),
            same(f'{what}, same points', found, theirs(paths, linear), LINEAR),
            same(f'{what}, same points from the same squares', found, theirs(paths, own), OWN_SQUARES),
            same(f'{what}, same points from the same squares and logits', found,
                 theirs(paths, own, activation=torch.clone), LOGITS)]


def network(what, predictor, theirs, paths, repetitions):
    "A row of the part of both sides that comes after the files: the network, and its points."
    squares = dict(zip(paths, [our_square(path, predictor.config.image_resize) for path in paths], strict=True))
    inputs = [squares[path][..., 0] for path in paths]  # already square, so reading them is a copy
    seconds = alternate(timed(lambda: predictor.predict(inputs), len(paths)),
                        timed(lambda: theirs(paths, squares.get), len(paths)), repetitions=repetitions)
    return faster(f'{what}, the network alone', *seconds, note=NETWORK)


def network_points(points, size, image_resize):
    "`points` (n, N, 2), in px of images of `size`, in network px."
    return to_network(points, make_frame(size, (np.nan, np.nan), image_resize))


def our_square(path, size):
    "The square (size, size, 3), uint8, that our side makes of the image at `path`."
    return cv2.cvtColor(letterbox(read_image(path), size), cv2.COLOR_GRAY2RGB)


def same(what, found, expected, note):
    "A row with the share of points that are within `NEAR` of the reference's."
    apart = np.linalg.norm(found - expected, axis=-1)
    share = float((apart <= NEAR).mean())
    here = f'{share:.1%} of {apart.size} points within {NEAR} px; 99 % within {np.quantile(apart, 0.99):.1f} px'
    return row(what, here, wanted=f'≥ {SHARE:.0%}', met=share >= SHARE, note=note, apart=apart.round(3).tolist())
