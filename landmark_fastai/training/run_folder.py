"Runs: wire the parts, own the output folder. What the command line does, a notebook can call here."

import shutil

from ..callbacks.stopping import is_stale
from ..errors import UsageError
from ..files import check_writable, lies_in
from ..inference.loading import read_state
from .config import annotation_csv, is_run


def check_folder(folder, config):
    """Raise UsageError unless `folder` can be made for the run of `config`.

    An earlier run there may be overwritten, or resumed from its start, but nothing else, and nothing that is read.
    """
    check_writable(folder)
    if not folder.exists(): return
    if not (config['overwrite'] or config['resume']):
        raise UsageError(f'{folder} exists; pass --overwrite to replace it, or another --experiment_name')
    if any(folder.iterdir()) and not is_run(folder):
        raise UsageError(f'{folder} is no run folder (no config.json of landmark_fastai): remove it yourself')
    read = {name: config[name] for name in ('train_image_dir', 'label_dir', 'from_run')}
    read['train_csv_file'] = annotation_csv(config)  # which may be a path of its own
    if config['encoder_weights'] not in ('imagenet', 'none'): read['encoder_weights'] = config['encoder_weights']
    for name, path in read.items():
        if path and lies_in(path, folder):
            raise UsageError(f'{name} {path} lies in {folder}, which would be replaced; pass another '
                             '--experiment_name, or move it away')


def check_data(folder, before, now):
    "Raise UsageError unless the run in `folder` was started on the data whose fingerprint is `now`."
    if before == now: return
    raise UsageError(f'{folder} was started with other annotations or another split; restore them, or start another '
                     'run with --experiment_name')


def make_folder(folder):
    "Make the run folder, removing an earlier run there."
    if folder.exists(): shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def n_epochs(config):
    "Number of epochs of a run, frozen ones included."
    return config['epochs'] + n_frozen(config)


def n_frozen(config):
    "Number of epochs with a frozen encoder, at the start of a run."
    return config['freeze_epochs'] if config['schedule'] == 'fine_tune' else 0


def read_state_of(folder, config):
    """What last.ckpt of the run of `config` in `folder` holds, to be resumed; None where it has not finished an epoch.

    Raises UsageError where the run has finished its training and its report, and where the file is damaged.
    """
    if not (folder / 'weight' / 'last.ckpt').is_file():
        if (folder / 'report.html').is_file():
            raise UsageError(f'{folder} has no weight/last.ckpt to go on with; train on with --from_run {folder}')
        return None
    state = read_state(folder / 'weight' / 'last.ckpt')
    if 'random' not in state: raise UsageError(f'{folder} is of an earlier version, which cannot be resumed')
    epoch, total = state['epoch'], n_epochs(config)
    stopped = config['early_stop'] and is_stale(state['history'], config['early_stop'], n_frozen(config))
    if (epoch >= total or stopped) and (folder / 'report.html').is_file():
        how = f'stopped early after {epoch} of {total} epochs' if epoch < total else f'all {epoch} epochs of it'
        raise UsageError(f'{folder} is finished, {how}; train on with --from_run {folder}')
    return state
