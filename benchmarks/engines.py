"Engines of a bundle beside PyTorch in float32, and beside the original's loop: speed, and whether points are the same."

from contextlib import redirect_stdout
from functools import partial
from io import StringIO

import numpy as np

from landmark_fastai.export.export import export
from landmark_fastai.formats.images import letterbox, read_image
from landmark_fastai.inference.bundle import load_bundle
from landmark_fastai.inference.graph_engines import ENGINES
from landmark_fastai.inference.loading import load
from landmark_fastai.model.state import read_state_dict

from . import reference
from .fixtures import FILM, LITE0
from .predict import ENCODERS, QUICK, network_points, trained  # noqa: F401  (QUICK is of a group as `run` is)
from .timing import alternate, faster, row, say, timed

EXACT = 0.01  # network px
FROM_FILES = 'Argmax on both sides; from JPEG files to points, all of it.'
ALONE = 'From squares in memory to points, PyTorch in float32.'


def run(folder, repetitions=5, n_train=25, n_films=64, n_timed=16, size=FILM, image_resize=256,
        encoders={LITE0: ENCODERS[LITE0]}):  # noqa: B006  (is not changed)
    "Rows of each engine."
    rows = []
    for run_folder, paths in trained(folder, n_train, n_films, size, image_resize, encoders):
        rows += compare(run_folder, folder, paths, n_timed, size, repetitions)
    return rows


def compare(run_folder, folder, paths, n_timed, size, repetitions):
    "Rows of one network."
    bundles = {decode: folder / f'{run_folder.name}_{decode}' for decode in ('argmax', 'centroid')}
    say('exporting')
    with redirect_stdout(StringIO()):
        for decode, bundle in bundles.items(): export(model=run_folder, output_dir=bundle, decode=decode)
    torch = {decode: load(run_folder, decode, 'cpu', 'fp32') for decode in bundles}
    config, facts = torch['argmax'].config, torch['argmax'].facts
    what = f'{config.encoder_name}, {config.image_resize} px'
    squares = [letterbox(read_image(path), config.image_resize) for path in paths[:n_timed]]
    model = reference.make_model(config.encoder_name, len(facts.landmarks),
                                 read_state_dict(run_folder / 'weight' / 'best.pth')).eval()
    read = partial(reference.read_square, size=config.image_resize)
    rows = []
    for name in ENGINES:
        engine = {decode: load_bundle(bundle, name) for decode, bundle in bundles.items()}
        say(f'predicting {n_timed} films by {name}, {repetitions} times')
        alone = alternate(timed(lambda: engine['centroid'].predict(squares), n_timed),  # noqa: B023
                          timed(lambda: torch['centroid'].predict(squares), n_timed), repetitions=repetitions)
        whole = alternate(timed(lambda: engine['argmax'].predict(paths[:n_timed]), n_timed),  # noqa: B023
                          timed(lambda: [reference.predict(model, read(path), facts.mean, facts.std)
                                         for path in paths[:n_timed]], n_timed), repetitions=repetitions)
        rows += [faster(f'network of {what}, {name}; against PyTorch', *alone, 1.5, note=ALONE),
                 faster(f'predict, {what}, files of {size[0]} × {size[1]} px, {name}', *whole, 3, note=FROM_FILES),
                 *same_points(f'{what}, {name}', engine, torch, paths, size)]
    return rows


def same_points(what, engine, torch, paths, size):
    "Rows that say how far the points of `engine` are from those of `torch`, both by way of decoding."
    image_resize = torch['argmax'].config.image_resize
    def points(predictor): return network_points(predictor.predict(paths).points, size, image_resize)
    apart = {decode: np.linalg.norm(points(engine[decode]) - points(torch[decode]), axis=-1) for decode in engine}
    equal = float((apart['argmax'] < EXACT).mean())
    near = float((apart['centroid'] <= EXACT).mean())
    return [row(f'argmax of {what}; against PyTorch', f'{equal:.1%} of {apart["argmax"].size} points the same',
                wanted='100 %', met=equal == 1),
            row(f'centroid of {what}; against PyTorch', f'{near:.1%} within {EXACT} network px, at most '
                f'{apart["centroid"].max():.4f}', wanted='100 %', met=near == 1)]
