"""Training in several processes, which `accelerate launch` or torchrun starts; fastai's and accelerate's engines.

`batch_size` is the number of images of a step over all processes, so a command trains the same in one and in several.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count, cycle, islice

import torch
from accelerate import PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, broadcast, gather_object
from fastai.distributed import DistributedDL, DistributedTrainer
from fastai.learner import AvgLoss
from fastai.torch_core import apply, distrib_barrier, num_distrib, rank_distrib
from fastcore.basics import chunked
from timm.layers import convert_sync_batchnorm
from torch import nn
from torch.distributed import PrefixStore, rendezvous

from ..errors import UsageError
from ..threads import in_threads

PATIENCE = timedelta(hours=2)  # one process reads images and weights, or draws pictures, while the others wait
TRAININGS = count(1)
LAUNCHED = 'RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT'  # what every launcher sets


# --- processes

def join(batch_size: int, device: str) -> str:
    """Join the other processes; returns the name of this one's device, in a single process just `device`.

    Raises UsageError for a `device` or a `batch_size` that several processes cannot share, and where the launcher's
    variables are incomplete.
    """
    n = num_distrib()
    missing = [name for name in LAUNCHED if name not in os.environ]
    if (n > 1 or rank_distrib()) and missing:
        raise UsageError(f'the environment has RANK or WORLD_SIZE of a launcher, but not its {", ".join(missing)}; '
                         'start by accelerate launch or torchrun, or unset them')
    if n <= 1: return device
    if device not in ('auto', 'cpu'):
        raise UsageError(f'device is {device!r}, but each of {n} processes gets a device of its own; pass auto or cpu')
    if batch_size % n:
        raise UsageError(f'batch_size is {batch_size}, the images of a step over all processes, which {n} processes '
                         f'cannot share equally; pass a multiple of {n}, or start another number of processes')
    store, rank, n = next(rendezvous('env://', timeout=PATIENCE))
    store = PrefixStore(f'training {next(TRAININGS)}', store)  # an earlier training left addresses that are stale now
    cpu = device == 'cpu' or not torch.cuda.is_available()
    return str(PartialState(cpu=cpu, store=store, rank=rank, world_size=n, timeout=PATIENCE).device)


@contextmanager
def in_turn() -> Iterator[None]:
    """A context in which the first process of a machine goes first, and fills the caches on disk for the others.

    At its end all have come as far. Raises a UsageError of one of them in all of them, which have parted then.
    """
    if num_distrib() <= 1:
        yield
        return
    is_first, error = PartialState().is_local_main_process, None
    if not is_first: distrib_barrier()
    try: yield
    except UsageError as e: error = str(e)
    if is_first: distrib_barrier()
    errors = list(filter(None, gather_object([error])))
    if errors:
        leave()
        raise UsageError(errors[0])


def send_weights(model: nn.Module):
    "Give all processes the weights that `model` has in the first one."
    if num_distrib() > 1: broadcast(model.state_dict())


def leave():
    "End what the processes have in common, once all have come as far; the next training of this program joins anew."
    if num_distrib() <= 1: return
    distrib_barrier()
    PartialState().destroy_process_group()
    AcceleratorState._reset_state(reset_partial_state=True)


# --- fastai

def share(batch: Iterable, rank: int, n: int) -> list:
    "The piece number `rank` of `batch`, cut into `n` equal ones: what it lacks for that are its first items once more."
    batch = list(batch)
    size = -(-len(batch) // n)  # rounded up
    return list(islice(cycle(batch), rank * size, (rank + 1) * size))


class ShareDL(DistributedDL):
    """Batch k is this process's share of batch k of `dl`; fastai's gives each process whole batches.

    `to_detach` gathers the shares, without what was repeated to make them equal. `n_batch` is the number of images of
    the current batch of `dl`.
    """
    def __init__(self, dl, **kwargs):
        super().__init__(dl, **kwargs)
        self.bs = dl.bs // self.world_size

    def __len__(self): return len(self.dl)

    def _broadcast(self, t, rank):  # fastai's needs CUDA
        t = torch.tensor(t, device=self.device)
        torch.distributed.broadcast(t, rank)
        return t.tolist()

    def get_idxs(self):
        batches = list(chunked(self._broadcast(list(self.dl.get_idxs()), 0), self.dl.bs))[:len(self)]
        self.sizes = iter([len(batch) for batch in batches])
        return [i for batch in batches for i in share(batch, self.rank, self.world_size)]

    def create_batches(self, samps):  # ahead, as `AheadDL` does; that of `dl` makes its own, larger ones
        return in_threads(lambda piece: self.dl.do_batch([*map(self.dl.do_item, piece)]), chunked(samps, self.bs))

    def after_batch(self, b):
        self.n_batch = next(self.sizes)
        return super().after_batch(b)

    def to_detach(self, b, cpu=True, gather=True):
        b = self._to_detach(b, cpu, gather)
        return apply(lambda t: t[:self.n_batch] if t.ndim else t, b) if gather else b


class ShareLoss(AvgLoss):
    "The validation loss over all processes, each batch by its number of images."
    def accumulate(self, learn):
        n = learn.dl.n_batch
        self.total += learn.to_detach(learn.loss.mean()) * n
        self.count += n


def sync_norms(model: nn.Module) -> nn.Module:
    "`model` with BatchNorm over all processes; fastai's conversion, or timm's done twice, drops activations of timm's."
    if any(isinstance(module, nn.SyncBatchNorm) for module in model.modules()): return model
    return convert_sync_batchnorm(model)


class ShareTrainer(DistributedTrainer):
    "fastai's `DistributedTrainer` with `ShareDL`; on CUDA BatchNorm sees all processes' shares."
    def __init__(self):
        static = DistributedDataParallelKwargs(static_graph=True)  # finds layers that are never used, as in lite0
        super().__init__(sync_bn=False, cpu=PartialState().device.type == 'cpu', mixed_precision='no',
                         kwargs_handlers=[static])

    def before_fit(self):
        if PartialState().device.type == 'cuda': self.learn.model = sync_norms(self.model)
        super().before_fit()
        vars(self.recorder)['loss'] = ShareLoss()  # an assignment would warn that the learner has a `loss`, too

    def after_fit(self):
        super().after_fit()
        vars(self.recorder)['loss'] = AvgLoss()

    def _wrap_dl(self, dl): return dl if isinstance(dl, ShareDL) else ShareDL(dl, device=self.model.device)
