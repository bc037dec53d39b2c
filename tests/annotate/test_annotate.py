"The command annotate: what it needs, and what it refuses in one line before anything is changed."

import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from helpers import picture, save_picture

from landmark_fastai import cli
from landmark_fastai.annotate.serve import listen
from landmark_fastai.reader_config import AnnotateConfig

ROOT = Path(__file__).parents[2]


@pytest.fixture
def films(tmp_path):
    (tmp_path / 'films').mkdir()
    save_picture(tmp_path / 'films' / 'a.png', picture())
    return tmp_path / 'films'


def test_landmarks_are_names_between_commas():
    assert AnnotateConfig(image_dir='films', landmarks='hip, knee ,ankle').names == ['hip', 'knee', 'ankle']
    assert AnnotateConfig(image_dir='films').names is None


@pytest.mark.parametrize('argv, words', [
    (['--landmarks', 'hip,hip'], ["'hip,hip'", 'differ']), (['--landmarks', 'hip,,knee'], ["'hip,,knee'"]),
    (['--landmarks='], ['landmarks']), ([], ['--landmarks']), (['--landmarks', '=1+1'], ['=1+1', 'formula']),
    (['--landmarks', 'image_a'], ['image_a']), (['--landmarks', 'hip', '--reader', '../AB'], ["'../AB'"]),
    (['--landmarks', 'hip', '--port', '70000'], ['port', '70000']), (['--adjudicate'], ['readers', 'no journal']),
    (['--adjudicate', '--repeats', '0.1'], ['repeats', 'adjudicate']), (['--repeats', '0.6'], ['repeats', '0.6']),
    (['--landmarks', 'hip', '--reader', 'adjudicated'], ['adjudicated', '--adjudicate']),
    (['--landmarks', 'hip', '--withhold', '1'], ['withhold']),
    (['--landmarks', 'hip', '--csv', 'nowhere.csv'], ['nowhere.csv']),
    (['--landmarks', 'hip', '--from_check'], ['.csv']),
    (['--landmarks', 'hip', '--model', 'runs/nowhere'], ['runs/nowhere']),
    (['--landmarks', 'hip', '--image_dir', 'nowhere'], ['nowhere', 'no such folder']),
    (['--landmarks', 'hip', '--image_dir', 'EMPTY'], ['empty', 'no image']),
    (['--landmarks', 'hip', '--label_dir', '/proc/labels'], ['/proc/labels', 'not writable', '--label_dir'])])
def test_what_does_not_fit_is_one_line_and_changes_nothing(films, capsys, argv, words):
    labels = films.parent / 'labels'
    (films.parent / 'empty').mkdir()
    usual = ['--image_dir', str(films), '--label_dir', str(labels), '--port', '0']  # the last of a flag counts
    argv = [word.replace('EMPTY', str(films.parent / 'empty')) for word in argv]
    assert cli.main(['annotate', *usual, *argv]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and all(word in lines[0] for word in words), lines
    assert not labels.exists()


def test_a_port_in_use_and_a_second_server_are_one_line(films, capsys):
    labels = films.parent / 'labels'
    argv = ['annotate', '--image_dir', str(films), '--label_dir', str(labels), '--landmarks', 'hip', '--no_browser']
    with listen(0) as taken:
        port = str(taken.getsockname()[1])
        assert cli.main([*argv, '--port', port]) == 2 and port in capsys.readouterr().err and not labels.exists()
    with subprocess.Popen([sys.executable, 'cli.py', *argv, '--port', '0'], cwd=ROOT, stdout=subprocess.PIPE,
                          text=True) as first:
        address = first.stdout.readline().strip()
        assert httpx.get(address).status_code == 303  # it is up
        assert cli.main([*argv, '--port', '0']) == 2 and 'one at a time' in capsys.readouterr().err
        first.send_signal(signal.SIGINT)
        try: said, _ = first.communicate(timeout=20)
        finally: first.kill()
        assert said == f'{labels / "train_annotation.csv"}: 0 images\n0 of 1 films finished\n' and first.returncode == 0
        assert json.loads((labels / 'readers' / 'reader.json').read_text())['films']['of'] == 1
