"The two recipes: what a flag is where it is not given."

from ..errors import UsageError

RECIPES = {
    'original': dict(
        image_resize=512, batch_size=8, epochs=350, arch='unet', encoder_name='resnet101', encoder_weights='imagenet',
        loss='bce', dice_weight=1., bce_weight=1., spatial_weight=1.,
        erosion_schedule='fixed', dilation_iters=65, erosion_freq=50, erosion_iters=10,
        optimizer='torch_adam', lr=1e-4, weight_decay=0., schedule='constant', ema=0.,
        augment='none', elastic=0., decode='argmax', normalization='imagenet', color=True, drop_last=False),
    'default': dict(
        image_resize=512, batch_size=8, epochs=350, arch='unet', encoder_name='resnet34', encoder_weights='imagenet',
        loss='dice_bce_spatial', dice_weight=1., bce_weight=10., spatial_weight=1.,
        erosion_schedule='auto', dilation_iters=25, erosion_freq=35, erosion_iters=10,
        optimizer='adam', lr=3e-3, weight_decay=0.01, schedule='one_cycle', ema=0.,
        augment='normal', elastic=0., decode='centroid', normalization='encoder', color=False, drop_last=True),
}


def fill(recipe, flags):
    "`flags` with every None, and everything that is no flag, filled in from the recipe called `recipe`."
    if recipe not in RECIPES: raise UsageError(f'recipe {recipe!r} is unknown; choose one of {", ".join(RECIPES)}')
    filled = RECIPES[recipe]
    return filled | {name: value for name, value in flags.items() if value is not None or name not in filled}
