"A connection to Ray: what is refused, and what is left as it was."

import builtins
import sys

import pytest
from helpers import refused

from landmark_fastai.cluster import session


def join(address):
    "Connect to `address`, for a moment."
    with session.connected(address) as ray: return ray


def test_without_ray_it_says_what_to_install(monkeypatch):
    real = builtins.__import__
    def without(name, *args, **kwargs):
        if name.partition('.')[0] == 'ray': raise ImportError(name)
        return real(name, *args, **kwargs)
    monkeypatch.setattr(builtins, '__import__', without)
    refused(['Ray', 'pip install "landmark-fastai[cluster]"'], join, 'local')


@pytest.mark.parametrize('address', ['ray://head:10001', 'head', ':6379', 'head:port', 'head/x:1'])
def test_what_is_no_address_is_refused_before_ray_is_asked(address, monkeypatch):
    monkeypatch.setitem(sys.modules, 'ray', None)  # whose import would fail
    refused([repr(address), 'HOST:PORT', 'auto', 'local'], join, address)


@pytest.mark.parametrize('port', [1, 70_000])
def test_where_nothing_answers_that_is_said(port):
    refused([f'127.0.0.1:{port}', 'ray start --head'], join, f'127.0.0.1:{port}')


def test_a_connection_of_the_program_is_used_and_kept(ray):
    assert join('local') is ray and ray.is_initialized()
