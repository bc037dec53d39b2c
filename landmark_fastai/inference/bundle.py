"""A bundle: the graphs of a run, and what is needed to predict by them without torch.

In its folder: `bundle.json`, which has the digests of all files that are used; for the first stage, and in `refine` (or
`refine_1` and so on for the models of an ensemble) for the second: the graph, `model.onnx` or `model.xml` with
`model.bin`, `config.yaml` and `model.json` as those of a run, and `check.npz`, by which each machine finds out whether
an engine does what it did when the run was exported. Beside them, to be read: a model card, and what to install.
"""

import hashlib
import json
import time
import warnings
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..config import read_config
from ..errors import UsageError
from ..files import lies_in, write_text
from ..model.facts import is_list, read_facts, without_shape
from .engine import Decoded, Engine
from .graph_engines import ENGINES, INSTALL, GraphEngine, in_a_line, is_installed
from .predictor import Predictor
from .refining import RefinedPredictor

FORMAT = 1  # of bundle.json; to be counted up when an older version would misread it
FILE = 'bundle.json'
GRAPHS = {'onnx': 'model.onnx', 'openvino': 'model.xml'}  # by the format that is asked for
CHECK = 'check.npz'
NEAR = 0.05    # network px that a point of the check may be off on another machine
SHARE = 0.95   # of the points of a check that must be so near: where two peaks are as high, either is right


@dataclass
class Bundle:
    "What bundle.json says."
    kind: str                # of `GRAPHS`
    landmarks: list[str]
    seconds: list[str]       # folders of second stages, one of each model
    int8: bool
    parity: dict             # with PyTorch, when it was exported: see `export.parity`
    versions: dict[str, str]
    files: dict[str, str]    # SHA-256 of each file that is used, by its path in the folder


class Check(NamedTuple):
    "Squares that show nothing, and what was found on them when the run was exported."
    squares: np.ndarray    # (B, C, S, S) uint8
    frames: np.ndarray     # (B, 7) float32
    landmarks: np.ndarray  # (B,) int64 that are looked for on crops; none on whole images
    points: np.ndarray     # (B, N, 2) network px, NaN where it was in doubt

    def run(self, engine: Engine) -> Decoded:
        "What `engine` finds."
        return engine.decode(self.squares, self.frames, self.landmarks if len(self.landmarks) else None)


# --- files

def is_bundle(folder: str | Path) -> bool:
    "Whether `export` has written `folder`."
    return Path(folder, FILE).is_file()


def write_bundle(folder: Path, bundle: Bundle):
    "Write bundle.json into `folder`."
    write_text(folder / FILE, json.dumps({'format': FORMAT} | asdict(bundle), indent=2, ensure_ascii=False) + '\n')


def read_bundle(folder: str | Path) -> Bundle:
    "What bundle.json in `folder` says, all files being as it says. Raises UsageError."
    path = Path(folder, FILE)
    try: values = json.loads(path.read_text(encoding='utf-8'))
    except OSError: raise UsageError(f'{folder} has no {FILE}, expected the folder of an export') from None
    except ValueError: raise UsageError(f'{path} is damaged; export the run again') from None
    if not isinstance(values, dict) or values.pop('format', None) != FORMAT:
        raise UsageError(f'{path} is of another version, this one reads format {FORMAT}; export the run again')
    if not is_whole(values): raise UsageError(f'{path} is damaged; export the run again')
    bundle = Bundle(**values)
    for name, digest in bundle.files.items():
        if not lies_in(Path(folder, name), folder) or digest_of(Path(folder, name)) != digest:
            raise UsageError(f'{Path(folder, name)} is not what {FILE} says: missing, cut off or changed; copy the '
                             'bundle again, or export the run again')
    return bundle


def is_whole(values: dict) -> bool:
    "Whether `values` can be made a `Bundle`, which has the digests of all that is needed of its stages."
    if values.keys() != {each.name for each in fields(Bundle)} or values['kind'] not in list(GRAPHS): return False
    if not all(is_list(values[name], str) for name in ('seconds', 'landmarks')): return False
    needed = GRAPHS[values['kind']], CHECK, 'config.yaml', 'model.json'
    return isinstance(values['files'], dict) and all(
        Path(stage, name).as_posix() in values['files'] for stage in ('', *values['seconds']) for name in needed)


def digest_of(path: Path) -> str | None:
    "SHA-256 of a file; None where there is none."
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def write_check(folder: Path, check: Check):
    "Write the check of the graph in `folder`."
    with open(folder / CHECK, 'wb') as file: np.savez_compressed(file, **check._asdict())


def read_check(folder: Path) -> Check:
    "The check of the graph in `folder`."
    with np.load(folder / CHECK) as values: return Check(*(values[name] for name in Check._fields))


