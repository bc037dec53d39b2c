"A tiny data set of bright dots on dark squares, and learners small enough for two cores."

import warnings

import matplotlib
import pytest
import torch
from browser import CHROMIUM
from helpers import TINY, write_dots

matplotlib.use('Agg')
torch.set_num_threads(1)  # models this small gain nothing from more, and a busy machine stays usable
warnings.filterwarnings('ignore', category=FutureWarning)  # of libraries about each other
# The engine of autograd counts the devices once, at the first backward, and a process with threads for one cannot be
# forked. torch.export puts a stand-in for CUDA where there is none, so no test that exports may be before the first.
torch.ones(1, requires_grad=True).backward()


@pytest.fixture(scope='session', autouse=True)
def fp32_unless_asked():
    "The same numbers on every machine: `precision='auto'` is fp32 on CPUs that are fast with bf16, too."
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('landmark_fastai.model.precision.has_fast_bf16', lambda: False)
        yield


@pytest.fixture
def no_warnings():
    "No warning passes unseen."
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        yield


@pytest.fixture(scope='session')
def dots(tmp_path_factory):
    "Ten images with two landmarks: (csv file, image folder). Not to be changed."
    return write_dots(tmp_path_factory.mktemp('dots'))


@pytest.fixture
def make_dls(dots):
    "A function that makes small DataLoaders of the dots."
    from landmark_fastai import landmark_dls
    def make(**kwargs): return landmark_dls(*dots, **dict(image_resize=64, batch_size=4) | kwargs)
    return make


@pytest.fixture
def make_learner(make_dls, tmp_path):
    "A function that makes a small learner in a folder of its own, without progress bars."
    from landmark_fastai import landmark_learner
    def make(dls=None, **kwargs):
        small = dict(encoder_name='timm-mobilenetv3_small_minimal_100', encoder_weights='none', path=tmp_path)
        learn = landmark_learner(dls or make_dls(), **small | kwargs)
        learn.remove_cb(learn.progress)
        learn.logger = lambda row: None
        return learn
    return make


@pytest.fixture(scope='session')
def finished(tmp_path_factory):
    """A finished run of two epochs of dots, with GIFs and a pixel spacing of 0.5 mm: its folder. Not to be changed.

    The images are in `images` two folders above, the CSV beside them.
    """
    import cli
    folder = tmp_path_factory.mktemp('finished')
    csv_file, images = write_dots(folder, pixel_spacing=[0.5] * 10)
    assert cli.main(['train', '--train_image_dir', str(images), '--label_dir', str(folder), '--train_csv_file',
                     csv_file.name, '--output_dir', str(folder / 'runs'), *TINY, '--epochs', '2', '--gif',
                     '--n_landmarks', '2']) == 0
    return folder / 'runs' / 'baseline'


@pytest.fixture(scope='session')
def browser():
    "Chromium, one for all tests of a process, since Playwright knows no second one in it."
    playwright = pytest.importorskip('playwright.sync_api', reason='playwright is not installed')
    if not CHROMIUM: pytest.skip('there is no Chromium')
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
        yield browser
        browser.close()
