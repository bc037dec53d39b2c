"The learner: weights, parameter groups, normalisation, and fastai's verbs."


import matplotlib.pyplot as plt
import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from fastai.data.transforms import Normalize
from fastai.optimizer import Adam
from helpers import write_dots

from landmark_fastai import UsageError, landmark_dls
from landmark_fastai.config import TrainConfig
from landmark_fastai.data.tensors import TensorLandmarks
from landmark_fastai.formats.images import read_image
from landmark_fastai.geometry.decoding import decode
from landmark_fastai.geometry.distances import radial_errors
from landmark_fastai.learner import OPTIMIZERS
from landmark_fastai.model.losses import LandmarkLoss


@pytest.fixture(scope='module')
def bare(): return smp.Unet('resnet18', encoder_weights=None, classes=2)


def test_an_epoch_trains_encoder_decoder_and_head(make_learner):
    learn = make_learner()
    before = {name: p.detach().clone() for name, p in learn.model.named_parameters()}
    learn.fit(1, 1e-2)
    still = [name for name, p in learn.model.named_parameters() if torch.equal(p, before[name])]
    assert not still


def test_weights_load_into_a_bare_unet(make_learner, bare):
    bare.load_state_dict(make_learner(encoder_name='resnet18').model.state_dict(), strict=True)


@pytest.mark.parametrize('kwargs, words', [
    (dict(loss='l2'), "loss is 'l2'.* bce, dice, dice_bce, spatial_ce, dice_bce_spatial"),
    (dict(decoder='mean'), "decode is 'mean'.*centroid, argmax"),
    (dict(erosion_schedule='often'), "erosion_schedule is 'often'.*auto, fixed"),
    (dict(dilation_iters=-1), 'dilation_iters is -1.*at least 0'),
    (dict(erosion_freq=0), 'erosion_freq is 0.*at least 1'),  # trap 7
])
def test_unknown_learner_arguments_are_refused(make_learner, kwargs, words):
    with pytest.raises(UsageError, match=words): make_learner(**kwargs)


def test_grey_becomes_three_normalised_channels_and_a_second_learner_brings_its_own(make_dls, make_learner):
    dls = make_dls(augment='none')
    grey = torch.Tensor(dls.valid.one_batch()[0])
    for encoder_name, mean, std in (('resnet18', 0.485, 0.229), (TrainConfig.encoder_name, 0.5, 0.5)):
        make_learner(dls, encoder_name=encoder_name)
        image = torch.Tensor(dls.valid.one_batch()[0])
        torch.testing.assert_close(image[:, :1], (grey - mean) / std, atol=1e-4, rtol=1e-4)
        assert image.shape[1] == 3
    for dl in dls.loaders: assert sum(isinstance(t, Normalize) for t in dl.after_batch.fs) == 1


def test_the_same_loss_trains_and_validates(make_learner):  # trap 9
    learn = make_learner(loss='bce')
    image, *targets = learn.dls.valid.one_batch()
    valid_loss = learn.validate(dl=[(image, *targets)])[0]
    with torch.no_grad(): pred = learn.model.eval()(torch.Tensor(image))
    expected = LandmarkLoss('bce')(pred, *(torch.Tensor(t) if t.is_floating_point() else t for t in targets))
    assert valid_loss == pytest.approx(expected.item(), rel=1e-4)


def test_torch_adam_of_the_original_recipe_is_torchs_own(make_learner):
    learn = make_learner(opt_func=OPTIMIZERS['torch_adam'], lr=1e-4, wd=0.)
    learn.create_opt()
    learn.opt.set_hypers(lr=1e-4, wd=0.)
    parameter = next(learn.model.parameters())
    mirror = parameter.detach().clone().requires_grad_()
    own = torch.optim.Adam([mirror], lr=1e-4)
    for _ in range(3):
        gradient = torch.randn_like(parameter)
        for p in learn.model.parameters(): p.grad = torch.zeros_like(p)
        parameter.grad, mirror.grad = gradient.clone(), gradient.clone()
        learn.opt.step()
        own.step()
    torch.testing.assert_close(parameter, mirror)


def test_all_verbs_of_fastai_work_and_lr_find_leaves_no_file(make_learner, dots, tmp_path):
    learn = make_learner()
    learn.lr_find(num_it=4)
    assert list(tmp_path.iterdir()) == [] and learn.erosion_schedule.finished == 0
    learn.fit_one_cycle(2)
    learn.fine_tune(1)
    logits, targets = learn.get_preds()
    assert logits.shape == (2, 2, 64, 64) and len(targets) == 5
    *_, losses = learn.get_preds(with_loss=True)
    assert losses.shape == (2,)
    assert len(learn.validate()) == 4  # loss, error in original and in network px, Dice
    learn.show_results(max_n=2)
    axes = [ax for ax in plt.gcf().axes if ax.images]
    assert [len(ax.collections) for ax in axes] == [2, 2]  # true and predicted points
    plt.close('all')
    assert isinstance(learn.predict(str(dots[1] / 'dot_0.png'))[0], TensorLandmarks)
    test_dl = learn.dls.test_dl(sorted(dots[1].iterdir()))
    assert learn.get_preds(dl=test_dl)[0].shape == (10, 2, 64, 64)


