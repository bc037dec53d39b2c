"Everything for a notebook: `from landmark_fastai.all import *`, beside fastai's own `fastai.vision.all`."

from .annotations import Annotations, read_annotations, write_annotations
from .callbacks import ErosionSchedule
from .core import TensorLandmarks, TensorRadiograph
from .data import LandmarkBlock, SquareReader, landmark_dls
from .errors import Incomplete, UsageError
from .learner import LandmarkLearner, landmark_learner
from .losses import LandmarkLoss
from .metrics import DiceScore, LandmarkError, PresenceAccuracy, landmark_metrics
from .predictor import Prediction, Predictor, load, load_original
from .run import demo, evaluate, find_lr, predict, train
from .sample import write_sample

__all__ = [
    'Annotations', 'read_annotations', 'write_annotations', 'ErosionSchedule', 'TensorLandmarks',
    'TensorRadiograph', 'LandmarkBlock', 'SquareReader', 'landmark_dls', 'UsageError', 'LandmarkLearner',
    'landmark_learner', 'LandmarkLoss', 'DiceScore', 'LandmarkError', 'PresenceAccuracy', 'landmark_metrics',
    'Incomplete', 'Prediction', 'Predictor', 'load', 'load_original', 'demo', 'evaluate', 'find_lr', 'predict',
    'train', 'write_sample',
]
