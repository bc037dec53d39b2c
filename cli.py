"""Command line of landmark_fastai: arguments -> job -> one call into the package.

Fire runs a command before it complains of a flag that it does not know, so commands only build a `Job`, which runs
once Fire has consumed every argument.
"""

import inspect
import os
import re
import sys
import warnings
from importlib import import_module

import fire

from landmark_fastai.errors import Diverged, UsageError


class Job:
    "A call for later; closed, so that Fire finds nothing in it for left-over arguments to reach."
    def __init__(self, name, arguments): self._name, self._arguments = name, arguments

    def __dir__(self): return []


def train(*, train_image_dir: str = './data/train_images', label_dir: str = './data/labels',
          train_csv_file: str = 'train_annotation.csv', n_landmarks: int = None, experiment_name: str = 'baseline',
          output_dir: str = 'runs', recipe: str = 'default', from_run: str = None, folds: int = 0,
          image_resize: int = None, batch_size: int = None, epochs: int = None, arch: str = None,
          encoder_name: str = None, encoder_weights: str = None, loss: str = None, dice_weight: float = None,
          bce_weight: float = None, spatial_weight: float = None, erosion_schedule: str = None,
          dilation_iters: int = None, erosion_freq: int = None, erosion_iters: int = None, lr: float = None,
          weight_decay: float = None, schedule: str = None, freeze_epochs: int = 1, ema: float = None,
          early_stop: int = 0, augment: str = None, elastic: float = None, flip_pairs: str = None,
          decode: str = None, seed: int = 42, val_fraction: float = 0.2, pixel_spacing: float = None,
          invisible_landmarks: bool = False, color: bool = None, num_workers: int = 0, device: str = 'auto',
          precision: str = 'auto', compile: bool = False, cache: str = 'auto', clear_cache: bool = False,
          gif: bool = False, visualize_every: int = 10, overwrite: bool = False, resume: bool = False):
    """Train a landmark detector from a CSV of clicked points; writes weights, log, curves and overlays.

    Args:
        train_image_dir: Folder of the images.
        label_dir: Folder of the annotation CSV.
        train_csv_file: File name of the annotation CSV.
        n_landmarks: Number of landmarks; must agree with the CSV's header when given.
        experiment_name: Name of the run's folder.
        output_dir: Folder of all runs.
        recipe: default or original; fills every flag below that has two values here and is not given.
        from_run: Folder of a run to start from: its network, weights and image size, on new data.
        folds: Cross-validation: train so many models, each validated on another part of the images; 0 is one model.
        image_resize: Side of the network's square image, divisible by 32 (both recipes 512).
        batch_size: Images a training step (both 8).
        epochs: Passes over the training images (both 350; the README says how few are enough).
        arch: Architecture of segmentation-models-pytorch (both unet).
        encoder_name: Encoder of segmentation-models-pytorch (default resnet34, original resnet101).
        encoder_weights: imagenet, none, or a .pth or .safetensors file (both imagenet).
        loss: bce, dice, dice_bce, spatial_ce or dice_bce_spatial (default dice_bce_spatial, original bce).
        dice_weight: Weight of Dice in a sum of losses (both 1).
        bce_weight: Weight of BCE in a sum of losses (default 10, original 1).
        spatial_weight: Weight of the spatial cross-entropy in a sum of losses (both 1).
        erosion_schedule: auto, fractions of the run and the image side, or fixed (default auto, original fixed).
        dilation_iters: First radius of the masks in px; auto understands it at 512 px (default 25, original 65).
        erosion_freq: Epochs between erosions; auto understands it at 350 epochs (default 35, original 50).
        erosion_iters: What an erosion takes off the radius (both 10).
        lr: Learning rate, the largest one of a schedule (default 3e-3, original 1e-4).
        weight_decay: Weight decay (default 0.01, original 0).
        schedule: constant, one_cycle or fine_tune (default one_cycle, original constant).
        freeze_epochs: Epochs with a frozen encoder before the others, for fine_tune.
        ema: Decay of a moving average of the weights, such as 0.99, which is validated and saved; 0 is off (both 0).
        early_stop: Stop after so many epochs without a smaller mean error; 0 is never.
        augment: none, light, normal or strong (default normal, original none).
        elastic: Elastic deformation beside augment, SD as a share of the image side, up to 0.03 (both 0).
        flip_pairs: Mirror images in training; names that change places, as left_a:right_a,left_b:right_b.
        decode: centroid, sub-pixel, or argmax (default centroid, original argmax).
        seed: Seed of everything random.
        val_fraction: Share of the images to validate on, unless the CSV has a split column.
        pixel_spacing: Millimetres per pixel of images whose spacing neither the CSV nor DICOM tells.
        invisible_landmarks: A point clicked in the top-left corner box means absent.
        color: Keep colour; grey otherwise (default no, original yes).
        num_workers: Worker processes of the data loaders; threads do as well, so 0 is as fast.
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: auto, fp32, bf16 or fp16; auto is what the device is fastest with.
        compile: Compile the network with torch.compile: minutes at the start, faster steps on some hardware.
        cache: auto, ram, disk or none; where decoded images are kept, auto takes memory while they fit.
        clear_cache: Empty the cache on disk first.
        gif: Write GIFs of masks and coordinates over the epochs.
        visualize_every: Epochs between overlays and curves.
        overwrite: Replace an earlier run of the same name.
        resume: Go on with the run of this name, which was stopped; other flags are those that it was started with.
    """
    return Job('train', locals())


