"The command line: exit codes, one clear line for every mistake, and nothing done before all of it is understood."

import errno
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest
from helpers import write_dots

from landmark_fastai import __version__, cli
from landmark_fastai.config import TrainConfig
from landmark_fastai.training.train import train

ROOT = Path(__file__).parents[1]


@pytest.fixture
def jobs(monkeypatch):
    "The jobs that the command line would run: name and flags that were given."
    made = []
    monkeypatch.setattr(cli, 'run', lambda job: made.append((job._name, job._given)))
    return made


def refused(argv, capsys):
    "The one line on stderr with which `argv` is refused, exit code 2."
    assert cli.main(argv) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith('error: ')
    return lines[0]


def test_train_has_every_argument_of_the_original_with_its_default(jobs):
    assert cli.main(['train', '--n_landmarks', '2']) == 0
    (name, given), = jobs
    assert name == 'train' and given == {'n_landmarks': 2}
    config = TrainConfig.of(given)
    assert (config.train_image_dir, config.label_dir) == ('./data/train_images', './data/labels')
    assert (config.train_csv_file, config.experiment_name, config.seed) == ('train_annotation.csv', 'baseline', 42)
    assert not config.gif and not config.invisible_landmarks
    assert (config.image_resize, config.batch_size, config.epochs, config.erosion_iters) == (512, 8, 350, 10)
    original = TrainConfig.of(given | {'recipe': 'original'})
    assert (original.dilation_iters, original.erosion_freq, original.erosion_iters) == (65, 50, 10)


@pytest.mark.parametrize('argv, expected', [
    (['--experiment_name', '2024'], {'experiment_name': '2024'}),
    (['--experiment_name', '1e3'], {'experiment_name': '1e3'}),
    (['--experiment_name=run#1'], {'experiment_name': 'run#1'}),
    (['--experiment-name', 'None'], {'experiment_name': 'None'}),
    (['--flip_pairs', 'a:b,c:d'], {'flip_pairs': 'a:b,c:d'}),
    (['--gif'], {'gif': True}), (['--nogif'], {'gif': False}), (['--gif=False'], {'gif': False}),
    (['--lr', '1e-3'], {'lr': 1e-3}), (['--lr', '1'], {'lr': 1}), (['--epochs', '3'], {'epochs': 3}),
    (['--nocolor'], {'color': False}),
])
def test_values_arrive_as_they_were_meant(jobs, argv, expected):
    assert cli.main(['train', *argv]) == 0
    assert jobs[0][1] == expected and all(type(jobs[0][1][name]) is type(value) for name, value in expected.items())


@pytest.mark.parametrize('argv, words', [
    (['trian'], ['trian', 'train']), (['blur'], ['blur', *cli.COMMANDS]), (['train', 'a.csv', 'b'], ['a.csv']),
    (['predict', 'a', 'b'], ["'a'"]), (['sample', '--n_images', '3', 'save'], ['save']),
    (['sample', '--n_images=3', '4'], ["'4'"]), (['train', '--lr', '-1', '2'], ["'2'"])])
def test_a_word_too_many_is_one_line_and_runs_nothing(jobs, capsys, argv, words):
    line = refused(argv, capsys)
    assert all(word in line for word in words) and jobs == [], line


def test_a_letter_is_the_flag_that_help_shows_it_for(jobs, capsys):
    assert cli.main(['sample', '-s', '3']) == 0 and jobs[-1][1] == {'seed': 3}
    line = refused(['train', '-e', '3'], capsys)
    assert '--epochs' in line and '--encoder_name' in line
    assert '--epochs' in refused(['train', '-epochs', '3'], capsys)
    assert '-q' in refused(['train', '-q'], capsys)


def test_a_warning_is_said_once_though_filters_change_meanwhile(capsys):
    code = ('import warnings\nfrom landmark_fastai.cli import own_the_process\nown_the_process()\n'
            'for text in "aab":\n    with warnings.catch_warnings(): warnings.warn(text)')
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT)
    assert result.stderr == 'warning: a\nwarning: b\n'


def test_version_is_that_of_the_package(capsys):
    assert cli.main(['--version']) == 0
    assert capsys.readouterr().out == f'landmark-fastai {__version__}\n'


@pytest.mark.parametrize('argv, words', [
    (['train', '--epoch', '1'], ['--epoch ', '--epochs']), (['train', '--image-resiz=64'], ['--image_resize']),
    (['train', '--no-gif'], ['--no_gif']), (['find_lr', '--epoch', '1'], ['--epochs']),
    (['sample', '--n', '3'], ['--n ', 'n_images']), (['train', '--unknown', '1'], ['--unknown']),
    (['evaluate', '--csv_file', 'x'], ['--csv_file'])])
