"The `agreement` command: what it writes is whole, says the same everywhere, and replaces nothing unasked."

import json
import subprocess
import sys
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import write_definitions

import cli
from landmark_fastai.errors import UsageError
from landmark_fastai.measure.agree import agreement, write_agreement
from landmark_fastai.measure.agreement import STATISTICS, Readings
from landmark_fastai.measure.readers import landmark_readings, read_panel

NAMES = 'head', 'tip', 'neck', 'base'
SHAPE = np.array([[300, 100], [400, 420], [120, 380], [240, 560]], float)
OFFSETS = {'AB': (0, 0), 'CD': (3, 0), 'net': (0, -5)}  # px, of the tip


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    "A CSV of each of three readers, 24 images with 4 landmarks; AB has not seen the first, CD no head on the second."
    folder, rng = tmp_path_factory.mktemp('readers'), np.random.default_rng(3)
    truth = SHAPE + rng.normal(0, 6, (24, 4, 2))
    for reader, offset in OFFSETS.items():
        points = truth + rng.normal(0, 1, truth.shape)
        points[:, 1] += offset
        table = {'image_name': [f'{i}.png' for i in range(24)], 'image_width': 600, 'image_height': 800}
        table |= {f'{name}_{axis}': points[:, k, a] for k, name in enumerate(NAMES) for a, axis in enumerate('xy')}
        table = pd.DataFrame(table | {'pixel_spacing': 0.5, 'split': ['train'] * 12 + ['test'] * 12})
        if reader == 'AB': table = table.iloc[1:]
        if reader == 'CD': table.loc[1, ['head_x', 'head_y']] = -1
        table.to_csv(folder / f'{reader}.csv', index=False)
    return {reader: str(folder / f'{reader}.csv') for reader in OFFSETS}


@pytest.fixture(scope='module')
def written(files, tmp_path_factory):
    "The folder that the command writes for three readers, and what it returns. Not to be changed."
    folder = tmp_path_factory.mktemp('out') / 'agreement'
    return folder, agreement(list(files.values()), folder)


def test_a_row_for_each_value_and_pair_and_all(written):
    rows = pd.read_csv(written[0] / 'agreement.csv')
    assert list(rows) == ['name', 'kind', 'pair', 'unit', *STATISTICS]
    assert len(rows) == 4 * 2 * 3 * 4  # landmarks, units, kinds, pairs and all
    rows = rows.set_index(['name', 'kind', 'unit', 'pair'])
    bias = rows.loc[('tip', 'x', 'px', 'AB - CD')]
    assert bias.n == 23 and bias.bias == pytest.approx(-3, abs=1) and bias.bias_low < -3 < bias.bias_high
    assert rows.loc[('tip', 'x', 'mm', 'AB - CD')].bias == pytest.approx(bias.bias / 2, rel=1e-4)
    assert rows.loc[('head', 'landmark', 'px', 'AB - CD')].n == 22 and rows.loc[('head', 'y', 'px', 'all')].n == 22
    assert rows.loc[('head', 'landmark', 'px', 'CD - net')].n == 23


def test_the_summary_has_the_rows_and_what_they_are_of(written):
    folder, returned = written
    summary = json.loads((folder / 'summary.json').read_text(encoding='utf-8'))
    assert summary == returned
    assert summary['readers'] == ['AB', 'CD', 'net'] and summary['unit'] == 'mm'
    assert summary['n_images'] == 24 and len(summary['agreement']) == 96
    assert summary['overall'][0]['n'] == 23 * 4 - 1 and summary['agreement'][0]['icc_a1'] is None


def test_drift_of_the_tip_is_told(written):
    drift = pd.read_csv(written[0] / 'drift.csv', keep_default_na=False)
    flagged = drift[drift.drifts & (drift.within == '')]
    assert set(flagged.landmark) == {'tip'} and set(flagged.comparison) == {'AB - CD', 'AB - net', 'CD - net'}
    assert set(drift[drift.within != ''].comparison) == {'test - train'}
    notes = written[1]['notes']
    assert sum('tip drifts' in note for note in notes) == 3
    assert any('absent to one reader' in note and '1 time' in note for note in notes)


