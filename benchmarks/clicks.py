"What a reader does for a film in `annotate`, counted: clicks, drags and keys, beside the original's annotator."

from math import dist

import numpy as np

from landmark_fastai.annotate.actions import MARK, Action, Work
from landmark_fastai.annotate.suggestions import Help, marks_of
from landmark_fastai.data.sample import write_sample
from landmark_fastai.formats.annotations import read_annotations

from .fixtures import SEED
from .timing import row
from .two_stages import LANDMARKS, first_landmarks

QUICK = dict(n_films=3)
PLACED = 3       # landmarks that are clicked before the others are offered
TOLERANCE = 2.   # mm: what is offered further off is dragged to its place
DEMO_ERROR = 1.4  # px, mean: what `demo` reaches on films of this size
NEXT = ALL = 1   # keys


def run(folder, repetitions=1, n_films=10):
    "Rows of a reader who clicks without error; nothing is random but the films and the errors of the model."
    csv_file = first_landmarks(write_sample(folder / 'films', n_films, SEED, landmarks='all'))
    annotations = read_annotations(csv_file)
    films = marks_of(annotations)
    tolerances = TOLERANCE / annotations.spacing.mean(1)  # px
    tolerances = dict(zip(annotations.image_names, tolerances.tolist(), strict=True))
    original = n_films * (LANDMARKS + NEXT)
    ways = {'without help': original, f'the others follow from {PLACED}': by_template(films, tolerances),
            'a model as good as that of demo': by_model(films, tolerances)}
    what = f'clicks, drags and keys for {n_films} films with {LANDMARKS} landmarks'
    note = (f'What is offered is taken by a key, and dragged where it is more than {TOLERANCE:g} mm off. Drawn films '
            'vary less than real ones.')
    return [row(f'{what}, {way}; against the annotator of the original', str(n), str(original), 'no more',
                n <= original, note=note) for way, n in ways.items()]


def by_template(films, tolerances):
    "What it takes where points follow from those that are placed, once a film is finished."
    work, total = Work(), 0
    for image, truth in films.items():
        names = list(truth)
        take(work, image, {name: truth[name] for name in names[:PLACED]})
        offered = Help(names).of(image, work)
        total += PLACED + corrections(offered, truth, tolerances[image]) + ALL * bool(offered) + NEXT
        total += LANDMARKS - PLACED - len(offered)
        take(work, image, truth)
    return total


def by_model(films, tolerances):
    "What it takes where all points are offered, with normal errors of the mean size `DEMO_ERROR`."
    rng, total = np.random.default_rng(SEED), 0
    sigma = DEMO_ERROR / np.sqrt(np.pi / 2)  # a Rayleigh distribution
    for image, truth in films.items():
        found = {name: tuple(point + rng.normal(0, sigma, 2)) for name, point in truth.items()}
        offered = Help(list(truth), {image: found}).of(image, Work())
        total += ALL + corrections(offered, truth, tolerances[image]) + NEXT
    return total


def take(work, image, marks):
    "The reader marks landmarks of an image."
    work.take(Action(f'{work.n}', 'page', MARK, image, work.n, marks))


def corrections(offered, truth, tolerance):
    "How many of the marks that are offered lie further off than `tolerance`, px."
    return sum(dist(of_name[0].mark, truth[name]) > tolerance for name, of_name in offered.items())
