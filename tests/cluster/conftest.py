"A cluster of this machine, which has more places for processes than cores."

import logging
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='session')
def ray():
    "Ray, connected to a cluster of 8 places, as a program that has its own connection."
    pytest.importorskip('ray', reason='Ray, of the extra cluster, is not installed')
    from landmark_fastai.cluster.session import load_ray
    ray = load_ray()
    with pytest.MonkeyPatch.context() as patch:  # where workers find the package, and how many threads they take
        patch.setenv('PYTHONPATH', str(ROOT), prepend=os.pathsep)
        patch.setenv('OMP_NUM_THREADS', '1')
        patch.setenv('CUDA_VISIBLE_DEVICES', '')
        ray.init('local', num_cpus=8, object_store_memory=200 * 2**20, include_dashboard=False, log_to_driver=False,
                 logging_level=logging.ERROR)
        yield ray
        ray.shutdown()
