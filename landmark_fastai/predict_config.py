"The flags of commands that use a trained network, as `config` has those of a training. No torch here."

from dataclasses import MISSING, dataclass, fields
from math import inf
from pathlib import Path

from .config import DEVICES, PRECISIONS, ImagesConfig, TrainConfig
from .errors import UsageError
from .flags import Flags, flag, read_file
from .reader_config import MeasurementsConfig

ENGINES = 'auto', 'torch', 'onnx', 'openvino'


@dataclass(frozen=True, kw_only=True)
class PredictConfig(ImagesConfig):
    "Flags of `predict` and `evaluate`."
    output_dir: str = flag(
        MISSING, 'Folder that gets predictions.csv, overlays and, if files cannot be read, failed.csv.')
    model: str = flag('runs/baseline', 'Folder of a run of train, or of a bundle of export.')
    weights: str | None = flag(None, 'Weights (.pth or .safetensors) of the original system, in place of model.')
    encoder_name: str | None = flag(None, 'Encoder of those weights (resnet101 if left out).')
    n_landmarks: int | None = flag(None, 'Number of landmarks; must agree with the model when given.', least=1)
    decode: str | None = flag(None, "How a point is read from the heatmap (the run's own if left out).",
                              choices=('centroid', 'argmax'))
    min_confidence: float = flag(0., 'Leave landmarks blank whose confidence is lower; they then count as missed.',
                                 least=0, most=1)
    tta: bool = flag(
        False, 'Average over small shifts and scales, 7 times the time; mirror images too with flip pairs.')
    level: float = flag(0.9, 'Share of points within their bounds, where the run has bounds.', above=0, below=1)
    tolerance: float | None = flag(
        None, 'Error in mm, or px without a spacing, above which points are in review.csv.', above=0)
    no_overlays: bool = flag(False, 'Write no overlays.')
    no_refine: bool = flag(False, "Leave out the run's second stage.")
    no_shape: bool = flag(False, 'Take the highest peak of each heatmap, whatever the shape of all points.')
    pixel_spacing: float | None = flag(
        None, 'Millimetres per pixel of images whose spacing neither a CSV nor a DICOM header tells.', above=0)
    engine: str = flag('auto', 'What runs the network: of a bundle of export the fastest that is installed, of a run '
                       'torch.', choices=ENGINES)
    device: str = flag('auto', DEVICES)
    precision: str = flag('auto', 'auto is what the device is fastest with.', choices=PRECISIONS)
    overwrite: bool = flag(False, 'Replace what an earlier predict or evaluate has written there, and nothing else.',
                           saved=False)
    config: str | None = flag(None, 'YAML file of flags; flags on the command line win.', saved=False)

    @classmethod
    def of(cls, given: dict) -> 'PredictConfig':
        "As `Flags.of`; flags of `train` in a file, such as the `config.yaml` of a run, are named as what they are."
        if given.get('config'): check_not_of_train(cls, given['config'])
        return super().of(given)

    def check(self):
        super().check()
        if self.encoder_name and not self.weights:
            raise UsageError('encoder_name without weights; a run knows its encoder, leave it out')


@dataclass(frozen=True, kw_only=True)
class ClusterConfig(PredictConfig):
    "Flags of `predict`, which many machines may share."
    cluster: str | None = flag(
        None, 'Share the images between the machines of a Ray cluster: HOST:PORT, or auto on one of them; local for '
        'processes of this machine.')
    workers: int | None = flag(
        None, 'Processes of the cluster that predict, more than fit if machines are still to come (one a GPU, or '
        'without GPUs one a CPU, if left out).', least=1)
    worker_cpus: int | None = flag(
        None, 'CPUs, and threads, of each worker (1 if left out; beside a GPU its share of the CPUs).', least=1)
    resume: bool = flag(False, 'Go on where a prediction on a cluster was stopped; start where there is none, and do '
                        'nothing where it is finished.', saved=False)

    def check(self):
        super().check()
        for_cluster = [name for name in ('workers', 'worker_cpus', 'resume') if getattr(self, name)]
        if for_cluster and not self.cluster:
            raise UsageError(f'{for_cluster[0]} without cluster; pass --cluster local for processes of this machine')
        if self.resume and self.overwrite:
            raise UsageError('resume beside overwrite: one continues what the other removes')
        if self.cluster and ':' in self.device:
            raise UsageError(f'device is {self.device!r}, but each worker of a cluster gets a device of its own; pass '
                             'auto, cpu or cuda')