def find_lr(**flags):
    "Suggest a learning rate; gets the signature and the arguments of `train` below."
    return Job('find_lr', flags)


def predict(*, image_dir: str, output_dir: str, model: str = 'runs/baseline', weights: str = None,
            encoder_name: str = None, n_landmarks: int = None, decode: str = None, min_confidence: float = 0.,
            tta: bool = False, no_overlays: bool = False, pixel_spacing: float = None, device: str = 'auto',
            precision: str = 'auto', overwrite: bool = False):
    """Find the landmarks of all images in a folder; writes predictions.csv, in original pixels, and overlays.

    Args:
        image_dir: Folder of the images, with its sub-folders.
        output_dir: Folder that gets predictions.csv, overlays and, if files cannot be read, failed.csv.
        model: Folder of a run of train.
        weights: A .pth file of the original system, in place of model.
        encoder_name: Encoder of those weights (resnet101 if left out).
        n_landmarks: Number of landmarks; must agree with the model when given.
        decode: centroid, sub-pixel, or argmax (that of the run; argmax for weights).
        min_confidence: Leave landmarks blank whose confidence is lower, 0 to 1.
        tta: Average over small shifts and scales, 7 times the time; mirror images too with flip pairs.
        no_overlays: Write no pictures.
        pixel_spacing: Millimetres per pixel of images whose spacing no DICOM header tells.
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: auto, fp32, bf16 or fp16; auto is what the device is fastest with.
        overwrite: Replace what an earlier predict or evaluate has written there, and nothing else.
    """
    return Job('predict', locals())


def evaluate(*, image_dir: str, csv: str, output_dir: str, split: str = 'all', thresholds: str = None,
             model: str = 'runs/baseline', weights: str = None, encoder_name: str = None, n_landmarks: int = None,
             decode: str = None, min_confidence: float = 0., tta: bool = False, no_overlays: bool = False,
             pixel_spacing: float = None, invisible_landmarks: bool = None, device: str = 'auto',
             precision: str = 'auto', overwrite: bool = False):
    """Compare a model with an annotation CSV; writes what predict writes, distances, summary, figures and report.html.

    Args:
        image_dir: Folder of the images.
        csv: Annotation CSV.
        output_dir: Folder that gets everything.
        split: all rows of the CSV, or those of val or test by the split.csv of the run.
        thresholds: Distances for success rates, as 2,2.5,3,4, the default in mm (2,5,10,20 px without spacing).
        model: Folder of a run of train.
        weights: A .pth file of the original system, in place of model.
        encoder_name: Encoder of those weights (resnet101 if left out).
        n_landmarks: Number of landmarks; must agree with the model when given.
        decode: centroid, sub-pixel, or argmax (that of the run; argmax for weights).
        min_confidence: Leave landmarks blank whose confidence is lower, 0 to 1; they count as missed.
        tta: Average over small shifts and scales, 7 times the time; mirror images too with flip pairs.
        no_overlays: Write no overlays.
        pixel_spacing: Millimetres per pixel of images whose spacing neither the CSV nor DICOM tells.
        invisible_landmarks: A point clicked in the top-left corner box means absent (as in the training of the run).
        device: auto, cpu, cuda, cuda:1 or mps.
        precision: auto, fp32, bf16 or fp16; auto is what the device is fastest with.
        overwrite: Replace what an earlier predict or evaluate has written there, and nothing else.
    """
    return Job('evaluate', locals())


def check(*, train_image_dir: str = './data/train_images', label_dir: str = './data/labels',
          train_csv_file: str = 'train_annotation.csv', n_landmarks: int = None, invisible_landmarks: bool = False,
          html: str = None):
    """Look for mistakes in images and annotations before a training: wrong clicks, swaps, duplicates and more.

    Args:
        train_image_dir: Folder of the images.
        label_dir: Folder of the annotation CSV.
        train_csv_file: File name of the annotation CSV.
        n_landmarks: Number of landmarks; must agree with the CSV's header when given.
        invisible_landmarks: A point clicked in the top-left corner box means absent.
        html: File for a page with pictures of what was found, such as check.html.
    """
    return Job('check', locals())


