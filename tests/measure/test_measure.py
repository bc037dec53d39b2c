"The command: its files, what it refuses before anything is written, and its pictures."

import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from helpers import write_definitions, write_dicom, write_discs

from landmark_fastai import UsageError, cli
from landmark_fastai.errors import Incomplete
from landmark_fastai.measure.measure import measure
from landmark_fastai.reader_config import MeasureConfig

NAMES = 'right_hip', 'right_knee', 'left_hip', 'left_knee'
TEXT = '''
sides: {right: {prefix: right_}, left: {prefix: left_, mirror: true}}
measure:
  lean: {value: "angle(line(hip, knee), vertical(hip))", unit: deg}
  length: {value: "distance(hip, knee)", unit: mm, classes: {short: [null, 40], long: [40, null]}}
'''


@pytest.fixture
def data(tmp_path):
    "A function that writes films with their points, `change`d, and definitions; returns the arguments of `measure`."
    def write(n=3, change=lambda table: None, file='points.csv', noise=0, **columns):
        rng = np.random.default_rng(n)
        points = np.array([[60, 20], [60, 120], [140, 20], [140, 120]]) + rng.normal(0, noise, (n, 4, 2))
        cells = {f'{name}_{axis}': points[:, k, a] for k, name in enumerate(NAMES) for a, axis in enumerate('xy')}
        table = pd.DataFrame({'image_name': [f'sub/{k}.png' for k in range(n)], 'image_width': 200,
                              'image_height': 160, **cells, **columns})
        change(table)
        table.to_csv(tmp_path / file, index=False)
        for k in range(n): write_discs(tmp_path / f'films/sub/{k}.png')
        return dict(csv=tmp_path / file, definitions=write_definitions(tmp_path, TEXT), output_dir=tmp_path / 'out')
    return write


def tables(arguments):
    "measurements.csv and measurements_wide.csv, as text."
    return [pd.read_csv(arguments['output_dir'] / name, dtype=str, na_filter=False)
            for name in ('measurements.csv', 'measurements_wide.csv')]


def test_a_row_a_measurement_and_a_row_an_image(data, capsys):
    def change(table):
        table.loc[1, ['left_knee_x', 'left_knee_y']] = -1
        table.loc[2, ['right_knee_x', 'right_knee_y']] = 160, 120
    arguments = data(change=change, pixel_spacing=[0.5, 0.3, ''])
    found = measure(**arguments)
    long, wide = tables(arguments)
    assert list(long) == ['image_name', 'side', 'measurement', 'value', 'unit', 'lower', 'upper', 'reason', 'class']
    assert long.values.tolist()[:4] == [
        ['sub/0.png', 'right', 'lean', '180.0000', 'deg', '', '', '', ''],
        ['sub/0.png', 'right', 'length', '50.0000', 'mm', '', '', '', 'long'],
        ['sub/0.png', 'left', 'lean', '180.0000', 'deg', '', '', '', ''],
        ['sub/0.png', 'left', 'length', '50.0000', 'mm', '', '', '', 'long']]
    assert long.reason[6:8].tolist() == ['left_knee is absent'] * 2 and long.value[6:8].tolist() == ['', '']
    assert long.value[8] == '135.0000' and 'spacing' in long.reason[9] and long.value[5] == '30.0000'
    assert list(wide) == ['image_name', 'right_lean', 'right_length', 'right_length_class', 'left_lean', 'left_length',
                          'left_length_class']
    assert wide.values.tolist()[1] == ['sub/1.png', '180.0000', '30.0000', 'short', '', '', '']
    assert found.values.shape == (3, 2, 2) and np.isnan(found.lower).all()
    printed = capsys.readouterr().out
    assert 'right lean: 165.00 ± 25.98 deg (n = 3)' in printed and 'measurements.csv' in printed
    assert not (arguments['output_dir'] / 'pictures').exists()


def test_measurements_are_chosen_by_name(data):
    arguments = data() | dict(measurements='lean')
    measure(**arguments)
    assert set(tables(arguments)[0].measurement) == {'lean'} and 'class' not in tables(arguments)[0]


