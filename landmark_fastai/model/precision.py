"""The numbers that the network computes with: float32, or half as many bits where the hardware is faster with them.

Parameters, loss, decoding and metrics stay in float32, and so does the last layer of the network: only the others run
in another precision.
"""

import torch
from fastai.callback.core import Callback, CancelStepException
from fastai.callback.training import GradientClip
from torch import Tensor, nn
from torch.amp import GradScaler

from ..config import TrainConfig
from ..errors import UsageError
from ..flags import check_values

DTYPES = {'bf16': torch.bfloat16, 'fp16': torch.float16}


def choose_precision(name: str, device: torch.device) -> str:
    """fp32, bf16 or fp16 for the `torch.device`, by `name`, one of `config.PRECISIONS`.

    auto is bf16 (fp16 on GPUs without it) on CUDA, bf16 on CPUs that compute with it (AMX or AVX512-BF16), else fp32.
    Raises UsageError for an unknown name, and for what the device cannot do.
    """
    check_values(TrainConfig, precision=name)
    able = {'cuda': ('fp32', 'fp16'), 'cpu': ('fp32', 'bf16')}.get(device.type, ('fp32',))
    if device.type == 'cuda' and torch.cuda.is_bf16_supported(including_emulation=False): able += ('bf16',)
    if name not in ('auto', *able):
        raise UsageError(f'precision {name!r} cannot be had on {device}; choose auto or {" or ".join(able)}')
    if name != 'auto': return name
    if device.type == 'cpu': return 'bf16' if has_fast_bf16() else 'fp32'
    return able[-1]


def has_fast_bf16() -> bool:
    "Whether this CPU computes with bfloat16; any other only pretends to, and is slower with it."
    able = torch.cpu.get_capabilities()
    return bool(able.get('amx_bf16') or able.get('avx512_bf16'))


def autocast(precision: str, device: torch.device) -> torch.autocast:
    "A context in which networks run in `precision` (fp32, bf16 or fp16) on the `torch.device`."
    return torch.autocast(device.type, DTYPES.get(precision), enabled=precision in DTYPES)


class FloatHead(nn.Sequential):
    """Layers that run in float32 whatever the others do, for the head of a network.

    Logits with the 8 bits of bf16 have plateaus around their peaks, on which argmax takes the pixel that is first.
    """
    def forward(self, x):
        with torch.autocast(x.device.type, enabled=False): return super().forward(x.float())


class InPrecision:
    """The `forward` of `network` in `precision` on devices of the kind of `device`; elsewhere it runs in float32.

    Set as an attribute of the network itself, so that its weights keep their names, and copies and files of it have a
    `forward` of their own. A `with` inside the call, and not two events of fastai around it: an interruption between
    them would leave autocast on, with a cache of old weights, for all that follows in a notebook.
    """
    def __init__(self, network: nn.Module, precision: str, device: torch.device):
        self.network = network
        self.precision = precision
        self.device_type = device.type

    def __call__(self, x: Tensor) -> Tensor:
        with autocast(self.precision if x.device.type == self.device_type else 'fp32', x.device):
            return type(self.network).forward(self.network, x)


def run_in_precision(network: nn.Module, precision: str, device: torch.device):
    "Let `network` run in `precision`, fp32, bf16 or fp16, whoever calls it, on devices of the kind of `device`."
    if precision in DTYPES: network.forward = InPrecision(network, precision, device)


class LossScale(Callback):
    "Scale the loss, without which gradients vanish in fp16, by a factor that falls where one of them has overflowed."
    order = GradientClip.order - 1  # which clips gradients of their true size

    def before_fit(self): self.scaler = GradScaler(self.dls.device.type)

    def before_backward(self): self.learn.loss_grad = self.scaler.scale(self.loss_grad)

    def before_step(self):
        self.overflown = True
        self.scaler.step(self)  # divides the gradients by the factor, and calls `step` unless one is infinite
        self.scaler.update()
        if self.overflown: raise CancelStepException

    def step(self): self.overflown = False

    @property
    def param_groups(self): return self.opt.param_groups


def compile_network(model: nn.Module):
    """Compile the parts of `model` with torch.compile, in place; names of its weights stay.

    Raises UsageError where that does not work, for want of a compiler mostly.
    """
    device = next(model.parameters()).device
    try: torch.compile(torch.sin)(torch.ones(2, device=device))
    except Exception as e:
        raise UsageError(f'torch.compile does not work here ({str(e).strip().splitlines()[0][:200]}); leave --compile '
                         'out, or install a C++ compiler') from e
    for part in model.children(): part.compile()  # not the whole, whose forward `run_in_precision` replaces
