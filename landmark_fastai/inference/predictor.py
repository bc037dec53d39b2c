"A trained network on new images: from the folder of a run, or from weights of the original system."

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from fastcore.basics import chunked

from ..data.augmentation import mirror_order
from ..data.items import image_frame
from ..data.loaders import landmark_dls, upload, usable_device
from ..data.transforms import SquareReader
from ..errors import UsageError
from ..formats.annotations import ABSENT, UNLABELLED, VISIBLE
from ..formats.images import to_square
from ..geometry.decoding import decode, is_present, scatter
from ..geometry.distances import confidence, spread
from ..geometry.frame import to_original
from ..learner import landmark_learner
from ..model.precision import autocast, choose_precision
from ..threads import in_threads
from ..training.config import dls_arguments, learner_arguments, parse_pairs
from .views import VIEWS, warp

MOST = 32       # images that go through the network together: those that wait are in memory at full size
DECIMALS = 3    # of coordinates: far below what any network resolves, and it keeps files small


class Prediction(NamedTuple):
    "The N landmarks of one image; of n images, every array has n in front."
    points: np.ndarray      # (N, 2) float64: x, y in original px, NaN unless visible
    state: np.ndarray       # (N,) uint8: VISIBLE, ABSENT, or UNLABELLED where it is too uncertain
    confidence: np.ndarray  # (N,) float64: 0 to 1, see `geometry.confidence` and `calibrate`; NaN where absent
    spread: np.ndarray      # (N,) float64: how far the models of an ensemble are apart, original px; NaN of one model
    size: np.ndarray        # (2,) int: width and height of the image as it is looked at


