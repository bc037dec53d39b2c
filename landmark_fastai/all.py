"Everything for a notebook: `from landmark_fastai.all import *`, beside fastai's own `fastai.vision.all`."

from .annotate.annotate import annotate
from .callbacks.erosion import ErosionSchedule
from .callbacks.live import ShowProgress
from .convert.convert import convert
from .data.crops import CropField, refine_dls
from .data.loaders import LandmarkBlock, landmark_dls
from .data.sample import sample, write_sample
from .data.tensors import TensorLandmarks, TensorRadiograph
from .data.transforms import SquareReader
from .errors import Diverged, Incomplete, OutOfMemory, UsageError
from .evaluation.evaluate import evaluate
from .export.export import export
from .formats.annotations import Annotations, read_annotations, write_annotations
from .inference.bundle import load_bundle
from .inference.loading import load, load_original
from .inference.predict import predict
from .inference.predictor import Prediction, Predictor
from .learner import LandmarkLearner, landmark_learner
from .measure.agree import agreement
from .measure.measure import measure
from .model.losses import LandmarkLoss
from .model.metrics import DiceScore, LandmarkError, PresenceAccuracy, landmark_metrics
from .quality.check import check
from .training.demo import demo
from .training.lr_finder import find_lr
from .training.train import train

__all__ = [
    'Annotations', 'read_annotations', 'write_annotations', 'ErosionSchedule', 'ShowProgress',
    'TensorLandmarks', 'TensorRadiograph', 'LandmarkBlock', 'SquareReader', 'landmark_dls', 'CropField',
    'refine_dls', 'UsageError', 'LandmarkLearner',
    'landmark_learner', 'LandmarkLoss', 'DiceScore', 'LandmarkError', 'PresenceAccuracy', 'landmark_metrics',
    'Diverged', 'Incomplete', 'OutOfMemory', 'agreement', 'annotate', 'check', 'convert', 'export', 'load_bundle',
    'sample', 'Prediction', 'Predictor', 'load', 'load_original', 'demo', 'evaluate', 'find_lr', 'measure', 'predict',
    'train',
    'write_sample',
]