def sample(*, output_dir: str = 'data', n_images: int = 60, seed: int = 42):
    """Write synthetic hip radiographs with two landmarks, where train looks for them.

    Args:
        output_dir: Folder that gets train_images and labels; existing files are refused.
        n_images: Number of images.
        seed: Seed of the drawing.
    """
    return Job('sample', locals())


def demo(*, output_dir: str = 'runs'):
    """Show everything in a few minutes: sample images, a short training, pictures and the error on held-out images.

    Args:
        output_dir: Folder that gets demo, or demo_2 and so on.
    """
    return Job('demo', locals())


# `find_lr` takes what `train` takes: one signature, one list of arguments
find_lr.__signature__ = inspect.signature(train)
find_lr.__doc__ = train.__doc__.replace(train.__doc__.partition('\n')[0],
                                        'Suggest a learning rate for the arguments of train; writes the plot.')

COMMANDS = {'train': train, 'find_lr': find_lr, 'predict': predict, 'evaluate': evaluate, 'check': check,
            'sample': sample, 'demo': demo}


def flags_of(command):
    "The parameters of `command` by flag name."
    return inspect.signature(COMMANDS[command]).parameters


def keep_text(argv):
    "Quote the values of text flags, which Fire would read as Python: a run called 2024, 1e3 or a#b keeps its name."
    text = {f'--{name}' for name, flag in flags_of(argv[0]).items() if flag.annotation is str}
    kept, expects_value = argv[:1], False
    for token in argv[1:]:
        flag, equals, value = token.partition('=')
        known = flag.replace('-', '_').replace('__', '--', 1) in text
        if expects_value and not token.startswith('--'): kept.append(repr(token))
        elif known and equals: kept.append(f'{flag}={value!r}')
        else: kept.append(token)
        expects_value = known and not equals
    return kept


def check_dashes(argv):
    "Complain of a flag with a single dash, which Fire would take, and what looks for given flags would miss."
    for token in argv:
        if re.match('-[A-Za-z_]', token): raise UsageError(f'{token} begins with one dash; expected --{token[1:]}')


def check_types(name, arguments):
    "Complain of a flag whose value is not of its type, such as a bare --epochs or --gif 0."
    wanted = {int: 'a whole number', float: 'a number', str: 'a text', bool: 'no value, or --no... to deny it'}
    for flag, value in arguments.items():
        kind = flags_of(name)[flag].annotation
        fits = type(value) is kind or value is None or (kind is float and type(value) is int)
        if not fits: raise UsageError(f'--{flag} is {value!r}; expected {wanted[kind]}')


def given_in(argv):
    "Names of the flags in `argv`."
    flags = [token.partition('=')[0].lstrip('-').replace('-', '_') for token in argv if token.startswith('--')]
    return {name for flag in flags for name in (flag, flag.removeprefix('no'))}


def run(job, argv):
    "Run `job`, which `argv` asks for: the heavy imports happen here."
    check_types(job._name, job._arguments)
    if job._arguments.get('resume'):  # flags that were not given are those of the run, not the defaults
        job._arguments = {name: value for name, value in job._arguments.items() if name in given_in(argv)}
    os.environ.setdefault('OPENCV_LOG_LEVEL', 'SILENT')  # of a broken image our own line tells
    warnings.simplefilter('ignore', FutureWarning)  # of libraries about each other
    warnings.simplefilter('ignore', DeprecationWarning)
    warnings.formatwarning = lambda message, *_, **__: f'warning: {message}\n'
    for stream in (sys.stdout, sys.stderr):  # a name in another script is no reason to fail, see PYTHONIOENCODING
        if hasattr(stream, 'reconfigure'): stream.reconfigure(errors='replace')
    # what trains nothing need not wait for torch
    module = import_module('landmark_fastai.quality.check' if job._name == 'check' else 'landmark_fastai.all')
    getattr(module, job._name)(**job._arguments)


def is_follower():
    "Whether a launcher has started this process beside a first one, which speaks for all."
    return 'WORLD_SIZE' in os.environ and os.environ.get('RANK', '0') != '0'


def main(argv=None):
    "Run the command line; returns the exit code: 0 done, 1 failed while running, 2 bad arguments or data."
    argv = list(sys.argv[1:] if argv is None else argv)
    command = [name for name in argv[:1] if name in COMMANDS]
    if not argv or '-h' in argv or '--help' in argv: argv = [*command, '--', '--help']
    elif command: argv = keep_text(argv)
    try:
        check_dashes(argv)
        job = fire.Fire(COMMANDS, command=argv, name='cli.py', serialize=lambda result: None)
        if isinstance(job, Job): run(job, argv)
    except UsageError as e:
        if not is_follower(): print(f'error: {e}', file=sys.stderr)
        return 2
    except (OSError, Diverged) as e:
        print(f'error: {e}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('stopped; what was finished is kept', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__': sys.exit(main())
