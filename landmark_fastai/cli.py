"""Command line: arguments -> job -> one call into the package.

Fire runs a command before it complains of an argument that is left over, so commands only build a `Job`, which runs
once Fire has consumed every argument.
"""

import inspect
import os
import re
import sys
import warnings
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields
from errno import ENOSPC
from importlib import import_module
from typing import NamedTuple

import fire
from fire.decorators import SetParseFns

from . import __version__
from .config import CheckConfig, DemoConfig, SampleConfig, TrainConfig
from .errors import Diverged, OutOfMemory, UsageError, is_out_of_memory, see_also
from .flags import Flags, help_text, kinds, nearest
from .predict_config import ClusterConfig, EvaluateConfig, ExportConfig
from .processes import is_follower
from .reader_config import AgreementConfig, AnnotateConfig, ConvertConfig, MeasureConfig


class Command(NamedTuple):
    "Its flags, the module whose function of the same name runs it, and what it does."
    flags: type[Flags]
    module: str
    summary: str


COMMANDS = {
    'train': Command(TrainConfig, 'training.train', 'Train a landmark detector from a CSV of clicked points; writes '
                     'weights, log, curves and overlays.'),
    'find_lr': Command(TrainConfig, 'training.lr_finder', 'Suggest a learning rate for the flags of train; writes the '
                       'plot.'),
    'predict': Command(ClusterConfig, 'inference.predict', 'Find the landmarks of all images in a folder; writes '
                       'predictions.csv, in original pixels, and overlays.'),
    'evaluate': Command(EvaluateConfig, 'evaluation.evaluate', 'Compare a model with an annotation CSV; writes what '
                        'predict writes, distances, summary, figures and report.html.'),
    'measure': Command(MeasureConfig, 'measure.measure', 'Measure angles and distances between landmarks, by a file '
                       'of definitions or a template; writes measurements.csv and pictures.'),
    'agreement': Command(AgreementConfig, 'measure.agree', 'Compare readers or models on the same images; writes '
                         'limits of agreement, correlations, drift and report.html.'),
    'annotate': Command(AnnotateConfig, 'annotate.annotate', 'Click and correct landmarks in the browser; writes the '
                        'annotation CSV.'),
    'export': Command(ExportConfig, 'export.export', 'Write the networks of a run as a bundle for ONNX Runtime or '
                      'OpenVINO, which predicts without PyTorch.'),
    'convert': Command(ConvertConfig, 'convert.convert', 'Convert annotations of other tools, COCO, Label Studio, 3D '
                       'Slicer and more, to the annotation CSV and back.'),
    'check': Command(CheckConfig, 'quality.check', 'Look for mistakes in images and annotations before a training: '
                     'wrong clicks, swaps, duplicates and more.'),
    'sample': Command(SampleConfig, 'data.sample', 'Write synthetic hip radiographs and their landmarks, where train '
                      'looks for them.'),
    'demo': Command(DemoConfig, 'training.demo', 'Show everything in a few minutes: sample images, a short training, '
                    'pictures and the error on held-out images.'),
}
CUT = 20  # letters of a default, of which Fire's help shows no more
RUNS_NETWORKS = 'train', 'find_lr', 'predict', 'evaluate', 'demo'


@dataclass(frozen=True)
class Job:
    "A command with the flags that were given, to run later; closed, so that Fire finds nothing in it to call."
    _name: str
    _given: dict

    def __dir__(self): return []


# --- what Fire sees

def command(name: str, with_defaults: bool) -> Callable:
    "The function that Fire calls for the command `name`: it returns the job. Help shows defaults, jobs know none."
    flags = COMMANDS[name].flags
    def build(**given): return Job(name, {key: value for key, value in given.items() if value is not None})
    build.__name__ = name
    build.__signature__ = inspect.Signature([parameter(each, with_defaults) for each in fields(flags)])
    build.__doc__ = '\n'.join([COMMANDS[name].summary, '', 'Args:', *(f'    {line}' for line in help_of(flags))])
    if with_defaults: return build  # Fire's help would list what it keeps of the next line as a flag
    return SetParseFns(**{each.name: as_text for each in fields(flags) if str in kinds(each)})(build)


def parameter(each: Field, with_default: bool) -> inspect.Parameter:
    "A flag as Fire sees it; without defaults each is None, so that a job knows which were given."
    required = each.default is MISSING
    default = each.default if with_default and not required else None
    return inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, annotation=kinds(each)[0],
                             default=inspect.Parameter.empty if with_default and required else default)


def help_of(flags: type[Flags]) -> list[str]:
    "A line of help for each flag, with a default that Fire would cut short."
    long = [each for each in fields(flags) if isinstance(each.default, str) and len(each.default) > CUT]
    return [f'{each.name}: {help_text(each)}' + f' The default is {each.default}.' * (each in long)
            for each in fields(flags)]


def as_text(token: str) -> str | bool:
    "A text stays what it is, a run may be called 2024 or 1e3; Fire's True and False stand for a flag without a value."
    return {'True': True, 'False': False}.get(token, token)


