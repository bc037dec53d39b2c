"From the logits of a network to points. Frames of a batch are rows of 7 numbers, see `Frame`."

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .frame import Frame, to_network
from .masks import content_sides

CELLS = 32  # a side of the square, of peaks: of two that are less than a cell apart the lower one is a flank
AT_ONCE = 2 ** 20  # logits that are read at a time on a CPU
LEAST = -80.  # below a peak; what is less counts nothing, and exp takes 6 times as long near the end of float32


class Heatmaps:
    """Logits (B, N, S, S) to read from: what several readings need is worked out once, for the first that asks.

    In float32, and one channel after the other in memory: networks give their channels last, where a sum over one of
    them strides through all. `frames` (B, 7) tell where the images are, all of the squares when left out: only there
    peaks are looked for.
    """
    def __init__(self, logits: Tensor, frames: Tensor | None = None):
        self.logits = logits.float().contiguous()
        self.size = logits.shape[-1]
        self.frames = frames
        whole = torch.ones(logits.shape[0], self.size, device=logits.device, dtype=torch.bool)
        self.rows, self.columns = (whole, whole) if frames is None else content_sides(frames, self.size)
        self.grid = torch.arange(self.size, device=logits.device, dtype=self.logits.dtype)

    @cached_property
    def peak(self) -> Tensor:
        "Place (B, N, 2) of the largest logit on the image, whole numbers; of several the first, row by row."
        logits = self.on_image
        y = logits.amax(-1).argmax(-1)  # the row first: a search through all pixels at once takes 4 times as long
        x = logits.gather(2, y[..., None, None].expand(*y.shape, 1, self.size)).argmax(-1).squeeze(-1)
        return torch.stack([x, y], -1)

    @cached_property
    def height(self) -> Tensor:
        "The largest logit (B, N) on the image."
        x, y = self.peak.unbind(-1)
        return self.logits.flatten(2).gather(2, (y * self.size + x)[..., None])[..., 0]

    @cached_property
    def on_image(self) -> Tensor:
        "The logits, -inf on the padding."
        return self.logits.where(self.rows[:, None, :, None] & self.columns[:, None, None, :], -torch.inf)

    def peaks(self, n: int) -> tuple[Tensor, Tensor]:
        """Places (B, N, n, 2), whole numbers, and logits (B, N, n) of the `n` highest peaks, `peak` first.

        The square is divided into `CELLS` along each side. A peak after the first is the largest logit of a cell that
        has none larger beside it, and does not touch that of the first; where there are fewer, logits are -inf.
        """
        if n == 1: return self.peak[:, :, None], self.height[..., None]
        side = -(-self.size // CELLS)
        cells = F.max_pool2d(self.on_image, side, ceil_mode=True)
        numbers = torch.arange(cells.shape[-1], device=cells.device)
        near_x, near_y = ((numbers - (self.peak // side)[..., None]).abs() <= 1).unbind(2)
        flank = (cells < F.max_pool2d(cells, 3, 1, 1)) | (near_y[..., None] & near_x[..., None, :])
        height, at = cells.masked_fill(flank, -torch.inf).flatten(2).topk(n - 1)
        others = self.highest_in(torch.stack([at % len(numbers), at // len(numbers)], -1), side)
        return torch.cat([self.peak[:, :, None], others], 2), torch.cat([self.height[..., None], height], 2)

    def highest_in(self, cells: Tensor, side: int) -> Tensor:
        "Places (B, N, n, 2) of the largest logits in n `cells` (B, N, n, 2), of the `side` in px, of each heatmap."
        corner = (cells * side).clamp(max=self.size - side)
        columns, rows = (corner[..., None] + torch.arange(side, device=corner.device)).unbind(3)  # (B, N, n, side)
        pixels = rows[..., None] * self.size + columns[..., None, :]
        at = self.on_image.flatten(2).gather(2, pixels.flatten(2)).view(pixels.shape).flatten(3).argmax(-1)
        return corner + torch.stack([at % side, at // side], -1)

    @cached_property
    def weight(self) -> Tensor:
        "The softmax (B, N, S, S) but for a factor: 1 at the peak, and 1 at most on the padding."
        return (self.logits - self.height[..., None, None]).clamp_(LEAST, 0.).exp_()

    @cached_property
    def profiles(self) -> tuple[Tensor, Tensor]:
        "Sums of the weight on the image over its rows and over its columns: as it is spread along x and y (B, N, S)."
        columns, rows = (side[:, None, None].to(self.weight.dtype) for side in (self.columns, self.rows))
        along_x, along_y = rows @ self.weight, columns @ self.weight.mT  # the fast way round, by a factor of 10
        return (along_x * columns)[:, :, 0], (along_y * rows)[:, :, 0]

    @cached_property
    def extent(self) -> Tensor:
        "Sum (B, N) of the weight on the image: n where the softmax is flat over n pixels."
        return self.profiles[0].sum(-1)

    def argmax(self, peak: Tensor) -> Tensor:
        "Points (B, N, 2) in network px: the `peak` itself."
        return peak.to(self.logits.dtype)

    def centroid(self, peak: Tensor) -> Tensor:
        """Sub-pixel points (B, N, 2) in network px: the centroid of each channel's softmax around its `peak` (B, N, 2).

        The window around the peak follows its extent: a softmax that is flat over n pixels has the value 1/n, a diamond
        of n pixels the radius sqrt(n / 2), and twice that radius reaches across the diamond from any of its corners. So
        a flat diamond is found at its centre, wherever its largest value is, and also where a part of it lies on the
        padding.
        """
        reach = torch.ceil(2 * (self.extent / 2).sqrt()) + 1
        away = self.grid - peak[..., None]  # from the peak, along x and y: (B, N, 2, S)
        near = (away.abs() <= reach[..., None, None]).to(away.dtype)
        near_x, near_y = torch.stack([near, near * away], -2).unbind(2)
        (mass, mass_x), (mass_y, _) = (near_y @ self.weight @ near_x.mT).permute(2, 3, 0, 1)
        return peak + torch.stack([mass_x, mass_y], -1) / mass[..., None]

    def points(self, method: str, peak: Tensor) -> Tensor:
        "Points (B, N, 2) in network px, on the image, of a `peak` (B, N, 2) by `method`, one of `DECODERS`."
        points = DECODERS[method](self, peak)
        if self.frames is None: return points
        frame = Frame.of(self.frames[:, None])
        first_pixel = to_network(torch.zeros_like(frame.size), frame)
        last_pixel = to_network(frame.size - 1, frame)
        return points.clamp(first_pixel, last_pixel)

    def scatter(self, points: Tensor) -> Tensor:
        """How far (B, N), in network px, the softmax of each channel lies from `points` (B, N, 2; network px).

        The expected distance along x and that along y, as the sides of a right angle: unlike the expected distance
        itself they are sums over rows and columns. The softmax is over the pixels of the image, not of its padding.
        """
        along_x, along_y = self.profiles
        far_x, far_y = (self.grid - points.nan_to_num()[..., None]).abs().unbind(2)
        sides = torch.stack([(along_x * far_x).sum(-1), (along_y * far_y).sum(-1)])
        return torch.linalg.vector_norm(sides, dim=0) / self.extent

    def is_present(self) -> Tensor:
        "Which landmarks (B, N, bool) are on the image: their largest sigmoid on it is at least 0.5."
        return self.height >= 0


DECODERS: dict[str, Callable] = {'argmax': Heatmaps.argmax, 'centroid': Heatmaps.centroid}


class Reading(NamedTuple):
    "What the heatmaps of B images with N landmarks say of their P highest peaks, the highest first, in network px."
    points: Tensor   # (B, N, P, 2)
    heights: Tensor  # (B, N, P): the logit of the peak
    scatter: Tensor  # (B, N, P) of the heatmap around the point, see `Heatmaps`
    present: Tensor  # (B, N) bool


def each_heatmap(logits: Tensor, frames: Tensor | None = None) -> Iterator[Heatmaps]:
    """The `Heatmaps` of `logits` (B, N, S, S), in order; on a CPU a few channels of one image at a time.

    They stay in its cache, and their memory is found again for the next, where larger blocks go back to the system.
    """
    if torch.compiler.is_exporting():  # a graph has no loop over as many images as there are
        yield Heatmaps(logits, frames)
        return
    logits = logits.as_subclass(Tensor)
    n_images, n_channels, size, _ = logits.shape
    step = (1, max(AT_ONCE // size ** 2, 1)) if logits.device.type == 'cpu' else (n_images, n_channels)
    for first in range(0, n_images, step[0]):
        images = slice(first, first + step[0])
        one_by_one = logits[images].contiguous()  # all channels together: they lie side by side
        for channel in range(0, n_channels, step[1]):
            yield Heatmaps(one_by_one[:, channel:channel + step[1]], None if frames is None else frames[images])


def put_together(parts: Sequence[Tensor], logits: Tensor) -> Tensor:
    "The `parts` that were read of `each_heatmap` of `logits` (B, N, S, S), as (B, N, ...)."
    return torch.cat(parts, 1).view(*logits.shape[:2], *parts[0].shape[2:])


def read(logits: Tensor, frames: Tensor, method: str, n_peaks: int = 1) -> Reading:
    """All that `logits` (B, N, S, S) say of images with `frames` (B, 7), points by `method`, one of `DECODERS`.

    `n_peaks` is P, the number of peaks that are looked at.
    """
    readings = []
    for heatmaps in each_heatmap(logits, frames):
        peaks, heights = heatmaps.peaks(n_peaks)
        points = [heatmaps.points(method, peak) for peak in peaks.unbind(2)]
        scatter = [heatmaps.scatter(of_peak) for of_peak in points]
        readings.append(Reading(torch.stack(points, 2), heights, torch.stack(scatter, 2), heatmaps.is_present()))
    return Reading(*(put_together(parts, logits) for parts in zip(*readings, strict=True)))


def decode(logits: Tensor, frames: Tensor | None = None, method: str = 'centroid') -> Tensor:
    """Points (B, N, 2) in network px from `logits` (B, N, S, S), in float32, by one of `DECODERS`.

    With the `frames` (B, 7) of the images the peak is looked for on the original image only, and the point lies on it.
    """
    return put_together([heatmaps.points(method, heatmaps.peak) for heatmaps in each_heatmap(logits, frames)], logits)


def is_present(logits: Tensor, frames: Tensor) -> Tensor:
    "Which landmarks (B, N, bool) are on the image, see `Heatmaps`; `logits` (B, N, S, S), `frames` (B, 7)."
    return put_together([heatmaps.is_present() for heatmaps in each_heatmap(logits, frames)], logits)
