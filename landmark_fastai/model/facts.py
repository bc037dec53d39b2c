"""What a run has learned, beside its weights: `model.json` in its folder.

`config.yaml` says what was asked for, and is never changed; this is what came out. No torch here.
"""

import json
import platform
import subprocess
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import UsageError
from ..files import write_text
from ..flags import is_number

FORMAT = 1  # of model.json; to be counted up when an older version would misread it
# facts that are newer than the format, and what they are where they are not known
LATER = {'shape': None, 'crop': None, 'bounds': {}, 'images': None}
FILE = 'model.json'
SOURCES = CAL, FOLDS = 'cal', 'folds'  # rows of the split `cal`, or images that a fold was not trained on
FIRST, BOTH = 'first', 'both'
LIBRARIES = 'fastai', 'torch', 'segmentation-models-pytorch', 'opencv-python', 'numpy'


@dataclass
class ShapeFacts:
    "The shape of N landmarks, of the size 1, and its M modes of variation, see `inference.shape_model`."
    mean: list[list[float]]   # (N, 2)
    modes: list[list[float]]  # (M, 2N): directions of length 1, x and y of one landmark after the other
    variances: list[float]    # (M,) along them
    rest: float               # variance in each other direction


@dataclass
class CropFacts:
    "What a second stage knows of its crops, whose side is its `image_resize`."
    film: int      # side of the square that images are resized to, film px
    jitter: float  # how far off its middle a landmark may be in x and in y, a share of the side
    # factors from the scatter of a heatmap to the square of the expected error, (N,), of both stages
    first_variance: list[float]
    variance: list[float]


@dataclass
class BoundFacts:
    "What the bounds of points follow from: images that took no part in the training, see `inference.bounds`."
    scores: list[list[float]]  # errors over expected errors of each landmark, ascending
    source: str                # of `SOURCES`
    looks: list[list[float]]   # how each of the images looks, see `inference.likeness`; three numbers of `FOLDS`


@dataclass
class DataFacts:
    "What is known of the images of a run, none of them by name: what a model card tells of the data."
    sides: dict[str, int]            # images on each side of the split, or in each fold
    patients: dict[str, int] | None  # patients there, None where they are not known
    sizes: list[list[int]]           # the smallest and the largest width and height, px
    spacing: list[list[float]] | None  # the smallest and the largest in x and y, mm per px; None where none is known
    spacing_sources: dict[str, int]  # images by where their spacing is from, '' where it is not known
    labels: list[list[int]]          # images on which each landmark (N,) is visible, absent and not labelled


@dataclass
class ModelFacts:
    "What is known of a trained network; the first three are needed to predict."
    landmarks: list[str]
    mean: list[float]  # per channel, of pixels 0 to 1, that images are normalised with
    std: list[float]
    presence: list[str] = field(default_factory=list)  # landmarks whose absence it has learned
    calibration: list[float] | None = None  # factors from the scatter of the heatmap to the expected error, (N,)
    flat: list[str] = field(default_factory=list)  # landmarks for which it sees no place
    median_pixel_spacing: list[float] | None = None  # mm per px in x and y, of the images of the run
    shape: ShapeFacts | None = None  # of the landmarks on training images; None where it cannot be told
    crop: CropFacts | None = None  # of a network that is the second stage of a run
    bounds: dict[str, BoundFacts] = field(default_factory=dict)  # by stage: FIRST, or BOTH together
    data: str = ''  # fingerprint of annotations and split
    images: DataFacts | None = None  # None also of the second stage of a run
    device: str = ''
    precision: str = ''
    versions: dict[str, str] = field(default_factory=dict)
    git_commit: str | None = None


def without_shape(facts: ModelFacts) -> ModelFacts:
    "`facts` without the shape of the landmarks, and without bounds, which are made with it."
    return replace(facts, shape=None, bounds={})


def write_facts(folder: Path, facts: ModelFacts):
    "Write `facts` to `model.json` in `folder`."
    write_text(folder / FILE, json.dumps({'format': FORMAT} | asdict(facts), indent=2, ensure_ascii=False) + '\n')


def read_facts(run: str | Path) -> ModelFacts:
    "What `model.json` of the run in the folder `run` says. Raises UsageError where it is missing, damaged or newer."
    path = Path(run, FILE)
    try: values = json.loads(path.read_text(encoding='utf-8'))
    except OSError: raise UsageError(f'{run} has no {FILE} that can be read, expected the folder of a run') from None
    except ValueError: raise UsageError(f'{path} is damaged, expected that of a run') from None
    if not isinstance(values, dict) or 'format' not in values:
        raise UsageError(f'{path} has no format, expected that of a run')
    if values['format'] != FORMAT:
        raise UsageError(f'{path} has the format {values["format"]}, this version reads {FORMAT}; use the version that '
                         'wrote it', see='old-runs')
    values = LATER | values
    names = [each.name for each in fields(ModelFacts)]
    missing = [name for name in names if name not in values]
    if missing: raise UsageError(f'{path} lacks {", ".join(missing)}, expected that of a run')
    damaged = [name for name, is_right in expected_facts(values).items() if not is_right]
    if damaged: raise UsageError(f'{path} is damaged: {damaged[0]} is {str(values[damaged[0]])[:100]}')
    shape = values['shape'] and ShapeFacts(**values['shape'])
    crop = values['crop'] and CropFacts(**values['crop'])
    bounds = {stage: BoundFacts(**of_stage) for stage, of_stage in values['bounds'].items()}
    images = values['images'] and DataFacts(**values['images'])
    read = {'shape': shape, 'crop': crop, 'bounds': bounds, 'images': images}
    return ModelFacts(**{name: values[name] for name in names} | read)