def test_an_unknown_flag_is_one_line_with_the_nearest_and_runs_nothing(jobs, capsys, argv, words):
    line = refused(argv, capsys)
    assert all(word in line for word in words) and jobs == [], line


@pytest.mark.parametrize('argv, words', [
    (['--epochs', 'ten'], ['epochs', "'ten'", 'a whole number']), (['--epochs', '1.5'], ['epochs', 'a whole number']),
    (['--epochs'], ['epochs', 'True', 'a whole number']), (['--lr', 'fast'], ['lr', "'fast'", 'a number']),
    (['--gif', '0'], ['gif', '0', '--nogif']), (['--gif', 'false'], ['gif', "'false'", '--nogif']),
    (['--experiment_name'], ['experiment_name', 'True', 'a text'])])
def test_a_value_of_the_wrong_type_is_refused(tmp_path, monkeypatch, capsys, argv, words):
    monkeypatch.chdir(tmp_path)
    line = refused(['train', *argv], capsys)
    assert all(word in line for word in words) and list(tmp_path.iterdir()) == [], line


def test_flags_come_from_a_file_and_the_command_line_wins(tmp_path, capsys):
    csv_file, images = write_dots(tmp_path)
    (tmp_path / 'flags.yaml').write_text(f'train_image_dir: {images}\nlabel_dir: {tmp_path}\nbatch_size: 99\n'
                                         f'train_csv_file: {csv_file.name}\nimage_resize: 64\n')
    argv = ['train', '--config', str(tmp_path / 'flags.yaml'), '--output_dir', str(tmp_path / 'runs')]
    assert 'batch_size is 99' in refused(argv, capsys)
    assert 'batch_size is 9,' in refused([*argv, '--batch_size', '9'], capsys)


@pytest.mark.parametrize('argv', [[], ['--help'], ['train', '--help'], ['train', '--epochs', '1', '--help'],
                                  ['demo', '-h'], ['find_lr', '--help'], ['sample', '--help'],
                                  ['predict', '--help'], ['evaluate', '--help'], ['check', '--help']])
def test_help_is_there_and_fast_and_runs_nothing(argv):
    code = "import sys, cli; sys.argv[0] = 'cli.py'\ntry: cli.main()\nfinally: print('torch' in sys.modules)"
    started = time.time()
    result = subprocess.run([sys.executable, '-c', code, *argv], capture_output=True, text=True, cwd=ROOT,
                            env={'PAGER': 'cat', 'PATH': ''})
    assert result.returncode == 0 and result.stdout == 'False\n'
    assert 'cli.py' in result.stderr and 'Traceback' not in result.stderr
    assert time.time() - started < 1 + 2  # a second, and what a busy machine adds


@pytest.mark.parametrize('name', cli.COMMANDS)
def test_help_tells_of_every_flag(name, capsys, monkeypatch):
    monkeypatch.setenv('PAGER', 'cat')
    with pytest.raises(SystemExit) as exit: cli.main([name, '--help'])
    shown = capsys.readouterr().err
    assert exit.value.code == 0
    for each in fields(cli.COMMANDS[name].flags):
        assert f'--{each.name}=' in shown, each.name
        assert each.metadata['help'].split('.')[0].split(',')[0][:40] in ' '.join(shown.split()), each.name


def test_help_tells_both_recipes_apart(capsys):
    with pytest.raises(SystemExit): cli.main(['train', '--help'])
    shown = ' '.join(capsys.readouterr().err.split())
    assert 'The original recipe has resnet101.' in shown and f'The default is {TrainConfig.encoder_name}.' in shown


# --- bad data: each is one line that names file, row, what was found and what was expected

def swap(csv_file, row, **cells):
    "Change `cells` of the `row` (the header is row 1) of the CSV."
    lines = [line.split(',') for line in csv_file.read_text().splitlines()]
    for name, value in cells.items(): lines[row - 1][lines[0].index(name)] = value
    csv_file.write_text('\n'.join(','.join(line) for line in lines) + '\n')


def add_row_twice(csv_file, _):
    lines = csv_file.read_text().splitlines()
    csv_file.write_text('\n'.join([*lines, lines[3]]) + '\n')


