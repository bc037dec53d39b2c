"The graph of a stage: image in, points and the error to expect of them out."

import warnings
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import torch
from torch import Tensor, nn

from ..inference.engine import Decoded
from ..inference.graph_engines import EXPECTED_ERROR, INPUTS, LANDMARK
from ..inference.torch_engine import PointNetwork

OPSET = 20
EXAMPLE = 2  # images that a graph is traced with; it takes any number


class Graph(nn.Module):
    """`PointNetwork` with the errors to expect, by the `factor` (N,) from the scatter of the heatmap to them.

    `of_crops` it is a factor to their squares, and each image is looked at for one landmark.
    """
    def __init__(self, network: PointNetwork, factor: list[float], of_crops: bool):
        super().__init__()
        self.network = network
        self.of_crops = of_crops
        self.register_buffer('factor', torch.tensor(factor))

    def forward(self, image: Tensor, frame: Tensor, landmark: Tensor | None = None) -> tuple[Tensor, ...]:
        "The `outputs` for `image` (B, C, S, S) uint8, with `frame` (B, 5), of `landmark` (B,) alone on crops."
        points, scatter, apart, absent, *peaks = self.network(image, frame, landmark)
        if self.of_crops: error = (scatter * self.factor[landmark][:, None]).sqrt()
        else: error = scatter * self.factor
        return points, scatter, apart, absent, error, *peaks

    @property
    def outputs(self) -> list[str]:
        "What the outputs are called: as the fields of `Decoded`, and the error to expect."
        of_peaks = list(Decoded._field_defaults)
        return [*Decoded._fields[:-len(of_peaks)], EXPECTED_ERROR, *(of_peaks if self.network.n_peaks > 1 else [])]


def write_onnx(graph: Graph, side: int, n_channels: int, path: Path):
    """Write `graph`, of squares (B, `n_channels`, `side`, `side`) for any B, as ONNX to `path`.

    All weights are in the one file, and no name of this machine.
    """
    image = torch.zeros(EXAMPLE, n_channels, side, side, dtype=torch.uint8)
    frame = torch.tensor([[side, side, 0., 0., 1.]] * EXAMPLE)
    inputs = [image, frame] + [torch.zeros(EXAMPLE, dtype=torch.int64)] * graph.of_crops
    names = [name for name in INPUTS if graph.of_crops or name != LANDMARK]
    batch = torch.export.Dim('batch')
    with torch.inference_mode(), redirect_stdout(StringIO()), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of the exporter about names of its own
        program = torch.onnx.export(graph.eval(), tuple(inputs), dynamo=True, opset_version=OPSET, verbose=False,
                                    input_names=names, output_names=graph.outputs,
                                    dynamic_shapes=tuple({0: batch} for _ in inputs))
    for node in program.model.graph: node.metadata_props.clear()  # where in which file of this machine it was made
    program.save(path, external_data=False)


def write_openvino(onnx: Path, path: Path):
    "Write the graph in the file `onnx` as OpenVINO's, `path` and the weights beside it, with all bits of its weights."
    import openvino
    openvino.save_model(openvino.convert_model(onnx), path, compress_to_fp16=False)