# --- what Fire would not tell, or too late

def check_words(argv: list[str]):
    "Complain of a mistyped command, of flags that it does not have, and of words that are no value of a flag."
    name, *tokens = argv
    if name not in COMMANDS: raise wrong_word(f'{name!r} is no command{nearest(name, list(COMMANDS))}')
    by_name = {each.name: each for each in fields(COMMANDS[name].flags)}
    negated = {f'no{each.name}' for each in by_name.values() if bool in kinds(each)}
    is_flag = False
    for token in tokens:
        is_value, is_flag = is_flag, re.match('--?[A-Za-z_]', token) is not None
        flag, equals, _ = token.lstrip('-').replace('-', '_').partition('=')
        if not is_flag and not is_value:
            raise wrong_word(f'{token!r} is a word too many; every value follows its flag, in quotes if it has blanks')
        if not is_flag: continue
        if not token.startswith('--'): check_letter(token, flag, list(by_name))
        elif flag not in by_name and flag not in negated:
            raise wrong_word(f'--{flag} is unknown{nearest(flag, list(by_name), "--")}')
        is_flag = not equals  # whose value is the next word


def check_letter(token: str, letter: str, names: list[str]):
    "Complain of a flag with one dash, unless Fire takes its letter for the one of `names` that begins with it."
    begin = [name for name in names if name[0] == letter]
    if len(letter) > 1: raise wrong_word(f'{token} begins with one dash; expected --{token[1:]}')
    if not begin: raise wrong_word(f'{token} is no flag of this command; --help lists them')
    if len(begin) > 1: raise wrong_word(f'{token} may be {" or ".join(f"--{name}" for name in begin)}')


def wrong_word(message: str) -> UsageError:
    "The error that says `message` of a word of the command line."
    return UsageError(message, see='flags-and-blanks')


# --- running

def run(job: Job):
    "Run `job`. Mistakes in its flags are told before anything heavy is imported."
    name, given = job._name, job._given
    COMMANDS[name].flags.of(given)
    own_the_process()
    if name in RUNS_NETWORKS: import_module('landmark_fastai.training.memory').keep_freed_memory()
    getattr(import_module(f'landmark_fastai.{COMMANDS[name].module}'), name)(**given)


def own_the_process():
    "Set up warnings, streams and libraries, which only a program may do whose process this is."
    os.environ.setdefault('OPENCV_LOG_LEVEL', 'SILENT')  # of a broken image our own line tells
    warnings.simplefilter('ignore', FutureWarning)  # of libraries about each other
    warnings.simplefilter('ignore', DeprecationWarning)
    if is_follower(): warnings.simplefilter('ignore')  # the first process warns for all
    warnings.formatwarning = each_once()
    for stream in (sys.stdout, sys.stderr):  # a name in another script is no reason to fail, see PYTHONIOENCODING
        if hasattr(stream, 'reconfigure'): stream.reconfigure(errors='replace')


def each_once() -> Callable:
    """A format of warnings: one line each, and nothing of what was said before.

    Python remembers it, too, but forgets wherever a library changes the filters, and the folds of a run share a CSV.
    """
    said = set()
    def line(message: Warning, *_, **__) -> str:
        if (text := f'warning: {message}\n') in said: return ''
        said.add(text)
        return text
    return line


def main(argv: list[str] | None = None) -> int:
    "Run the command line; returns the exit code: 0 done, 1 failed while running, 2 bad arguments or data."
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv[:1] == ['--version']:
        print(f'landmark-fastai {__version__}')
        return 0
    chosen = [name for name in argv[:1] if name in COMMANDS]
    wants_help = not argv or '-h' in argv or '--help' in argv
    if wants_help: argv = [*chosen, '--', '--help']
    try:
        if not wants_help: check_words(argv)
        job = fire.Fire({name: command(name, with_defaults=wants_help) for name in chosen or COMMANDS}, command=argv,
                        name=program(), serialize=lambda result: None)
        if isinstance(job, Job): run(job)
    except (UsageError, Diverged, OutOfMemory) as e:
        if not is_follower(): print(f'error: {e}', file=sys.stderr)
        return 2 if isinstance(e, UsageError) else 1
    except OSError as e:
        then = 'go on with --resume' if chosen == ['train'] or '--cluster' in argv else 'start again'
        full = f'; free some space, then {then}{see_also("disk-space")}' if e.errno == ENOSPC else ''
        print(f'error: {e}{full}', file=sys.stderr)
        return 1
    except Exception as e:
        if not is_out_of_memory(e): raise
        print(f'error: out of memory ({" ".join(str(e).split())[:200]}); end other programs that fill it'
              f'{see_also("out-of-memory")}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('stopped; what was finished is kept', file=sys.stderr)
        return 1
    return 0


def program() -> str:
    "What the user has typed to start this."
    name = os.path.basename(sys.argv[0])
    return name if name == 'cli.py' else 'landmark-fastai'
