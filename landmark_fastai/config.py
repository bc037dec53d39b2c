"""The flags of a training and of what comes before it, each written once: a new flag is one line here, and its use.

Those of what uses a trained network are in `predict_config`, those of what is done with points in `reader_config`. What
a field says (see `flags.flag`) is all there is to know of a flag. `TrainConfig.lr` is a default, `config.lr` the value
of a run. No torch here.
"""

from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path

from . import inherit
from .errors import UsageError
from .flags import Flags, flag, read_file

FIRST_OF_TWO = {'image_resize': 256}  # flags where a second stage looks closer; half the side trains 4 times as fast
DEVICES = 'auto, cpu, cuda, cuda:1 or mps.'
LONGEST_NAME = 200  # of the 255 bytes that file systems take, since names of pictures are longer
PRECISIONS = 'auto', 'fp32', 'bf16', 'fp16'


@dataclass(frozen=True, kw_only=True)
class DataConfig(Flags):
    "Where annotated images are."
    train_image_dir: str = flag('./data/train_images', 'Folder of the images.', group='data', may_change=True)
    label_dir: str = flag('./data/labels', 'Folder of the annotation CSV.', group='data', may_change=True)
    train_csv_file: str = flag('train_annotation.csv', 'File name of the annotation CSV.', group='data')
    n_landmarks: int | None = flag(None, "Number of landmarks; must agree with the CSV's header when given.",
        group='data', least=1, may_change=True)
    invisible_landmarks: bool = flag(False, 'A point clicked in the top-left corner box means absent.', group='data')
    config: str | None = flag(None, 'YAML file of flags; flags on the command line win.', group='run',
        may_change=True, saved=False)

    @property
    def csv_file(self) -> Path:
        "The annotation CSV."
        return Path(self.label_dir, self.train_csv_file)


@dataclass(frozen=True, kw_only=True)
class CheckConfig(DataConfig):
    "Flags of `check`."
    html: str | None = flag(None, 'File for a page with pictures of what was found, such as check.html.')


