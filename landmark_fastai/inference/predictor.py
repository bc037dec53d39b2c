"A trained network, or several, on new images. No torch here, unless the engine is PyTorch."

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from fastcore.basics import chunked

from ..config import TrainConfig
from ..data.items import image_frame
from ..errors import UsageError
from ..flags import check_values
from ..formats.annotations import ABSENT, UNLABELLED, VISIBLE, Annotations
from ..formats.images import letterbox, read_pixels
from ..geometry.confidence import confidence
from ..geometry.frame import Frame, to_original
from ..model.facts import FIRST, BoundFacts, ModelFacts
from ..predict_config import PredictConfig
from ..threads import cores, in_threads
from .bounds import factors
from .engine import Decoded, Engine
from .shape_model import ShapeModel

if TYPE_CHECKING:
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner

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


class ShownPrediction(Prediction):
    """The `Prediction` of n images that knows the first of them, and the `names` of landmarks: a notebook shows it.

    Images are read, and points drawn, when it is shown.
    """
    FEW = 4  # images that are shown
    names: Sequence[str] = ()
    images: Sequence[ImageSource] = ()
    color = False

    def _repr_html_(self):
        from .shown import prediction_html  # figures and templates, for which predicting does not wait
        return prediction_html(self) if self.images else None


class Opened(NamedTuple):
    "An image as it was opened, or the `error` that was raised."
    image: ImageSource  # what was asked for
    error: UsageError | None = None
    pixels: np.ndarray | None = None  # (H, W) or (H, W, 3) uint8
    square: np.ndarray | None = None  # (C, S, S) uint8
    frame: np.ndarray | None = None   # (7,)


