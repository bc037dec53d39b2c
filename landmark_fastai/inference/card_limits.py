"What a model card says that a model cannot do, and what was not measured, in sentences."

from ..config import TrainConfig
from ..conformal import fewest
from ..model.facts import BOTH, FIRST, BoundFacts, DataFacts, ModelFacts
from ..predict_config import PredictConfig
from ..viz.report import counted, percent
from .likeness import WHAT

LEVEL = PredictConfig.level  # of bounds, that `predict` has unless told otherwise
FEW = 50     # images to train on: from so many on is what this software was made for
SURE = 0.95  # confidence in how many failures may be still unseen


def limits(config: TrainConfig, facts: ModelFacts, summary: dict | None) -> list[str]:
    "The limits of a run with the flags `config`; `summary` is that of its errors, None where none was measured."
    return [*of_images(config, facts.images), *of_errors(config, facts.images, summary),
            *of_landmarks(facts, summary), *of_bounds(facts, bounds_in_use(config, facts))]


def bounds_in_use(config: TrainConfig, facts: ModelFacts) -> BoundFacts | None:
    "The bounds of the points of a run with the flags `config`: of both stages, where it has two."
    return facts.bounds.get(BOTH if config.refine else FIRST)


def of_images(config: TrainConfig, images: DataFacts | None) -> list[str]:
    "What the images of the training do not tell."
    notes = ['What it does on images unlike those of its training was not measured: of other hospitals, devices, '
             'views, ages or diseases, with implants, or of another kind altogether.']
    if images is None: return notes
    n = images.sides['train'] if 'train' in images.sides else fewest_of_folds(images.sides)
    if n < FEW:
        what = 'Each of its networks' if config.folds else 'It'
        notes.append(f'{what} was trained on {counted(n, "image")}, which is little: this software is made for {FEW} '
                     'and more.')
    if images.patients is None:
        notes.append('Nothing tells which images are of the same patient. Where some are, they may have been on both '
                     'sides of the split, and the errors are too small.')
    if any('(detector)' in source for source in images.spacing_sources):
        notes.append('Pixel spacings of DICOM files are partly those at the detector: magnification is not corrected, '
                     'and lengths in the patient look larger than they are.')
    return notes


def fewest_of_folds(sides: dict[str, int]) -> int:
    "The images that the network of the largest fold was trained on."
    folds = [n for side, n in sides.items() if side.startswith('fold ')]
    return sum(folds) - max(folds)


def of_errors(config: TrainConfig, images: DataFacts | None, summary: dict | None) -> list[str]:
    "What the errors do not tell."
    if summary is None: return ['Its errors were not measured.']
    if config.folds:
        notes = ['The errors are those of one network at a time, on the images that it was not trained on. The '
                 'networks together, as the model is used, were not measured. These images did choose the epoch whose '
                 'weights were kept, so the errors are a little optimistic.']
    else:
        both = ', and how far each stage is trusted' if config.refine else ''
        notes = [f'The errors are those on the validation images. These chose the epoch whose weights were kept{both}, '
                 'so the errors are a little optimistic.']
    if images and (n := images.sides.get('test')):
        notes.append(f'The errors on the test part, {counted(n, "image")} that took no part in the training, were not '
                     'known when this card was written.')
    elif images: notes.append('No image was kept from the training to test the model on.')
    if n := summary['n_failed']: notes.append(f'Left out of the errors: {counted(n, "image")} that could not be read.')
    return [*notes, unseen(config, images, summary),
            'Errors were not measured by age, sex, device or any other group, of which this software is not told.',
            'How far two people are apart who click these landmarks is not known here. An error below that cannot be '
            'told from the uncertainty of the annotations.',
            'No validation in a clinic is known to this software.']


def unseen(config: TrainConfig, images: DataFacts | None, summary: dict) -> str:
    "How often what so few images do not show may happen: the upper end of an interval where n showed it never."
    n, what = summary['n_images'], 'image'
    if images and images.patients:
        sides = images.patients if config.folds else {'val': images.patients['val']}
        n, what = sum(n for side, n in sides.items() if side not in ('cal', 'test')), 'patient'
    return (f'The errors are of {counted(n, what)}. A failure that none of them shows may still happen with up to '
            f'{percent(1 - (1 - SURE) ** (1 / n))} of {what}s like them ({100 * SURE:g} % confidence).')


def of_landmarks(facts: ModelFacts, summary: dict | None) -> list[str]:
    "What cannot be told of single landmarks."
    names, notes = facts.landmarks, []
    always = [name for name in names if name not in facts.presence]
    if always:
        which = 'every landmark' if always == names else ', '.join(always)
        notes.append(f'On every image it marks {which}, also where that is not there: absence was not learned.')
    if facts.shape:
        notes.append('Where a landmark may be in several places, it takes the one that fits the shape of the others: '
                     'on anatomy unlike that of the training images, as after an operation, that may be a wrong one.')
    if facts.flat:
        notes.append(f'It sees no place for {", ".join(facts.flat)}: points and errors of that mean nothing.')
    if summary:
        of = summary['landmarks']
        without = [name for name in names if not of[name]['n_scored'] + of[name]['n_missed']]
        if without: notes.append(f'No image with a label tells the error of {", ".join(without)}.')
    return notes


def of_bounds(facts: ModelFacts, known: BoundFacts | None) -> list[str]:
    "What bounds, and the errors to expect of points, do not tell."
    notes = ['The error that is to be expected of a point, and its confidence, were set by training images: they tell '
             'which points to look at first, and errors of new images may be larger.']
    few = [len(scores) < fewest(LEVEL) for scores in known.scores] if known else [True]
    if all(few):
        return [*notes, f'There is no bound, which takes {fewest(LEVEL)} images that the training has not seen: how '
                        'far off a point may be is not known.']
    if any(few):
        without = [name for name, is_few in zip(facts.landmarks, few, strict=True) if is_few]
        notes.append(f'There were too few images for a bound of {", ".join(without)}.')
    told = ', '.join(WHAT[:len(known.looks[0])])  # folds tell nothing of expected errors
    return [*notes, 'Bounds hold for images like those that they are from, and for a share of the points, not of the '
                    f'images. This software warns where new images differ in {told}; no warning is no proof.']
