"Weights and checkpoints in files: written whole or not at all, read without running code."

import errno
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastcore.foundation import L
from safetensors.torch import load_file

from ..errors import UsageError
from ..files import atomic


def write_checkpoint(path: Path, state: dict):
    "Write `state`, made of tensors and plain values, to `path`. Raises OSError where it cannot be written."
    with atomic(path) as temporary:
        try: torch.save(as_plain(state), temporary)
        except RuntimeError as e:  # torch's own writer says no more of a full disk
            raise OSError(errno.EIO, 'cannot be written whole; is the disk full?', str(path)) from e


def read_state_dict(path: str | Path) -> dict:
    """The state dict in a .pth, .pt or .safetensors file, or what `write_checkpoint` wrote, on the CPU.

    Raises UsageError where there is none; code in the file is never run.
    """
    path = Path(path)
    if not path.is_file(): raise UsageError(f'{path}: no such file, expected weights (.pth or .safetensors)')
    try:
        if path.suffix.lower() == '.safetensors': return load_file(path)
        state = torch.load(path, map_location='cpu', weights_only=True)
    except Exception:
        raise UsageError(f'{path} cannot be read as weights: damaged, or no state dict of tensors') from None
    if isinstance(state, dict): return state
    raise UsageError(f'{path} holds a {type(state).__name__}, expected a state dict')


def as_plain(value: Any) -> Any:
    "`value` with tensors on the CPU, and fastai's lists and numpy's numbers as Python's own: loads safely, anywhere."
    if isinstance(value, torch.Tensor): return value.detach().cpu()
    if isinstance(value, np.ndarray): return value.tolist()
    if isinstance(value, np.generic): return value.item()
    if isinstance(value, dict): return {key: as_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, L)): return [as_plain(item) for item in value]
    return value
