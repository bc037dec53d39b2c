"""From annotations to fastai DataLoaders: points travel through the transforms, masks are drawn last.

A batch is (image B x C x S x S, mask B x N x S x S, points B x N x 2 in network px, state B x N, frame B x 7,
radius B); `learn.yb` is all of it but the image. Batch transforms run where the batch is, on the device:
to float 10, augmentation 20 to 40 (see `augmentation`), masks 50, normalise 99.
"""

import warnings
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from shutil import which

import numpy as np
import torch
from fastai.data.block import DataBlock, TransformBlock
from fastai.data.core import DataLoaders, TfmdDL
from fastai.torch_core import apply, default_device, to_device
from fastai.vision.data import ImageBlock
from fastcore.basics import chunked

from ..config import TrainConfig
from ..errors import UsageError, see_also
from ..flags import check_values
from ..formats.annotations import UNLABELLED, Annotations, fill_spacing, read_annotations, warn_doubtful
from ..formats.dataset import check_images, check_pixels_meant
from ..formats.spacing import FLAG_SOURCE
from ..formats.splits import TRAINED, checked_split, split_rows
from ..threads import in_threads
from .augmentation import FlipPairs, augmentations
from .items import AnnotatedImage, annotated_images
from .transforms import DrawMasks, ReadLandmarks, SquareReader, TakeAlong


class AheadDL(TfmdDL):
    """A `TfmdDL` that makes batches in threads and has them on a GPU while that is still busy with earlier ones.

    The loop waits for a GPU after each step (fastai reads the loss), so whatever is done between steps is time lost.
    """
    def get_idxs(self):
        self.order = super().get_idxs()
        return self.order

    def images_of(self, k: int) -> list[AnnotatedImage]:
        "The `AnnotatedImage`s of batch `k` of the current epoch."
        return [self.dataset.items[i] for i in self.order[k * self.bs:(k + 1) * self.bs]]

    def create_batches(self, samps):
        make = super().create_batches
        for batches in in_threads(lambda chunk: list(make(chunk)), chunked(samps, self.bs)): yield from batches

    def do_batch(self, b):
        batch = super().do_batch(b)
        # no GPU in worker processes; and PyTorch ends the process where two threads use MPS (pytorch#197805)
        return batch if self.fake_l.num_workers or self.device.type != 'cuda' else upload(batch, self.device)


class LandmarkDataLoaders(DataLoaders):
    "`DataLoaders` with the `annotations` that they are of, the `split` (train, val or test per image), the `reader`."
    def __init__(self, *loaders: TfmdDL, annotations: Annotations, split: np.ndarray, reader: SquareReader, **kwargs):
        super().__init__(*loaders, **kwargs)
        self.annotations = annotations
        self.split = split
        self.reader = reader

    @property
    def names(self) -> list[str]:
        "The landmarks."
        return self.annotations.names

    def new_empty(self) -> 'LandmarkDataLoaders':
        "The same transforms, with nothing of the images but the names of landmarks: what `learn.export` writes."
        reader = self.reader.new_empty()
        # the reader, with all its squares, is one of the transforms of each data set
        empty = [deepcopy(dl.dataset.new_empty(), {id(self.reader): reader}) for dl in self.loaders]
        loaders = [dl.new(dataset) for dl, dataset in zip(self.loaders, empty, strict=True)]
        return LandmarkDataLoaders(*loaders, annotations=self.annotations.new_empty(), split=self.split[:0],
                                   reader=reader, device=self.device)


def upload(batch: tuple, device: torch.device) -> tuple:
    "`batch` on its way to `device`; on CUDA the copy is queued, from pinned memory, and not waited for."
    if device.type != 'cuda': return to_device(batch, device)
    return apply(lambda t: t.pin_memory().to(device, non_blocking=True), batch)


def LandmarkBlock(image_resize: int, subpixel: bool = TrainConfig.subpixel) -> TransformBlock:
    "A `TransformBlock` for the landmarks of `AnnotatedImage`s on squares of side `image_resize`; see `DrawMasks`."
    return TransformBlock(ReadLandmarks(), item_tfms=TakeAlong, batch_tfms=DrawMasks(image_resize, subpixel),
                          dl_type=AheadDL)


