"Engines that run the graph of a bundle: ONNX Runtime and OpenVINO. Each is imported when it is needed; no torch."

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ..errors import UsageError
from ..threads import cores, limit
from .engine import Decoded, fitting

FRAME = 5  # numbers of a frame that a graph is given: those before the pixel spacing
INPUTS = IMAGE, FRAMES, LANDMARK = 'image', 'frame', 'landmark'
EXPECTED_ERROR = 'expected_error'  # an output, beside those that are called as the fields of `Decoded`
INSTALL = {'onnx': 'onnxruntime', 'openvino': 'openvino'}
REQUIRES = {'onnx': 'onnxruntime>=1.32,<2', 'openvino': 'openvino>=2026.4,<2027'}  # as the extra `runtime`


class GraphEngine(ABC):
    "An `Engine` of a graph in the file `path`, which takes squares of the side `image_resize`."
    name: str
    reads: tuple[str, ...]  # suffixes of files

    def __init__(self, path: Path, image_resize: int):
        # one image a thread fills a CPU; more of them only take memory
        self.batch_size = min(fitting(image_resize), cores())
        try: self.open(path)
        except Exception as e:  # each engine has errors of its own
            raise UsageError(f'{path} cannot be run by {self.name} ({in_a_line(e)}); export the run again, or choose '
                             'another --engine') from None

    @abstractmethod
    def open(self, path: Path):
        "Get ready to run the graph at `path`. Raises what the engine raises."

    @abstractmethod
    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        "The outputs of the graph that are fields of `Decoded`, all of which an older graph does not have."

    def decode(self, squares: np.ndarray, frames: np.ndarray, landmarks: Sequence[int] | None = None,
               tta: bool = False) -> Decoded:
        "See `Engine`. Raises UsageError for `tta`, whose views PyTorch makes."
        if tta: raise UsageError('tta with a bundle, which looks at every image once; load the run itself')
        return Decoded(**self.run(graph_inputs(squares, frames, landmarks)))


def graph_inputs(squares: np.ndarray, frames: np.ndarray, landmarks: Sequence[int] | None) -> dict[str, np.ndarray]:
    "What `Engine.decode` is given, as the inputs of a graph."
    inputs = {IMAGE: np.ascontiguousarray(squares), FRAMES: np.ascontiguousarray(frames[:, :FRAME])}
    return inputs if landmarks is None else inputs | {LANDMARK: np.array(landmarks, np.int64)}


def fields_in(outputs: Iterable[str]) -> list[str]:
    "The fields of `Decoded` that are among the `outputs` of a graph."
    return [name for name in outputs if name in Decoded._fields]


def in_a_line(error: Exception) -> str:
    "What an engine complains of, cut short."
    return ' '.join(str(error).split())[:300]


class OnnxEngine(GraphEngine):
    "ONNX Runtime on the CPU."
    name = 'onnx'
    reads = '.onnx',

    def open(self, path):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = limit() or 0  # 0: as many as the machine has cores
        self.session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
        self.names = fields_in(output.name for output in self.session.get_outputs())

    def run(self, inputs): return dict(zip(self.names, self.session.run(self.names, inputs), strict=True))


class OpenVinoEngine(GraphEngine):
    "OpenVINO on the CPU, in float32: bf16 would move points, which are worked out in the graph."
    name = 'openvino'
    reads = '.xml', '.onnx'

    def open(self, path):
        threads = {'INFERENCE_NUM_THREADS': limit()} if limit() else {}
        self.compiled = openvino_core().compile_model(path, 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'} | threads)
        self.names = fields_in(output.any_name for output in self.compiled.outputs)

    def run(self, inputs):
        outputs = self.compiled(inputs)
        return {name: outputs[name] for name in self.names}


@cache
def openvino_core():
    """OpenVINO's `Core`, one for as long as the process lives.

    On Linux its CPU plugin gives the thread that makes it another stack for signals, and where it ends, the one that
    was there before. Of two that end in the order in which they began the second one gives back what the first has
    freed, and the next signal that Python handles, such as Ctrl-C, ends the process without a word (OpenVINO 2026.4).
    """
    import openvino
    return openvino.Core()


ENGINES = {engine.name: engine for engine in (OpenVinoEngine, OnnxEngine)}


def is_installed(name: str) -> bool:
    "Whether the engine of `ENGINES` can be imported."
    return find_spec(INSTALL[name]) is not None