class Predictor:
    """A trained network, or several, and what it needs to know of images: flags and facts of its run.

    `names` are its landmarks, `weights` the files that its weights are from.
    """
    stage = FIRST  # whose `facts.bounds` are those of its points

    def __init__(self, engine: Engine, config: TrainConfig, facts: ModelFacts, weights: Sequence[str | Path] = ()):
        self.engine = engine
        self.config = config
        self.facts = facts
        self.names = facts.landmarks
        self.weights = list(weights)
        # the factor from the scatter of the heatmap to the expected error, (N,); see `calibration.calibrate`
        self.calibration = np.array(facts.calibration or [1.] * len(self.names), np.float32)
        self.shape = facts.shape and ShapeModel(facts.shape)

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
        first, found = [], []
        for image, _, prediction in self.stream(images, tta, min_confidence, level):
            if len(first) < ShownPrediction.FEW: first.append(image)
            found.append(prediction)
        if not found: raise UsageError('no images were given')
        together = ShownPrediction.stack(found, len(self.names))
        together.names, together.images, together.color = self.names, first, self.config.color
        return together

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
        n = self.engine.batch_size
        for batch in chunked(in_threads(self._open, images, max(n, cores())), n):
            for each in batch:
                if each.error is None: continue
                if fail is None: raise each.error
                fail(each.image, each.error)
            good = [each for each in batch if each.error is None]
            if not good: continue
            frames = np.stack([each.frame for each in good])
            seen = self.decode(np.stack([each.square for each in good]), frames, tta)
            found = zip(good, self.on_images(seen, frames), seen.scatter, strict=True)
            for each, prediction, scatter in found:
                prediction = self.finish(each.pixels, prediction, scatter, tta)
                prediction = prediction._replace(bound=prediction.expected_error * scale)
                yield each.image, each.pixels, prediction.blanked(min_confidence)

    def decode(self, squares: np.ndarray, frames: np.ndarray, tta: bool = False) -> Decoded:
        """What the engine sees on `squares` (B, C, S, S) with `frames` (B, 7), see `Engine`.

        Where the shape of the landmarks is known, their points are of those peaks that it makes most probable.
        """
        seen = self.engine.decode(squares, frames, tta=tta)
        if self.shape is None or seen.peaks is None: return seen
        images = zip(seen.peaks, seen.heights, ~seen.absent, strict=True)
        chosen = np.stack([self.shape.choose(*of_image) for of_image in images])[..., None]
        return seen._replace(points=np.take_along_axis(seen.peaks, chosen[..., None], 2)[:, :, 0],
                             scatter=np.take_along_axis(seen.peak_scatter, chosen, 2)[..., 0])

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

    def learner(self, dls: 'DataLoaders | None' = None, config: TrainConfig | None = None,
                **kwargs) -> 'Learner':
        """A `LandmarkLearner` with a copy of these weights, to fine-tune on `dls`, of `landmark_dls`.

        When left out, `dls` is the run's own data, and the flags `config` those that it was trained with; `kwargs` of
        `landmark_learner` win. Raises UsageError where landmarks or colour are not the network's, for an ensemble and
        for a bundle.
        """
        if self.engine.name != 'torch':
            raise UsageError('the networks of a bundle are not trained on; take the folder of the run that it is of')
        from ..data.loaders import config_dls
        from ..learner import config_learner  # what only predicts needs no Learner
        models = self.engine.models
        if len(models) > 1:
            raise UsageError(f'an ensemble of {len(models)} models is not trained on; take the folder of a fold')
        if dls is None: dls = config_dls(self.config, self.engine.device)
        self.check_names(dls.annotations)
        if dls.reader.color != self.config.color:
            raise UsageError(f'color of the DataLoaders is {dls.reader.color}, but the network was trained with '
                             f'{self.config.color}')
        for name in ('arch', 'encoder_name'):
            own = getattr(self.config, name)
            if kwargs.get(name, own) != own:
                raise UsageError(f'{name} is {kwargs[name]!r}, but these are the weights of {own!r}; leave it out')
        learn = config_learner(dls, config or self.config, **{'encoder_weights': 'none'} | kwargs)
        learn.model.load_state_dict(models[0].state_dict())
        return learn

    def with_facts(self, facts: ModelFacts) -> 'Predictor':
        "The same networks with other `facts` of how far they are to be trusted."
        return Predictor(self.engine, self.config, facts, self.weights)

    def check_names(self, annotations: Annotations):
        "Raise UsageError unless the landmarks of `annotations` are the network's, in its order."
        if annotations.names == self.names: return
        raise UsageError(f'{annotations.path.name} has the {len(annotations.names)} landmarks '
                         f'{", ".join(annotations.names)}; the model has the {len(self.names)} landmarks '
                         f'{", ".join(self.names)}: expected the same names in the same order')

    def _open(self, image: ImageSource) -> Opened:
        try:
            check_image(image)
            pixels = read_pixels(image, self.config.color)
        except UsageError as e: return Opened(image, e)
        except OSError as e: return Opened(image, UsageError(f'{image}: {e.strerror}'))
        square = np.atleast_3d(letterbox(pixels, self.config.image_resize))
        frame = image_frame(pixels, self.config.image_resize)
        return Opened(image, None, pixels, square.transpose(2, 0, 1), frame.row())

    def on_images(self, seen: Decoded, frames: np.ndarray) -> list[Prediction]:
        "A `Prediction` of each image of what was `seen` on squares with `frames` (B, 7)."
        frame = Frame.of(frames)
        original = to_original(seen.points, Frame.of(frames[:, None])).astype(float)
        sizes = frame.size.astype(int)
        # rounding may leave the image
        points = original.round(DECIMALS).clip(0, sizes[:, None] - 1)
        points = np.where(seen.absent[..., None], np.nan, points)
        expected, apart = (np.where(seen.absent, np.nan, values / frame.scale).astype(float)
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


def check_image(image: Any):
    "Raise UsageError unless `image` is a path, or an array that has pixels."
    if not isinstance(image, ImageSource):
        raise UsageError(f'a {type(image).__name__} was given as an image; expected the path of a file, or a uint8 '
                         'array of pixels')
    if isinstance(image, np.ndarray) and not image.size:
        raise UsageError(f'an array of {image.shape} was given as an image; expected one with pixels')