def test_a_spacing_of_the_flag_and_of_dicom_headers(data, tmp_path):
    arguments = data(n=2, change=lambda table: table.update({'image_name': ['sub/0.png', 'sub/d.dcm']}))
    write_dicom(tmp_path / 'films/sub/d.dcm', np.zeros((160, 200), np.uint8), PixelSpacing=[0.2, 0.1],
                Modality='CT')
    found = measure(**arguments, image_dir=tmp_path / 'films', pixel_spacing=0.5, no_pictures=True)
    assert found.values[:, 0, 1] == pytest.approx([50, 20])


@pytest.mark.parametrize('change, words', [
    (dict(csv='nowhere.csv'), ['nowhere.csv']), (dict(definitions='long_log'), ['long_log', 'long_leg']),
    (dict(definitions='long_leg'), ['long_leg.yaml', "'right_ankle'", 'points.csv']),
    (dict(measurements='lean,lengt'), ["'lengt'", 'length']), (dict(image_dir='nowhere'), ['nowhere']),
    (dict(truth='nowhere.csv'), ['nowhere.csv']), (dict(level=1.), ['level']),
    (dict(pixel_spacing=0), ['pixel_spacing'])])
def test_mistakes_are_told_before_anything_is_written(data, change, words):
    arguments = data() | change
    with pytest.raises(UsageError) as caught: measure(**arguments)
    assert all(word in str(caught.value) for word in words) and not arguments['output_dir'].exists(), caught.value


def test_nothing_of_others_is_overwritten(data, tmp_path):
    arguments = data()
    measure(**arguments)
    with pytest.raises(UsageError, match='measurements.csv.*--overwrite'): measure(**arguments)
    note = arguments['output_dir'] / 'notes.txt'
    note.write_text('mine')
    measure(**arguments, overwrite=True)
    assert note.read_text() == 'mine'
    (arguments['output_dir'] / 'measurements.csv').unlink()
    with pytest.raises(UsageError, match='measurements_wide.csv'): measure(**arguments, overwrite=True)
    inside = arguments | dict(output_dir=tmp_path / 'films/out', image_dir=tmp_path / 'films')
    with pytest.raises(UsageError, match='image folder'): measure(**inside)


def test_a_csv_in_the_output_folder_is_not_removed(data, tmp_path):
    arguments = data(file='measurements.csv') | dict(output_dir=tmp_path, overwrite=True)
    with pytest.raises(UsageError, match='measurements.csv is read'): measure(**arguments)
    assert (tmp_path / 'measurements.csv').exists()


# --- truth

def test_intervals_follow_from_the_truth(data):
    arguments = data(n=30, noise=3, pixel_spacing=0.5)
    truth = data(n=20, file='truth.csv')['csv']
    found = measure(**arguments, truth=truth)
    long, _ = tables(arguments)
    radius = (found.upper - found.lower) / 2
    error = abs(found.values[:20, 0, 1] - 50)
    assert radius[20:, 0, 1] == pytest.approx(np.sort(error)[18])  # ceil(21 * 0.9) = 19
    assert (long.lower != '').all() and float(long.lower[1]) == pytest.approx(found.lower[0, 0, 1], abs=1e-4)


def test_patients_are_those_of_the_truth_where_it_alone_knows_them(data, capsys):
    arguments = data(n=12, noise=3)
    truth = data(n=12, file='truth.csv', patient_id=['p1', 'p2', 'p3'] * 4)['csv']
    assert np.isnan(measure(**arguments, truth=truth).lower).all()
    assert 'no intervals by the truth: 12 images of 3 patients have one' in capsys.readouterr().out


@pytest.mark.slow
def test_too_few_truths_are_told(data, capsys):
    found = measure(**data(), truth=data(file='truth.csv')['csv'])
    printed = capsys.readouterr().out
    assert np.isnan(found.lower).all()
    assert 'no intervals by the truth: 3 images' in printed and '90 % it takes 9' in printed