def landmark_dls(
    csv_file: str | Path,  # annotation CSV
    image_dir: str | Path,  # folder that its image names start from
    n_landmarks: int | None = None,  # expected number of landmarks; the header tells when left out
    image_resize: int = TrainConfig.image_resize,  # side of the square that the network sees, divisible by 32
    batch_size: int = TrainConfig.batch_size,
    val_fraction: float = TrainConfig.val_fraction,  # share to validate on, unless the CSV has a `split` column
    seed: int = TrainConfig.seed,  # of the split
    split: np.ndarray | None = None,  # (n,) of train, val and test; drawn, or read from the CSV, when left out
    augment: str = TrainConfig.augment,  # one of `augmentation.STRENGTHS`
    elastic: float = TrainConfig.elastic,  # SD of an elastic deformation, a share of the square's side; 0.01 is mild
    flip_pairs: Sequence[tuple[str, str]] = (),  # left and right landmarks; mirrors images, which never happens without
    pixel_spacing: float | None = None,  # mm per px of images whose spacing neither the CSV nor a DICOM header tells
    invisible_landmarks: bool = TrainConfig.invisible_landmarks,  # a point in the top-left corner box means absent
    color: bool = TrainConfig.color,  # keep colour; grey otherwise
    subpixel: bool = TrainConfig.subpixel,  # masks of exact points; of the nearest pixels otherwise
    drop_last: bool = TrainConfig.drop_last,  # leave out the last, smaller training batch
    cache: str = TrainConfig.cache,  # where decoded squares are kept: auto, ram, disk or none
    num_workers: int = TrainConfig.num_workers,  # worker processes; threads do as well, at no cost (see `AheadDL`)
    device: str | torch.device | None = None,  # fastai's default device when left out
) -> LandmarkDataLoaders:
    """`DataLoaders` of images, masks and landmarks from an annotation CSV; everything is checked and read first.

    Raises UsageError for every mistake in the CSV, the images or the arguments.
    """
    check_values(TrainConfig, n_landmarks=n_landmarks, image_resize=image_resize, batch_size=batch_size,
                 val_fraction=val_fraction, seed=seed, cache=cache, augment=augment, elastic=elastic,
                 pixel_spacing=pixel_spacing, num_workers=num_workers)
    tfms = augmentations(augment, elastic)
    device = usable_device(device)
    annotations, paths = check_images(read_annotations(csv_file, n_landmarks, invisible_landmarks), image_dir)
    if pixel_spacing is not None: annotations = fill_spacing(annotations, pixel_spacing, FLAG_SOURCE)
    split = split_rows(annotations, val_fraction, seed) if split is None else checked_split(annotations, split)
    check_pixels_meant(annotations)
    check_batch(batch_size, int((split == 'train').sum()))
    _warn_unlabelled(annotations, split)
    reader = SquareReader(image_resize, color, cache)
    used = np.flatnonzero(np.isin(split, TRAINED))
    warn_doubtful(annotations.subset(used))
    reader.load([paths[i] for i in used], [annotations.where(i) for i in used])
    if flip_pairs: tfms = [FlipPairs(flip_pairs, annotations.names), *tfms]
    block = DataBlock((ImageBlock(reader), LandmarkBlock(image_resize, subpixel)), batch_tfms=tfms,
                      splitter=lambda images: [np.flatnonzero(split == part).tolist() for part in ('train', 'val')])
    loaders = block.dataloaders(annotated_images(annotations, paths, image_resize), bs=batch_size,
                                num_workers=num_workers, device=device, drop_last=drop_last,
                                pin_memory=device.type == 'cuda' and num_workers > 0)
    return LandmarkDataLoaders(*loaders, annotations=annotations, split=split, reader=reader, device=device)


def config_dls(config: TrainConfig, device: torch.device | None = None,
               split: np.ndarray | None = None) -> LandmarkDataLoaders:
    "The `DataLoaders` of a run with the flags `config`."
    return landmark_dls(
        config.csv_file, config.train_image_dir, n_landmarks=config.n_landmarks, image_resize=config.image_resize,
        batch_size=config.batch_size, val_fraction=config.val_fraction, seed=config.seed, split=split,
        augment=config.augment, elastic=config.elastic, flip_pairs=config.pairs, pixel_spacing=config.pixel_spacing,
        invisible_landmarks=config.invisible_landmarks, color=config.color, subpixel=config.subpixel,
        drop_last=config.drop_last, cache=config.cache, num_workers=config.num_workers, device=device)


def usable_device(name: str | torch.device | None) -> torch.device:
    """The `torch.device` called `name`, fastai's default one for None. Raises UsageError if this machine lacks it.

    Warns where the default is a CPU though there may be a GPU.
    """
    if name is None:
        device = default_device()
        if device.type == 'cpu' and which('nvidia-smi'):
            warnings.warn(f'there may be an NVIDIA GPU, but {_without_gpu()}; the CPU is used, which takes many times '
                          f'as long{see_also("no-gpu")}', stacklevel=2)
        return device
    try: return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError, ValueError) as e:
        lacks_cuda = str(name).startswith('cuda') and not torch.cuda.is_available()
        why = _without_gpu() if lacks_cuda else str(e).splitlines()[0]
        raise UsageError(f'device {name!r} cannot be used here ({why}); choose auto, cpu, cuda, cuda:1 or mps',
                         see='no-gpu') from e


def _without_gpu():
    "Why PyTorch sees no NVIDIA GPU, and what to do."
    if torch.version.cuda is None:
        return f'PyTorch {torch.__version__} is built for the CPU alone, install a build for CUDA'
    return f'PyTorch {torch.__version__} finds no driver for CUDA {torch.version.cuda}, install or update it'


def _warn_unlabelled(annotations, split):
    "Warn of landmarks that no image to train on has a label of."
    blank = (annotations.state[split == 'train'] == UNLABELLED).all(0)
    names = ', '.join(name for name, without in zip(annotations.names, blank, strict=True) if without)
    if names:
        warnings.warn(f'{annotations.path.name}: no training image has a label of {names}, which cannot be learned and '
                      'whose errors mean nothing; leave it out, or label it', stacklevel=3)


def check_batch(batch_size: int, n_train: int):
    "Raise UsageError unless `n_train` images make a batch at least."
    if not 1 <= batch_size <= n_train:
        raise UsageError(f'batch_size is {batch_size}, but the training set has {n_train} images; '
                         f'expected 1 to {n_train}', see='batch-size')
