"A trained network, or several, on new images."

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastcore.basics import chunked
from torch import Tensor, nn

from ..config import TrainConfig
from ..data.augmentation import mirror_order
from ..data.items import image_frame
from ..data.loaders import config_dls, upload, usable_device
from ..data.transforms import SquareReader
from ..errors import UsageError
from ..flags import check_values
from ..formats.annotations import ABSENT, UNLABELLED, VISIBLE, Annotations
from ..formats.images import letterbox
from ..geometry.decoding import decode, read
from ..geometry.distances import confidence, spread
from ..geometry.frame import Frame, to_original
from ..model.facts import FIRST, BoundFacts, ModelFacts
from ..model.precision import autocast, choose_precision
from ..predict_config import PredictConfig
from ..threads import cores, in_threads
from .bounds import factors
from .views import average_views

MOST = 32     # images that go through the network together: those that wait are in memory at full size
DECIMALS = 3  # of coordinates: far below what any network resolves, and it keeps files small
ImageSource = str | Path | np.ndarray  # what an image may be given as


class Prediction(NamedTuple):
    "The N landmarks of one image; of n images, every array has n in front."
    points: np.ndarray      # (N, 2) float64: x, y in original px, NaN unless visible
    state: np.ndarray       # (N,) uint8: VISIBLE, ABSENT, or UNLABELLED where it is too uncertain
    confidence: np.ndarray  # (N,) float64: 0 to 1, see `geometry.distances`; NaN where absent
    spread: np.ndarray      # (N,) float64: how far the models of an ensemble are apart, original px; NaN of one model
    size: np.ndarray        # (2,) int: width and height of the image as it is looked at
    expected_error: np.ndarray  # (N,) float64: original px, see `inference.calibration`; NaN where absent
    stage: np.ndarray       # (N,) of str: which stages the point is of, see `inference.refining`; '' of one stage
    first: np.ndarray       # (N, 2) float64: as `points`, of the first stage alone
    bound: np.ndarray       # (N,) float64: radius that the error stays within, original px, see `inference.bounds`

    @classmethod
    def stack(cls, each: Sequence['Prediction'], n_landmarks: int) -> 'Prediction':
        "One `Prediction` of all images, of which there may be none."
        columns = zip(*each, strict=True) if each else [()] * len(cls._fields)
        n = (n_landmarks,)
        shapes = (*n, 2), n, n, n, (2,), n, n, (*n, 2), n
        return cls(*(np.array(values).reshape(-1, *shape) for values, shape in zip(columns, shapes, strict=True)))

    def blanked(self, min_confidence: float) -> 'Prediction':
        "Without the points of one image of less confidence than `min_confidence`, or NaN (diverged networks)."
        unsure = (self.confidence < min_confidence) | ((self.state == VISIBLE) & np.isnan(self.points).any(-1))
        return self._replace(points=np.where(unsure[:, None], np.nan, self.points),
                             state=np.where(unsure, UNLABELLED, self.state).astype(np.uint8))


class Opened(NamedTuple):
    "An image as it was opened, or the `error` that was raised."
    image: ImageSource  # what was asked for
    error: UsageError | None = None
    pixels: np.ndarray | None = None  # (H, W) or (H, W, 3) uint8
    square: Tensor | None = None      # (C, S, S) uint8
    frame: Tensor | None = None       # (7,)


class Decoded(NamedTuple):
    "What the heatmaps of B squares say, in network px."
    points: Tensor   # (B, N, 2); those of absent landmarks mean nothing
    scatter: Tensor  # (B, N) of the heatmap around the point, see `geometry.decoding`; NaN where absent
    spread: Tensor   # (B, N) of the points of several models
    absent: Tensor   # (B, N) bool


