"""Augmentation of a training batch, on its device: image and points move together, in one resampling of the image.

Exposure and dirt (order 20) come before the move (fastai's `AffineCoordTfm`, order 30), while it is still known which
pixels are the image's: padding stays black, as the network always sees it. fastai's brightness and contrast follow
(order 40). A batch is images (B, C, S, S), points (B, N, 2) in [-1, 1], state (B, N) and frames (B, 7), or images
alone.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from fastai.vision.augment import AffineCoordTfm, Brightness, Contrast, PadMode, Rotate, Zoom, setup_aug_tfms
from fasttransform import ItemTransform, Transform
from torch import Tensor
from torchvision.transforms import v2

from ..config import TrainConfig, check_elastic
from ..errors import UsageError
from ..flags import check_values
from ..geometry.masks import content

# largest rotation and shear (degrees), zoom, shift (shares of the square's side), brightness and contrast, gamma (as
# gamma or 1 / gamma), and the probabilities of noise, blur, occlusion and inversion
STRENGTHS = {
    'none': None,
    'light': dict(rotate=5, shear=2, zoom=0.05, shift=0.02, lighting=0.1, gamma=1.15, noise=0.1, blur=0.1,
                  occlusion=0., inversion=0.),
    'normal': dict(rotate=15, shear=5, zoom=0.2, shift=0.05, lighting=0.3, gamma=1.5, noise=0.2, blur=0.1,
                   occlusion=0.1, inversion=0.),
    'strong': dict(rotate=30, shear=10, zoom=0.3, shift=0.1, lighting=0.5, gamma=2., noise=0.3, blur=0.2,
                   occlusion=0.3, inversion=0.1),
}
RESAMPLING = dict(pad_mode=PadMode.Zeros, align_corners=False)
P_AFFINE, P_LIGHTING = 0.9, 0.75  # of each kind of move, and of each change of the exposure
NOISE, SIGMA, OCCLUDED = 0.05, (0.5, 1.5), (0.01, 0.05)  # SD of grey, 0 to 1; SD of the blur, px; share of the square
KNOTS, ROUNDS = 4, 30  # see `Elastic`


def augmentations(strength: str, elastic: float = 0.) -> list[Transform]:
    """The batch transforms of training for `strength`, one of `STRENGTHS`: black outside the image, no flips.

    `elastic` is the standard deviation of an elastic deformation, as a share of the square's side; 0 is none, and
    `strength` none has none. Raises UsageError.
    """
    check_values(TrainConfig, augment=strength, elastic=elastic)
    check_elastic(strength, elastic)
    s = STRENGTHS[strength]
    return [] if s is None else [Exposure(s), *setup_aug_tfms([*moves(s, elastic), *lighting(s)])]


def crop_augmentations(strength: str, elastic: float, patch: float, side: int, jitter: float) -> list[Transform]:
    """As `augmentations`, of patches which have `patch` sides of a crop, into crops of `side` px.

    A crop is moved by up to `jitter` of its side in place of what the `strength` has, which may be none.
    """
    inner = Zoom(patch, patch, p=1., draw_x=0.5, draw_y=0.5, size=side, **RESAMPLING)
    s = STRENGTHS[strength]
    if s is None: return setup_aug_tfms([inner, AffineCoordTfm(ShearShift(0., jitter), **RESAMPLING)])
    return [Exposure(s), *setup_aug_tfms([inner, *moves(s | {'shift': jitter}, elastic), *lighting(s)])]


def moves(s: dict[str, float], elastic: float) -> list[Transform]:
    "How the image is moved; `s` is of `STRENGTHS`."
    bend = [Elastic(elastic)] if elastic else []
    return [Rotate(s['rotate'], p=P_AFFINE, **RESAMPLING),
            Zoom(1 - s['zoom'], 1 + s['zoom'], p=P_AFFINE, **RESAMPLING),
            AffineCoordTfm(ShearShift(s['shear'], s['shift']), coord_fs=bend, **RESAMPLING)]


def lighting(s: dict[str, float]) -> list[Transform]:
    "How it is lit; `s` is of `STRENGTHS`."
    change = dict(max_lighting=s['lighting'], p=P_LIGHTING)
    return [Brightness(**change), Contrast(**change)]


# --- what an image shows, and how

class RandomGamma(v2.Transform):
    "Raise an image, 0 to 1, to a power between 1 / `most` and `most`, both directions alike."
    def __init__(self, most: float):
        super().__init__()
        self.most = most

    def make_params(self, flat_inputs): return {'gamma': self.most ** (2 * torch.rand(()).item() - 1)}

    def transform(self, inpt, params): return v2.functional.adjust_gamma(inpt, params['gamma'])


class Exposure(ItemTransform):
    "Gamma, inversion, blur, noise and occlusion, each with its probability, image by image; `s` is of `STRENGTHS`."
    order = 20  # floats since 10, moved at 30
    split_idx = 0  # training only

    def __init__(self, s: dict[str, float]):
        self.tfms = v2.Compose([
            v2.RandomApply([RandomGamma(s['gamma'])], P_LIGHTING),
            v2.RandomInvert(s['inversion']),
            v2.RandomApply([v2.GaussianBlur(2 * math.ceil(2 * SIGMA[1]) + 1, SIGMA)], s['blur']),
            v2.RandomApply([v2.GaussianNoise(sigma=NOISE)], s['noise']),
            v2.RandomErasing(s['occlusion'], OCCLUDED)])

    def encodes(self, batch):
        if len(batch) == 1: return tuple(batch)
        image, points, state, frames = batch
        changed = torch.stack([self.tfms(one) for one in image.as_subclass(Tensor)])
        shown = content(frames, image.shape[-1])
        return (changed * shown).as_subclass(type(image)), points, state, frames


# --- where it is

class ShearShift:
    "Matrices for `AffineCoordTfm`: shear along x or y up to `shear` degrees, shift up to `shift` of the side."
    def __init__(self, shear: float, shift: float):
        self.slant = math.tan(math.radians(shear))
        self.shift = 2 * shift  # the square is [-1, 1]

    def __call__(self, x: Tensor) -> Tensor:
        along_x, along_y = self._draw(x, self.slant), self._draw(x, self.slant)
        right, down = self._draw(x, self.shift), self._draw(x, self.shift)
        zero, one = torch.zeros_like(right), torch.ones_like(right)
        rows = (one, along_x, right), (along_y, one, down), (zero, zero, one)
        return torch.stack([torch.stack(row, 1) for row in rows], 1)

    def _draw(self, x: Tensor, most: float) -> Tensor:
        "A number between -`most` and `most` for each image of the batch `x`; 0 with probability 1 - `P_AFFINE`."
        drawn = torch.empty(len(x), device=x.device).uniform_(-most, most)
        return drawn * (torch.rand(len(x), device=x.device) < P_AFFINE)


class Elastic:
    """Coordinates for `AffineCoordTfm`: a smooth random displacement, normal at `KNOTS`^2 knots and bicubic in between.

    `elastic` is its standard deviation, a share of the square's side; up to 0.03, the most that the flag takes, nothing
    folds, and the inverse, which moves the points, is a fixed point that `ROUNDS` repetitions find.
    """
    def __init__(self, elastic: float): self.scale = 2 * elastic  # the square is [-1, 1]

    def before_call(self, x: Tensor):
        normal = torch.randn(len(x), 2, KNOTS, KNOTS, device=x.device).clamp(-2, 2)
        self.knots = self.scale * normal

    def __call__(self, x: Tensor, invert: bool = False) -> Tensor:
        if not invert: return x + self._displacement(x)
        found = x
        for _ in range(ROUNDS): found = x - self._displacement(found)
        return found

    def _displacement(self, x: Tensor) -> Tensor:
        "Of the places `x` (B, ..., 2) in [-1, 1]; NaN stays somewhere, and its sum with `x` is NaN."
        places = x.as_subclass(Tensor).nan_to_num().view(len(x), -1, 1, 2)
        moved = F.grid_sample(self.knots, places, mode='bicubic', padding_mode='border', align_corners=True)
        return moved[..., 0].transpose(1, 2).view(x.shape)


# --- left and right

def mirror_order(pairs: Sequence[tuple[str, str]], names: list[str]) -> list[int]:
    """The landmark that each of `names` becomes in a mirror image, where `pairs` of names change places.

    Returns their indices. Raises UsageError for a name that is no landmark or occurs twice.
    """
    flat = [name for pair in pairs for name in pair]
    for name in flat:
        if name not in names or flat.count(name) > 1:
            raise UsageError(f'flip_pairs: {name!r} {"is no landmark" if name not in names else "occurs twice"}; '
                             f'the landmarks are {", ".join(names)}')
    partner = {a: b for pair in pairs for a, b in (pair, pair[::-1])}
    return [names.index(partner.get(name, name)) for name in names]


class FlipPairs(ItemTransform):
    """Mirror half of the training images, left and right landmarks changing places.

    `pairs` are names; a landmark in no pair lies on the midline and keeps its identity. Raises as `mirror_order` does.
    """
    order = 29  # just before the affine transforms (30)
    split_idx = 0  # training only

    def __init__(self, pairs: Sequence[tuple[str, str]], names: list[str]):
        self.order_after = mirror_order(pairs, names)

    def encodes(self, batch):
        if len(batch) == 1: return tuple(batch)
        image, points, state, frames = batch
        flip = torch.rand(len(image), device=image.device) < 0.5
        mirrored = points[:, self.order_after] * torch.tensor([-1., 1.], device=points.device)
        return (torch.where(flip[:, None, None, None], image.flip(-1), image),
                torch.where(flip[:, None, None], mirrored, points),
                torch.where(flip[:, None], state[:, self.order_after], state), frames)
