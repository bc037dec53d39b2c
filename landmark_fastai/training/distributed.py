"""Training in several processes, which `accelerate launch` or torchrun starts; fastai's and accelerate's engines.

`batch_size` is the number of images of a step over all processes, so a command trains the same in one and in several.
"""

import os
import warnings
from contextlib import contextmanager
from datetime import timedelta
from itertools import count

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

def join(batch_size, device):
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
    if rank_distrib(): warnings.simplefilter('ignore')  # the first process warns for all
    store, rank, n = next(rendezvous('env://', timeout=PATIENCE))
    store = PrefixStore(f'training {next(TRAININGS)}', store)  # an earlier training left addresses that are stale now
    cpu = device == 'cpu' or not torch.cuda.is_available()
    return str(PartialState(cpu=cpu, store=store, rank=rank, world_size=n, timeout=PATIENCE).device)


def refuse(command):
    "Raise UsageError if `command`, which runs in one process, was started in several."
    if num_distrib() > 1: raise UsageError(f'{command} runs in one process, but {num_distrib()} were started; '
                                           'leave out accelerate launch or torchrun')


@contextmanager
def in_turn():
    """A context in which the first process of a machine goes first, and fills the caches on disk for the others.

    At its end all have come as far. Raises a UsageError of one of them in all of them, which have parted then.
    """
    if num_distrib() <= 1:
        yield
        return
    first, error = PartialState().is_local_main_process, None
    if not first: distrib_barrier()
    try: yield
    except UsageError as e: error = str(e)
    if first: distrib_barrier()
    errors = list(filter(None, gather_object([error])))
    if errors:
        _leave()
        raise UsageError(errors[0])


def part(model):
    "Give all processes the weights that `model` has in the first one, and end what they have in common."
    if num_distrib() <= 1: return
    broadcast(model.state_dict())
    distrib_barrier()
    _leave()


def _leave():
    "End what the processes have in common; the next training of this program joins anew."
    PartialState().destroy_process_group()
    AcceleratorState._reset_state(reset_partial_state=True)


# --- fastai

class ShareDL(DistributedDL):
    """Batch k is this process's share of batch k of `dl`: of `world_size` equal pieces the one number `rank`.

    The last, smaller batch is filled up by repetition; `to_detach` gathers the pieces without what was repeated.
    `n_batch` is the number of images of the current batch of `dl`.
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
        idxs = self._broadcast(list(self.dl.get_idxs()), 0)
        if self.dl.drop_last: idxs = idxs[:len(self) * self.dl.bs]
        self.n = len(idxs)
        return [i for batch in chunked(idxs, self.dl.bs) for i in self._share(batch)]

    def _share(self, batch):
        size = -(-len(batch) // self.world_size)
        return (batch * self.world_size)[:size * self.world_size][self.rank * size:(self.rank + 1) * size]

    def create_batches(self, samps):  # ahead, as `AheadDL` does; that of `dl` makes its own, larger ones
        return in_threads(lambda share: self.dl.do_batch([*map(self.dl.do_item, share)]), chunked(samps, self.bs))

    def after_batch(self, b):
        start = self.i * self.world_size  # `i` images have been read here, without any repetition before the last batch
        b = super().after_batch(b)
        self.n_batch = min(self.i * self.world_size, self.n) - start
        return b

    def to_detach(self, b, cpu=True, gather=True):
        b = self._to_detach(b, cpu, gather)
        return apply(lambda t: t[:self.n_batch] if t.ndim else t, b) if gather else b


class ShareLoss(AvgLoss):
    "The validation loss over all processes, each batch by its number of images."
    def accumulate(self, learn):
        n = learn.dl.n_batch
        self.total += learn.to_detach(learn.loss.mean()) * n
        self.count += n


def sync_norms(model):
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