class Predictor:
    """A trained network, or several, and what it needs to know of images: flags and facts of its run.

    `names` are its landmarks, `weights` the files that its weights are from. The heatmaps of several `models` are
    averaged, and their points tell the spread.
    """
    stage = FIRST  # whose `facts.bounds` are those of its points

    def __init__(self, models: list[nn.Module], config: TrainConfig, facts: ModelFacts,
                 device: str | torch.device | None = None, precision: str = 'auto',
                 weights: Sequence[str | Path] = ()):
        self.config = config
        self.facts = facts
        self.names = facts.landmarks
        self.weights = list(weights)
        self.device = usable_device(device)
        self.precision = choose_precision(precision, self.device)
        self.models = [model.to(self.device) for model in models]
        self.batch_size = batch_size(config.image_resize, self.device)
        self.reader = SquareReader(config.image_resize, config.color)
        self.mean, self.std = (torch.tensor(values, device=self.device)[:, None, None]
                               for values in (facts.mean, facts.std))
        self.can_be_absent = torch.tensor([name in facts.presence for name in self.names])
        # the factor from the scatter of the heatmap to the expected error, (N,); see `calibration.calibrate`
        self.calibration = torch.tensor(facts.calibration or [1.] * len(self.names))
        self.mirrored = mirror_order(config.pairs, self.names) if config.pairs else None

    def predict(self, images: ImageSource | Iterable[ImageSource], tta: bool = PredictConfig.tta,
                min_confidence: float = PredictConfig.min_confidence, level: float = PredictConfig.level) -> Prediction:
        """Landmarks of `images`: paths of files, or uint8 arrays (H, W), (H, W, 3) RGB for a run with --color.

        One image may stand alone. Returns a `Prediction` of arrays (n, N, ...): points in original px, (0, 0) is the
        centre of the top-left pixel. `tta` averages over small shifts and scales, and mirror images where the run knows
        flip pairs; landmarks of a confidence below `min_confidence`, 0 to 1, are left blank. A share `level` of points
        lies within their bounds; with `tta` there are none, for they are made without. Raises UsageError for the first
        image that cannot be read.
        """
        if isinstance(images, ImageSource) or not isinstance(images, Iterable): images = [images]
        found = [prediction for *_, prediction in self.stream(images, tta, min_confidence, level)]
        if not found: raise UsageError('no images were given')
        return Prediction.stack(found, len(self.names))

    def stream(self, images: Iterable[ImageSource], tta: bool = PredictConfig.tta,
               min_confidence: float = PredictConfig.min_confidence, level: float = PredictConfig.level,
               fail: Callable[[ImageSource, UsageError], None] | None = None
               ) -> Iterator[tuple[ImageSource, np.ndarray, Prediction]]:
        """Yield, in order, each of `images`, its pixels and its `Prediction`; memory does not grow with their number.

        Files are read ahead in threads while the network is busy. For an image that cannot be read `fail` is called,
        with the image and the error; without it the error is raised.
        """
        check_values(PredictConfig, tta=tta, min_confidence=min_confidence, level=level)
        scale = np.full(len(self.names), np.nan) if tta else self.bound_factors(level)
        ahead = max(self.batch_size, cores())
        for batch in chunked(in_threads(self._open, images, ahead), self.batch_size):
            for each in batch:
                if each.error is None: continue
                if fail is None: raise each.error
                fail(each.image, each.error)
            good = [each for each in batch if each.error is None]
            if not good: continue
            squares = torch.stack([each.square for each in good])
            frames = torch.stack([each.frame for each in good])
            seen = self.decode_squares(squares, frames, tta)
            found = zip(good, self.on_images(seen, frames), seen.scatter.numpy(), strict=True)
            for each, prediction, scatter in found:
                prediction = self.finish(each.pixels, prediction, scatter, tta)
                prediction = prediction._replace(bound=prediction.expected_error * scale)
                yield each.image, each.pixels, prediction.blanked(min_confidence)

    @property
    def bounds(self) -> BoundFacts | None:
        "What the bounds of its points follow from, if anything is known of that."
        return self.facts.bounds.get(self.stage)

    def bound_factors(self, level: float) -> np.ndarray:
        "What the expected errors of landmarks (N,) are multiplied by for their bounds; NaN where there are none."
        return factors(self.bounds.scores, level) if self.bounds else np.full(len(self.names), np.nan)

    def finish(self, pixels: np.ndarray, prediction: Prediction, scatter: np.ndarray, tta: bool) -> Prediction:
        """What becomes of the `prediction` of an image, which another look at its `pixels` may sharpen.

        `scatter` (N,) is that of its heatmaps, network px.
        """
        return prediction

    def learner(self, dls: DataLoaders | None = None, config: TrainConfig | None = None, **kwargs) -> Learner:
        """A `LandmarkLearner` with a copy of these weights, to fine-tune on `dls`, of `landmark_dls`.

        When left out, `dls` is the run's own data, and the flags `config` those that it was trained with; `kwargs` of
        `landmark_learner` win. Raises UsageError where landmarks or colour are not the network's, and for an ensemble.
        """
        from ..learner import config_learner  # what only predicts needs no Learner
        if len(self.models) > 1:
            raise UsageError(f'an ensemble of {len(self.models)} models is not trained on; take the folder of a fold')
        if dls is None: dls = config_dls(self.config, self.device)
        self.check_names(dls.annotations)
        if dls.reader.color != self.config.color:
            raise UsageError(f'color of the DataLoaders is {dls.reader.color}, but the network was trained with '
                             f'{self.config.color}')
        for name in ('arch', 'encoder_name'):
            own = getattr(self.config, name)
            if kwargs.get(name, own) != own:
                raise UsageError(f'{name} is {kwargs[name]!r}, but these are the weights of {own!r}; leave it out')
        learn = config_learner(dls, config or self.config, **{'encoder_weights': 'none'} | kwargs)
        learn.model.load_state_dict(self.models[0].state_dict())
        return learn

    def with_facts(self, facts: ModelFacts) -> 'Predictor':
        "The same models with other `facts`."
        return Predictor(self.models, self.config, facts, self.device, self.precision, self.weights)

    def check_names(self, annotations: Annotations):
        "Raise UsageError unless the landmarks of `annotations` are the network's, in its order."
        if annotations.names == self.names: return
        raise UsageError(f'{annotations.path.name} has the {len(annotations.names)} landmarks '
                         f'{", ".join(annotations.names)}; the model has the {len(self.names)} landmarks '
                         f'{", ".join(self.names)}: expected the same names in the same order')

    def _open(self, image: ImageSource) -> Opened:
        try:
            check_image(image)
            pixels = self.reader.image(image)
        except UsageError as e: return Opened(image, e)
        except OSError as e: return Opened(image, UsageError(f'{image}: {e.strerror}'))
        square = np.atleast_3d(letterbox(pixels, self.reader.image_resize))
        frame = image_frame(pixels, self.reader.image_resize)[0]
        return Opened(image, None, pixels, torch.from_numpy(square).permute(2, 0, 1), frame)

    @torch.inference_mode()
    def decode_squares(self, squares: Tensor, frames: Tensor, tta: bool = False,
                       landmarks: Sequence[int] | None = None) -> Decoded:
        """What the networks find on `squares` (B, C, S, S) uint8 with `frames` (B, 7); tensors on the CPU.

        With `landmarks` (B,) only that one on each square, so that N is 1.
        """
        # plain tensors: torch.compile cannot trace through fastai's
        squares, frames = upload((squares.as_subclass(Tensor), frames), self.device)
        images = squares.float() / 255
        method = self.config.decode
        points_of_each = []
        total = None
        for model in self.models:  # the heatmaps of one at a time are in memory
            logits = self._heatmaps(model, images, tta)
            if landmarks is not None: logits = logits[range(len(logits)), landmarks][:, None]
            total = logits if total is None else total + logits
            if len(self.models) > 1: points_of_each.append(decode(logits, frames, method))
        seen = read(total / len(self.models) if points_of_each else total, frames, method)
        apart = spread(torch.stack(points_of_each or [seen.points]))
        decoded = Decoded(seen.points, seen.scatter, apart, ~seen.present)
        decoded = Decoded(*(values.cpu() for values in decoded))
        can_be_absent = self.can_be_absent if landmarks is None else self.can_be_absent[landmarks][:, None]
        absent = decoded.absent & can_be_absent
        return decoded._replace(scatter=decoded.scatter.masked_fill(absent, torch.nan), absent=absent)

    def on_images(self, seen: Decoded, frames: Tensor) -> list[Prediction]:
        "A `Prediction` of each image of what was `seen` on squares with `frames` (B, 7)."
        original = to_original(seen.points, Frame.of(frames[:, None])).masked_fill(seen.absent[..., None], torch.nan)
        sizes = Frame.of(frames).size.numpy().astype(int)
        # rounding may leave the image
        points = original.numpy().astype(float).round(DECIMALS).clip(0, sizes[:, None] - 1)
        expected, apart = ((values / Frame.of(frames).scale).masked_fill(seen.absent, torch.nan).numpy().astype(float)
                           for values in (seen.scatter * self.calibration, seen.spread))
        state = np.where(seen.absent, ABSENT, VISIBLE).astype(np.uint8)
        found = Prediction(points, state, np.full(state.shape, np.nan), apart, sizes, expected,
                           np.full(state.shape, ''), points, np.full(state.shape, np.nan))
        each = [Prediction(*of_image) for of_image in zip(*found, strict=True)]
        return [prediction._replace(confidence=self.confidence(prediction)) for prediction in each]

    def confidence(self, prediction: Prediction) -> np.ndarray:
        "The confidence (N,) in the points of one image, by their expected errors."
        network_px = prediction.expected_error * self.config.image_resize / prediction.size.max()
        return confidence(network_px, self.config.image_resize)

    def _heatmaps(self, model: nn.Module, images: Tensor, tta: bool) -> Tensor:
        "The logits (B, N, S, S) of `model` for `images` (B, C, S, S), 0 to 1; with `tta` averaged over views."
        def logits(view):
            with autocast(self.precision, self.device): return model.eval()((view - self.mean) / self.std)
        return average_views(logits, images, self.mirrored) if tta else logits(images)


def check_image(image: Any):
    "Raise UsageError unless `image` is a path, or an array that has pixels."
    if not isinstance(image, ImageSource):
        raise UsageError(f'a {type(image).__name__} was given as an image; expected the path of a file, or a uint8 '
                         'array of pixels')
    if isinstance(image, np.ndarray) and not image.size:
        raise UsageError(f'an array of {image.shape} was given as an image; expected one with pixels')


def batch_size(image_resize: int, device: torch.device) -> int:
    "Images that go through the network together: 8 at 512 px, more if smaller; on a CPU one a thread fills it."
    fitting = min(max(8 * 512 ** 2 // image_resize ** 2, 1), MOST)
    return min(fitting, torch.get_num_threads()) if device.type == 'cpu' else fitting
