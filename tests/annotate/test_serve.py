"The server as a process: killed at any moment, it has lost nothing that it acknowledged, and kept nothing twice."

import asyncio
import json
import multiprocessing
import os
import random
import signal
import socket
import threading
import time

import cv2
import httpx
import numpy as np
import pandas as pd
import pytest

from landmark_fastai import UsageError
from landmark_fastai.annotate.desk import Desk
from landmark_fastai.annotate.serve import TOKEN, listen, serve, token_in

NAMES = ['hip', 'knee']
forked = pytest.mark.skipif('fork' not in multiprocessing.get_all_start_methods(), reason='processes cannot be forked')


@pytest.fixture
def folders(tmp_path):
    (tmp_path / 'films').mkdir()
    for k in range(3): cv2.imwrite(str(tmp_path / 'films' / f'{k}.png'), np.zeros((80, 100), np.uint8))
    return tmp_path / 'films', tmp_path / 'labels' / 'train.csv'


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]


def start(folders, port):
    "A process, forked from this one, that serves a desk in silence."
    def run():
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        serve(Desk(*folders, 'AB', NAMES), listen(port), open_browser=False)
    child = multiprocessing.get_context('fork').Process(target=run)
    child.start()
    return child


class Page:
    "What a page does: it sends what is not acknowledged again until it is."
    def __init__(self, folders, port):
        self.folder, self.port, self.acknowledged, self.n = folders[1].parent / 'readers', port, [], 0
        self.is_over = threading.Event()

    def click_until_over(self):
        with httpx.Client(base_url=f'http://127.0.0.1:{self.port}', timeout=2) as client:
            while not self.is_over.is_set():
                action = dict(id=f'click {self.n}', client='tab', kind='mark', image=self.n % 3, base=self.n,
                              marks={NAMES[self.n % 2]: [self.n % 100, self.n % 80]})
                if not self.post(client, action): continue
                self.acknowledged.append(action['id'])
                self.n += 1

    def post(self, client, action):
        try:
            client.cookies.set(f'annotate_{self.port}', (self.folder / TOKEN).read_text())
            answer = client.post('/api/actions', json=[action], headers={'origin': f'http://127.0.0.1:{self.port}'})
        except (httpx.HTTPError, OSError):
            time.sleep(0.01)
            return False
        assert answer.status_code == 200, answer.text
        return True


@forked
@pytest.mark.parametrize('n_kills', [5, pytest.param(100, marks=pytest.mark.slow)])
def test_no_acknowledged_click_is_lost_and_none_doubled_however_often_the_server_is_killed(folders, port, n_kills):
    chance, page = random.Random(n_kills), Page(folders, port)
    clicking = threading.Thread(target=page.click_until_over)
    child = start(folders, port)
    clicking.start()
    for _ in range(n_kills):
        time.sleep(chance.uniform(0.02, 0.6))
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        child = start(folders, port)
    before = page.n
    while clicking.is_alive() and page.n < before + 3: time.sleep(0.01)
    page.is_over.set()
    clicking.join()
    os.kill(child.pid, signal.SIGINT)  # Ctrl-C
    child.join()
    entries = [json.loads(line) for line in (folders[1].parent / 'readers' / 'AB.jsonl').read_text().splitlines()[1:]]
    assert [entry['id'] for entry in entries] == page.acknowledged and len(page.acknowledged) > n_kills
    last = {entry['image']: entry['n'] for entry in entries}
    assert len(pd.read_csv(folders[1])) == len(last) == 3  # written in the end
    assert [entry['n'] for entry in entries] == list(range(1, len(entries) + 1))


@forked
def test_the_csv_follows_while_the_server_runs(folders, port):
    child = start(folders, port)
    page, click = Page(folders, port), dict(id='1', client='tab', kind='mark', image=1, base=0, marks={'hip': [5, 6]})
    with httpx.Client(base_url=f'http://127.0.0.1:{port}') as client:
        while not page.post(client, click): pass
    for _ in range(300):
        if folders[1].is_file(): break
        time.sleep(0.02)
    assert pd.read_csv(folders[1]).hip_x.tolist() == [5]
    os.kill(child.pid, signal.SIGINT)
    child.join()
    assert Desk(*folders, 'AB', NAMES).work.n == 1  # nobody sits there any more


def test_a_port_that_is_in_use_is_told(port):
    with listen(port), pytest.raises(UsageError, match=f'port {port} cannot be used.*in use.*--port'): listen(port)
    with pytest.raises(UsageError, match='port 99999'): listen(99999)


def test_the_token_stays_and_is_for_its_owner_alone(tmp_path):
    token = token_in(tmp_path)
    assert token_in(tmp_path) == token and len(token) > 40
    assert (tmp_path / TOKEN).stat().st_mode & 0o77 == 0


def test_an_answer_is_sent_at_once():
    "Without TCP_NODELAY the second part of each answer waits 40 ms for an acknowledgement of the first."
    async def option():
        found = asyncio.get_running_loop().create_future()
        def met(reader, writer):
            found.set_result(writer.get_extra_info('socket').getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()
        listening = listen(0)
        async with await asyncio.start_server(met, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname())
            writer.close()
            return await asyncio.wait_for(found, 10)
    assert asyncio.run(option())
