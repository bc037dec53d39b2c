"Networks: parameter groups, unknown names."

import pytest

from landmark_fastai.errors import UsageError
from landmark_fastai.model.network import create_model, unet_split


@pytest.mark.parametrize('arch', ['unet', 'fpn'])
def test_parameter_groups_cover_the_model_exactly(arch):
    model = create_model(arch, 'resnet18', 'none', 2)
    groups = unet_split(model)
    assert len(groups) == 2
    assert [id(p) for group in groups for p in group] == [id(p) for p in model.parameters()]


@pytest.mark.parametrize('arguments, words', [
    (('unet', 'resnet17', 'none'), "encoder_name 'resnet17' in arch 'unet' is unknown or impossible"),
    (('unet', 'tu-resnet17', 'none'), "encoder_name 'tu-resnet17' in arch 'unet' is unknown"),
    (('unet', 'tu-resnet18.zzz', 'none'), "encoder_name 'tu-resnet18.zzz' in arch 'unet' is unknown"),
    (('unet', 'resnet17', 'imagenet'), "'resnet17' in arch 'unet' is unknown"),  # which no server is asked for
    (('unet', 'tu-resnet17', 'imagenet'), "'tu-resnet17' in arch 'unet' is unknown"),
    (('vnet', 'resnet18', 'none'), "arch 'vnet' is unknown"),
    (('linknet', 'mit_b0', 'none'), "encoder_name 'mit_b0' in arch 'linknet' is unknown or impossible"),
    (('unet', 'resnet18', 'imagenet1k.pth'), "encoder_weights is 'imagenet1k.pth', which is no file"),
])
def test_unknown_names_are_refused(arguments, words):
    with pytest.raises(UsageError, match=words): create_model(*arguments, 2)