@dataclass(frozen=True, kw_only=True)
class TruthConfig(ImagesConfig):
    "What images are compared with, and how."
    csv: str = flag(MISSING, 'Annotation CSV: the truth.')
    split: str = flag('all', 'All rows of the CSV, or those of val or test by the split.csv of the run.',
                      choices=('all', 'val', 'test'))
    thresholds: str | float | list | None = flag(
        None, 'Distances for success detection rates, in the unit of the table: mm where every image with a visible '
        'landmark has a pixel spacing, px otherwise (2,2.5,3,4 mm or 2,5,10,20 px if left out).')
    invisible_landmarks: bool | None = flag(
        None, 'A point clicked in the top-left corner box means absent (as in the training of the run if left out).')

    @property
    def distances(self) -> list[float] | None:
        "The numbers in `thresholds`, which may be a text such as '2,2.5,3'; None if left out. Raises UsageError."
        if self.thresholds is None: return None
        given = self.thresholds.split(',') if isinstance(self.thresholds, str) else self.thresholds
        try: numbers = [float(number) for number in (given if isinstance(given, list) else [given])]
        except (TypeError, ValueError): numbers = []
        if numbers and all(0 < number < inf for number in numbers): return numbers
        raise UsageError(f'thresholds is {self.thresholds!r}; expected positive numbers such as 2,2.5,3,4')


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(MeasurementsConfig, PredictConfig, TruthConfig):
    "Flags of `evaluate`."

    def check(self):
        super().check()
        self.distances  # noqa: B018  (a property that raises)
        if self.weights and self.split != 'all':
            raise UsageError(f'split {self.split!r} beside weights: only a run has a split.csv; leave split out, or '
                             'pass --model in place of --weights')


@dataclass(frozen=True, kw_only=True)
class ExportConfig(Flags):
    "Flags of `export`."
    model: str = flag('runs/baseline', 'Folder of a run of train.')
    output_dir: str = flag(MISSING, 'Folder that gets the bundle.')
    format: str = flag('onnx', 'What the networks are written as; OpenVINO runs either.', choices=('onnx', 'openvino'))
    decode: str | None = flag(None, "How a point is read from the heatmap (the run's own if left out).",
                              choices=('centroid', 'argmax'))
    int8: bool = flag(False, 'Convolutions with 8 bits: smaller, and faster on CPUs with VNNI.')
    tolerance: float = flag(0.1, 'Network px that points may move by in the mean with int8, else nothing is written.',
                            above=0)
    image_dir: str | None = flag(None, 'Folder of images to compare with PyTorch on (those of the training if left '
                                 'out).')
    overwrite: bool = flag(False, 'Replace an earlier bundle there.', saved=False)
    config: str | None = flag(None, 'YAML file of flags; flags on the command line win.', saved=False)


def check_not_of_train(cls: type[Flags], path: str | Path):
    "Raise UsageError where the YAML file `path` holds flags of `train` that `cls` does not have."
    try: names = read_file(TrainConfig, path)
    except UsageError: return  # no flags of train; reading it as those of `cls` tells what is wrong
    others = sorted(names.keys() - {each.name for each in fields(cls)})
    if not others: return
    needed = [each.name for each in fields(cls) if each.default is MISSING]
    raise UsageError(f'{path} holds flags of train ({", ".join(others[:3])}{", …" * (len(others) > 3)}), as the '
                     f'config.yaml of a run does; expected flags of this command, which needs {", ".join(needed)}. The '
                     'folder of a run is passed as --model')
