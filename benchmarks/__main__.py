"`python -m benchmarks [NAME ...] [--quick]`, and `python -m benchmarks table`: see docs/benchmarks.md."

import argparse
import os
import sys
import warnings
from importlib import import_module
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import torch
from fastai.torch_core import defaults

from landmark_fastai.errors import UsageError
from landmark_fastai.files import write_text
from landmark_fastai.model.precision import choose_precision

from .fixtures import SEED
from .timing import RESULTS, ROOT, facts, insert, load, machine, markdown, save, say

GROUPS = 'data', 'step', 'epoch', 'predict', 'growth', 'start', 'precision', 'two_stages', 'engines', 'clicks', \
    'annotate', 'beside', 'files'


def run_group(name, quick=False, **more):
    """The rows of a group and the facts beside them; `more` are arguments of the group.

    Its files, and our cache, are in a folder that goes with it; both sides, and child processes, keep to the CPU.
    """
    module = import_module(f'.{name}', __package__)
    arguments = (module.QUICK if quick else {}) | more
    repetitions = arguments.get('repetitions', signature(module.run).parameters['repetitions'].default)
    precision = choose_precision('auto', torch.device('cpu'))
    known = facts(seed=SEED, repetitions=repetitions, precision=precision)  # before: the load is that of others
    with TemporaryDirectory(prefix='benchmarks_') as folder:
        environment = dict(XDG_CACHE_HOME=f'{folder}/cache', PYTHONWARNINGS='ignore', CUDA_VISIBLE_DEVICES='')
        with patch.dict(os.environ, environment), patch.object(defaults, 'use_cuda', False):
            return module.run(Path(folder), **arguments), known


def table(folder=RESULTS):
    "All saved results as one Markdown table, and a line about each machine. Raises UsageError if there are none."
    results = [result for name in GROUPS if (result := load(name, folder))]
    if not results: raise UsageError(f'{folder} has no results; run python -m benchmarks')
    machines = {}
    for result in results: machines.setdefault(machine(result['facts']), []).append(result['name'])
    lines = [f'{", ".join(names)}: {line}.' for line, names in machines.items()]
    return '\n\n'.join([markdown([row for result in results for row in result['rows']]), *lines])


def write_table(path=ROOT / 'docs' / 'benchmarks.md', folder=RESULTS):
    "Rewrite the table between the markers of the file at `path`. Raises UsageError."
    write_text(path, insert(path.read_text(encoding='utf-8'), table(folder)))


def main(argv=None):
    "Returns the exit code: 0 done, 2 bad arguments, no results or no markers."
    parser = argparse.ArgumentParser(prog='python -m benchmarks', description='Ours against the original system.')
    parser.add_argument('names', nargs='*', choices=[*GROUPS, 'table', []], metavar='NAME',
                        help=f'{", ".join(GROUPS)} (all if left out), or table: put the saved results '
                             'into docs/benchmarks.md')
    parser.add_argument('--quick', action='store_true', help='few, small and once: only to see it work; saves nothing')
    parser.add_argument('--against', type=Path, help='a folder with another version of the project, for beside '
                                                        'and files')
    parser.add_argument('--results', type=Path, default=RESULTS, help='folder of the results')
    args = parser.parse_args(argv)
    warnings.simplefilter('ignore')  # of libraries about each other
    try:
        if 'table' in args.names: write_table(folder=args.results)
        else: run(args.names or GROUPS, args.quick, args.results, args.against)
    except UsageError as e:
        say(f'error: {e}')
        return 2
    return 0


def run(names, quick, folder, against=None):
    "Run the groups called `names`, print them, and save them unless `quick`."
    for name in names:
        say(f'--- {name}')
        more = {'against': against} if name in ('beside', 'files') else {}
        rows, known = run_group(name, quick, **more)
        print(f'\n{markdown(rows)}\n\n{machine(known)}.\n', flush=True)
        if not quick: say(f'saved {save(name, rows, folder, **known)}')


if __name__ == '__main__': sys.exit(main())