# --- engines

def check_asked(folder: str | Path, decode: str | None, device: object, precision: str):
    "Raise UsageError where a way of decoding, a device or a precision is asked for that a bundle does not have."
    own = read_config(folder).decode
    if decode not in (None, own):
        raise UsageError(f'decode {decode!r} with the bundle {folder}, whose graph decodes by {own}; export the run '
                         f'with --decode {decode}')
    if str(device) in ('None', 'auto', 'cpu') and precision in ('auto', 'fp32'): return
    raise UsageError(f'device {str(device)!r} and precision {precision!r} with a bundle, which is run on the CPU in '
                     'fp32; leave them out, or take the folder of the run')


def load_bundle(folder: str | Path, engine: str = 'auto', refine: bool = True, shape: bool = True) -> Predictor:
    """The `Predictor` of the bundle in `folder`, with the second stage, where it has one, unless `refine` is False.

    With the shape of its landmarks, too, unless `shape` is False, see `loading.load`. `engine` is onnx or openvino;
    auto is the fastest that is installed. Raises UsageError for a bundle that is not whole, or of another version, and
    where no engine finds what was found when it was exported.
    """
    folder = Path(folder)
    bundle = read_bundle(folder)
    facts = read_facts(folder)
    if facts.landmarks != bundle.landmarks:
        raise UsageError(f'{folder} has the landmarks {", ".join(bundle.landmarks)} in {FILE}, but '
                         f'{", ".join(facts.landmarks)} in model.json; export the run again')
    if not shape: facts = without_shape(facts)
    graph = GRAPHS[bundle.kind]
    first = Predictor(choose_engine(folder, graph, engine), read_config(folder), facts, [folder / graph])
    if not (refine and bundle.seconds): return first
    seconds = [Predictor(choose_engine(folder / name, graph, first.engine.name), read_config(folder / name),
                         read_facts(folder / name), [folder / name / graph]) for name in bundle.seconds]
    return RefinedPredictor(first, seconds)


def choose_engine(folder: Path, graph: str, name: str) -> GraphEngine:
    "The engine called `name`, or for auto the fastest, of the file `graph` in `folder`. Raises UsageError."
    suffix = Path(graph).suffix
    able = [each for each, engine in ENGINES.items() if suffix in engine.reads]
    if name != 'auto' and name not in able:
        raise UsageError(f'engine {name!r} with {folder}, whose {graph} is run by {" or ".join(able)}; choose auto'
                         + ('' if name != 'torch' else ', or pass --model with the folder of the run'))
    wanted = [each for each in able if name in ('auto', each)]
    installed = [each for each in wanted if is_installed(each)]
    if not installed:
        raise UsageError(f'{folder} needs {" or ".join(INSTALL[each] for each in wanted)}, which is not installed; '
                         f'pip install {INSTALL[wanted[0]]}', see='missing-packages')
    check = read_check(folder)
    if len(installed) == 1: return checked_engine(folder, graph, installed[0], check)
    engines = []
    for each in installed:
        try: engines.append(checked_engine(folder, graph, each, check))
        except UsageError as e: warnings.warn(str(e), stacklevel=2)
    if not engines: raise UsageError(f'no engine here finds in {folder / graph} what was found when it was exported')
    return min(engines, key=lambda engine: seconds_of(engine, check))


def checked_engine(folder: Path, graph: str, name: str, check: Check) -> GraphEngine:
    "The engine called `name` of the file `graph` in `folder`. Raises UsageError where the `check` finds it wrong."
    engine = ENGINES[name](folder / graph, read_config(folder).image_resize)
    try: share = share_near(check.run(engine).points, check.points, NEAR)
    except Exception as e:  # each engine has errors of its own, for a graph of other inputs too
        raise UsageError(f'{folder / graph} does not run by {name} ({in_a_line(e)}); export the run '
                         'again') from None
    if share >= SHARE: return engine
    raise UsageError(f'{name} on this machine finds {share:.0%} of the points of {folder / CHECK} where they were '
                     f'when the run was exported, expected {SHARE:.0%}; choose another --engine')


def share_near(points: np.ndarray, expected: np.ndarray, near: float) -> float:
    "The share of `points` (..., 2) within `near` of those `expected`, but for those that are NaN; 0 for other shapes."
    if points.shape != expected.shape: return 0.
    known = np.isfinite(expected).all(-1)
    return float((np.linalg.norm(points - expected, axis=-1)[known] <= near).mean())


def seconds_of(engine: GraphEngine, check: Check) -> float:
    "What `engine` takes for `check`, the better of two times."
    times = []
    for _ in range(2):
        start = time.perf_counter()
        check.run(engine)
        times.append(time.perf_counter() - start)
    return min(times)
