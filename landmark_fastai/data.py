"""From annotations to fastai DataLoaders: points travel through the transforms, masks are drawn last.

A batch is (image B x C x S x S, mask B x N x S x S, points B x N x 2 in network px, state B x N, frame B x 7,
radius B); `learn.yb` is all of it but the image. Batch transforms run where the batch is, on the device:
to float 10, augmentation 20 to 40 (see `augment`), masks 50, normalise 99.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from fastai.data.block import DataBlock, TransformBlock
from fastai.data.core import TfmdDL
from fastai.data.transforms import Normalize
from fastai.torch_core import TensorImage, apply, default_device, to_device
from fastai.vision.data import ImageBlock
from fastcore.basics import chunked
from fasttransform import ItemTransform, Transform

from .annotations import UNLABELLED, VISIBLE, fill_spacing, read_annotations, split_rows
from .augment import FlipPairs, augmentations
from .cache import SquareCache, cache_folder, check_mode
from .check import check_images
from .core import TensorLandmarks, TensorRadiograph
from .errors import UsageError
from .geometry import auto_radius, draw_diamonds, from_unit, inside, to_network, to_unit
from .images import image_size, read_image, square_padding, to_square
from .threads import in_threads


@dataclass(frozen=True)
class Film:
    "One annotated image: where it is, what is known of its landmarks, and its frame (see `geometry`)."
    path: Path
    name: str           # as in the CSV
    points: np.ndarray  # (N, 2) original px, NaN unless visible
    state: np.ndarray   # (N,) visible, absent or unlabelled
    frame: np.ndarray   # (7,)


def make_frame(size, spacing, image_resize):
    "The frame (7,) of an image of `size` (w, h) px and `spacing` (mm per px in x, y), padded and resized to a square."
    left, top, side = square_padding(*(int(n) for n in size))
    return np.array([*size, left, top, image_resize / side, *spacing], np.float32)


def make_films(annotations, paths, image_resize):
    "One `Film` an image of `annotations`, whose files are `paths`."
    frames = [make_frame(size, spacing, image_resize)
              for size, spacing in zip(annotations.sizes, annotations.spacing, strict=True)]
    columns = paths, annotations.image_names, annotations.points, annotations.state, frames
    return [Film(*film) for film in zip(*columns, strict=True)]


class SquareReader(Transform):
    """A uint8 `TensorRadiograph` (1, S, S), or (3, S, S) in colour, from a film, a path or an array.

    Squares that were loaded are kept by `cache`, one of `cache.MODES`. Raises UsageError for an image that cannot be
    read.
    """
    def __init__(self, image_resize, color=False, cache='auto'):
        super().__init__()
        self.image_resize, self.color, self.cache = image_resize, color, cache
        shape = (image_resize, image_resize, 3) if color else (image_resize, image_resize)
        self.squares = SquareCache(self._square, shape)
        self.input_types = Film, str, Path, np.ndarray  # what fastai's `predict` and `test_dl` may hand in

    @property
    def create(self):
        "What `ImageBlock` asks an image class for."
        return self

    def load(self, paths, places):
        """Decode, pad and resize `paths` once, on all cores, and keep the squares.

        Raises UsageError for the first file that is broken, with its entry of `places`, where the CSV names it.
        """
        n_bytes = self.squares.choose(self.cache, paths)
        if self.squares.place != self.cache and self.squares.place == 'none':
            warnings.warn(f'neither memory nor {cache_folder()} has room for {n_bytes / 1e9:.1f} GB of squares: every '
                          'image is decoded in every epoch', stacklevel=2)
        self.squares.fill(paths, places)

    def encodes(self, item):
        item = getattr(item, 'path', item)
        square = self.squares[item] if isinstance(item, Path) else self._square(item)
        return TensorRadiograph(torch.from_numpy(np.atleast_3d(square).copy()).permute(2, 0, 1))

    def _square(self, item): return to_square(self.image(item), self.image_resize)

    def image(self, item):
        "The image (H, W), or (H, W, 3) in colour, uint8, at a path, or an array that is one."
        if not isinstance(item, np.ndarray): return read_image(item, self.color)
        if item.dtype == np.uint8 and item.ndim == (3 if self.color else 2): return item
        raise UsageError(f'an array of {item.dtype} {item.shape} was given as an image; expected uint8 '
                         f'{"(H, W, 3)" if self.color else "(H, W)"}, or the path of a file')


class ReadLandmarks(Transform):
    "`TensorLandmarks` in [-1, 1] from a `Film`, with its state and frame."

    def __init__(self, image_resize): self.image_resize = image_resize

    def encodes(self, film: Film):
        frame = torch.from_numpy(film.frame)
        points = to_network(torch.from_numpy(film.points).float(), frame)
        state = torch.from_numpy(film.state).long()
        return TensorLandmarks(to_unit(points, self.image_resize), state=state, frame=frame)


class TakeAlong(ItemTransform):
    "Give the state and the frame of the landmarks places of their own in the item: metadata does not survive a batch."
    order, _retain = 0, False

    def encodes(self, item):
        if len(item) == 1: return tuple(item)  # an unlabelled item, of `predict` or `test_dl`
        image, points = item
        return image, TensorLandmarks(torch.Tensor(points)), points.state, points.frame


class DrawMasks(ItemTransform):
    """Draw the masks of a batch, on its device, as diamonds of the current `radius`; show points again on decoding.

    One instance serves training and validation, so one number changes at an erosion. A landmark that augmentation has
    moved out of the frame is not labelled in that batch.
    """
    order, _retain = 50, False  # after affine (30) and lighting (40), before normalise (99)

    def __init__(self, image_resize): self.image_resize, self.radius = image_resize, auto_radius(0, 1, image_resize)

    def encodes(self, batch):
        if len(batch) == 1: return tuple(batch)
        image, unit, state, frame = batch
        points, size = from_unit(torch.Tensor(unit), self.image_resize), self.image_resize
        state = torch.where((state == VISIBLE) & ~inside(points, size), UNLABELLED, state)
        points = torch.where((state == VISIBLE)[..., None], points, torch.nan)
        radius = torch.full(state.shape[:1], self.radius, device=state.device)
        return image, draw_diamonds(points, self.radius, size), points, state, frame, radius

    def decodes(self, batch):
        if len(batch) == 6: batch = batch[0], TensorLandmarks(batch[2], radius=self.radius)
        return tuple(batch)


class AheadDL(TfmdDL):
    """A `TfmdDL` that makes batches in threads and has them on a GPU while that is still busy with earlier ones.

    The loop waits for a GPU after each step (fastai reads the loss), so whatever is done between steps is time lost.
    """
    def get_idxs(self):
        self.order = super().get_idxs()
        return self.order

    def films(self, k):
        "The `Film`s of batch `k` of the current epoch."
        return [self.dataset.items[i] for i in self.order[k * self.bs:(k + 1) * self.bs]]

    def create_batches(self, samps):
        make = super().create_batches
        for batches in in_threads(lambda chunk: list(make(chunk)), chunked(samps, self.bs)): yield from batches

    def do_batch(self, b):
        batch = super().do_batch(b)
        # no GPU in worker processes; and PyTorch ends the process where two threads use MPS (pytorch#197805)
        return batch if self.fake_l.num_workers or self.device.type != 'cuda' else upload(batch, self.device)


def upload(batch, device):
    "`batch` on its way to `device`; on CUDA the copy is queued, from pinned memory, and not waited for."
    if device.type != 'cuda': return to_device(batch, device)
    return apply(lambda t: t.pin_memory().to(device, non_blocking=True), batch)


class NormalizeOnce(Normalize):
    "fastai's `Normalize` in one pass over the pixels instead of two; one grey channel becomes three on the way."
    def encodes(self, x: TensorImage): return torch.addcmul(-self.mean / self.std, x, 1 / self.std)


def LandmarkBlock(image_resize):
    "A `TransformBlock` for the landmarks of `Film`s on squares of side `image_resize`."
    return TransformBlock(ReadLandmarks(image_resize), item_tfms=TakeAlong, batch_tfms=DrawMasks(image_resize),
                          dl_type=AheadDL)


def landmark_dls(
    csv_file,  # annotation CSV
    image_dir,  # folder that its image names start from
    n_landmarks=None,  # expected number of landmarks; the header tells when left out
    image_resize=512,  # side of the square that the network sees, divisible by 32
    batch_size=8,
    val_fraction=0.2,  # share of the images to validate on, unless the CSV has a `split` column
    seed=42,  # of the split
    split=None,  # (n,) of train, val and test, the side of each image; drawn, or read from the CSV, when left out
    augment='normal',  # one of `augment.STRENGTHS`
    elastic=0.,  # standard deviation of an elastic deformation, a share of the side of the square; 0.01 is mild
    flip_pairs=(),  # pairs of left and right landmarks; mirrors images in training, which never happens without
    pixel_spacing=None,  # mm per px of images whose spacing neither the CSV nor a DICOM header tells
    invisible_landmarks=False,  # a point in the top-left corner box means absent
    color=False,  # keep colour; grey otherwise
    drop_last=True,  # leave out the last, smaller training batch
    cache='auto',  # where decoded squares are kept, one of `cache.MODES`
    num_workers=0,  # worker processes; threads do as well, at no cost (see `AheadDL`)
    device=None,  # fastai's default device when left out
):
    """`DataLoaders` of images, masks and landmarks from an annotation CSV; everything is checked and read first.

    The result carries `annotations`, `split` (train, val or test per image) and `reader`. Raises UsageError for every
    mistake in the CSV, the images or the arguments.
    """
    if image_resize <= 0 or image_resize % 32:
        raise UsageError(f'image_resize is {image_resize}; expected a positive multiple of 32, such as 256 or 512')
    check_mode(cache)
    tfms, device = augmentations(augment, elastic), usable_device(device)
    reader = SquareReader(image_resize, color, cache)
    annotations, paths = check_images(read_annotations(csv_file, n_landmarks, invisible_landmarks), image_dir)
    if pixel_spacing is not None: annotations = fill_spacing(annotations, pixel_spacing, '--pixel_spacing')
    if split is None: split = split_rows(annotations, val_fraction, seed)
    _check_batch(batch_size, int((split == 'train').sum()))
    _warn_unlabelled(annotations, split)
    used = np.flatnonzero(split != 'test')
    reader.load([paths[i] for i in used], [annotations.where(i) for i in used])
    if flip_pairs: tfms = [FlipPairs(flip_pairs, annotations.names), *tfms]
    block = DataBlock((ImageBlock(reader), LandmarkBlock(image_resize)), batch_tfms=tfms,
                      splitter=lambda films: [np.flatnonzero(split == part).tolist() for part in ('train', 'val')])
    dls = block.dataloaders(make_films(annotations, paths, image_resize), bs=batch_size, num_workers=num_workers,
                            device=device, drop_last=drop_last,
                            pin_memory=device.type == 'cuda' and num_workers > 0)
    dls.annotations, dls.split, dls.reader = annotations, split, reader
    return dls


def usable_device(name):
    "The `torch.device` called `name`, fastai's default one for None. Raises UsageError if this machine lacks it."
    if name is None: return default_device()
    try: return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError, ValueError) as e:
        raise UsageError(f'device {name!r} cannot be used here ({str(e).splitlines()[0]}); '
                         f'choose auto, cpu, cuda, cuda:1 or mps') from e


def _warn_unlabelled(annotations, split):
    "Warn of landmarks that no image to train on has a label of."
    blank = (annotations.state[split == 'train'] == UNLABELLED).all(0)
    names = ', '.join(name for name, without in zip(annotations.names, blank, strict=True) if without)
    if names:
        warnings.warn(f'{annotations.path.name}: no training image has a label of {names}, which cannot be learned and '
                      'whose errors mean nothing; leave it out, or label it', stacklevel=3)


def _check_batch(batch_size, n_train):
    if not 1 <= batch_size <= n_train:
        raise UsageError(f'batch_size is {batch_size}, but the training set has {n_train} images; '
                         f'expected 1 to {n_train}')


def image_frame(item, image_resize):
    "The frame (1, 7) of the image at a path (its header is read) or of an array, its pixel spacing unknown."
    size = item.shape[1::-1] if isinstance(item, np.ndarray) else image_size(item)[0]
    return torch.from_numpy(make_frame(size, (np.nan, np.nan), image_resize))[None]
