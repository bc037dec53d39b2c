"""Crops around landmarks, for a second stage: items of `landmark_dls` with another frame.

A film is an image padded and resized to a square larger than the network's; a crop is a piece of it, see `CropField`. A
training item is a patch, larger than a crop, around one landmark of an image: the batch transforms turn, zoom and move
it and take the crop out of its middle in one resampling, so that nothing of the film is lost.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from fastai.data.block import DataBlock
from fastai.vision.data import ImageBlock

from ..config import TrainConfig
from ..flags import check_values
from ..formats.annotations import ABSENT, UNLABELLED, VISIBLE
from ..geometry.pieces import cut_around, piece_of
from .augmentation import FlipPairs, crop_augmentations
from .items import AnnotatedImage, make_frame
from .loaders import AheadDL, LandmarkBlock, LandmarkDataLoaders
from .tensors import TensorRadiograph
from .transforms import SquareReader

CROPS = 2       # times the images of a step of the first stage, that one of the second has crops
PATCH = 1.5     # sides of a crop that a patch has: room to turn, zoom and move it
PER_IMAGE = 4   # crops of an image that an epoch trains on, of other landmarks each time
VALIDATED = 8   # crops of an image that an epoch is validated on, at most


class CropField(NamedTuple):
    "What the second stage sees."
    film: int      # side of the square that images are resized to, film px
    side: int      # of a crop, film px: what the network sees
    jitter: float  # how far off its middle the landmark may be in x and in y, a share of the side


@dataclass(frozen=True)
class AnnotatedCrop(AnnotatedImage):
    "A crop, or a patch, of an annotated image around one landmark: a piece of its film of side `side`."
    corner: tuple[int, int]  # its top-left pixel on the film; it may reach beyond
    landmark: int


class CropReader(SquareReader):
    "A `SquareReader` of films, which gives pieces of them: uint8 `TensorRadiograph`s (C, side, side)."
    def encodes(self, item: AnnotatedCrop):
        left, top = item.corner
        first, last = np.clip((top, top + item.side), 0, self.image_resize).tolist()
        band = self.squares.rows(item.path, first, last)
        piece = np.atleast_3d(piece_of(band, (left, top - first), item.side))
        return TensorRadiograph(torch.from_numpy(piece).permute(2, 0, 1))


def crop_at(image: AnnotatedImage, landmark: int, point: np.ndarray, side: int) -> AnnotatedCrop:
    "The piece of side `side` of the film of `image` around `point` (2,), original px, where its `landmark` should be."
    corner, frame = cut_around(image.frame, point, side)
    return AnnotatedCrop(image.path, image.name, image.points, image.state, frame, side, corner, landmark)


def training_crops(images: Sequence[AnnotatedImage], side: int) -> list[AnnotatedCrop]:
    "Patches for crops of `side` px around every visible landmark of `images`."
    return [crop_at(image, k, image.points[k], round(PATCH * side))
            for image in images for k in np.flatnonzero(image.state == VISIBLE)]


def validation_crops(images: Sequence[AnnotatedImage], points: np.ndarray, side: int) -> list[AnnotatedCrop]:
    """Crops of `side` px around `points` (n, N, 2), where the first stage sees landmarks on `images`, original px.

    Of at most `VALIDATED` visible landmarks of an image, all landmarks being as frequent as they can. Each crop knows
    of its own landmark alone.
    """
    crops, seen = [], Counter()
    for image, found in zip(images, points, strict=True):
        there = np.flatnonzero((image.state == VISIBLE) & np.isfinite(found).all(-1))
        for k in sorted(there, key=seen.__getitem__)[:VALIDATED]:
            seen[k] += 1
            own = np.arange(len(image.state)) == k
            crops.append(replace(crop_at(image, k, found[k], side), state=np.where(own, image.state, UNLABELLED),
                                 points=np.where(own[:, None], image.points, np.nan)))
    return crops


def crops_of_epoch(state: np.ndarray) -> int:
    "How many crops an epoch trains on, of images with landmarks in the `state` (n, N)."
    return int(np.minimum((state == VISIBLE).sum(1), PER_IMAGE).sum())


class CropDL(AheadDL):
    "An `AheadDL` that, where it shuffles, takes `PER_IMAGE` of the crops of each image in an epoch."
    def __init__(self, dataset=None, *args, shuffle=False, **kwargs):
        super().__init__(dataset, *args, shuffle=shuffle, **kwargs)
        if shuffle: self.n = sum(min(n, PER_IMAGE) for n in Counter(crop.path for crop in dataset.items).values())

    def get_idxs(self):
        if not self.shuffle: return super().get_idxs()
        n_of, crops = Counter(), self.dataset.items
        self.order = []
        for i in self.rng.sample(range(len(crops)), len(crops)):
            if n_of[crops[i].path] == PER_IMAGE: continue
            n_of[crops[i].path] += 1
            self.order.append(i)
        return self.order


def refine_dls(
    dls: LandmarkDataLoaders,  # of the first stage
    points: np.ndarray,  # (n, N, 2): where the first stage sees the landmarks of its validation images, original px
    field: CropField,
    batch_size: int = TrainConfig.batch_size,
    augment: str = TrainConfig.augment,
    elastic: float = TrainConfig.elastic,
    flip_pairs: Sequence[tuple[str, str]] = (),
    subpixel: bool = TrainConfig.subpixel,
    drop_last: bool = TrainConfig.drop_last,
    num_workers: int = TrainConfig.num_workers,
) -> LandmarkDataLoaders:
    """The `DataLoaders` of a second stage, of crops of the images of `dls`; a batch is that of `landmark_dls`.

    A training crop has its landmark anywhere within the jitter, a validation crop where the first stage leaves it.
    Other landmarks that a crop shows train, too; none but its own is validated. Absent landmarks are not labelled:
    whether one is there is seen on the whole image. Raises UsageError.
    """
    check_values(TrainConfig, batch_size=batch_size, augment=augment, elastic=elastic, num_workers=num_workers)
    train, valid = ([on_film(image, field.film) for image in ds.items] for ds in (dls.train_ds, dls.valid_ds))
    annotations = replace(dls.annotations, state=without_absent(dls.annotations.state))
    reader = CropReader(field.film, dls.reader.color, dls.reader.cache)
    reader.load([image.path for image in (*train, *valid)], [image.name for image in (*train, *valid)])
    tfms = crop_augmentations(augment, elastic, PATCH, field.side, field.jitter)
    if flip_pairs: tfms = [FlipPairs(flip_pairs, annotations.names), *tfms]
    crops = [training_crops(train, field.side), validation_crops(valid, points, field.side)]
    block = DataBlock((ImageBlock(reader), LandmarkBlock(field.side, subpixel)), batch_tfms=tfms,
                      splitter=lambda items: [range(len(crops[0])), range(len(crops[0]), len(items))])
    loaders = block.dataloaders(sum(crops, []), bs=batch_size, dl_type=CropDL, num_workers=num_workers,
                                device=dls.device, drop_last=drop_last,
                                pin_memory=dls.device.type == 'cuda' and num_workers > 0)
    return LandmarkDataLoaders(*loaders, annotations=annotations, split=dls.split, reader=reader, device=dls.device)


def on_film(image: AnnotatedImage, film: int) -> AnnotatedImage:
    "`image` on a film of side `film`, its absent landmarks not labelled."
    frame = make_frame(image.frame.size, image.frame.spacing, film)
    return replace(image, frame=frame, side=film, state=without_absent(image.state))


def without_absent(state: np.ndarray) -> np.ndarray:
    "`state` (..., N) with absent landmarks as not labelled."
    return np.where(state == ABSENT, UNLABELLED, state)
