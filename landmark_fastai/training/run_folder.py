"The folder of a run: what may be written there, what it begins with, and what it is resumed from."

import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from ..callbacks.checkpoint import ALWAYS
from ..callbacks.stopping import is_stale
from ..config import TrainConfig, is_run
from ..errors import UsageError
from ..files import atomic_folder, check_replaceable, check_space, lies_in, remove_leftovers, write_text
from ..flags import to_yaml
from ..formats.spreadsheet import safe_name
from ..model.facts import ModelFacts, read_facts, write_facts
from ..model.state import read_state_dict

OF_TRAINING = 'weight', 'train_results', 'graph', 'visualization'  # folders that a training has written


def check_folder(config: TrainConfig):
    """Raise UsageError unless the folder of the run can be made.

    An earlier run there may be overwritten, or resumed from its start, but nothing else, and nothing that is read.
    """
    folder = config.folder
    check_replaceable(folder)
    if not folder.exists(): return
    if not (config.overwrite or config.resume):
        stopped = is_run(folder) and not (folder / 'report.html').is_file()
        raise UsageError(f'{folder} exists; pass {"--resume to go on with it, " * stopped}--overwrite to replace it, '
                         'or another --experiment_name', see='existing-folder')
    if any(folder.iterdir()) and not is_run(folder):
        raise UsageError(f'{folder} is no run folder (no config.yaml and model.json of this version): remove it '
                         'yourself', see='existing-folder')
    read = {'train_image_dir': config.train_image_dir, 'label_dir': config.label_dir, 'from_run': config.from_run,
            'config': config.config, 'train_csv_file': config.csv_file}  # which may be a path of its own
    if config.encoder_weights not in ('imagenet', 'none'): read['encoder_weights'] = config.encoder_weights
    for name, path in read.items():
        if path and lies_in(path, folder):
            raise UsageError(f'{name} {path} lies in {folder}, which would be replaced; pass another '
                             '--experiment_name, or move it away')


def check_room(config: TrainConfig, model: nn.Module):
    "Raise UsageError unless the weights of each stage and fold fit on the disk, and once more, which are new."
    n_bytes = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    of_last = 4 if config.ema else 3  # the weights, two numbers that the optimizer keeps of each, and their average
    n_trainings = max(config.folds, 1) * (1 + config.refine)
    check_space(config.folder, (n_trainings + 1) * (of_last + 1) * n_bytes)


def check_data(run: Path, now: str):
    "Raise UsageError unless the run in the folder `run` was started on the data whose fingerprint is `now`."
    if read_facts(run).data == now: return
    raise UsageError(f'{run} was started with other annotations or another split; restore them, or start '
                     'another run with --experiment_name')


def start_folder(config: TrainConfig, facts: ModelFacts, resumed: bool, image_names: Sequence[str],
                 kept: Path | None = None, **columns: np.ndarray):
    """Make the folder of a run, in place of an earlier one unless that is `resumed`; write what it begins with.

    With the training of the run in the folder `kept`, if any. `columns` of `split.csv` say what each of the images is.
    """
    if resumed: remove_leftovers(config.folder)
    table = pd.DataFrame({'image_name': list(map(safe_name, image_names)), **columns})
    with nullcontext(config.folder) if resumed else atomic_folder(config.folder) as folder:
        write_text(folder / 'config.yaml', to_yaml(config))
        write_facts(folder, facts)
        write_text(folder / 'split.csv', table.to_csv(index=False))
        for name in OF_TRAINING if kept else ():
            if (kept / name).is_dir(): shutil.copytree(kept / name, folder / name)


def read_progress(config: TrainConfig) -> dict | None:
    """What the run's last.ckpt holds, to resume from; None where it has not finished an epoch.

    Raises UsageError where the run has finished its training and its report, and where the file is damaged.
    """
    is_reported = (config.folder / 'report.html').is_file()
    state = read_checkpoint(config.folder, needed=is_reported)
    if is_reported: check_unfinished(config, state['history'])
    return state


def read_checkpoint(folder: Path, needed: bool) -> dict | None:
    "What last.ckpt of the run in `folder` holds, None where there is none; UsageError if it is `needed`, or damaged."
    if not (folder / 'weight' / 'last.ckpt').is_file():
        if needed:
            raise UsageError(f'{folder} has no weight/last.ckpt to go on with; train on with --from_run {folder}')
        return None
    state = read_state_dict(folder / 'weight' / 'last.ckpt')
    missing = [name for name in ALWAYS if name not in state]
    if missing:
        raise UsageError(f'weight/last.ckpt of {folder} lacks {", ".join(missing)}: it is of another version, and '
                         f'cannot be resumed; train on with --from_run {folder}', see='old-runs')
    return state


def check_unfinished(config: TrainConfig, rows: list[dict]):
    "Raise UsageError where a run whose log has these `rows` has no epoch left to train."
    epoch, total = len(rows), config.n_epochs
    stopped = config.early_stop and is_stale(rows, config.early_stop, config.n_frozen)
    if epoch < total and not stopped: return
    how = f'stopped early after {epoch} of {total} epochs' if epoch < total else f'all {epoch} epochs of it'
    raise UsageError(f'{config.folder} is finished, {how}; train on with --from_run {config.folder}')
