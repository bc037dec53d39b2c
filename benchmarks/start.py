"What does not train must answer at once: `--help`, and the check of an annotation CSV."

import json

from landmark_fastai.cli import COMMANDS

from .fixtures import run_python, write_csv, write_small
from .timing import alternate, duration, ratios, row, say, timed

QUICK = dict(repetitions=1, warm=0, n_rows=10, commands=('train',))
SECONDS = 1
CHECK = """
import json, sys, time
start = time.perf_counter()
from landmark_fastai.formats.annotations import read_annotations
from landmark_fastai.formats.dataset import check_images
annotations, paths = check_images(read_annotations(sys.argv[1]), sys.argv[2])
print(json.dumps(dict(rows=len(paths), torch='torch' in sys.modules, seconds=time.perf_counter() - start)))
"""
IMPORTS = 'The reference imports what it trains with before it looks at its arguments.'
READS = 'Imports included. Every file is opened for its size; the original checks nothing before it trains.'


def run(folder, repetitions=5, warm=1, n_rows=1000, commands=tuple(COMMANDS)):
    "Rows of what answers at once."
    say(f'--help, {repetitions} times')
    sides = [timed(lambda words=words: run_python('cli.py', *words, '--help'))
             for words in ((), *((command,) for command in commands))]
    *ours, theirs = alternate(*sides, timed(lambda: run_python('-m', 'benchmarks.reference', '--help')),
                              repetitions=repetitions, warm=warm)
    slowest = [max(times) for times in zip(*ours[1:], strict=True)]  # of the commands, in each repetition
    return [help_row('cli.py --help', ours[0], theirs),
            help_row(f'cli.py <command> --help, the slowest of {len(commands)}', slowest, theirs),
            check(folder, n_rows, repetitions)]


def help_row(what, ours, theirs):
    "A row of a `--help`, from the seconds of both sides."
    return row(what, duration(ours), duration(theirs), f'< {SECONDS} s', max(ours) < SECONDS, ratios(theirs, ours),
               IMPORTS, seconds=dict(ours=ours, reference=theirs))


def check(folder, n_rows, repetitions):
    "A check of `n_rows` images in a process of its own, which must not load torch."
    say(f'check of {n_rows} rows, {repetitions} times')
    paths, points = write_small(folder / 'images', n_rows)
    csv_file = write_csv(folder / 'small.csv', paths, points, (96, 80))
    answers = [json.loads(run_python('-c', CHECK, str(csv_file), str(paths[0].parent))) for _ in range(repetitions)]
    seconds, torch = [answer['seconds'] for answer in answers], any(answer['torch'] for answer in answers)
    return row(f'check of a CSV of {answers[0]["rows"]} rows', f'{duration(seconds)}, {"with" if torch else "without"} '
               'torch', wanted='without torch', met=not torch, note=READS, seconds=dict(ours=seconds))