BAD = {
    'no CSV': (lambda csv_file, _: csv_file.unlink(), [], ['annotation.csv', 'no such file']),
    'no images folder': (None, ['--train_image_dir', '/nowhere'], ['/nowhere', 'no such folder']),
    'wrong number of landmarks': (None, ['--n_landmarks', '3'], ['annotation.csv', '3', '2', 'head']),
    'text coordinate': (lambda c, _: swap(c, 4, head_x='left'), [],
                        ['row 4 (dot_2.png)', 'head_x', "'left'", 'expected a pixel coordinate']),
    'missing image': (lambda _, i: (i / 'dot_5.png').unlink(), [], ['row 7 (dot_5.png)', 'no such file']),
    'broken image': (lambda _, i: (i / 'dot_1.png').write_bytes(b'\x89PNG junk'), [],
                     ['row 3 (dot_1.png)', 'cannot be read']),
    'point outside': (lambda c, _: swap(c, 2, knee_y='80'), [], ['row 2 (dot_0.png)', 'knee', '80', '79']),
    'duplicate row': (add_row_twice, [], ['row 12', 'dot_2.png', 'row 4']),
    'wrong size': (lambda c, _: swap(c, 2, image_width='97'), [], ['row 2 (dot_0.png)', '97 x 80', '96 x 80']),
    'batch too large': (None, ['--batch_size', '9'], ['batch_size is 9', 'training set has 8 images']),
    'unknown encoder': (None, ['--encoder_name', 'resnet17'], ["encoder_name 'resnet17'", 'unknown']),
    'unknown arch': (None, ['--arch', 'vnet'], ["arch 'vnet' is unknown"]),
    'unknown loss': (None, ['--loss', 'l2'], ['loss', "'l2'", 'dice_bce_spatial']),
    'unknown recipe': (None, ['--recipe', 'cake'], ['recipe', "'cake'", 'original', 'default']),
    'unknown schedule': (None, ['--schedule', 'cosine'], ['schedule', "'cosine'", 'one_cycle']),
    'unknown augmentation': (None, ['--augment', 'some'], ['augment', "'some'", 'strong']),
    'unknown device': (None, ['--device', 'tpu9'], ["device 'tpu9'"]),
    'unknown cache': (None, ['--cache', 'tape'], ['cache', "'tape'", 'auto, ram, disk, none']),
    'unknown precision': (None, ['--precision', 'int8'], ['precision', "'int8'", 'auto, fp32, bf16, fp16']),
    'fp16 without a GPU': (None, ['--precision', 'fp16', '--device', 'cpu'], ["'fp16' cannot be had on cpu", 'bf16']),
    'one dash': (None, ['-epochs', '9'], ['-epochs begins with one dash', 'expected --epochs']),
    'odd size': (None, ['--image_resize', '100'], ['image_resize is 100', 'multiple of 32']),
    'no epochs': (None, ['--epochs', '0'], ['epochs is 0', 'at least 1']),
    'no rate': (None, ['--lr', '0'], ['lr', '0', 'above 0']),
    'no erosion frequency': (None, ['--erosion_freq', '0'], ['erosion_freq is 0', 'at least 1']),  # trap 7
    'negative dilation': (None, ['--dilation_iters', '-1'], ['dilation_iters is -1', 'at least 0']),
    'all for validation': (None, ['--val_fraction', '1'], ['val_fraction is 1']),
    'name with a path': (None, ['--experiment_name', '../x'], ["experiment_name is '../x'", 'no path']),
    'no name': (None, ['--experiment_name='], ["experiment_name is ''", 'name of a folder']),
    'parent as a name': (None, ['--experiment_name', '..'], ["experiment_name is '..'", 'name of a folder']),
    'negative seed': (None, ['--seed', '-1'], ['seed is -1', 'at least 0']),
    'negative decay': (None, ['--weight_decay', '-1'], ['weight_decay is -1', 'at least 0']),
    'output under a file': (None, ['--output_dir', __file__], ['test_cli.py', '--output_dir']),
    'no pairs': (None, ['--flip_pairs', 'head-knee'], ["'head-knee'", 'left:right']),
    'unknown pair': (None, ['--flip_pairs', 'head:hip'], ["'hip' is no landmark", 'head, knee']),
    'no weights file': (None, ['--encoder_weights', 'my.pth'], ["'my.pth'", 'no file']),
    'empty CSV': (lambda c, _: c.write_text(''), [], ['annotation.csv', 'empty', 'header']),
    'semicolons': (lambda c, _: c.write_text(c.read_text().replace(',', ';')), [], ['semicolons', 'expected commas']),
    'no UTF-8': (lambda c, _: c.write_bytes(c.read_bytes() + b'\xff\xfe'), [], ['is not UTF-8', 'CSV UTF-8']),
    'half a point': (lambda c, _: swap(c, 4, head_y=''), [], ['row 4 (dot_2.png)', 'landmark head', 'both']),
    'not a number': (lambda c, _: swap(c, 4, head_x='nan'), [], ['row 4 (dot_2.png)', "head_x is 'nan'"]),
    'a cell too few': (lambda c, _: c.write_text(c.read_text() + 'a.png,9,9\n'), [], ['row 12 (a.png)', '3 values']),
    'name that leaves the folder': (lambda c, _: swap(c, 4, image_name='../secret.png'), [],
                                    ['row 4', "'../secret.png'", 'below the image folder']),
    'link that leaves the folder': (lambda _, i: link_away(i / 'dot_5.png'), [],
                                    ['row 7 (dot_5.png)', 'is outside the image folder']),
    'landmark without y': (lambda c, _: c.write_text(c.read_text().replace('head_y', 'head')), [],
                           ['header has head_x but no head_y']),
    'column twice': (lambda c, _: c.write_text(c.read_text().replace('knee_x', 'head_x')), [], ['head_x twice']),
    'broken quotes': (lambda c, _: c.write_text(c.read_text() + '"a.png,9,9,2,1,1,1,1\n'), [], ['is not valid CSV']),
    'rows without images': (lambda c, _: c.write_text(c.read_text().splitlines()[0] + '\n'), [], ['no rows']),
    'folder as an image': (lambda _, i: ((i / 'dot_5.png').unlink(), (i / 'dot_5.png').mkdir()), [],
                           ['row 7 (dot_5.png)', 'no such file']),
    'spacing of nothing': (None, ['--pixel_spacing', '0'], ['pixel_spacing', '0', 'above 0']),
    'one fold': (None, ['--folds', '1'], ['folds is 1', 'expected 2 to 10']),
    'more folds than images': (None, ['--folds', '11'], ['folds is 11', '10 images']),
    'average of everything': (None, ['--ema', '1'], ['ema', '1', 'below 1']),
    'weight below nothing': (None, ['--dice_weight', '-1'], ['dice_weight is -1', 'at least 0']),
    'too elastic': (None, ['--elastic', '0.5'], ['elastic', '0.5', 'at most 0.03']),
    'elastic alone': (None, ['--elastic', '0.01', '--augment', 'none'], ["elastic beside augment 'none'"]),
    'no patience': (None, ['--early_stop', '-1'], ['early_stop is -1', 'at least 0']),
    'unknown decoding': (None, ['--decode', 'mean'], ['decode', "'mean'", 'centroid, argmax']),
    'unknown erosion': (None, ['--erosion_schedule', 'none'], ['erosion_schedule', "'none'", 'auto, fixed']),
    'run that is none': (None, ['--from_run', '/nowhere'], ['/nowhere', 'no such folder']),
}


