"The `export` command: a bundle of a run, which predicts without torch."

import warnings
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib import import_module
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ..config import TrainConfig
from ..errors import UsageError
from ..files import atomic_folder, check_replaceable, lies_in, write_text
from ..flags import takes, to_yaml
from ..formats.images import find_images
from ..inference.bundle import (
    FILE,
    GRAPHS,
    Bundle,
    digest_of,
    is_bundle,
    load_bundle,
    read_bundle,
    write_bundle,
    write_check,
)
from ..inference.engine import Decoded, Engine
from ..inference.graph_engines import ENGINES, REQUIRES, graph_inputs, is_installed
from ..inference.loading import load
from ..inference.model_card import FILE as CARD
from ..inference.model_card import write_card
from ..inference.predictor import Predictor
from ..inference.refining import RefinedPredictor
from ..model.facts import write_facts
from ..predict_config import ExportConfig
from .graph import Graph, write_onnx, write_openvino
from .int8 import write_int8
from .parity import Parity, compare, make_check

RUNTIME = files('landmark_fastai.inference') / 'runtime.txt'  # what a bundle needs to be run
REQUIREMENTS = 'requirements.txt'
N_IMAGES = 20  # that parity is found out with, at most
MOSTLY = 0.99  # share of points that must be within `EXACT`: where two peaks are as high, either is right
PACKAGES = 'onnx', 'onnxscript', 'onnxruntime'
# flags of a run that name what is on the machine that it was trained on
OF_MACHINE = 'train_image_dir', 'label_dir', 'train_csv_file', 'output_dir', 'experiment_name', 'from_run'


@takes(ExportConfig)
def export(config: ExportConfig) -> dict[str, Parity]:
    """Write the networks of a run as a bundle into `output_dir`; returns how near each engine comes to PyTorch.

    The arguments are the flags of `landmark-fastai export`. Raises UsageError, and then nothing is written: also where
    points move by more than `export.parity.EXACT`, or with `int8` by more than `tolerance` in the mean.
    """
    check_installed(config.format)
    if is_bundle(config.model): raise UsageError(f'{config.model} is a bundle; pass the folder of a run')
    predictor = load(config.model, config.decode, 'cpu', 'fp32')
    images = images_of(config, predictor.config)
    folder = Path(config.output_dir)
    check_folder(folder, config, images)
    with atomic_folder(folder) as new:
        parity = write_all(new, config, predictor, images)
        write_card(config.model, new, exported_text(config, predictor, parity))
        write_text(new / REQUIREMENTS, f"{REQUIRES[config.format]}\n{RUNTIME.read_text(encoding='utf-8')}")
    for engine, each in parity.items(): print(f'{engine}: {each}')
    print(f'bundle: {folder}')
    return parity


def check_installed(kind: str):
    "Raise UsageError unless the packages are here that write a graph of this kind."
    missing = [name for name in packages(kind) if find_spec(name) is None]
    if missing:
        raise UsageError(f'export needs {", ".join(missing)}, which is not installed; '
                         'pip install "landmark-fastai[export]"', see='missing-packages')


def packages(kind: str) -> list[str]:
    "The packages that write a graph of this kind."
    return [*PACKAGES, 'openvino'] if kind == 'openvino' else [*PACKAGES]


def check_folder(folder: Path, config: ExportConfig, images: Sequence[Path]):
    "Raise UsageError where `folder` is not to be written, or replaced: it has what is read, or is of no export."
    check_replaceable(folder)
    for path in filter(None, (config.model, config.config, *images[:1])):
        if lies_in(path, folder): raise UsageError(f'{path} is read, and lies in {folder}; pass another --output_dir')
    there = [path for path in folder.rglob('*') if path.is_file()] if folder.exists() else []
    if not there: return
    if not is_bundle(folder): raise UsageError(f'{folder} is there and has no {FILE}; pass another --output_dir')
    own = files_of(folder)
    others = [path for path in there if path.relative_to(folder).as_posix() not in own]
    if others: raise UsageError(f'{others[0]} is not of the bundle there; pass another --output_dir, or remove it')
    if config.overwrite: return
    raise UsageError(f'{folder} exists; pass --overwrite to replace it, or another --output_dir')


def files_of(folder: Path) -> set[str]:
    "The files that the export in `folder` has written; those of the bundle are not known where it is damaged."
    try: bundle = read_bundle(folder)
    except UsageError: bundle = None
    return {FILE, CARD, REQUIREMENTS, *(bundle.files if bundle else ())}


def images_of(config: ExportConfig, of_run: TrainConfig) -> list[Path]:
    "Images to compare with: some of `image_dir`, else of those of the run, if they are here. Raises UsageError."
    image_dir = Path(config.image_dir or of_run.train_image_dir)
    if not config.image_dir and not image_dir.is_dir():
        if config.int8:
            raise UsageError(f'int8 needs images, and {image_dir} of the run is not here; pass --image_dir')
        warnings.warn(f'{image_dir} of the run is not here, so no image is compared; pass --image_dir', stacklevel=3)
        return []
    names = find_images(image_dir)
    return [image_dir / names[i] for i in np.unique(np.linspace(0, len(names) - 1, N_IMAGES).round().astype(int))]


# --- writing

