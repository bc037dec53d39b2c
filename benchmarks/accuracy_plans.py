"The trainings that `benchmarks.accuracy` compares: recipes, data, seeds, and flags that differ."

from dataclasses import dataclass, field

from .fixtures import LITE0

CT, MOUSE = 'ct_thorax_20', 'mouse_mirror_12'
# the original's stairs are squeezed to the length of the run and to the size of the square, so that it is no straw man
RECIPES = {'default': dict(recipe='default'), 'original': dict(recipe='original', erosion_schedule='auto')}


@dataclass(frozen=True)
class Training:
    "A training of the benchmark; its `key` names its result."
    data: str = CT
    recipe: str = 'default'
    seed: int = 42
    epochs: int = 40
    image_resize: int = 256
    n_train: int | None = None  # the first of the training images; all when left out
    variant: dict = field(default_factory=dict, hash=False)  # flags that differ from the recipe's
    tuning: bool = False  # a step on the way to a recipe: the test fold is left alone

    @property
    def key(self):
        parts = [self.data, self.recipe, f'{self.image_resize}px', f'{self.epochs}epochs', f'seed{self.seed}']
        if self.n_train: parts.append(f'{self.n_train}images')
        return '_'.join(parts + [f'{name}={value}' for name, value in self.variant.items()])

    @property
    def flags(self):
        "The arguments of `train`, beside those of the files."
        return dict(encoder_name=LITE0, image_resize=self.image_resize, epochs=self.epochs, seed=self.seed,
                    visualize_every=self.epochs) | RECIPES[self.recipe] | self.variant


def pair(**kwargs):
    "The same training by both recipes."
    return [Training(recipe=recipe, **kwargs) for recipe in ('original', 'default')]


def variants(*variants, seed=0):
    "The default recipe at 128 px, as it is and with each of `variants`, flags, in turn."
    return [Training(image_resize=128, seed=seed, variant=variant, tuning=True) for variant in ({}, *variants)]


NEVER = dict(dilation_iters=5, erosion_iters=0)  # small diamonds that are not eroded
# epochs that take as long as 40 with lite0: at 256 px in bf16 an epoch of lite1 and of lite2 takes 1.1 times as long
ENCODERS = {LITE0: 40, 'timm-tf_efficientnet_lite1': 36, 'timm-tf_efficientnet_lite2': 36}


def encoders(data, image_resize):
    "The default recipe with each of `ENCODERS` in equal minutes, three seeds."
    return [Training(data=data, image_resize=image_resize, seed=seed, epochs=epochs, tuning=True,
                     variant=dict(encoder_name=name)) for seed in (0, 1, 2) for name, epochs in ENCODERS.items()]


PLANS = {
    'ablation': variants(
        dict(loss='bce'), dict(loss='dice_bce'), dict(loss='spatial_ce'), dict(bce_weight=1.),
        dict(augment='none'), dict(augment='light'), dict(augment='strong'), dict(elastic=0.01),
        dict(schedule='constant'), dict(lr=1e-3), dict(ema=0.99), dict(schedule='fine_tune'),
        dict(dilation_iters=65, erosion_freq=50), NEVER, dict(decode='argmax')),
    'compare': [training for seed in (0, 1, 2) for training in pair(seed=seed)] + pair(data=MOUSE, seed=0),
    'sizes': [training for n in (10, 20) for training in pair(n_train=n, seed=0)],
    'erosion': [training for seed in (1, 2) for training in variants(NEVER, seed=seed)] +
               [Training(seed=seed, variant=NEVER, tuning=True) for seed in (0, 1, 2)],
    'long': [Training(recipe='original', epochs=350, seed=0)],
    'encoders': encoders(CT, 128) + encoders(MOUSE, 128) + encoders(CT, 256),
}