def link_away(path):
    path.unlink()
    path.symlink_to(__file__)


@pytest.mark.parametrize('case', BAD)
def test_bad_input_is_one_clear_line_and_writes_nothing(case, tmp_path, capsys):
    damage, argv, words = BAD[case]
    csv_file, images = write_dots(tmp_path)
    if damage: damage(csv_file, images)
    before = sorted(tmp_path.rglob('*'))
    usual = ['--train_image_dir', str(images), '--label_dir', str(tmp_path), '--train_csv_file', csv_file.name,
             '--image_resize', '64', '--encoder_name', 'resnet18', '--encoder_weights', 'none', '--batch_size', '4',
             '--output_dir', str(tmp_path / 'runs')]
    line = refused(['train', *usual, *argv], capsys)
    assert all(word in line for word in words), line
    assert sorted(tmp_path.rglob('*')) == before


def test_ctrl_c_is_one_line(monkeypatch, capsys):
    def stop(job): raise KeyboardInterrupt
    monkeypatch.setattr(cli, 'run', stop)
    assert cli.main(['demo']) == 1
    assert capsys.readouterr().err.startswith('stopped')


def test_the_package_offers_the_names_of_a_notebook():
    import landmark_fastai
    from landmark_fastai import all as everything
    assert landmark_fastai.landmark_dls is everything.landmark_dls and landmark_fastai.train is train
    assert not hasattr(landmark_fastai, 'landmarks_dls')


def test_a_disk_that_is_full_is_one_line_that_says_how_to_go_on(monkeypatch, capsys):
    def fail(job): raise OSError(errno.ENOSPC, 'No space left on device', 'runs/last.ckpt')
    monkeypatch.setattr(cli, 'run', fail)
    assert cli.main(['train']) == 1
    line, = capsys.readouterr().err.splitlines()
    assert 'No space left' in line and 'runs/last.ckpt' in line and '--resume' in line and line.endswith('#disk-space)')
    assert cli.main(['sample']) == 1
    assert '--resume' not in capsys.readouterr().err
