"One run: train a model, and write its folder."

from fastai.torch_core import rank_distrib, set_seed

from ..callbacks.history import in_words
from ..callbacks.stopping import CheckLoss
from ..errors import Diverged
from ..evaluation.validation import evaluate_validation
from ..files import remove_leftovers
from ..formats.annotations import VISIBLE, fingerprint
from ..model import state as checkpoint
from ..training import distributed
from .build import make_callbacks, make_learner
from .config import run_folder, write_config
from .run_folder import check_data, check_folder, make_folder, read_state_of


def train_once(config, split=None):
    "Train the model of `config`; `split` (n,) is the side of each image, drawn when left out. Returns the learner."
    first, folder = not rank_distrib(), run_folder(config)
    device = distributed.join(config['batch_size'], config['device'])
    with distributed.in_turn():
        state = read_state_of(folder, config) if config['resume'] else None
        if state is None: check_folder(folder, config)
        of_state = {'encoder_weights': 'none', 'from_run': None} if state else {}  # it has all weights
        learn = make_learner(config | {'device': device} | of_state, split)
        data = fingerprint(learn.dls.annotations, learn.dls.split)
        if state: check_data(folder, state['data'], data)
    if first:
        if state: remove_leftovers(folder)
        else: make_folder(folder)
        known = write_config(folder, config, learn, data)
        announce(config, learn)
    history, cbs = make_callbacks(folder, config, learn, data, state)
    fit(learn, config, cbs)
    check_loss(folder, cbs)
    if first and history.best is not None:
        learn.model.load_state_dict(checkpoint.load(folder / 'weight' / 'best.pth'))
    distributed.part(learn.model)
    if first:
        report(folder, history, learn.dls.valid_ds.items)
        learn.evaluation = evaluate_validation(folder, known, learn)
    return learn


def check_loss(folder, cbs):
    "Raise Diverged if a callback has stopped the training of the run in `folder` for its loss."
    problem = next((cb.problem for cb in cbs if isinstance(cb, CheckLoss)), None)
    if problem is None: return
    weight = folder / 'weight'
    kept = [str(path) for path in (weight / 'best.pth', weight / 'last.ckpt') if path.is_file()]
    raise Diverged(f'{problem}; try a smaller --lr, or look at these images. '
                   f'{" and ".join(kept) or "No weights"} of earlier epochs are kept')


def announce(config, learn):
    "Say what is trained on what."
    train_set, valid_set = learn.dls.train_ds, learn.dls.valid_ds
    print(f"{len(train_set)} training and {len(valid_set)} validation images, "
          f"{len(learn.dls.annotations.names)} landmarks, {config['arch']} with {config['encoder_name']} at "
          f"{config['image_resize']} px on {learn.dls.device} in {learn.precision}, writing {run_folder(config)}",
          flush=True)


def fit(learn, config, cbs):
    "Train by the schedule of `config`."
    epochs, lr = config['epochs'], config['lr']
    if rank_distrib(): set_seed(config['seed'] + rank_distrib())  # each process augments in its own way
    with learn.no_bar(), learn.no_logging():
        if config['schedule'] == 'constant': learn.fit(epochs, lr, cbs=cbs)
        elif config['schedule'] == 'one_cycle': learn.fit_one_cycle(epochs, lr, cbs=cbs)
        else: learn.fine_tune(epochs, lr, freeze_epochs=config['freeze_epochs'], cbs=cbs)


def report(folder, history, valid_films):
    "Say what came out, and why there are no best weights where there are none."
    if history.best is not None:
        best = history.best
        print(f"best epoch {best['epoch']}: mean error {in_words(best)} in original pixels, "
              f"{best['mean_dist']:.2f} px of the network")
    else:
        seen = any((film.state == VISIBLE).any() for film in valid_films)
        why = 'the network diverged, try a smaller --lr' if seen else 'no validation image has a visible landmark'
        print(f"{why}: no error is known and no best weights were chosen; the last are in "
              f"{folder / 'weight' / 'last.ckpt'}")
    print(f'the run is in {folder}')
