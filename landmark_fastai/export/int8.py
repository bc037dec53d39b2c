"A graph with 8-bit weights and activations, by ONNX Runtime: smaller, and faster on CPUs with VNNI."

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

LAYERS = ['Conv']  # the decoding behind them stays float32


def write_int8(onnx: Path, batches: Sequence[dict[str, np.ndarray]], path: Path):
    """Write the graph in the file `onnx` with 8-bit convolutions to `path`.

    The ranges of activations are those on `batches` of the graph's inputs. The first and the last convolution of
    each network, which see the image and make the heatmaps, stay float32.
    """
    import onnx as onnx_format
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Batches(CalibrationDataReader):
        "Gives ONNX Runtime one batch after the other."
        def __init__(self): self.left = iter(batches)
        def get_next(self): return next(self.left, None)

    prepared = path.with_name(f'prepared_{path.name}')
    quant_pre_process(onnx, prepared, skip_symbolic_shape=True)  # sides are fixed: plain inference finds all shapes
    quantize_static(prepared, path, Batches(), quant_format=QuantFormat.QDQ, per_channel=True,
                    op_types_to_quantize=LAYERS, nodes_to_exclude=outer_layers(onnx_format.load(prepared).graph.node),
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)


def outer_layers(nodes: Sequence[Any]) -> list[str]:
    "Names of those `LAYERS` before, or behind, which there is no other; `nodes` of an ONNX graph, in its order."
    behind, before, outer = set(), set(), []  # tensors that some layer leads to, and that lead to one
    for node in nodes:
        is_layer, after_layer = node.op_type in LAYERS, bool(behind & set(node.input))
        if is_layer and not after_layer: outer.append(node.name)
        if is_layer or after_layer: behind.update(node.output)
    for node in reversed(nodes):
        is_layer, before_layer = node.op_type in LAYERS, bool(before & set(node.output))
        if is_layer and not before_layer: outer.append(node.name)
        if is_layer or before_layer: before.update(node.input)
    return outer