@dataclass(frozen=True, kw_only=True)
class TrainConfig(DataConfig):
    "Flags of `train` and `find_lr`; the defaults are the default recipe."
    experiment_name: str = flag('baseline', "Name of the run's folder.", group='run', may_change=True)
    output_dir: str = flag('runs', 'Folder of all runs.', group='run', may_change=True)
    recipe: str = flag('default', 'Values of all flags that are not given.', group='run',
        choices=('default', 'original'))
    from_run: str | None = flag(None,
        'Folder of a run to start from: its network, weights and image size, on new data.', group='run')
    folds: int = flag(0,
        'Cross-validation: train so many models, each validated on another part of the images; 0 trains one.',
        group='data', least=0)
    image_resize: int = flag(512, "Side of the network's square image in px; with refine 256 if left out.",
        group='images', least=32, multiple_of=32)
    batch_size: int = flag(8, 'Images a training step.', group='training', least=1, may_change=True)
    epochs: int = flag(350, 'Passes over the training images; with few images 40 are enough.', group='training',
        least=1, may_change=True)
    minutes: float | None = flag(None, 'Minutes that the training may take; its first steps tell how many epochs that '
        'are.', group='training', above=0)
    arch: str = flag('unet', 'Architecture of segmentation-models-pytorch.', group='network')
    encoder_name: str = flag('timm-tf_efficientnet_lite1', 'Encoder of segmentation-models-pytorch.',
        group='network', original='resnet101')
    encoder_weights: str = flag('imagenet', 'imagenet, none, or a .pth or .safetensors file.', group='network',
        none='none')
    loss: str = flag('dice_bce_spatial', 'Loss over the masks.', group='labels and loss',
        choices=('bce', 'dice', 'dice_bce', 'spatial_ce', 'dice_bce_spatial'), original='bce')
    dice_weight: float = flag(1., 'Weight of Dice in a sum of losses.', group='labels and loss', least=0)
    bce_weight: float = flag(10., 'Weight of BCE in a sum of losses.', group='labels and loss', least=0, original=1.)
    spatial_weight: float = flag(1., 'Weight of the spatial cross-entropy in a sum of losses.', group='labels and loss',
        least=0)
    erosion_schedule: str = flag('auto', 'auto: fractions of the run and of the image side; fixed: epochs and px.',
        group='labels and loss', choices=('auto', 'fixed'), original='fixed')
    dilation_iters: int = flag(25, 'First radius of the masks in px; auto understands it at 512 px.',
        group='labels and loss', least=0, original=65)
    erosion_freq: int = flag(35, 'Epochs between erosions; auto understands it at 350 epochs.', group='labels and loss',
        least=1, original=50)
    erosion_iters: int = flag(10, 'What an erosion takes off the radius in px; auto understands it at 512 px.',
        group='labels and loss', least=0)
    subpixel: bool = flag(False, 'Draw masks around the exact points, not the nearest pixels: those at the edge have a '
        'share.', group='labels and loss')
    optimizer: str = flag('adam', "adam: fastai's, with decoupled weight decay; torch_adam: torch.optim.Adam.",
        group='training', choices=('adam', 'torch_adam'), original='torch_adam')
    lr: float = flag(3e-3, 'Learning rate, the largest one of a schedule.', group='training', above=0, original=1e-4)
    weight_decay: float = flag(0.01, 'Weight decay.', group='training', least=0, original=0.)
    schedule: str = flag('one_cycle', 'Learning rate over the epochs; fine_tune first trains with a frozen encoder.',
        group='training', choices=('constant', 'one_cycle', 'fine_tune'), original='constant')
    freeze_epochs: int = flag(1, 'Epochs with a frozen encoder before the others, for fine_tune.', group='training',
        least=1)
    ema: float = flag(0.,
        'Decay of a moving average of the weights, such as 0.99, which is validated and saved; 0 is off.',
        group='training', least=0, below=1)
    early_stop: int = flag(0, 'Stop after so many epochs without a smaller mean error; 0 never does.', group='training',
        least=0)
    augment: str = flag('normal', 'Strength of the augmentation.', group='images',
        choices=('none', 'light', 'normal', 'strong'), original='none')
    elastic: float = flag(0., "Elastic deformation beside augment: its SD as a share of the image's side.",
        group='images', least=0, most=0.03)
    flip_pairs: str | None = flag(None,
        'Mirror images in training; names that change places, as left_a:right_a,left_b:right_b.', group='images')
    decode: str = flag('centroid', 'How a point is read from the heatmap; centroid is sub-pixel.', group='network',
        choices=('centroid', 'argmax'), original='argmax')
    shape: bool = flag(True, 'Learn the shape of all landmarks, by which one of several peaks of a heatmap is chosen.',
        group='network', original=False)
    normalization: str = flag('encoder', "Mean and SD of the pixels: the encoder's own, or those of ImageNet.",
        group='images', choices=('encoder', 'imagenet'), original='imagenet')
    color: bool = flag(False, 'Keep colour; grey otherwise.', group='images', original=True)
    drop_last: bool = flag(True, 'Leave out the last, smaller training batch.', group='training', original=False)
    seed: int = flag(42, 'Seed of everything random.', group='data', least=0)
    val_fraction: float = flag(0.2, 'Share of the images to validate on, unless the CSV has a split column.',
        group='data', above=0, below=1)
    pixel_spacing: float | None = flag(None,
        'Millimetres per pixel of images whose spacing neither the CSV nor DICOM tells.', group='data', above=0)
    num_workers: int = flag(0, 'Worker processes of the data loaders; threads do as well, so 0 is as fast.',
        group='machine', least=0, may_change=True)
    device: str = flag('auto', DEVICES, group='machine', may_change=True)
    precision: str = flag('auto', 'auto is what the device is fastest with.', group='machine', choices=PRECISIONS)
    compile: bool = flag(False, 'Compile the network: minutes at the start, faster steps on some hardware.',
        group='machine')
    cache: str = flag('auto', 'Where decoded images are kept; auto takes memory while they fit.', group='machine',
        choices=('auto', 'ram', 'disk', 'none'), may_change=True)
    clear_cache: bool = flag(False, 'Empty the cache on disk first.', group='machine', may_change=True, saved=False)
    refine: bool = flag(False, 'Train a second stage, too: on crops around the landmarks, as sharp as the images are.',
        group='second stage')
    refine_scale: float | None = flag(None, 'Pixels of a crop per pixel of an image of median size; left out: 1, or '
        'less where the errors of the first stage need a larger field.', group='second stage', above=0, most=4)
    refine_resize: int = flag(128, 'Side of a crop in px of the network.', group='second stage', least=64,
        multiple_of=32)
    refine_epochs: int = flag(40, 'Epochs of the second stage, each of 4 crops an image.', group='second stage',
        least=1)
    gif: bool = flag(False, 'Write GIFs of masks and coordinates over the epochs.', group='pictures')
    visualize_every: int = flag(10, 'Epochs between overlays and curves.', group='pictures', least=1, may_change=True)
    overwrite: bool = flag(False, 'Replace an earlier run of the same name.', group='run', may_change=True, saved=False)
    resume: bool = flag(False, 'Go on with the run of this name, which was stopped; its flags need not be given again.',
        group='run', may_change=True, saved=False)

    @classmethod
    def complete(cls, of_file: dict, given: dict) -> 'TrainConfig':
        """As `Flags.complete`, with the values of the recipe, or the network of the run that they start from.

        With `resume` they are those of the run that is there, if one is.
        """
        values = of_file | given
        chosen = {'epochs', 'refine_epochs'}
        # a file that has both kinds is of a run, which has chosen its epochs; and flags that are typed win
        if 'minutes' not in given and ('epochs' in given or chosen <= of_file.keys()): values.pop('minutes', None)
        told = given if 'minutes' in given else values
        if 'minutes' in told and told.keys() & chosen:
            raise UsageError('minutes beside epochs: the one says how many the others are; leave one of them out')
        if values.get('resume') and (earlier := resumed(values)): return earlier
        recipe = RECIPES[values.get('recipe', cls.recipe)]
        if given.get('recipe', of_file.get('recipe')) != of_file.get('recipe') and recipe.keys() <= of_file.keys():
            raise UsageError(f'recipe {given["recipe"]} beside config {given["config"]}, which says all that a recipe '
                             'does; leave one of them out')
        if not values.get('from_run'):
            return super().complete(recipe | (FIRST_OF_TWO if values.get('refine') else {}), values)
        earlier = read_single(values['from_run'])
        if values.get('refine'): return super().complete({}, inherit.refined(earlier, values))
        typed = given if 'from_run' in given else values
        return super().complete(recipe, inherit.started(earlier, values, typed))

    def check(self):
        if self.experiment_name in ('', '.', '..') or Path(self.experiment_name).name != self.experiment_name:
            raise UsageError(f'experiment_name is {self.experiment_name!r}; expected the name of a folder, no path')
        if len(self.experiment_name.encode()) > LONGEST_NAME:
            raise UsageError(f'experiment_name of {len(self.experiment_name)} letters, expected at most {LONGEST_NAME}')
        check_elastic(self.augment, self.elastic)
        self.pairs  # noqa: B018  (a property that raises)

    @property
    def folder(self) -> Path:
        "The folder that the run writes."
        return Path(self.output_dir, self.experiment_name)

    @property
    def keeps_first_stage(self) -> bool:
        "Whether a second stage is added to that of the run `from_run`, which is not trained again."
        return self.refine and self.from_run is not None

    @property
    def pairs(self) -> list[tuple[str, str]]:
        "The pairs of landmarks that change places in a mirror image. Raises UsageError."
        pairs = [tuple(name.strip() for name in pair.split(':')) for pair in (self.flip_pairs or '').split(',') if pair]
        for pair in pairs:
            if len(pair) != 2: raise UsageError(f"flip_pairs has {':'.join(pair)!r}; expected left:right,left:right")
        return pairs

    @property
    def n_frozen(self) -> int:
        "Epochs with a frozen encoder, at the start."
        return self.freeze_epochs if self.schedule == 'fine_tune' else 0

    @property
    def n_epochs(self) -> int:
        "All epochs, frozen ones included."
        return self.epochs + self.n_frozen


