"""The numbers that the network computes with: float32, or half as many bits where the hardware is faster with them.

Parameters, loss, decoding and metrics stay in float32, and so does the last layer of the network: only the others run
in another precision.
"""

import torch
from fastai.callback.core import Callback
from fastai.callback.fp16 import AMPMode, MixedPrecision
from fastai.torch_core import get_model
from fastcore.basics import noop
from torch import nn

from ..errors import UsageError

DTYPES = {'bf16': torch.bfloat16, 'fp16': torch.float16}
PRECISIONS = ('auto', 'fp32', *DTYPES)


def choose_precision(name, device):
    """fp32, bf16 or fp16 for the `torch.device`, by `name`, one of `PRECISIONS`.

    auto is bf16 (fp16 on GPUs without it) on CUDA, bf16 on CPUs that compute with it (AMX or AVX512-BF16), else fp32.
    Raises UsageError for an unknown name, and for what the device cannot do.
    """
    if name not in PRECISIONS:
        raise UsageError(f'precision {name!r} is unknown; choose one of {", ".join(PRECISIONS)}')
    able = {'cuda': ('fp32', 'fp16'), 'cpu': ('fp32', 'bf16')}.get(device.type, ('fp32',))
    if device.type == 'cuda' and torch.cuda.is_bf16_supported(including_emulation=False): able += ('bf16',)
    if name not in ('auto', *able):
        raise UsageError(f'precision {name!r} cannot be had on {device}; choose auto or {" or ".join(able)}')
    if name != 'auto': return name
    if device.type == 'cpu': return 'bf16' if has_fast_bf16() else 'fp32'
    return able[-1]


def has_fast_bf16():
    "Whether this CPU computes with bfloat16; any other only pretends to, and is slower with it."
    able = torch.cpu.get_capabilities()
    return bool(able.get('amx_bf16') or able.get('avx512_bf16'))


def autocast(precision, device):
    "A context in which networks run in `precision` (fp32, bf16 or fp16) on the `torch.device`."
    return torch.autocast(device.type, DTYPES.get(precision), enabled=precision in DTYPES)


class FloatHead(nn.Sequential):
    """Layers that run in float32 whatever the others do, for the head of a network.

    Logits with the 8 bits of bf16 have plateaus around their peaks, on which argmax takes the pixel that is first.
    """
    def forward(self, x):
        with torch.autocast(x.device.type, enabled=False): return super().forward(x.float())


class RunInPrecision(Callback):
    "Run the network in `precision` on any device: fastai's `to_bf16` asks for CUDA, and has the name `autocast`."
    order = 100  # last before the network is called

    def __init__(self, precision): self.precision = precision

    def before_batch(self):
        network = get_model(self.model)
        network.forward = InPrecision(network, self.precision, self.dls.device)


class InPrecision:
    """The `forward` of `network` for one call, in `precision`, after which the network has its own again.

    A `with` inside the call, and not fastai's two events around it: an interruption between them leaves autocast on,
    with a cache of old weights, for all that follows in a notebook.
    """
    def __init__(self, network, precision, device):
        self.network, self.precision, self.device = network, precision, device

    def __call__(self, *xb):
        del self.network.forward
        with autocast(self.precision, self.device): return self.network.forward(*xb)


class LossScale(MixedPrecision):
    "fastai's scaling of the loss, without which gradients vanish in fp16; `RunInPrecision` runs the network."
    before_batch = after_pred = after_loss = noop


def precision_callbacks(precision):
    "The callbacks that train in `precision`: fp32, bf16 or fp16."
    scaling = [LossScale(AMPMode.FP16)] if precision == 'fp16' else []
    return [RunInPrecision(precision), *scaling] if precision in DTYPES else []


def compile_network(model):
    """Compile the parts of `model` with torch.compile, in place; names of its weights stay.

    Raises UsageError where that does not work, for want of a compiler mostly.
    """
    device = next(model.parameters()).device
    try: torch.compile(torch.sin)(torch.ones(2, device=device))
    except Exception as e:
        raise UsageError(f'torch.compile does not work here ({str(e).strip().splitlines()[0][:200]}); leave --compile '
                         'out, or install a C++ compiler') from e
    for part in model.children(): part.compile()  # not the whole, whose forward `RunInPrecision` replaces