def write_all(folder: Path, config: ExportConfig, predictor: Predictor, images: Sequence[Path]) -> dict[str, Parity]:
    "Write the bundle of `predictor` into `folder`, and find out how near it comes. Raises UsageError."
    seconds = predictor.seconds if isinstance(predictor, RefinedPredictor) else []
    names = ['refine'] if len(seconds) == 1 else [f'refine_{k}' for k in range(1, len(seconds) + 1)]
    stages = {folder: predictor} | {folder / name: second for name, second in zip(names, seconds, strict=True)}
    seen = record(predictor, list(stages.values()), images) if config.int8 else {}
    for stage in seen:
        if seen[stage]: continue
        raise UsageError('int8 needs images on which the first stage sees landmarks; pass other ones by --image_dir')
    for of_stage, each in stages.items(): write_stage(of_stage, config, each, seen.get(each, []))
    written = sorted(path for path in folder.rglob('*') if path.is_file())
    bundle = Bundle(config.format, predictor.names, names, config.int8, parity={},
                    versions={name: import_module(name).__version__ for name in
                              ('landmark_fastai', 'torch', *packages(config.format))},
                    files={path.relative_to(folder).as_posix(): digest_of(path) for path in written})
    write_bundle(folder, bundle)
    parity = find_parity(folder, config, predictor, images)
    write_bundle(folder, replace(bundle, parity={name: asdict(each) for name, each in parity.items()}))
    return parity


def write_stage(folder: Path, config: ExportConfig, stage: Predictor, seen: list[dict[str, np.ndarray]]):
    "Write graph, flags, facts and check of a `stage` into `folder`; with --int8 for inputs such as were `seen`."
    folder.mkdir(exist_ok=True)
    n_channels, side, crop = 3 if stage.config.color else 1, stage.config.image_resize, stage.facts.crop
    path = folder / GRAPHS[config.format]
    factor = crop.variance if crop else stage.calibration.tolist()
    graph = Graph(stage.engine.network, factor, of_crops=crop is not None)
    with TemporaryDirectory(dir=folder) as temporary:
        made = Path(temporary, 'float.onnx')
        write_onnx(graph, side, n_channels, made)
        if config.int8:
            write_int8(made, seen, made.with_name('int8.onnx'))
            made = made.with_name('int8.onnx')
        if config.format == 'openvino': write_openvino(made, path)
        else: made.replace(path)
    engine = ENGINES[config.format](path, side)
    write_check(folder, make_check(stage.engine, engine, side, n_channels, len(stage.names), crop is not None,
                                   exact=not config.int8))
    write_facts(folder, stage.facts)
    write_text(folder / 'config.yaml', to_yaml(without_machine(stage.config)))


def find_parity(folder: Path, config: ExportConfig, predictor: Predictor,
                images: Sequence[Path]) -> dict[str, Parity]:
    "How near each engine comes to `predictor` on `images` with the bundle in `folder`. Raises UsageError: not near."
    if not images: return {}
    expected, parity = predictor.predict(images), {}
    for name in engines_of(config):
        parity[name] = compare(expected, load_bundle(folder, name), images)
        check_parity(name, parity[name], config)
    return parity


def engines_of(config: ExportConfig) -> list[str]:
    "Engines to compare: all that are installed; of 8 bits, which each rounds in its own way, that of the format."
    return [name for name, engine in ENGINES.items() if is_installed(name)
            and Path(GRAPHS[config.format]).suffix in engine.reads and (name == config.format or not config.int8)]


def without_machine(config: TrainConfig) -> TrainConfig:
    "`config` with no name of the machine that the run was trained on."
    own = {name: getattr(TrainConfig, name) for name in OF_MACHINE}
    return replace(config, **own, encoder_weights='none' if Path(config.encoder_weights).suffix
                   else config.encoder_weights)


def check_parity(name: str, found: Parity, config: ExportConfig):
    "Raise UsageError where points have moved too far, or none can tell."
    if not config.int8 and found.states < MOSTLY:
        raise UsageError(f'the graph is not what PyTorch is, by {name}: {1 - found.states:.1%} of the landmarks are '
                         'absent for one alone; please report it')
    if not found.n_points:
        raise UsageError(f'no landmark is seen on the {found.n_images} images to compare with; pass others by '
                         '--image_dir')
    if config.int8 and not found.mean <= config.tolerance:
        raise UsageError(f'with 8 bits points move by {found.mean:.3f} network px in the mean by {name}, and tolerance '
                         f'is {config.tolerance}; leave --int8 out, or allow more')
    if not config.int8 and not found.exact >= MOSTLY:
        raise UsageError(f'the graph is not what PyTorch is, by {name}: {found}; please report it')


def exported_text(config: ExportConfig, predictor: Predictor, parity: dict[str, Parity]) -> str:
    "What the model card of a bundle says beside that of the run."
    bits = 'convolutions of 8 bits' if config.int8 else 'float32'
    lines = [f'- as {config.format}, in {bits}, points decoded by {predictor.config.decode}',
             *(f'- {name}, {each}' for name, each in parity.items())]
    if not parity: lines.append('- not compared with PyTorch: there were no images')
    return '\n'.join(['## Exported', '', 'Errors and bounds above are those of the run in PyTorch. This bundle is '
                      'what was exported of it:', '', *lines, ''])


# --- what a graph is given

class Recorder:
    "An `Engine` that keeps what another one is given."
    def __init__(self, engine: Engine):
        self.engine, self.name, self.batch_size = engine, engine.name, engine.batch_size
        self.seen = []

    def decode(self, squares: np.ndarray, frames: np.ndarray, landmarks: Sequence[int] | None = None,
               tta: bool = False) -> Decoded:
        "See `Engine`."
        self.seen.append(graph_inputs(squares, frames, landmarks))
        return self.engine.decode(squares, frames, landmarks, tta)


def record(predictor: Predictor, stages: Sequence[Predictor],
           images: Sequence[Path]) -> dict[Predictor, list[dict[str, np.ndarray]]]:
    "The inputs of each of the `stages` of `predictor` on `images`."
    for stage in stages: stage.engine = Recorder(stage.engine)
    predictor.predict(images)
    seen = {stage: stage.engine.seen for stage in stages}
    for stage in stages: stage.engine = stage.engine.engine
    return seen