def test_the_report_shows_tables_and_figures(written):
    page = (written[0] / 'report.html').read_text(encoding='utf-8')
    for part in ('AB, CD and net are', 'Distances', 'Coordinates: limits of agreement', 'Coordinates: reliability',
                 'Bland–Altman: AB - net', 'Identity: CD - net', 'Drift: CD - net', 'All readers'):
        assert part in page
    assert page.count('<img') == len(list((written[0] / 'figures').glob('*.png'))) == 3 + 3 + 6
    assert 'nan' not in page.split('<img')[0]
    for path in (written[0] / 'tables').glob('*.csv'):
        for cell in pd.read_csv(path, dtype=str, keep_default_na=False).to_numpy().ravel():
            assert f'<td>{escape(cell)}</td>' in page
    for path in (written[0] / 'figures').glob('*.png'):
        for form in ('png', 'svg', 'pdf'): assert f'href="figures/{path.stem}.{form}"' in page


@pytest.mark.slow
def test_measurements_are_only_more_columns(files, tmp_path, capsys):
    panel = read_panel([files['AB'], files['net']])
    angles = np.random.default_rng(0).normal(40, 5, (len(panel.image_names), 2))
    readings = [*landmark_readings(panel), Readings('HKA', 'measurement', 'deg', angles)]
    summary = write_agreement(tmp_path, panel, readings, panel.split, {}, [])
    row = [row for row in summary['agreement'] if row['kind'] == 'measurement'][0]
    assert row['name'] == 'HKA' and row['unit'] == 'deg' and row['n'] == 24
    assert row['bias'] == pytest.approx((angles[:, 0] - angles[:, 1]).mean())
    page = (tmp_path / 'report.html').read_text(encoding='utf-8')
    assert 'Measurements: limits of agreement' in page and 'HKA, deg' in page
    assert 'HKA, deg' in capsys.readouterr().out


def test_what_is_there_is_replaced_only_when_told(files, tmp_path):
    two = [files['AB'], files['CD']]
    agreement(two, tmp_path / 'out')
    with pytest.raises(UsageError, match='agreement.csv exists.*--overwrite'): agreement(two, tmp_path / 'out')
    mine, stale = ([tmp_path / 'out' / name for name in names] for names in (
        ('mine.txt', 'figures/mine.svg', 'tables/mine.tex'),
        ('figures/bland_altman_2.pdf', 'figures/identity_2.svg', 'tables/measurements_reliability.tex')))
    for path in mine + stale: path.write_text('x')
    summary = agreement(two, tmp_path / 'out', overwrite=True)
    assert summary['readers'] == ['AB', 'CD'] and summary.report == tmp_path / 'out' / 'report.html'
    assert 'Distances' in (shown := summary._repr_html_()) and 'out/report.html' in shown
    assert all(path.exists() for path in mine) and not any(path.exists() for path in stale)
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other' / 'report.html').write_text('mine')
    with pytest.raises(UsageError, match='report.html'): agreement(two, tmp_path / 'other', overwrite=True)
    Path(tmp_path / 'run').mkdir()
    (tmp_path / 'run' / 'model.json').write_text('{}')
    with pytest.raises(UsageError, match='folder of a run'): agreement(two, tmp_path / 'run')


@pytest.mark.slow
def test_images_of_unknown_spacing_take_that_of_the_flag(files, tmp_path):
    for reader in ('AB', 'net'):
        pd.read_csv(files[reader]).drop(columns='pixel_spacing').to_csv(tmp_path / f'{reader}.csv', index=False)
    both = f'{tmp_path / "AB.csv"},{tmp_path / "net.csv"}'
    assert agreement(both, tmp_path / 'px')['unit'] == 'px'
    assert agreement(both, tmp_path / 'mm', pixel_spacing=0.1, readers='A,B')['unit'] == 'mm'