def expected_facts(values: dict) -> dict[str, bool]:
    "Whether the facts that a network is used by are what they can be."
    landmarks = values['landmarks']
    named = is_list(landmarks, str) and len(set(landmarks)) == len(landmarks) > 0
    names = set(landmarks) if named else set()
    calibration, spacing = values['calibration'], values['median_pixel_spacing']
    return {
        'landmarks': named,
        'mean': is_list(values['mean'], float) and len(values['mean']) == 3,
        'std': are_positive(values['std'], 3),
        'presence': is_list(values['presence'], str) and set(values['presence']) <= names,
        'flat': is_list(values['flat'], str) and set(values['flat']) <= names,
        'calibration': calibration is None or are_positive(calibration, len(names)),
        'median_pixel_spacing': spacing is None or are_positive(spacing, 2),
        'shape': values['shape'] is None or is_shape(values['shape'], len(names)),
        'crop': values['crop'] is None or is_crop(values['crop'], len(names)),
        'bounds': isinstance(values['bounds'], dict) and values['bounds'].keys() <= {FIRST, BOTH} and all(
            is_bounds(of_stage, len(names)) for of_stage in values['bounds'].values()),
        'images': values['images'] is None or is_data(values['images'], len(names)),
        'data': isinstance(values['data'], str)}


def is_shape(value: Any, n_landmarks: int) -> bool:
    "Whether `value` can be made `ShapeFacts` of so many landmarks."
    return (isinstance(value, dict) and value.keys() == {each.name for each in fields(ShapeFacts)}
            and are_rows(value['mean'], n_landmarks, 2) and isinstance(value['modes'], list)
            and are_rows(value['modes'], len(value['modes']), 2 * n_landmarks)
            and are_positive(value['variances'], len(value['modes'])) and are_positive([value['rest']], 1))


def is_crop(value: Any, n_landmarks: int) -> bool:
    "Whether `value` can be made `CropFacts` of so many landmarks."
    return (isinstance(value, dict) and value.keys() == {each.name for each in fields(CropFacts)}
            and type(value['film']) is int and are_positive([value['film'], value['jitter']], 2)
            and all(are_positive(value[name], n_landmarks) for name in ('first_variance', 'variance')))


def is_bounds(value: Any, n_landmarks: int) -> bool:
    "Whether `value` can be made `BoundFacts` of so many landmarks."
    return (isinstance(value, dict) and value.keys() == {each.name for each in fields(BoundFacts)}
            and value['source'] in SOURCES
            and all(isinstance(value[name], list) and all(is_list(each, float) for each in value[name])
                    for name in ('scores', 'looks'))
            and len(value['scores']) == n_landmarks and min(chain.from_iterable(value['scores']), default=0) >= 0
            and len(set(map(len, value['looks']))) <= 1)


def is_data(value: Any, n_landmarks: int) -> bool:
    "Whether `value` can be made `DataFacts` of so many landmarks."
    if not (isinstance(value, dict) and value.keys() == {each.name for each in fields(DataFacts)}): return False
    counts = [value['sides'], value['spacing_sources'], {} if value['patients'] is None else value['patients']]
    rows = [(value['sizes'], 2, 2), (value['labels'], n_landmarks, 3)]
    if value['spacing'] is not None: rows.append((value['spacing'], 2, 2))
    return (all(isinstance(each, dict) and is_list(list(each.values()), float) for each in counts)
            and all(are_rows(*each) for each in rows))


def are_rows(value: Any, n: int, width: int) -> bool:
    "Whether `value` is a list of `n` lists of `width` finite numbers."
    return (isinstance(value, list) and len(value) == n
            and all(is_list(row, float) and len(row) == width for row in value))


def are_positive(value: Any, n: int) -> bool:
    "Whether `value` is a list of `n` finite numbers above 0."
    return is_list(value, float) and len(value) == n and all(number > 0 for number in value)


def is_list(value: Any, kind: type) -> bool:
    "Whether `value` is a list of texts, or of finite numbers where `kind` is float."
    if not isinstance(value, list): return False
    return all(isinstance(each, str) if kind is str else is_number(each) for each in value)


def installed_versions() -> dict[str, str]:
    "Versions of what a result depends on."
    return {'landmark_fastai': __version__, 'python': platform.python_version()} | {
        name: version(name) for name in LIBRARIES}


def git_commit() -> str | None:
    "The commit of the code that runs, if it lies in a git checkout of its own."
    root = Path(__file__).resolve().parents[2]
    command = ['git', '-C', str(root), 'rev-parse', '--show-toplevel', 'HEAD']
    try: toplevel, commit = subprocess.run(command, capture_output=True, text=True).stdout.split('\n')[:2]
    except (OSError, ValueError): return None  # no git here, or no commit
    return commit if Path(toplevel) == root else None
