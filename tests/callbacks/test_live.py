"`ShowProgress`: in a notebook one display for the fits of a cell, elsewhere nothing."

import re
from types import SimpleNamespace

import pytest
from fastai.callback.core import Callback
from fastai.torch_core import set_seed

from landmark_fastai.callbacks import live
from landmark_fastai.callbacks.live import ShowProgress


@pytest.fixture
def notebook(monkeypatch):
    "As if in a notebook: what each display has been given; `cell` is the number of the cell that runs."
    def display(shown, display_id):
        fake.displays.append([])
        return SimpleNamespace(update=lambda html: fake.displays[-1].append(html.data))
    ipython = pytest.importorskip('IPython')
    fake = SimpleNamespace(displays=[], cell=1)
    monkeypatch.setattr(live, 'in_notebook', lambda: True)
    monkeypatch.setattr(ipython, 'get_ipython', lambda: SimpleNamespace(execution_count=fake.cell))
    monkeypatch.setattr('IPython.display.display', display)
    return fake


def test_curves_and_images_are_shown_anew_after_each_epoch_in_one_display_a_cell(make_learner, notebook):
    learn = make_learner(cbs=ShowProgress(n_images=2))
    learn.fine_tune(2)  # two fits
    first, = notebook.displays
    assert [re.search(r'epoch (\d+): mean error [\d.]+ px', html)[1] for html in first] == ['1', '2', '3']
    assert all(html.count('image/svg+xml') == 1 and html.count('image/jpeg') == 2 for html in first)
    names = [image.name for image in learn.dls.valid_ds.items[:2]]
    assert all(f'<figcaption>{name}</figcaption>' in first[-1] for name in names)
    notebook.cell = 2
    learn.fit(1)
    assert len(notebook.displays) == 2 and 'epoch 4: ' in notebook.displays[1][0]


def test_it_shows_nothing_of_what_does_not_train_nor_outside_of_a_notebook(make_learner, notebook, monkeypatch):
    learn = make_learner(cbs=ShowProgress())
    learn.validate(), learn.get_preds()
    monkeypatch.setattr(live, 'in_notebook', lambda: False)
    learn.fit(1)
    assert notebook.displays == []


def test_it_changes_nothing_of_the_training(make_learner, notebook):
    class Losses(Callback):
        def after_batch(self): self.learn.seen = [*getattr(self.learn, 'seen', []), self.loss.item()]
    seen = []
    for cbs in ([], [ShowProgress()]):
        set_seed(7, reproducible=True)
        learn = make_learner(cbs=[Losses(), *cbs])
        learn.fit(2)
        seen.append(learn.seen)
    assert seen[0] == seen[1]