def test_the_command_line_needs_no_torch(files, tmp_path):
    code = 'import sys\nfrom landmark_fastai.cli import main\ncode = main(sys.argv[1:])\n' \
           'sys.exit(code or bool({"torch", "fastai"} & set(sys.modules)) * 9)'
    argv = ['agreement', '--csvs', f'{files["AB"]},{files["net"]}', '--output_dir', str(tmp_path / 'out')]
    done = subprocess.run([sys.executable, '-c', code, *argv], capture_output=True, text=True)
    assert done.returncode == 0, done
    assert 'tip drifts' in done.stdout and 'report.html' in done.stdout


@pytest.mark.parametrize('flags,named', [
    (['--csvs', 'a.csv,'], ['csvs', "'a.csv,'"]), (['--csvs', 'none.csv,b.csv'], ['none.csv']),
    (['--csvs', 'a.csv,b.csv', '--readers', 'AB,'], ['readers', "'AB,'"]),
    (['--csvs', 'a.csv,b.csv', '--groups', 'site'], ['groups', 'split, folder'])])
def test_mistakes_are_one_line(flags, named, tmp_path, capsys):
    assert cli.main(['agreement', *flags, '--output_dir', str(tmp_path / 'out')]) == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1 and all(part in error for part in named)
    assert not (tmp_path / 'out').exists()


# --- measurements

@pytest.mark.slow
def test_measurements_of_a_file_are_compared_too(files, tmp_path, capsys):
    definitions = write_definitions(tmp_path, """measure:
  bend: {value: "angle(line(neck, head), line(neck, base))", unit: deg}
  length: {value: "distance(head, tip)", unit: mm}""")
    summary = agreement(list(files.values()), tmp_path / 'out', definitions=definitions, measurements='length')
    rows = [row for row in summary['agreement'] if row['kind'] == 'measurement']
    assert [(row['name'], row['unit'], row['pair'], row['n']) for row in rows] == [
        ('length', 'mm', 'AB - CD', 22), ('length', 'mm', 'AB - net', 23), ('length', 'mm', 'CD - net', 23),
        ('length', 'mm', 'all', 22)]
    panel = read_panel(list(files.values()))
    lengths = np.linalg.norm(panel.points[:, :, 0] - panel.points[:, :, 1], axis=-1) / 2
    assert rows[1]['bias'] == pytest.approx(np.nanmean(lengths[:, 0] - lengths[:, 2]))
    page = (tmp_path / 'out/report.html').read_text(encoding='utf-8')
    assert 'Measurements: reliability' in page and 'length, mm' in capsys.readouterr().out
    figures = {path.stem for path in (tmp_path / 'out/figures').iterdir()}
    assert {'bland_altman_1', 'bland_altman_measurements_1', 'identity_measurements_3'} <= figures


@pytest.mark.parametrize('flags, words', [
    (dict(definitions='long_leg'), ['long_leg.yaml', 'AB has no landmark']),
    (dict(definitions='nowhere.yaml'), ['nowhere.yaml']), (dict(measurements='HKA'), ['definitions'])])
def test_definitions_that_do_not_fit_are_told_before_anything_is_written(files, tmp_path, flags, words):
    with pytest.raises(UsageError) as caught: agreement(list(files.values()), tmp_path / 'out', **flags)
    assert all(word in str(caught.value) for word in words) and not (tmp_path / 'out').exists(), caught.value


def test_a_spacing_that_is_hardly_one_is_told(files, tmp_path):
    changed = []
    for reader in ('AB', 'net'):
        table = pd.read_csv(files[reader])
        table.loc[table.image_name == '3.png', 'pixel_spacing'] = 143
        changed.append(tmp_path / f'{reader}.csv')
        table.to_csv(changed[-1], index=False)
    notes = agreement(changed, tmp_path / 'out')['notes']
    assert any('1 image, such as 143 mm of 3.png' in note for note in notes), notes
