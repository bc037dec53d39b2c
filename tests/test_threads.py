"Work in threads: in order, and never far ahead."

import threading

from landmark_fastai.threads import in_threads


def test_threads_stay_a_little_ahead_and_keep_the_order():
    taken, gate = [], threading.Event()
    def numbers():
        for k in range(100):
            taken.append(k)
            yield k
    results = in_threads(lambda k: gate.wait(5) and -k, numbers(), ahead=5)
    gate.set()
    assert next(results) == 0 and len(taken) <= 6
    assert list(results) == [-k for k in range(1, 100)]
