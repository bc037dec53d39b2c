"Parts that are shared between processes: each is answered once, whatever dies."

import os
import signal
import time
import warnings

import pytest

from landmark_fastai.cluster.sharing import TRIES, Workers, cause_of, count_workers, share
from landmark_fastai.errors import UsageError

PARTS = [[f'{k}.png', f'{k}_more.png'] for k in range(24)]


def job_of(work, ready=lambda: None):
    "A job that does `work` with a part and the number of threads once it is `ready`; workers get it by value."
    class Here:
        def start(self, n_threads):
            ready()
            return lambda part: work(part, n_threads)
    return Here()


def join(part, n_threads): return f'{n_threads} {" ".join(part)}'.encode()


def by_value(function):
    "`function` as workers, which cannot import this file, take it: as one that is defined nowhere."
    function.__module__ = '__main__'
    return function


@pytest.mark.slow
def test_each_part_is_answered_once_though_workers_die(ray, tmp_path):
    marks = str(tmp_path)
    @by_value
    def work(part, n_threads):
        time.sleep(0.05)
        mark = os.path.join(marks, part[0])
        if part[0] in ('3.png', '9.png', '15.png') and not os.path.exists(mark):
            open(mark, 'w').close()
            os.kill(os.getpid(), signal.SIGKILL)
        return f'{n_threads} {" ".join(part)}'.encode()
    answers = list(share(ray, job_of(work), PARTS, Workers(4, 4, 1, 0)))
    assert sorted(answer.result for answer in answers) == sorted(join(part, 1) for part in PARTS)
    assert len(os.listdir(marks)) == 3


@pytest.mark.slow
def test_mistakes_and_warnings_of_a_worker_are_told_here(ray):
    @by_value
    def broken(): raise UsageError('no model here')
    @by_value
    def full(part, n_threads): raise OSError(28, 'No space left on device')
    @by_value
    def doubtful(part, n_threads):
        for _ in range(2): warnings.warn('a colour image', stacklevel=1)
        warnings.warn('of a library', FutureWarning, stacklevel=1)
        return b'done'
    @by_value
    def unforeseen(part, n_threads): raise ValueError('boom in\ntwo lines')
    workers = Workers(1, 1, 1, 0)
    with pytest.raises(OSError, match='^the cluster gave up: ValueError: boom in two lines$'):
        list(share(ray, job_of(unforeseen), PARTS, workers))
    with pytest.raises(UsageError, match='.+: no model here'): list(share(ray, job_of(full, broken), PARTS, workers))
    with pytest.raises(OSError, match='.+: .*No space left on device'): list(share(ray, job_of(full), PARTS, workers))
    answer, = share(ray, job_of(doubtful), PARTS[:1], workers)
    assert answer == (b'done', ['a colour image'])


@pytest.mark.parametrize('text, expected', [
    ('The actor died.\n\tclass_name: Worker', 'The actor died.'),
    ('ray::f()\n  File "x.py", line 1\n    1 / 0\n    ~~^~~\nZeroDivisionError: by zero', 'ZeroDivisionError: by zero'),
    ('ray::f()\n  File "x.py", line 1\nE: a\nb\n\nThe above exception was the\n\nray::f()\nfailed', 'E: a b')])
def test_of_a_traceback_the_cause_is_told(text, expected): assert cause_of(Exception(text)) == expected


@pytest.mark.slow
def test_what_kills_each_worker_that_tries_it_is_not_tried_for_ever(ray):
    @by_value
    def deadly(part, n_threads):
        if part[0] == '5.png': os.kill(os.getpid(), signal.SIGKILL)
        return b'done'
    with pytest.raises(OSError, match=f'{TRIES} workers died over 5.png to 5_more.png'):
        list(share(ray, job_of(deadly), PARTS, Workers(2, 2, 1, 0)))


def test_nothing_to_do_is_done_at_once(): assert list(share(None, None, [], Workers(1, 1, 1, 0))) == []


class Cluster:
    "What `count_workers` asks of Ray: two machines, one with GPUs, and one that is gone."
    def nodes(self):
        return [dict(Alive=alive, Resources=resources) for alive, resources in (
            (True, dict(CPU=16., GPU=2.)), (True, dict(CPU=6.)), (False, dict(CPU=99., GPU=9.)))]


@pytest.mark.parametrize('asked, expected', [
    ((None, None, False), (22, 22, 1, 0)), ((None, 4, False), (5, 5, 4, 0)), ((3, 4, False), (3, 3, 4, 0)),
    ((99, 1, False), (99, 22, 1, 0)), ((None, None, True), (2, 2, 8, 1)), ((None, 4, True), (2, 2, 4, 1)),
    ((1, 4, True), (1, 1, 4, 1))])
def test_as_many_workers_as_fit(asked, expected): assert count_workers(Cluster(), *asked) == expected


def test_where_no_worker_fits_that_is_said():
    with pytest.raises(UsageError, match='no machine of the cluster has 17 CPUs .*--worker_cpus'):
        count_workers(Cluster(), None, 17, False)
