"A cluster of this machine, whose places for processes are more than its cores."

import logging

import pytest


@pytest.fixture(scope='session')
def ray():
    "Ray, connected to a cluster of 8 places."
    from landmark_fastai.cluster.session import load_ray
    pytest.importorskip('ray', reason='Ray, of the extra cluster, is not installed')
    ray = load_ray()
    ray.init('local', num_cpus=8, object_store_memory=200 * 2**20, include_dashboard=False, log_to_driver=False,
             logging_level=logging.ERROR)
    yield ray
    ray.shutdown()
