"What a training says."

from helpers import run_callbacks

from landmark_fastai.callbacks.console import Console


def test_console_says_loss_error_and_time(make_learner, make_dls, tmp_path, capsys):
    history, cbs = run_callbacks(tmp_path)
    learn = make_learner(make_dls(batch_size=1))
    learn.fit(2, 1e-3, cbs=[cbs[0], Console(2, 'resnet34')])
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith('on this CPU an epoch takes about') and '--encoder_name timm-tf_efficientnet_lite0' in out[0]
    assert out[1].startswith('epoch 1/2  train loss ') and 'mean error ' in out[1] and ' px' in out[1]
    assert out[2].endswith('00:00 left') and len(out) == 3
    assert '\r' not in ''.join(out)