def check_elastic(augment: str, elastic: float):
    "Raise UsageError for an elastic deformation without any other augmentation."
    if elastic and augment == 'none': raise UsageError("elastic beside augment 'none'; choose light, normal or strong")


# what a recipe sets: the default one all that the original one sets otherwise
ORIGINAL = {each.name: each.metadata['original'] for each in fields(TrainConfig)
            if each.metadata['original'] is not None}
RECIPES = {'default': {name: getattr(TrainConfig, name) for name in ORIGINAL}, 'original': ORIGINAL}


@dataclass(frozen=True, kw_only=True)
class ImagesConfig(Flags):
    "Where images are."
    image_dir: str = flag(MISSING, 'Folder of the images, with its sub-folders.')


@dataclass(frozen=True, kw_only=True)
class SampleConfig(Flags):
    "Flags of `sample`."
    output_dir: str = flag('data', 'Folder that gets train_images and labels; existing files are refused.')
    n_images: int = flag(60, 'Number of images.', least=2)
    seed: int = flag(42, 'Seed of the drawing.', least=0)
    image_size: int = flag(640, 'Longer side of the largest image in px; larger ones show finer detail.', least=640,
                           most=4096)
    landmarks: str = flag('2', 'The centres of both femoral heads, or all 13, tips of bones as well.',
                          choices=('2', 'all'))

    @classmethod
    def of(cls, given: dict) -> 'SampleConfig':
        "As `Flags.of`; the number 2 is as good as the text."
        return super().of(given | {'landmarks': '2'} if given.get('landmarks') == 2 else given)


