"What stands beside the network, loss and decoding: their share, and speed and memory against another version."

import json
import os
import re
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median

from .fixtures import LITE0, write_csv, write_small
from .timing import ROOT, alternate, faster, ratios, row, say

STEPS = [dict(encoder=encoder, size=size, batch_size=batch_size, n_landmarks=n, n_steps=3)
         for encoder, size, batch_size in ((LITE0, 256, 8), ('resnet18', 512, 4)) for n in (2, 19)]
PREDICT = dict(encoder='resnet18', size=512, n_landmarks=19, n_images=8)
QUICK = dict(repetitions=1, steps=[dict(encoder='resnet18', size=64, batch_size=2, n_landmarks=2, n_steps=1)],
             predict=dict(encoder='resnet18', size=64, n_landmarks=2, n_images=2))
MANY = 19  # landmarks, for which a share is wanted
LOSS_SHARE, REST_SHARE = 0.10, 0.20
FASTER_STEP, FASTER_PREDICT = 1.25, 2
PROCESSES = 'Each version in a process of its own; the libraries are the same.'
LOSS = 'Forward and backward, until the gradient of the logits.'
SQUARES = 'From squares in memory to points: everything but the network, as a share of the whole.'
PEAK = 'Largest memory of the two processes of a row above, per landmark that one has more.'


def run(folder, repetitions=5, steps=STEPS, predict=PREDICT, against=None):
    "Rows of training steps and of predicting; `against` is the folder of another version of the project."
    versions = [ROOT] if against is None else [ROOT, Path(against).absolute()]
    rows, peaks = [], {}
    for case in steps:
        what = f'training step, {case["encoder"]}, {case["size"]} px, batch {case["batch_size"]}'
        step, loss, memory = measure(folder, versions, dict(case, what='training'), ('step', 'loss', 'memory'),
                                     repetitions)
        peaks.setdefault(what, []).append((case['n_landmarks'], [values[-1] for values in memory]))
        rows += compare(f'{what}, {case["n_landmarks"]} landmarks', versions, step, FASTER_STEP, 'steps/s')
        rows.append(share(f'{what}, {case["n_landmarks"]} landmarks: the loss', ratio_of(loss, step), LOSS_SHARE, case,
                          LOSS))
    for what, each in peaks.items(): rows += a_landmark(what, each)
    what = f'predict, {predict["encoder"]}, {predict["size"]} px, {predict["n_landmarks"]} landmarks, squares in memory'
    whole, network = measure(folder, versions, dict(predict, what='prediction'), ('all', 'network'), repetitions)
    rest = [[1 - value for value in values] for values in ratio_of(network, whole)]
    return [*rows, *compare(what, versions, whole, FASTER_PREDICT, 'images/s'),
            share(f'{what}: beside the network', rest, REST_SHARE, predict, SQUARES)]


# --- rows

def compare(what, versions, seconds, at_least, unit):
    "The row that compares both versions, if there are two."
    if len(seconds) == 1: return []
    text = (versions[1] / 'landmark_fastai' / '__init__.py').read_text(encoding='utf-8')
    version = re.search(r"__version__ = '(.*?)'", text)[1]
    return [faster(f'{what}; against version {version}', *seconds, at_least, unit, note=PROCESSES)]


def ratio_of(parts, wholes):
    "For each version, `parts` over `wholes`, by repetition."
    return [ratios(*pair) for pair in zip(parts, wholes, strict=True)]


def share(what, shares, at_most, case, note):
    "A row with the median of `shares` of each version."
    texts = [f'{median(values):.1%}' for values in shares]
    wanted = dict(wanted=f'≤ {at_most:.0%}', met=median(shares[0]) <= at_most) if case['n_landmarks'] >= MANY else {}
    return row(what, *texts, note=note, shares=shares, **wanted)


def a_landmark(what, peaks):
    "The row of the memory a landmark, where `what` was measured with few and with many."
    if len(peaks) < 2: return []
    (few, of_few), (many, of_many) = peaks
    each = [(most - least) / (many - few) for least, most in zip(of_few, of_many, strict=True)]
    wanted = dict(wanted='a half', met=each[0] <= each[1] / 2) if len(each) == 2 else {}
    return [row(f'{what}: memory a landmark', *(f'{value:.1f} MB' for value in each), note=PEAK, **wanted)]


# --- processes that take turns

def measure(folder, versions, case, names, repetitions):
    "For each of `names`, timings of `turns`, a list for each of `versions` with what every repetition gave."
    folder = folder / '_'.join(map(str, case.values()))
    paths, points = write_small(folder, case.get('batch_size', 2) + 1, case['n_landmarks'])
    csv_file = write_csv(folder / 'small.csv', paths, points, (96, 80))
    say(f'{case}, {repetitions} times')
    with ExitStack() as stack:
        asks = [stack.enter_context(process(version, dict(case, csv_file=str(csv_file), images=str(folder))))
                for version in versions]
        found = alternate(*(partial(every, ask, names) for ask in asks), repetitions=repetitions)
    return [[[answers[name] for answers in of_version] for of_version in found] for name in names]


def every(ask, names):
    "The answer of the process behind `ask` to each of `names`."
    return {name: ask(name) for name in names}


@contextmanager
def process(version, case):
    "Start `turns` for `case` with the landmark_fastai in the folder `version`; yields a function that asks it."
    script = Path(__file__).with_name('turns.py')
    with subprocess.Popen([sys.executable, '-P', script], env=os.environ | dict(PYTHONPATH=str(version)), text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        def ask(line):
            child.stdin.write(f'{line}\n')
            child.stdin.flush()
            return child.stdout.readline().strip()
        try:
            assert ask(json.dumps(case)) == 'ready', f'{version} does not run'
            yield lambda name: float(ask(name))
        finally: child.stdin.close()