@pytest.mark.slow
def test_what_agreement_writes_is_written_with_a_truth(data, tmp_path):
    arguments = data(n=12, noise=2, pixel_spacing=0.5)
    truth = data(n=10, file='truth.csv', pixel_spacing=0.5, split=['train'] * 5 + ['test'] * 5)['csv']
    found = measure(**arguments, truth=truth)
    rows = pd.read_csv(arguments['output_dir'] / 'agreement.csv').set_index(['name', 'kind', 'unit'])
    assert set(rows.pair) == {'measured - truth', 'all'}
    length = rows[rows.pair != 'all'].loc[('right_length', 'measurement', 'mm')]
    assert length.n == 10 and length.bias == pytest.approx((found.values[:10, 0, 1] - 50).mean(), abs=1e-4)
    assert rows.loc[('left_hip', 'landmark', 'px')].n.tolist() == [10, 10]
    assert 'right_length, mm' in (arguments['output_dir'] / 'report.html').read_text(encoding='utf-8')
    with pytest.raises(UsageError, match='agreement.csv|measurements.csv'): measure(**arguments, truth=truth)
    measure(**arguments, overwrite=True)
    written = {path.name for path in arguments['output_dir'].rglob('*') if path.is_file()}
    assert written == {'measurements.csv', 'measurements_wide.csv'}


def test_a_reader_who_is_called_as_the_truth_is_refused(data):
    arguments = data(n=2, reader=['AB', 'truth'], change=lambda table: table.update({'image_name': ['a.png'] * 2}))
    truth = data(n=1, file='truth.csv', change=lambda table: table.update({'image_name': ['a.png']}))['csv']
    with pytest.raises(UsageError, match='reader truth'): measure(**arguments, truth=truth)
    assert not arguments['output_dir'].exists()


@pytest.mark.slow
def test_a_truth_of_fewer_landmarks_does_for_what_needs_no_others(data, tmp_path):
    arguments = data(n=10, noise=2, pixel_spacing=0.5)
    fewer = data(file='truth.csv', n=10, change=lambda table: table.drop(
        columns=[f'left_{part}_{axis}' for part in ('hip', 'knee') for axis in 'xy'], inplace=True))
    found = measure(**arguments, truth=fewer['csv'])
    assert np.isfinite(found.lower[:, 0]).all() and np.isnan(found.lower[:, 1]).all()


# --- bounds and readers

def test_bounds_of_points_make_intervals_that_are_called_simulated(data, capsys):
    bounds = {f'{name}_bound': 3. for name in NAMES} | {'left_knee_bound': [3, np.nan, 3]}
    arguments = data(**bounds, bound_level=0.9, pixel_spacing=0.5)
    found = measure(**arguments)
    long, _ = tables(arguments)
    assert list(long)[:10] == ['image_name', 'side', 'measurement', 'value', 'unit', 'lower', 'upper', 'reason',
                               'interval', 'class']
    assert set(long.interval) == {'simulated', ''} and long.lower[6] == '' and long.interval[6] == ''
    width = (found.upper - found.lower)[0, 0]
    deviation = 3 / 2.146 * np.sqrt(2)  # of the difference of two points, px along an axis
    assert width == pytest.approx([2 * 1.645 * np.degrees(deviation / 100), 2 * 1.645 * deviation / 2], rel=0.15)
    assert 'approximate' in capsys.readouterr().out
    again = measure(**arguments, overwrite=True)
    assert np.array_equal(again.lower, found.lower, equal_nan=True)


def test_the_truth_of_enough_images_wins_over_bounds(data):
    arguments = data(n=12, noise=2, pixel_spacing=0.5, bound_level=0.9, **{f'{name}_bound': 3. for name in NAMES})
    found = measure(**arguments, truth=data(n=12, file='truth.csv')['csv'])
    assert (found.interval == 'conformal').all()


@pytest.mark.slow
def test_several_readers_have_rows_and_pictures_of_their_own(data, tmp_path, capsys):
    arguments = data(n=4, pixel_spacing=0.5, reader=['AB', 'AB', 'C/D', 'C/D'], change=lambda table: table.update(
        {'image_name': ['sub/0.png', 'sub/1.png', 'sub/0.png', 'sub/1.png'], 'right_knee_y': [120, 120, 130, 120]}))
    found = measure(**arguments, image_dir=tmp_path / 'films')
    long, wide = tables(arguments)
    assert list(long)[:3] == ['image_name', 'reader', 'side'] and list(wide)[:2] == ['image_name', 'reader']
    assert wide[['image_name', 'reader', 'right_length']].values.tolist() == [
        ['sub/0.png', 'AB', '50.0000'], ['sub/1.png', 'AB', '50.0000'],
        ['sub/0.png', 'C/D', '55.0000'], ['sub/1.png', 'C/D', '50.0000']]
    assert found.readers == ['AB', 'AB', 'C/D', 'C/D']
    pictures = {str(path.relative_to(arguments['output_dir'])) for path in arguments['output_dir'].rglob('*.png')}
    assert pictures == {f'pictures/{reader}/sub/{k}.png.png' for reader in ('AB', 'C%2FD') for k in range(2)}
    printed = capsys.readouterr().out
    assert 'C/D right length: 52.50' in printed and '2 images measured' in printed
    truth = data(n=2, file='truth.csv')['csv']
    measure(**arguments, truth=truth, overwrite=True)
    rows = pd.read_csv(arguments['output_dir'] / 'agreement.csv')
    assert {'AB - C/D', 'AB - truth', 'C/D - truth', 'all'} == set(rows.pair)


