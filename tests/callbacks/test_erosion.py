"The erosion schedule across fits."

from fastai.callback.core import Callback

from landmark_fastai.callbacks.erosion import ErosionSchedule
from landmark_fastai.callbacks.history import History
from landmark_fastai.geometry.radius import auto_radius

STAIRS = dict(dilation_iters=65, erosion_freq=50, erosion_iters=10)  # of the original


class Radii(Callback):
    "Keep the radius of every epoch."
    order = History.order

    def __init__(self): self.rows = []

    def after_epoch(self): self.rows.append(self.erosion_schedule.masks.radius)


def radii(learn, *fits):
    "The radius in each epoch of `fits`, functions of the learner and its callbacks."
    spy = Radii()
    for fit in fits: fit(learn, spy)
    return spy.rows


def epochs(n): return lambda learn, spy: learn.fit(n, 1e-4, cbs=spy)


def test_fixed_schedule_erodes_as_the_original(make_learner):
    learn = make_learner(erosion_schedule='fixed', dilation_iters=20, erosion_freq=2, erosion_iters=9)
    assert radii(learn, epochs(7)) == [20, 20, 11, 11, 2, 2, 1]


def test_auto_schedule_is_the_original_squeezed_into_the_run(make_learner):
    got = radii(make_learner(**STAIRS), epochs(7))
    assert got == [auto_radius(epoch, 7, 64) for epoch in range(7)]
    assert got == [8, 7, 6, 4, 3, 2, 1]  # 65, 55 ... 5 px at 512 px, an eighth of each, rounded half up


def test_several_fits_count_on_and_looking_does_not(make_learner):
    learn = make_learner(erosion_schedule='fixed', dilation_iters=9, erosion_freq=1, erosion_iters=2)
    def look(learn, _):
        learn.validate()
        learn.get_preds()
        learn.lr_find(num_it=4, show_plot=False)
    assert radii(learn, epochs(2), look, epochs(1), look, epochs(2)) == [9, 7, 5, 3, 1]


def test_radius_stays_what_it_was_while_looking(make_learner):
    learn = make_learner(erosion_schedule='fixed', dilation_iters=9, erosion_freq=1, erosion_iters=2)
    learn.fit(3, 1e-4)
    for look in (learn.validate, learn.get_preds, lambda: learn.lr_find(num_it=4, show_plot=False)):
        look()
        assert learn.erosion_schedule.masks.radius == 5


def test_a_frozen_stage_does_not_use_up_the_schedule(make_learner):
    learn = make_learner(erosion_schedule='fixed', dilation_iters=9, erosion_freq=1, erosion_iters=2)
    assert radii(learn, lambda learn, spy: learn.fine_tune(3, freeze_epochs=2, cbs=spy)) == [9, 9, 9, 7, 5]


def test_the_radius_never_grows_again(make_learner):
    assert [auto_radius(epoch, 3, 64) for epoch in range(3)] == [8, 6, 3]
    assert [auto_radius(epoch, 6, 64) for epoch in (3, 4, 5)] == [4, 3, 2]
    assert radii(make_learner(**STAIRS), epochs(3), epochs(3)) == [8, 6, 3, 3, 3, 2]


def test_radius_zero_is_kept(make_learner):  # trap 7
    assert radii(make_learner(erosion_schedule='fixed', dilation_iters=0), epochs(1)) == [0]


def test_schedule_is_a_function_of_the_epoch_alone(make_learner):
    learn, schedule = make_learner(), ErosionSchedule('fixed', **STAIRS)
    schedule.learn = learn
    assert [schedule.radius_at(epoch, 350) for epoch in (0, 49, 50, 349)] == [65, 65, 55, 5]
