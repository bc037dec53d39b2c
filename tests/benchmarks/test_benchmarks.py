"The benchmarks measure the same work on both sides, count it right, and run; what they measured is no matter here."

import json
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import cv2
import numpy as np
import pytest
import torch
from browser import CHROMIUM

from benchmarks import __main__ as command
from benchmarks import epoch, fixtures, growth, reference, timing
from landmark_fastai import landmark_dls
from landmark_fastai.data.items import make_frame
from landmark_fastai.errors import UsageError
from landmark_fastai.formats.images import letterbox, read_image
from landmark_fastai.geometry.frame import to_network
from landmark_fastai.geometry.masks import draw_diamonds

FACTS = dict(cpu='a CPU', cores=2, amx=False, torch_threads=2, torch='2', opencv='5', precision='fp32', seed=42,
             repetitions=5, date='2030-01-31T12:00:00+00:00')


# --- the reference does the same work

@pytest.mark.parametrize('radius', [1, 5, 12])
def test_the_masks_of_the_reference_are_our_diamonds(radius):
    for point in ((20, 30), (3, 60), (0, 0)):
        ours = draw_diamonds(torch.tensor(point).float(), radius, 64)
        assert np.array_equal(reference.draw_mask(point, radius, 64), ours.numpy())
    assert not reference.draw_mask((64, 3), radius, 64).any()


@pytest.mark.parametrize('size', [(220, 190), (190, 220), (201, 100)])
def test_the_squares_of_the_reference_are_ours_but_for_the_resampling(size, tmp_path):
    (path,), points = fixtures.write_films(tmp_path / 'films', 1, size)
    theirs, ours = reference.read_square(path, 64), letterbox(read_image(path), 64)
    assert theirs.shape == (64, 64, 3)
    inside = (ours > 0) & (theirs[..., 0] > 0)
    assert inside.mean() == pytest.approx(min(size) / max(size), abs=0.03)
    assert abs(theirs[..., 0][inside].astype(float) - ours[inside]).mean() < 6
    expected = to_network(points[0], make_frame(size, (np.nan, np.nan), 64))  # theirs lacks the half-pixel rule
    assert np.abs(reference.place(points[0], *size, 64) - expected).max() <= 0.5


def test_a_batch_of_the_reference_is_ours(tmp_path):
    paths, points = fixtures.write_small(tmp_path / 'images', 3, 2, size=(64, 64))  # nothing to resample
    points = points.round()
    csv_file = fixtures.write_csv(tmp_path / 'small.csv', paths, points, (64, 64))
    dls = landmark_dls(csv_file, tmp_path / 'images', image_resize=64, batch_size=2, augment='none')
    dls.train.after_batch.draw_masks.radius = 7
    ours = {row[0].mean().item(): row for row in zip(*dls.train.one_batch()[:2], strict=True)}
    rows = list(zip(paths[:2], points[:2], strict=True))
    images, masks = next(iter(reference.make_loader(rows, (64, 64), 64, radius=7, batch_size=2)))
    assert images.shape == (2, 3, 64, 64) and masks.dtype == torch.float32
    for image, mask in zip(images, masks, strict=True):
        grey = image[0] * reference.STD[0] + reference.MEAN[0]
        here, expected = ours[min(ours, key=lambda mean: abs(mean - grey.mean().item()))]
        assert (here[0] - grey).abs().max() < 1e-5
        assert torch.equal(mask.bool(), torch.Tensor(expected).bool())


def test_the_reference_normalises_with_the_given_numbers():
    square = np.full((2, 2, 3), 255, np.uint8)
    assert np.allclose(reference.normalise(square, (0.5,) * 3, (0.25,) * 3), 2)
    assert np.allclose(reference.normalise(square)[0, 0], (1 - np.array(reference.MEAN)) / reference.STD, atol=1e-5)


def test_the_reference_weighs_and_finds():
    assert reference.positive_weight(512, 65) == pytest.approx(29.55, abs=0.01)  # as traps.md has it
    logits = torch.zeros(2, 8, 8)
    logits[0, 3, 5] = logits[1, 6, 1] = 1
    assert reference.find_points(logits).tolist() == [[5, 3], [1, 6]]


# --- timing

class Clock:
    "Seconds that tick by as given."
    def __init__(self, *steps): self.steps, self.now, self.calls = deque(steps), 0., 0

    def __call__(self):
        self.calls += 1
        if self.calls % 2 == 0: self.now += self.steps.popleft()
        return self.now


def test_sides_take_turns_back_and_forth():
    order = []
    def side(name): return lambda: order.append(name) or len(order)
    ours, theirs = timing.alternate(side('ours'), side('theirs'), repetitions=3)
    assert order == ['ours', 'theirs'] + ['ours', 'theirs', 'theirs', 'ours', 'ours', 'theirs']
    assert ours == [3, 6, 7] and theirs == [4, 5, 8]  # the first of each does not count