class Predictor:
    """A trained network, or several, and what it needs to know of images; `config` is that of its run.

    `names` are its landmarks. The logits of several `models` are averaged, and their points tell the spread.
    """
    def __init__(self, models, config, device=None, precision='auto'):
        self.config, self.names, self.device = config, config['landmarks'], usable_device(device)
        self.precision = choose_precision(precision, self.device)
        self.models = [model.to(self.device) for model in models]
        self.batch_size = batch_size(config['image_resize'], self.device)
        self.reader = SquareReader(config['image_resize'], config['color'])
        self.stats = [torch.tensor(config[key], device=self.device)[:, None, None] for key in ('mean', 'std')]
        self.can_be_absent = torch.tensor([name in config['presence'] for name in self.names])
        # the factor from the scatter of the softmax to the error that is to be expected, (N,); see `calibrate`
        self.calibration = torch.tensor(config['calibration'] or [1.] * len(self.names))
        pairs = parse_pairs(config['flip_pairs'])
        self.mirrored = mirror_order(pairs, self.names) if pairs else None

    def predict(self, images, tta=False, min_confidence=0.):
        """Landmarks of `images`: paths of files, or uint8 arrays (H, W), (H, W, 3) RGB for a run with --color.

        One image may stand alone. Returns a `Prediction` of arrays (n, N, ...): points in original px, (0, 0) is the
        centre of the top-left pixel.
        `tta` averages over small shifts and scales, and mirror images where the run knows flip pairs; landmarks of a
        confidence below `min_confidence` are left blank. Raises UsageError for the first image that cannot be read.
        """
        if isinstance(images, (str, Path, np.ndarray)): images = [images]
        found = [prediction for *_, prediction in self.stream(images, tta, min_confidence)]
        if not found: raise UsageError('no images were given')
        return Prediction(*map(np.stack, zip(*found, strict=True)))

    def stream(self, images, tta=False, min_confidence=0., fail=None):
        """Yield, in order, each of `images`, its pixels and its `Prediction`; memory does not grow with their number.

        Files are read ahead in threads while the network is busy. For an image that cannot be read `fail` is called,
        with the image and the error; without it the error is raised.
        """
        ahead = max(self.batch_size, os.cpu_count())
        for readings in chunked(in_threads(self._read, images, ahead), self.batch_size):
            for image, error, *_ in readings:
                if error is None: continue
                if fail is None: raise error
                fail(image, error)
            good = [reading for reading in readings if reading[1] is None]
            if not good: continue
            _, _, pixels, squares, frames = zip(*good, strict=True)
            found = zip(*self.predict_squares(torch.stack(squares), torch.stack(frames), tta), strict=True)
            for (image, *_), p, here, prediction in zip(good, pixels, frames, found, strict=True):
                yield image, p, blank(Prediction(*prediction, here[:2].numpy().astype(int)), min_confidence)

    def learner(self, dls=None, **kwargs):
        """A `LandmarkLearner` with these weights, to fine-tune on `dls` (of `landmark_dls`).

        Without `dls` it trains on the run's own data. The landmarks must be the network's; `kwargs` go to
        `landmark_learner`. Raises UsageError, also for an ensemble.
        """
        if len(self.models) > 1:
            raise UsageError(f'an ensemble of {len(self.models)} models is not trained on; take the folder of a fold')
        if dls is None: dls = landmark_dls(**dls_arguments(self.config))
        self.check_names(dls.annotations)
        learn = landmark_learner(dls, **learner_arguments(self.config) | {'encoder_weights': 'none'} | kwargs)
        learn.model.load_state_dict(self.models[0].state_dict())
        return learn

    def check_names(self, annotations):
        "Raise UsageError unless the landmarks of `annotations` are the network's, in its order."
        if annotations.names == self.names: return
        raise UsageError(f'{annotations.path.name} has the {len(annotations.names)} landmarks '
                         f'{", ".join(annotations.names)}; the model has the {len(self.names)} landmarks '
                         f'{", ".join(self.names)}: expected the same names in the same order')

    def _read(self, image):
        "`image`, the error that reading it raised, its pixels, square and frame."
        try: pixels = self.reader.image(image)
        except UsageError as e: return image, e
        except OSError as e: return image, UsageError(f'{image}: {e.strerror}')
        square = np.atleast_3d(to_square(pixels, self.reader.image_resize))
        frame = image_frame(pixels, self.reader.image_resize)[0]
        return image, None, pixels, torch.from_numpy(square).permute(2, 0, 1), frame

    @torch.inference_mode()
    def look(self, squares, frames, tta=False):
        """What the network sees on `squares` (B, C, S, S): points (B, N, 2), scatter and spread (B, N), network px.

        And where it calls a landmark absent (B, N); its point and scatter mean nothing then. See `geometry`.
        """
        squares, frames = upload((squares, frames), self.device)
        images = squares.float() / 255
        total, each = 0, []
        for model in self.models:
            logits = self._averaged(model, images) if tta else self._logits(model, images)
            each.append(decode(logits, frames, self.config['decode']))
            total = total + logits
        logits = total / len(self.models)
        points = decode(logits, frames, self.config['decode']) if len(self.models) > 1 else each[0]
        seen = points, scatter(logits, points, frames), spread(torch.stack(each)), ~is_present(logits, frames)
        points, scattered, apart, missing = (values.cpu() for values in seen)
        return points, scattered, apart, self.can_be_absent & missing

    def predict_squares(self, squares, frames, tta=False):
        "Points (B, N, 2) in original px, state, confidence and spread (B, N) of `squares` (B, C, S, S), as arrays."
        points, scattered, apart, absent = self.look(squares, frames, tta)
        original = to_original(points, frames[:, None]).masked_fill(absent[..., None], torch.nan)
        sure = confidence(scattered * self.calibration, squares.shape[-1]).masked_fill(absent, torch.nan)
        apart = (apart / frames[:, 4:5]).masked_fill(absent, torch.nan)
        last = frames[:, None, :2].numpy() - 1  # rounding may leave the image
        return (original.numpy().astype(float).round(DECIMALS).clip(0, last),
                np.where(absent, ABSENT, VISIBLE).astype(np.uint8), sure.numpy().astype(float),
                apart.numpy().astype(float))

    def _logits(self, model, images):
        "What `model` makes of `images` (B, C, S, S), 0 to 1."
        mean, std = self.stats
        with autocast(self.precision, self.device): return model.eval()((images - mean) / std)

    def _averaged(self, model, images):
        "Logits of `model` for `images`, averaged over `VIEWS` and, where flip pairs are known, their mirror images."
        total = weight = 0
        for scale, right, down in VIEWS:
            for mirror in (1, -1) if self.mirrored else (1,):
                zoom, shift = torch.tensor([mirror * scale, scale]), torch.tensor([right, down])
                logits = self._logits(model, warp(images, zoom, shift))
                if mirror < 0: logits = logits[:, self.mirrored]
                logits = torch.cat([logits, torch.ones_like(logits[:, :1])], 1)  # the last channel: what a view sees
                logits = warp(logits, 1 / zoom, -shift / zoom)
                total, weight = total + logits[:, :-1], weight + logits[:, -1:]
        return total / weight


def batch_size(image_resize, device):
    "Images that go through the network together: 8 at 512 px, more if smaller; on a CPU one a thread fills it."
    fitting = min(max(8 * 512 ** 2 // image_resize ** 2, 1), MOST)
    return min(fitting, torch.get_num_threads()) if device.type == 'cpu' else fitting


def blank(prediction, min_confidence):
    "`prediction` without the points that are less sure than `min_confidence`, or not numbers (diverged networks)."
    unsure = (prediction.confidence < min_confidence) | (
        (prediction.state == VISIBLE) & np.isnan(prediction.points).any(-1))
    return prediction._replace(points=np.where(unsure[:, None], np.nan, prediction.points),
                               state=np.where(unsure, UNLABELLED, prediction.state).astype(np.uint8))