def test_a_truth_of_other_images_or_sizes_is_refused(data):
    arguments = data()
    others = data(file='others.csv', change=lambda table: table.update({'image_name': ['x.png', 'y.png', 'z.png']}))
    with pytest.raises(UsageError, match='others.csv.*points.csv'): measure(**arguments, truth=others['csv'])
    def widen(table): table['image_width'] = 300
    wide = data(file='wide.csv', change=widen)
    with pytest.raises(UsageError, match='wide.csv, row 2.*300 x 160'): measure(**arguments, truth=wide['csv'])


@pytest.mark.slow
def test_each_csv_tells_the_other_its_spacing(data):
    found = measure(**data(), truth=data(file='truth.csv', pixel_spacing=0.4)['csv'])
    assert found.values[0, 0, 1] == pytest.approx(40)


# --- pictures

def test_pictures_show_lines_and_a_list_beside_them(data, tmp_path):
    arguments = data(pixel_spacing=0.5, change=lambda table: table.update(
        pd.DataFrame({'left_hip_x': [-1.], 'left_hip_y': [-1.]}))) | dict(image_dir=tmp_path / 'films')
    measure(**arguments)
    pictures = sorted((arguments['output_dir'] / 'pictures').rglob('*.png'))
    assert [path.name for path in pictures] == ['0.png.png', '1.png.png', '2.png.png']
    first, second = (cv2.imread(str(path))[..., ::-1].astype(int) for path in pictures[:2])
    height, width = 160 * 4, 200 * 4
    assert first.shape[0] == height and first.shape[1] > width
    def coloured(picture, left, right): return (np.ptp(picture[:, left:right], axis=2) > 60).sum()
    assert coloured(second, 0, width // 2) > 300 and coloured(second, width // 2, width) > 300
    assert coloured(first, 0, width // 2) > 300 and coloured(first, width // 2, width) == 0  # absent: nothing to draw
    assert (first[:, width:] < 100).any() and (first[:, width:] > 250).mean() > 0.8


def test_an_unreadable_image_costs_its_picture_alone(data, tmp_path):
    arguments = data() | dict(image_dir=tmp_path / 'films')
    path = tmp_path / 'films/sub/1.png'
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(Incomplete, match='1 of 3.*1.png') as caught: measure(**arguments)
    assert len(list((arguments['output_dir'] / 'pictures').rglob('*.png'))) == 2
    assert len(caught.value.result.image_names) == 3 and len(tables(arguments)[0]) == 12


# --- the command line

def test_it_runs_from_the_command_line_without_torch(data):
    arguments = data()
    flags = [text for name, value in arguments.items() for text in (f'--{name}', str(value))]
    code = 'import sys\nfrom landmark_fastai import cli\nprint(cli.main(), "torch" in sys.modules)'
    run = subprocess.run([sys.executable, '-c', code, 'measure', *flags], capture_output=True, text=True,
                         cwd=Path(cli.__file__).parents[1])
    assert run.returncode == 0 and run.stdout.endswith('0 False\n'), run
    assert MeasureConfig.of(arguments).chosen is None and len(tables(arguments)[0]) == 12


@pytest.mark.slow
def test_a_hundred_thousand_rows_in_a_minute(data):
    arguments = data(n=1, pixel_spacing=0.5)
    table = pd.read_csv(arguments['csv'])
    many = pd.concat([table] * 100_000, ignore_index=True)
    many['image_name'] = [f'{k}.png' for k in range(len(many))]
    many.to_csv(arguments['csv'], index=False)
    started = time.time()
    assert measure(**arguments).values.shape == (100_000, 2, 2) and time.time() - started < 60
