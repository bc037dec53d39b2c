"""Fair comparisons and their records: sides take turns, every ratio is of one repetition, results name their machine.

Nothing here knows what is measured, so other benchmarks can save their rows in the same way.
"""

import json
import os
import platform
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from statistics import median

import cv2
import torch

from landmark_fastai import __version__
from landmark_fastai.errors import UsageError
from landmark_fastai.files import write_text

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / 'benchmarks' / 'results'
COLUMNS = 'what', 'here', 'reference', 'ratio (range)', 'wanted', 'met'


# --- measuring

def timed(function, n=1, clock=time.perf_counter):
    "A side for `alternate`: run `function` and return the seconds it takes per item, of which it handles `n`."
    def side():
        start = clock()
        function()
        return (clock() - start) / n
    return side


def alternate(*sides, repetitions=5, warm=1):
    """Seconds of each of `sides`, functions that return them: a list per side, one entry a repetition.

    The sides take turns, forwards and backwards, so that a machine that gets slower or faster meanwhile favours none.
    They run `warm` times before anything counts.
    """
    for _ in range(warm):
        for side in sides: side()
    seconds = [[] for _ in sides]
    for repetition in range(repetitions):
        say('.', end='')
        for k in range(len(sides))[::1 if repetition % 2 == 0 else -1]: seconds[k].append(sides[k]())
    say('')
    return seconds


def ratios(above, below):
    "The ratio of each repetition."
    return [a / b for a, b in zip(above, below, strict=True)]


def say(text, end='\n'):
    "Progress, on stderr."
    print(text, end=end, file=sys.stderr, flush=True)


# --- rows of a result

def row(what, here, reference='', wanted='', met=None, ratios=(), note='', **more):
    """A row of a result, as it is saved: texts, and the `ratios` of the repetitions with their median and range.

    `met` is whether `wanted` was reached, None where nothing is; `more` is kept in the file alone.
    """
    values = list(ratios)
    spread = dict(ratio=median(values), low=min(values), high=max(values), ratios=values) if values else {}
    return dict(what=what, here=here, reference=reference, wanted=wanted, met=met, note=note) | spread | more


def faster(what, ours, reference, at_least=None, unit='images/s', wanted=None, note=''):
    "A row that says how many times as fast as the reference we are, from the seconds per item of both."
    speedup = ratios(reference, ours)
    limits = {} if at_least is None else dict(wanted=wanted or f'≥ {at_least:g}', met=median(speedup) >= at_least)
    return row(what, rate(ours, unit), rate(reference, unit), ratios=speedup, note=note,
               seconds=dict(ours=ours, reference=reference), **limits)


def longer(what, ours, reference, at_most=None, unit='s', note=''):
    "A row that says how many times as long as the reference we take, from the seconds of both."
    excess = ratios(ours, reference)
    limits = {} if at_most is None else dict(wanted=f'≤ {at_most:g}', met=median(excess) <= at_most)
    return row(what, duration(ours, unit), duration(reference, unit), ratios=excess, note=note,
               seconds=dict(ours=ours, reference=reference), **limits)


def rate(seconds, unit):
    "The median speed, of `seconds` per item, as a cell of a table."
    return f'{number(1 / median(seconds))} {unit}'


def duration(seconds, unit='s'):
    "The median of `seconds`, in s or ms, as a cell of a table."
    return f'{number(median(seconds) * dict(s=1, ms=1000)[unit])} {unit}'


def number(value):
    "`value` with three digits that mean something."
    return f'{value:.0f}' if abs(value) >= 100 else f'{value:#.3g}'


# --- the machine

def facts(**more):
    "What a timing depends on beside the code: machine, versions, date; and `more`."
    return dict(cpu=cpu_name(), cores=os.cpu_count(), torch_threads=torch.get_num_threads(), amx=has_amx(),
                load_before=round(os.getloadavg()[0], 2) if hasattr(os, 'getloadavg') else None,
                python=platform.python_version(), torch=torch.__version__, opencv=cv2.__version__,
                landmark_fastai=__version__, commit=commit(),
                date=datetime.now().astimezone().isoformat(timespec='seconds')) | more


def cpu_name():
    "The CPU by the name that the system has for it."
    try: lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError: return platform.processor() or platform.machine()
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.machine()


def has_amx():
    "Whether the CPU multiplies matrices of bf16 in hardware: what makes bf16 fast enough for some targets."
    return bool(torch.cpu.get_capabilities().get('amx_bf16'))


def commit():
    "The commit that is measured, with + where files differ from it; None where there is no git."
    try: text = subprocess.run(['git', '-C', ROOT, 'describe', '--always', '--dirty=+', '--exclude=*'],
                               capture_output=True, text=True, check=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError): return None
    return text.strip()


# --- results

def save(name, rows, folder=RESULTS, **facts):
    "Write `rows` and `facts` to `<name>.json` in `folder`, whole or not at all; returns the path."
    path = Path(folder) / f'{name}.json'
    write_text(path, json.dumps(dict(name=name, facts=facts, rows=rows), indent=1, ensure_ascii=False) + '\n')
    return path


def load(name, folder=RESULTS):
    "The result called `name`, None where there is none."
    path = Path(folder) / f'{name}.json'
    return json.loads(path.read_text(encoding='utf-8')) if path.is_file() else None


def rows_by_key(name, folder=RESULTS):
    "The rows of the result called `name`, by their `key`; none where there is none."
    saved = load(name, folder)
    return {row['key']: row for row in saved['rows']} if saved else {}


def markdown(rows):
    "`rows` as a Markdown table; their notes follow below it."
    notes = list(dict.fromkeys(r['note'] for r in rows if r['note']))
    table = grid(COLUMNS, [cells(r, notes) for r in rows])
    return table + ''.join(f'\n\n<sup>{k}</sup> {note}' for k, note in enumerate(notes, 1))


def grid(header, rows):
    "A Markdown table of texts and numbers."
    return '\n'.join(f'| {" | ".join(map(str, line))} |' for line in (header, ['---'] * len(header), *rows))


def cells(r, notes):
    "The cells of a row; its note is named by its place among `notes`."
    mark = f' <sup>{notes.index(r["note"]) + 1}</sup>' if r['note'] else ''
    met = {True: 'yes', False: '**no**', None: ''}[r['met']]
    ratio = f'**{number(r["ratio"])}** ({number(r["low"])} to {number(r["high"])})' if 'ratio' in r else ''
    return r['what'] + mark, r['here'], r['reference'], ratio, r['wanted'], met


def machine(facts):
    "One line about the machine and the day."
    return (f'{facts["cpu"]}, {facts["cores"]} cores, {"" if facts["amx"] else "no "}AMX, {facts["torch_threads"]} '
            f'threads, torch {facts["torch"]}, OpenCV {facts["opencv"]}, precision auto = {facts["precision"]}, '
            f'seed {facts["seed"]}, {facts["repetitions"]} repetitions, {facts["date"][:10]}')


def insert(text, content, marker='benchmarks'):
    "`text` with `content` between `<!-- marker -->` and `<!-- /marker -->`. Raises UsageError without the two."
    first, last = f'<!-- {marker} -->', f'<!-- /{marker} -->'
    before, found, rest = text.partition(first)
    _, ended, after = rest.partition(last)
    if not (found and ended): raise UsageError(f'the text has no {first} followed by {last}; put both lines there')
    return f'{before}{first}\n{content}\n{last}{after}'


def insert_into(page, content, marker):
    "`insert` the `content` into the file `page`."
    write_text(page, insert(page.read_text(encoding='utf-8'), content, marker))