@dataclass(frozen=True, kw_only=True)
class DemoConfig(Flags):
    "Flags of `demo`."
    output_dir: str = flag('runs', 'Folder that gets demo, or demo_2 and so on.')


# --- the file of a run

def read_config(run: str | Path) -> TrainConfig:
    """The flags of the run in the folder `run`, from its `config.yaml`. Raises UsageError where that is no run.

    A flag that is not there is newer than the run: its default is what was done before there was a choice.
    """
    run = Path(run)
    if not run.is_dir(): raise UsageError(f'{run}: no such folder, expected the folder of a run', see='wrong-folder')
    if not (run / 'config.yaml').is_file():
        if (run / 'config.json').is_file():
            raise UsageError(f'{run} is a run of version 0.4 or earlier, which this version cannot read; train again, '
                             'or use landmark_fastai 0.4', see='old-runs')
        raise UsageError(f'{run} has no config.yaml, expected the folder of a run')
    of_file = read_file(TrainConfig, run / 'config.yaml')
    missing = [name for name in (*inherit.NETWORK, *inherit.HANDED_ON) if name not in of_file]
    if missing: raise UsageError(f'{run / "config.yaml"} lacks {", ".join(missing)}, expected the flags of a run')
    return TrainConfig(**of_file)


def read_single(run: str | Path) -> TrainConfig:
    "As `read_config`; raises UsageError for a cross-validation, too."
    config = read_config(run)
    if not config.folds: return config
    raise UsageError(f'{run} is a cross-validation of {config.folds} networks; start from one of them, such as '
                     f'{Path(run, "fold_1")}')


def is_run(folder: Path) -> bool:
    "Whether a training of this version has written `folder`."
    return (folder / 'config.yaml').is_file() and (folder / 'model.json').is_file()


def run_file(folder: Path) -> Path | None:
    "A file in `folder` by which it is that of a run, of any version, whole or not; None where there is none."
    names = 'config.yaml', 'model.json', 'config.json'  # the last until version 0.4
    return next((folder / name for name in names if (folder / name).is_file()), None)


def resumed(given: dict) -> TrainConfig | None:
    "The flags of the run that those `given` name, to go on with; None where it has not begun. Raises UsageError."
    folder = Path(given.get('output_dir', TrainConfig.output_dir),
                  given.get('experiment_name', TrainConfig.experiment_name))
    if not folder.is_dir() or not any(folder.iterdir()): return None
    if given.get('overwrite'): raise UsageError('resume beside overwrite: one continues what the other removes')
    earlier = read_config(folder)
    here = {'output_dir': str(folder.parent), 'experiment_name': folder.name}  # it may have been moved, or be a copy
    return replace(earlier, **inherit.resumed(earlier, given, folder) | here)
