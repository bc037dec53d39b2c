"Transforms of items and batches: read, letterbox, draw masks, normalise."

import warnings
from pathlib import Path

import numpy as np
import torch
from fastai.data.transforms import Normalize
from fastai.torch_core import TensorImage
from fasttransform import ItemTransform, Transform

from ..config import TrainConfig
from ..formats.annotations import UNLABELLED, VISIBLE
from ..formats.cache import SquareCache, cache_folder
from ..formats.images import letterbox, read_pixels
from ..geometry.frame import Frame, from_unit, inside, to_network, to_unit
from ..geometry.masks import draw_diamonds_fast, draw_subpixel_diamonds
from ..geometry.radius import auto_radius
from .items import AnnotatedImage
from .tensors import TensorLandmarks, TensorRadiograph


class SquareReader(Transform):
    """A uint8 `TensorRadiograph` (1, S, S), or (3, S, S) in colour, from an image, a path or an array.

    Squares that were loaded are kept by `cache`: auto, ram, disk or none. Raises UsageError for an image that cannot be
    read.
    """
    def __init__(self, image_resize: int, color: bool = TrainConfig.color, cache: str = TrainConfig.cache):
        super().__init__()
        self.image_resize = image_resize
        self.color = color
        self.cache = cache
        shape = (image_resize, image_resize, 3) if color else (image_resize, image_resize)
        self.squares = SquareCache(self._square, shape)
        self.input_types = AnnotatedImage, str, Path, np.ndarray  # what fastai's `predict` and `test_dl` may hand in

    @property
    def create(self):
        "What `ImageBlock` asks an image class for."
        return self

    def new_empty(self):
        "A reader of such squares that keeps none yet."
        return type(self)(self.image_resize, self.color, self.cache)

    def load(self, paths: list[Path], places: list[str]):
        """Decode, pad and resize `paths` once, on all cores, and keep the squares.

        Raises UsageError for the first file that is broken, with its entry of `places`, where the CSV names it.
        """
        n_bytes = self.squares.allocate(self.cache, paths)
        if self.squares.place != self.cache and self.squares.place == 'none':
            warnings.warn(f'neither memory nor {cache_folder()} has room for {n_bytes / 1e9:.1f} GB of squares: every '
                          'image is decoded in every epoch', stacklevel=2)
        self.squares.fill(paths, places)

    def encodes(self, item):
        item = getattr(item, 'path', item)
        square = self.squares[item] if isinstance(item, Path) else self._square(item)
        return TensorRadiograph(torch.from_numpy(np.atleast_3d(square).copy()).permute(2, 0, 1))

    def _square(self, item): return letterbox(read_pixels(item, self.color), self.image_resize)


class ReadLandmarks(Transform):
    "`TensorLandmarks` in [-1, 1] from an `AnnotatedImage`, with its state and frame."
    def encodes(self, image: AnnotatedImage):
        frame = torch.from_numpy(image.frame.row())
        points = to_network(torch.from_numpy(image.points).float(), Frame.of(frame))
        state = torch.from_numpy(image.state).long()
        return TensorLandmarks(to_unit(points, image.side), state=state, frame=frame)


class TakeAlong(ItemTransform):
    "Give the state and the frame of the landmarks places of their own in the item: metadata does not survive a batch."
    order, _retain = 0, False

    def encodes(self, item):
        if len(item) == 1: return tuple(item)  # an unlabelled item, of `predict` or `test_dl`
        image, points = item
        return image, TensorLandmarks(torch.Tensor(points)), points.state, points.frame


class DrawMasks(ItemTransform):
    """Draw the masks of a batch, on its device, as diamonds of the current `radius`; show points again on decoding.

    With `subpixel` a diamond is where its point is (float16 masks), without, around the nearest pixel (boolean ones).

    One instance serves training and validation, so one number changes at an erosion. A landmark that augmentation has
    moved out of the square is not labelled in that batch.
    """
    order, _retain = 50, False  # after affine (30) and lighting (40), before normalise (99)

    def __init__(self, image_resize: int, subpixel: bool):
        self.image_resize = image_resize
        self.draw = draw_subpixel_diamonds if subpixel else draw_diamonds_fast
        # that a training by the default recipe starts with; a learner sets its own
        self.radius = auto_radius(0, 1, image_resize, TrainConfig.dilation_iters, TrainConfig.erosion_freq,
                                  TrainConfig.erosion_iters)

    def encodes(self, batch):
        if len(batch) == 1: return tuple(batch)
        image, unit, state, frame = batch
        points, size = from_unit(torch.Tensor(unit), self.image_resize), self.image_resize
        state = torch.where((state == VISIBLE) & ~inside(points, size), UNLABELLED, state)
        points = torch.where((state == VISIBLE)[..., None], points, torch.nan)
        radius = torch.full(state.shape[:1], self.radius, device=state.device)
        return image, self.draw(points, self.radius, size), points, state, frame, radius

    def decodes(self, batch):
        if len(batch) == 6: batch = batch[0], TensorLandmarks(batch[2], radius=self.radius)
        return tuple(batch)


class NormalizeOnce(Normalize):
    "fastai's `Normalize` in one pass over the pixels instead of two; one grey channel becomes three on the way."
    def encodes(self, x: TensorImage): return torch.addcmul(-self.mean / self.std, x, 1 / self.std)
