"A graph with 8-bit weights and activations, by ONNX Runtime: smaller, and faster on CPUs with VNNI."

from collections.abc import Sequence
from pathlib import Path

import numpy as np

LAYERS = ['Conv']  # the decoding behind them stays float32


def write_int8(onnx: Path, batches: Sequence[dict[str, np.ndarray]], path: Path):
    """Write the graph in the file `onnx` with 8-bit convolutions to `path`.

    The ranges of activations are those on `batches` of the graph's inputs. The first and the last convolution, which
    see the image and make the heatmaps, stay float32.
    """
    import onnx as onnx_format
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Batches(CalibrationDataReader):
        "Gives ONNX Runtime one batch after the other."
        def __init__(self): self.left = iter(batches)
        def get_next(self): return next(self.left, None)

    convolutions = [node.name for node in onnx_format.load(onnx).graph.node if node.op_type in LAYERS]
    quantize_static(onnx, path, Batches(), quant_format=QuantFormat.QDQ, per_channel=True,
                    op_types_to_quantize=LAYERS, nodes_to_exclude=[convolutions[0], convolutions[-1]],
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