def test_an_interrupted_lr_find_leaves_no_folder_and_erosion_goes_on(make_learner, tmp_path, monkeypatch):
    learn = make_learner(erosion_schedule='fixed', dilation_iters=9, erosion_freq=1, erosion_iters=2)
    def stop(*_): raise KeyboardInterrupt
    with monkeypatch.context() as patch:
        patch.setattr(learn.loss_func, 'forward', stop)
        with pytest.raises(KeyboardInterrupt): learn.lr_find(num_it=4)
    assert list(tmp_path.iterdir()) == [] and learn.path == tmp_path
    learn.remove_cbs([cb for cb in learn.cbs if cb.name == 'l_r_finder' or cb.name == 'lr_finder'])
    learn.fit(2, 1e-4)
    assert learn.erosion_schedule.finished == 2 and learn.erosion_schedule.masks.radius == 7


def test_one_decoder_for_metrics_and_predictions(make_learner):
    learn = make_learner(loss=LandmarkLoss('bce'), decoder='argmax')
    assert learn.loss_func.decoder == learn.metrics[0].decoder == 'argmax'


def test_predict_answers_in_original_px(make_learner):
    learn = make_learner()
    film = next(film for film in learn.dls.valid_ds.items if len(set(film.frame.size)) == 2)
    original, network, logits = learn.predict(film.path)
    frames = torch.from_numpy(film.frame.row())[None]
    torch.testing.assert_close(torch.Tensor(network), decode(logits[None], frames)[0])
    expected = (np.array(network) + 0.5) / film.frame.scale - 0.5 - film.frame.padding
    np.testing.assert_allclose(original, expected, rtol=1e-5)
    from_array, *_ = learn.predict(read_image(film.path))
    torch.testing.assert_close(torch.Tensor(from_array), torch.Tensor(original))


@pytest.mark.parametrize('batch_size', [1, 2])
def test_reported_error_does_not_depend_on_the_batch_size(make_dls, make_learner, batch_size):  # traps 1, 10
    learn = make_learner(make_dls(augment='none'))
    valid = learn.dls.valid.new(bs=batch_size)
    logits, (_, true, _, frame, _) = learn.get_preds()
    expected = radial_errors(decode(logits, frame), true, frame)
    got = learn.validate(dl=valid)
    assert got[1] == pytest.approx(expected['px'].mean().item(), rel=1e-4)
    assert got[2] == pytest.approx(expected['network'].mean().item(), rel=1e-4)
    assert got[1] != pytest.approx(got[2], rel=0.05)


def test_mm_and_presence_are_there_where_they_are_known(tmp_path, make_learner):
    csv_file, images = write_dots(tmp_path, pixel_spacing=[0.5] * 10)
    text = csv_file.read_text().splitlines()
    row = text[1].split(',')
    text[1] = ','.join([*row[:4], '-1', '-1', *row[6:]])
    csv_file.write_text('\n'.join(text))
    learn = make_learner(landmark_dls(csv_file, images, image_resize=64, batch_size=4))
    assert [m.name for m in learn.metrics] == ['mean_error_px', 'mean_dist', 'mean_error_mm', 'mean_dice',
                                               'presence_accuracy']
    values = dict(zip(['loss'] + [m.name for m in learn.metrics], learn.validate(), strict=True))
    assert values['mean_error_mm'] == pytest.approx(values['mean_error_px'] / 2, rel=1e-5)
    spatial = make_learner(learn.dls, loss='spatial_ce')
    assert 'presence_accuracy' not in [m.name for m in spatial.metrics]


def test_default_optimiser_is_fastais_adam(make_learner):
    learn = make_learner()
    assert learn.opt_func is Adam and (learn.lr, learn.wd) == (3e-3, 0.01)
    assert learn.erosion_schedule.masks.radius == 3  # 25 px at 512 px


@pytest.mark.parametrize('loss, share', [('dice_bce_spatial', 0.01), ('dice_bce', 0.01), ('bce', None), ('dice', None),
                                         ('spatial_ce', None)])
def test_masks_begin_nearly_empty_where_bce_is_not_balanced(make_learner, loss, share):
    bias = make_learner(loss=loss).model.segmentation_head[0].bias
    if share: torch.testing.assert_close(bias.sigmoid(), torch.full((2,), share))
    else: assert not torch.isclose(bias.sigmoid(), torch.tensor(0.01), atol=0.005).any()


def test_other_data_are_normalised_as_those_it_was_made_with(make_dls, make_learner):
    learn, others = make_learner(), make_dls()
    of_own = learn.dls.one_batch()[0]
    assert of_own.min() < 0 and others.one_batch()[0].min() >= 0
    for _ in range(2): learn.dls = others  # once, however often
    image, = (t for t in others.train.after_batch.fs if isinstance(t, Normalize))
    assert torch.equal(image.mean, next(t.mean for t in learn.dls.train.after_batch.fs if isinstance(t, Normalize)))
    assert others.one_batch()[0].min() < 0
    assert learn.validate(dl=others.valid)[0] == learn.validate()[0]


def test_a_loss_is_not_changed_by_the_learners_that_share_it(make_learner):
    loss = LandmarkLoss()
    learners = [make_learner(loss=loss, decoder=decoder) for decoder in ('centroid', 'argmax')]
    assert [learn.loss_func.decoder for learn in learners] == ['centroid', 'argmax']
