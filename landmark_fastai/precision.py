"""The numbers that the network computes with: float32, or half as many bits where the hardware is faster with them.

Parameters, loss, decoding and metrics stay in float32: only the layers of the network run in another precision.
"""

import torch
from fastai.callback.core import Callback
from fastai.callback.fp16 import AMPMode, MixedPrecision
from fastcore.basics import noop

from .errors import UsageError

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


class Autocast(Callback):
    "Run the network in `precision`, its output back in float32, on any device: fastai's `to_bf16` asks for CUDA."
    order = MixedPrecision.order  # before the network is wrapped for many processes

    def __init__(self, precision): self.precision = precision

    # a `with` inside the network's call: fastai enters and leaves in two events, and an interruption in between leaves
    # autocast on, with a cache of old weights, for all that follows in a notebook
    def before_fit(self):
        self.network, forward = self.model, type(self.model).forward.__get__(self.model)
        def in_precision(*xb):
            with autocast(self.precision, self.dls.device): return forward(*xb).float()
        self.network.forward = in_precision

    def after_fit(self): del self.network.forward


class LossScale(MixedPrecision):
    "fastai's scaling of the loss, without which gradients vanish in fp16; `Autocast` runs the network."
    before_batch = after_pred = after_loss = noop


def precision_callbacks(precision):
    "The callbacks that train in `precision`: fp32, bf16 or fp16."
    return {'fp32': [], 'bf16': [Autocast('bf16')], 'fp16': [Autocast('fp16'), LossScale(AMPMode.FP16)]}[precision]


def compile_network(model):
    """Compile the parts of `model` with torch.compile, in place; names of its weights stay.

    Raises UsageError where that does not work, for want of a compiler mostly.
    """
    device = next(model.parameters()).device
    try: torch.compile(torch.sin)(torch.ones(2, device=device))
    except Exception as e:
        raise UsageError(f'torch.compile does not work here ({str(e).strip().splitlines()[0][:200]}); leave --compile '
                         'out, or install a C++ compiler') from e
    for part in model.children(): part.compile()  # not the whole, whose forward `Autocast` replaces
