"Weights and checkpoints that `torch.load(weights_only=True)` reads, written whole or not at all; states of chance."

import errno

import numpy as np
import torch
from fastcore.foundation import L

from ..files import atomic


def save(path, state):
    "Save `state`, made of tensors and plain Python values, to `path`. Raises OSError where it cannot be written."
    with atomic(path) as temporary:
        try: torch.save(plain(state), temporary)
        except RuntimeError as e:  # torch's own writer says no more of a full disk
            raise OSError(errno.EIO, 'cannot be written whole; is the disk full?', str(path)) from e


def load(path):
    "Load what `save` wrote, on the CPU, without running code from the file."
    return torch.load(path, map_location='cpu', weights_only=True)


def plain(value):
    "`value` with tensors on the CPU, and fastai's lists and numpy's numbers as Python's own: loads safely, anywhere."
    if isinstance(value, torch.Tensor): return value.detach().cpu()
    if isinstance(value, np.ndarray): return value.tolist()
    if isinstance(value, np.generic): return value.item()
    if isinstance(value, dict): return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, L)): return [plain(item) for item in value]
    return value