def test_seconds_are_per_item():
    assert timing.timed(lambda: None, 4, Clock(2.))() == 0.5


def test_ratios_are_those_of_each_repetition():
    # the warm-up (9 s) does not count; the machine gets slower, which no ratio shows
    ours = timing.timed(lambda: None, 1, Clock(9, 1, 2, 4, 8, 16))
    theirs = timing.timed(lambda: None, 1, Clock(9, 2, 6, 8, 40, 32))
    row = timing.faster('x', *timing.alternate(ours, theirs), at_least=2)
    assert row['ratios'] == [2, 3, 2, 5, 2]
    assert (row['ratio'], row['low'], row['high'], row['met']) == (2, 2, 5, True)
    assert (row['here'], row['reference']) == ('0.250 images/s', '0.125 images/s')
    assert not timing.faster('x', [1.], [1.9], at_least=2)['met']
    slower = timing.longer('x', [1.2, 1.1, 1.], [1., 1., 1.], 1.05)
    assert (slower['ratio'], slower['met']) == (1.1, False)


def test_the_machine_is_known():
    facts = timing.facts(seed=1)
    assert facts['cpu'] and facts['cores'] >= 1 and facts['torch'] == torch.__version__ and facts['seed'] == 1
    assert facts['opencv'] == cv2.__version__ and isinstance(facts['amx'], bool)


@pytest.mark.slow
def test_a_child_starts_with_memory_of_its_own():
    ballast = np.ones(2 ** 27)  # 1 GB, which getrusage would hand on to the child
    assert fixtures.memory() > 1024
    assert fixtures.in_child(partial(fixtures.memory, peak=True)) < 1024
    del ballast


# --- results

@pytest.fixture
def rows():
    return [timing.faster('data path', [0.1, 0.1], [0.8, 1.], 8, note='why'),
            timing.row('memory', '5 MB', '4 MB', 'within 50 MB', False), timing.row('stated', '1 s')]


def test_results_are_saved_and_read_again(rows, tmp_path):
    path = timing.save('data', rows, tmp_path / 'new', **FACTS)
    assert path == tmp_path / 'new' / 'data.json' and json.loads(path.read_text())['facts'] == FACTS
    assert timing.load('data', path.parent)['rows'] == rows
    assert timing.load('step', path.parent) is None


def test_the_table_says_it_all(rows):
    lines = timing.markdown(rows).splitlines()
    assert lines[2] == ('| data path <sup>1</sup> | 10.0 images/s | 1.11 images/s | **9.00** (8.00 to 10.0) | ≥ 8 | '
                        'yes |')
    assert lines[3] == '| memory | 5 MB | 4 MB |  | within 50 MB | **no** |'
    assert lines[4] == '| stated | 1 s |  |  |  |  |'
    assert lines[-1] == '<sup>1</sup> why'


def test_the_table_is_rewritten_between_the_markers(rows, tmp_path):
    page, results = tmp_path / 'benchmarks.md', tmp_path / 'results'
    page.write_text('before\n<!-- benchmarks -->\nold\n<!-- /benchmarks -->\nafter — end\n', encoding='utf-8')
    timing.save('step', rows[1:], results, **FACTS)
    timing.save('data', rows[:1], results, **FACTS)
    command.write_table(page, results)
    first = page.read_text(encoding='utf-8')
    assert first.startswith('before\n<!-- benchmarks -->\n| what |')
    assert first.endswith('<!-- /benchmarks -->\nafter — end\n') and 'old' not in first
    assert first.index('data path') < first.index('memory') < first.index('data, step: a CPU')
    command.write_table(page, results)
    assert page.read_text(encoding='utf-8') == first


def test_no_results_and_no_markers_are_told(rows, tmp_path):
    with pytest.raises(UsageError, match='run python -m benchmarks'): command.table(tmp_path)
    with pytest.raises(UsageError, match='<!-- benchmarks -->'): timing.insert('text <!-- /benchmarks -->', 'table')
    with pytest.raises(SystemExit): command.main(['nothing'])


# --- they run

# precision trains on images that are not part of the project
@pytest.mark.slow
@pytest.mark.parametrize('name', [name for name in command.GROUPS if name != 'precision'])
def test_each_group_runs(name, tmp_path, monkeypatch, capsys):
    if name == 'annotate' and not CHROMIUM: pytest.skip('there is no Chromium')
    for module in (epoch, growth):  # processes take seconds
        monkeypatch.setattr(module, 'in_child', lambda function, *args: function(*args))
    argv = [name, '--quick', '--results', str(tmp_path)]
    with ThreadPoolExecutor(1) as pool:  # playwright takes no thread in which there is one of another test
        assert pool.submit(command.main, argv).result() == 0
    assert '| what | here | reference |' in capsys.readouterr().out
    assert not list(tmp_path.iterdir())  # of quick runs nothing is kept
