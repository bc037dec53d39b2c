"Where a training step does not fit into the memory: smaller ones are tried, and the first that fits is proposed."

from collections.abc import Callable
from typing import Any

import torch
from accelerate.utils.memory import clear_device_cache
from fastai.torch_core import num_distrib

from ..config import TrainConfig
from ..data.crops import CROPS, AnnotatedCrop
from ..errors import OutOfMemory, is_out_of_memory
from ..learner import LandmarkLearner
from .memory import give_back_freed_memory

LEAST_BATCH = 2   # images, of which BatchNorm can tell a spread
LEAST_SIDE = 64   # px of the squares that are tried
OF_OPTIMIZER = 2  # numbers that Adam keeps of each weight


def or_say_what_fits(train: Callable[[], Any], learn: LandmarkLearner, config: TrainConfig, started: bool) -> Any:
    """What `train`, which takes steps of `learn` by the flags `config`, returns.

    Where memory does not suffice, smaller steps are tried and OutOfMemory is raised, which says what did not fit, what
    does, and how the run goes on, whose folder is there if it has `started`. The learner is of no use then.
    """
    try: return train()
    except Exception as e:
        if not is_out_of_memory(e): raise
    # from here on the error is gone, and with its traceback what the step had computed
    learn.dl, learn.xb, learn.yb, learn.pred, learn.loss, learn.loss_grad = None, (None,), (None,), None, None, None
    clear_memory()
    smaller = step_sizes(config.batch_size, config.image_resize) if num_distrib() <= 1 else []
    raise OutOfMemory(describe(learn, config, next((size for size in smaller if fits(learn, *size)), None), started))


def step_sizes(batch_size: int, side: int) -> list[tuple[int, int]]:
    """Batch size and side (px) of smaller steps, those first that change less.

    Batches are halved, down to `LEAST_BATCH`, before sides are, which stay multiples of 32 and at least `LEAST_SIDE`.
    """
    batches, sides = [batch_size], [side]
    while batches[-1] > LEAST_BATCH: batches.append(max(batches[-1] // 2, LEAST_BATCH))
    while sides[-1] > LEAST_SIDE: sides.append(max(sides[-1] // 64 * 32, LEAST_SIDE))
    return [(n, px) for px in sides for n in batches][1:]


def fits(learn: LandmarkLearner, batch_size: int, side: int) -> bool:
    "Whether a step of so many black images of `side` px fits, beside what the optimizer keeps once it has begun."
    parameters = list(learn.model.parameters())
    n_kept = 0 if learn.opt and learn.opt.state else OF_OPTIMIZER
    learn.model.train()
    try:
        kept = [torch.zeros_like(parameter) for parameter in parameters for _ in range(n_kept)]
        image, *targets = black_batch(batch_size, side, len(learn.dls.names), learn.dls.device)
        learn.loss_func(learn.model(image), *targets).backward()
        del kept  # held until here
        return True
    except Exception: return False  # where memory is short oneDNN and others have errors of many words
    finally:
        learn.model.zero_grad(set_to_none=True)
        clear_memory()


def clear_memory():
    "Free what nothing refers to, on the device and in this process."
    clear_device_cache(garbage_collection=True)
    give_back_freed_memory()


def black_batch(batch_size: int, side: int, n_landmarks: int, device: torch.device) -> tuple[torch.Tensor, ...]:
    "A batch such as `landmark_dls` makes, of black images on which each landmark is visible."
    def zeros(*shape, dtype=torch.float32): return torch.zeros(batch_size, *shape, dtype=dtype, device=device)
    return (zeros(3, side, side), zeros(n_landmarks, side, side, dtype=torch.bool), zeros(n_landmarks, 2),
            zeros(n_landmarks, dtype=torch.uint8), zeros(7), zeros(dtype=torch.int64))


def describe(learn: LandmarkLearner, config: TrainConfig, trial: tuple[int, int] | None, started: bool) -> str:
    "What did not fit, the size of a `trial` that did, if any, and how to go on, in a sentence."
    of_crops = isinstance(learn.dls.train_ds.items[0], AnnotatedCrop)
    things, share, side_flag = ('crops', CROPS, 'refine_resize') if of_crops else ('images', 1, 'image_resize')
    failed = (f'out of memory: a training step of {config.batch_size} {things} of {config.image_resize} px '
              f'({config.arch} with {config.encoder_name} on {learn.dls.device}) does not fit')
    if num_distrib() > 1: return f'{failed}; take a smaller --batch_size, a multiple of {num_distrib()}'
    if trial is None:
        return (f'{failed}, nor does any of {LEAST_SIDE} px; end other programs that fill the memory, or take a '
                f'smaller network, such as --encoder_name {TrainConfig.encoder_name}')
    n, side = trial
    flags = f'--batch_size {n // share}'
    if side == config.image_resize:
        return f'{failed}; {n} were tried and do: {"go on with --resume" if started else "pass"} {flags}'
    return (f'{failed}, nor do {min(LEAST_BATCH, config.batch_size)}; {n} of {side} px were tried and do: start again '
            f'with {flags} --{side_flag} {side}{" --overwrite" * started}')
