"`evaluate`: the numbers are those of training, of a hand's calculation, and of predictions.csv."

import json
import re
import shutil

import imageio.v3 as iio
import numpy as np
import pandas as pd
import pytest
from helpers import disc_finder, discs, original_weights, write_definitions, write_dicom, write_discs, write_dots
from safetensors.torch import save_file

import cli
import landmark_fastai

FIGURES = {f'figures/{name}.{form}' for name in ('cumulative', 'boxes', 'vectors', 'confidence', 'worst')
           for form in ('png', 'svg', 'pdf')}
TABLES = {'tables/errors.csv', 'tables/errors.tex'}


def evaluate(image_dir, csv_file, output_dir, *argv):
    "Run `evaluate`; returns the exit code."
    return cli.main(['evaluate', '--image_dir', str(image_dir), '--csv', str(csv_file), '--output_dir', str(output_dir),
                     *map(str, argv)])


def summary(folder): return json.loads((folder / 'summary.json').read_text())


@pytest.fixture
def data(finished): return finished.parent.parent / 'images', finished.parent.parent / 'annotation.csv'


@pytest.fixture
def with_discs(monkeypatch):
    "`evaluate` with a network that finds discs; called, with one of other facts."
    def use(**facts):
        finder = disc_finder(128, **facts)
        monkeypatch.setattr('landmark_fastai.evaluation.evaluate.config_predictor', lambda config, names: finder)
    use()
    return use


def write_csv(path, *rows, columns=()):
    "Write an annotation CSV of landmarks grey and white: rows of name, width, height, x, y, x, y and `columns`."
    header = ['image_name', 'image_width', 'image_height', 'grey_x', 'grey_y', 'white_x', 'white_y', *columns]
    pd.DataFrame(rows, columns=header).to_csv(path, index=False)
    return path


def test_validation_images_have_the_error_that_training_reported(finished, data, tmp_path):
    assert evaluate(*data, tmp_path / 'out', '--model', finished, '--split', 'val') == 0
    log = pd.read_csv(finished / 'train_results' / 'training_log.csv')
    best = log.loc[log.mean_error_px.idxmin()]
    found = summary(tmp_path / 'out')
    assert found['overall']['px']['mean'] == pytest.approx(best.mean_error_px, abs=1e-3)
    assert found['overall']['mm']['mean'] == pytest.approx(best.mean_error_mm, abs=1e-3)
    for name in ('head', 'knee'):
        assert found['landmarks'][name]['px']['mean'] == pytest.approx(best[f'{name}_px'], abs=1e-3)
    trained = summary(finished / 'validation')
    assert trained['overall'] == found['overall'] and found['n_images'] == 2


def test_everything_is_written_and_the_numbers_are_those_of_predictions_csv(finished, data, tmp_path, capsys):
    out = tmp_path / 'out'
    assert evaluate(*data, out, '--model', finished) == 0
    written = {path.relative_to(out).as_posix() for path in out.rglob('*') if path.is_file()}
    overlays = {f'overlays/dot_{k}.png.png' for k in range(10)}
    assert written == overlays | FIGURES | TABLES | {'predictions.csv', 'review.csv', 'distances.csv', 'summary.json',
                                               'report.html'}
    for path in out.rglob('*.png'): assert iio.imread(path).std() > 5
    true, pred = pd.read_csv(data[1]), pd.read_csv(out / 'predictions.csv')
    assert list(true.image_name) == list(pred.image_name)
    errors = {name: np.hypot(true[f'{name}_x'] - pred[f'{name}_x'], true[f'{name}_y'] - pred[f'{name}_y'])
              for name in ('head', 'knee')}
    distances = pd.read_csv(out / 'distances.csv')
    for name, values in errors.items():
        np.testing.assert_allclose(distances[f'{name}_px'], values, atol=1e-3)
        np.testing.assert_allclose(distances[f'{name}_mm'], values / 2, atol=1e-3)
    values = np.concatenate(list(errors.values()))
    overall = summary(out)['overall']
    assert overall['px']['mean'] == pytest.approx(values.mean()) and overall['px']['n'] == 20
    assert overall['px']['sd'] == pytest.approx(values.std(ddof=1))
    assert overall['px']['median'] == pytest.approx(np.median(values))
    assert overall['success_rate']['4'] == pytest.approx((values / 2 <= 4).mean())
    report = (out / 'report.html').read_text()
    assert all(f'<th>{name}</th>' in report for name in ('tta', 'training: epochs', 'training: model: landmarks'))
    table = pd.read_csv(out / 'tables' / 'errors.csv', dtype=str)
    assert list(table.landmark) == ['all', 'head', 'knee']
    for cell in table.to_numpy().ravel(): assert f'<td>{cell}</td>' in report
    latex = (out / 'tables' / 'errors.tex').read_text()
    assert table['mean ± SD, mm'][0].replace('±', r'$\pm$') in latex and f'{table["SDR 4 mm"][2][:-1]}\\%' in latex
    said = capsys.readouterr().out
    assert f"{overall['mm']['mean']:.2f} ±" in said and '8 of 10 images have the names of images that' in said


def weights_row(folder):
    "What the report in `folder` says of the weights."
    found, = re.findall('<tr><th>weights</th><td>(.*?)</td></tr>', (folder / 'report.html').read_text())
    return found


@pytest.mark.parametrize('file', ['best.pth', 'last.ckpt'])
@pytest.mark.filterwarnings('ignore:.*has no weight/best.pth')
def test_the_report_and_the_summary_name_the_weights_of_a_run(finished, data, tmp_path, file):
    run = shutil.copytree(finished, tmp_path / 'run')
    if file != 'best.pth': (run / 'weight' / 'best.pth').unlink()
    assert evaluate(*data, tmp_path / 'out', '--model', run, '--no_overlays') == 0
    assert weights_row(tmp_path / 'out') == summary(tmp_path / 'out')['settings']['weights'] == str(
        run / 'weight' / file)


def test_millimetres_are_px_times_spacing_along_each_axis(with_discs, tmp_path):
    folder, pixels = tmp_path / 'films', discs(400, 300, ((100, 80), (300, 200)))
    folder.mkdir()
    write_dicom(folder / 'a.dcm', pixels, PixelSpacing=[0.2, 0.1])
    # the truth is 30 px to the left of the grey disc and 40 px above the white one
    csv_file = write_csv(tmp_path / 'a.csv', ['a.dcm', 400, 300, 70, 80, 300, 160])
    assert evaluate(folder, csv_file, tmp_path / 'out', '--thresholds', '3.5,9') == 0
    found = summary(tmp_path / 'out')
    assert found['landmarks']['grey']['px']['mean'] == pytest.approx(30, abs=0.5)
    assert found['landmarks']['grey']['mm']['mean'] == pytest.approx(3, abs=0.05)
    assert found['landmarks']['white']['mm']['mean'] == pytest.approx(8, abs=0.1)
    assert found['overall']['success_rate'] == {'3.5': 0.5, '9': 1.}
    assert found['spacing'] == {'DICOM PixelSpacing': 1}


def test_measurements_of_model_and_truth_are_compared(with_discs, tmp_path, capsys):
    folder, names = tmp_path / 'films', [f'{k}.png' for k in range(4)]
    for name in names: write_discs(folder / name)  # at 50, 60 and 150, 100
    rows = [[name, 200, 160, 50, 60, 150 - 10 * k, 100, 0.5] for k, name in enumerate(names)]
    csv_file = write_csv(tmp_path / 'a.csv', *rows, columns=['pixel_spacing'])
    definitions = write_definitions(tmp_path, """measure:
  width: {value: "along(white, line(grey, foot(white, horizontal(grey))))", unit: mm, tolerance: 6}
  drop: {value: "distance(white, horizontal(grey))", unit: px}""")
    assert evaluate(folder, csv_file, tmp_path / 'out', '--definitions', definitions, '--no_overlays') == 0
    width, drop = summary(tmp_path / 'out')['measurements']
    assert (width['name'], width['pair'], width['n']) == ('width', 'model - truth', 4)
    assert width['bias'] == pytest.approx(7.5, abs=0.2)  # 0, 5, 10, 15 mm
    assert width['within_tolerance'] == 0.5 and width['tolerance'] == 6 and drop['tolerance'] is None
    errors = pd.read_csv(tmp_path / 'out/measurement_errors.csv')
    assert errors.name.tolist() == ['width', 'drop'] and errors.bias[0] == pytest.approx(width['bias'], abs=1e-4)
    both = pd.read_csv(tmp_path / 'out/measurements.csv')
    assert both.reader.tolist() == ['model'] * 8 + ['truth'] * 8
    assert both.value[[8, 14]].tolist() == [50, 35]
    page, printed = (tmp_path / 'out/report.html').read_text(), capsys.readouterr().out
    for part in ('Measurements: limits of agreement', 'Measurements: tolerance'):
        assert part in page and part in printed
    assert '50.0 %' in printed and (tmp_path / 'out/figures/measurements.png').exists()
    wrong = write_definitions(tmp_path, 'measure: {width: {value: "distance(white, gray)", unit: px}}')
    assert evaluate(folder, csv_file, tmp_path / 'new', '--definitions', wrong) == 2
    assert "'gray'" in capsys.readouterr().err and not (tmp_path / 'new').exists()


def test_doubtful_spacings_are_told_once_of_those_that_are_used(with_discs, tmp_path):
    folder, pixels = tmp_path / 'films', discs(200, 160, ((50, 60), (150, 100)))
    folder.mkdir()
    for name in 'ab': write_dicom(folder / f'{name}.dcm', pixels, PixelSpacing=[143, 143])
    rows = [[f'{name}.dcm', 200, 160, 70, 80, 150, 100, spacing] for name, spacing in (('a', 0.1), ('b', ''))]
    csv_file = write_csv(tmp_path / 'a.csv', *rows, columns=['pixel_spacing'])
    argv = folder, csv_file, tmp_path / 'out', '--invisible_landmarks', '--no_overlays'
    with pytest.warns(UserWarning, match='doubtful') as caught: assert evaluate(*argv) == 0
    message, = [str(each.message) for each in caught if 'doubtful' in str(each.message)]
    assert '1 of 2 images' in message and 'row 3 (b.dcm)' in message and '143 mm' in message


def test_without_spacing_there_are_no_millimetres_and_the_report_says_why(with_discs, tmp_path):
    write_discs(tmp_path / 'films' / 'a.png')
    csv_file = write_csv(tmp_path / 'a.csv', ['a.png', 200, 160, 50, 60, 150, 100])
    assert evaluate(tmp_path / 'films', csv_file, tmp_path / 'out') == 0
    assert 'mm' not in summary(tmp_path / 'out')['overall']
    assert '_mm' not in (tmp_path / 'out' / 'distances.csv').read_text()
    report = (tmp_path / 'out' / 'report.html').read_text()
    assert 'Pixel spacing of 1 images is unknown' in report and 'Errors are in pixels' in report
    assert evaluate(tmp_path / 'films', csv_file, tmp_path / 'mm', '--pixel_spacing', '0.1') == 0
    overall = summary(tmp_path / 'mm')['overall']
    assert overall['mm']['mean'] == pytest.approx(overall['px']['mean'] / 10)


def test_blank_landmarks_count_nowhere_and_absent_ones_only_for_presence(with_discs, tmp_path):
    with_discs(presence=['white'])
    for name in 'abc': write_discs(tmp_path / 'films' / f'{name}.png')
    for name in 'de': write_discs(tmp_path / 'films' / f'{name}.png', n=1)  # no white disc
    csv_file = write_csv(tmp_path / 'a.csv', ['a.png', 200, 160, 50, 60, 150, 100], ['b.png', 200, 160, 50, 60, '', ''],
                         ['c.png', 200, 160, 50, 90, -1, -1], ['d.png', 200, 160, 50, 60, 150, 100],
                         ['e.png', 200, 160, 50, 60, -1, -1])
    assert evaluate(tmp_path / 'films', csv_file, tmp_path / 'out', '--thresholds', '5') == 0
    found = summary(tmp_path / 'out')
    assert found['landmarks']['grey']['success_rate']['5'] == pytest.approx(4 / 5)
    white = found['landmarks']['white']  # a is found, d is missed; c and d are called wrongly, a and e rightly
    assert (white['n_scored'], white['n_missed'], white['success_rate']['5']) == (1, 1, 0.5)
    assert white['presence'] == {'n': 4, 'accuracy': 0.5} and 'presence' not in found['landmarks']['grey']
    assert found['overall']['success_rate']['5'] == pytest.approx(5 / 7)
    table = pd.read_csv(tmp_path / 'out' / 'predictions.csv').set_index('image_name')
    assert (table.loc[['d.png', 'e.png'], ['white_x', 'white_y']] == -1).all(axis=None)


def test_landmarks_in_another_order_are_matched_by_name(with_discs, tmp_path):
    write_discs(tmp_path / 'films' / 'a.png')
    table = pd.read_csv(write_csv(tmp_path / 'a.csv', ['a.png', 200, 160, 50, 60, 150, 100]))
    table[['image_name', 'image_width', 'image_height', 'white_x', 'white_y', 'grey_x', 'grey_y']].to_csv(
        tmp_path / 'a.csv', index=False)
    assert evaluate(tmp_path / 'films', tmp_path / 'a.csv', tmp_path / 'out') == 0
    assert summary(tmp_path / 'out')['overall']['px']['mean'] < 1


def test_images_that_cannot_be_read_are_left_out_and_said(with_discs, tmp_path, capsys):
    for name in 'ab': write_discs(tmp_path / 'films' / f'{name}.jpg')
    (tmp_path / 'films' / 'b.jpg').write_bytes((tmp_path / 'films' / 'a.jpg').read_bytes()[:-300])
    csv_file = write_csv(tmp_path / 'a.csv', *[[f'{name}.jpg', 200, 160, 50, 60, 150, 100] for name in 'ab'])
    assert evaluate(tmp_path / 'films', csv_file, tmp_path / 'out') == 1
    assert summary(tmp_path / 'out')['n_images'] == 1 == summary(tmp_path / 'out')['n_failed']
    assert '1 images could not be read' in (tmp_path / 'out' / 'report.html').read_text()


def test_names_are_escaped_in_the_report(with_discs, tmp_path):
    evil = '<script>alert(1)<&"\''
    with_discs(landmarks=['grey', evil])
    write_discs(tmp_path / evil / f'{evil}.png')
    csv_file = write_csv(tmp_path / f'{evil}.csv', [f'{evil}.png', 200, 160, 50, 60, 150, 100])
    header = '"{0}_x","{0}_y"'.format(evil.replace('"', '""'))
    csv_file.write_text(csv_file.read_text().replace('white_x,white_y', header))
    assert evaluate(tmp_path / evil, csv_file, tmp_path / 'out') == 0
    report = (tmp_path / 'out' / 'report.html').read_text()
    assert '<script' not in report and report.count('&lt;script&gt;alert(1)') >= 3  # folder, CSV, landmark


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_weights_of_the_original_system_are_measured_too(tmp_path, suffix):
    model, weights = original_weights(tmp_path, n_landmarks=2)
    if suffix == '.safetensors': save_file(model.state_dict(), weights := weights.with_suffix(suffix))
    write_discs(tmp_path / 'films' / 'a.png')
    csv_file = write_csv(tmp_path / 'a.csv', ['a.png', 200, 160, 40, 45, 150, 100])
    argv = ['--weights', weights, '--encoder_name', 'resnet18', '--invisible_landmarks']
    assert evaluate(tmp_path / 'films', csv_file, tmp_path / 'out', *argv) == 0
    found = summary(tmp_path / 'out')
    assert list(found['landmarks']) == ['grey', 'white'] and found['settings']['model'] == str(weights)
    assert weights_row(tmp_path / 'out') == found['settings']['weights'] == str(weights)
    assert found['landmarks']['grey']['n_absent'] == 1
    assert any(note.startswith('1 points in the top-left corner box') for note in found['notes'])


def test_only_images_that_are_evaluated_count_in_the_notes(finished, data, tmp_path):
    table = pd.read_csv(data[1])
    table[['head_x', 'head_y']] = 5  # in the corner
    table.to_csv(tmp_path / 'a.csv', index=False)
    landmark_fastai.evaluate(data[0], tmp_path / 'a.csv', tmp_path / 'out', model=finished, split='val',
                             invisible_landmarks=True, no_overlays=True)
    notes = summary(tmp_path / 'out')['notes']
    assert [note.split()[0] for note in notes if 'corner box' in note] == ['2']  # there are 2 validation images of 10


def test_the_worst_images_have_missed_landmarks_then_large_errors(with_discs, tmp_path, monkeypatch):
    with_discs(presence=['white'])
    sheets = []
    monkeypatch.setattr('landmark_fastai.evaluation.output.contact_sheet',
                        lambda pictures, captions, columns: sheets.append(captions) or pictures[0])
    for name in ('good', 'bad'): write_discs(tmp_path / 'f' / f'{name}.png')
    for name in ('missed', 'lost'): write_discs(tmp_path / 'f' / f'{name}.png', n=1)
    at = 50, 60
    csv_file = write_csv(tmp_path / 'a.csv', ['good.png', 200, 160, *at, 150, 100],
                         ['bad.png', 200, 160, 80, 60, 150, 100],
                         ['missed.png', 200, 160, *at, 150, 100], ['lost.png', 200, 160, '', '', 150, 100])
    assert evaluate(tmp_path / 'f', csv_file, tmp_path / 'out') == 0
    order = [caption.split(': ')[1] for caption in sheets[0]]
    assert order == ['missed.png', 'lost.png', 'bad.png', 'good.png']
    assert sheets[0][0].startswith('1 missed, 0.') and sheets[0][1] == '1 missed: lost.png'


def test_patients_stay_known_in_what_is_to_be_corrected(with_discs, tmp_path):
    for name in 'ab': write_discs(tmp_path / 'films' / f'{name}.png')
    rows = [[f'{name}.png', 200, 160, 50, 60, 150, 100, f'p{name}'] for name in 'ab']
    csv_file = write_csv(tmp_path / 'a.csv', *rows, columns=['patient_id'])
    assert evaluate(tmp_path / 'films', csv_file, tmp_path / 'o') == 0
    assert list(pd.read_csv(tmp_path / 'o' / 'predictions.csv').patient_id) == ['pa', 'pb']


@pytest.mark.parametrize('thresholds, keys', [([1, 3], {'1', '3'}), (np.array([3, 1]), {'1', '3'}), ((2.5,), {'2.5'}),
                                              ([np.int64(2)], {'2'}), (4, {'4'})])
def test_thresholds_may_be_numbers_in_python(with_discs, tmp_path, thresholds, keys):
    write_discs(tmp_path / 'films' / 'a.png')
    csv_file = write_csv(tmp_path / 'a.csv', ['a.png', 200, 160, 50, 60, 150, 100])
    found = landmark_fastai.evaluate(tmp_path / 'films', csv_file, tmp_path / 'out', thresholds=thresholds)
    assert found['overall']['success_rate'].keys() == keys
    assert {f'{number:g}' for number in summary(tmp_path / 'out')['settings']['thresholds']} == keys


def test_figures_and_tables_of_an_earlier_evaluation_go(with_discs, tmp_path):
    write_discs(tmp_path / 'films' / 'a.png')
    csv_file = write_csv(tmp_path / 'a.csv', ['a.png', 200, 160, 50, 60, 150, 100])
    out = tmp_path / 'out'
    assert evaluate(tmp_path / 'films', csv_file, out, '--no_overlays') == 0
    mine, stale = [out / 'figures' / 'mine.svg', out / 'tables' / 'mine.tex'], [
        out / 'figures' / 'coverage.pdf', out / 'tables' / 'bounds_of_90.csv', out / 'tables' / 'both_stages.tex']
    for path in mine + stale: path.write_text('x')
    assert evaluate(tmp_path / 'films', csv_file, out, '--no_overlays', '--overwrite') == 0
    assert all(path.exists() for path in mine) and not any(path.exists() for path in stale)


def test_what_is_read_is_never_overwritten(with_discs, tmp_path, capsys):
    write_discs(tmp_path / 'films' / 'a.png')
    assert cli.main(['predict', '--image_dir', str(tmp_path / 'films'), '--output_dir', str(tmp_path / 'out'),
                     '--weights', str(original_weights(tmp_path)[1]), '--encoder_name', 'resnet18']) == 0
    csv_file = tmp_path / 'out' / 'predictions.csv'
    shutil.copy(write_csv(tmp_path / 'a.csv', ['a.png', 200, 160, 50, 60, 150, 100]), csv_file)
    assert evaluate(tmp_path / 'films', csv_file, tmp_path / 'out', '--overwrite') == 2
    assert 'predictions.csv is read, and --overwrite would remove it' in capsys.readouterr().err
    assert 'grey' in csv_file.read_text()
    rows = ['a.png.png', *iio.imread(tmp_path / 'out' / 'overlays' / 'a.png.png').shape[1::-1], 50, 60, 150, 100]
    overlays = write_csv(tmp_path / 'b.csv', rows)
    assert evaluate(tmp_path / 'out' / 'overlays', overlays, tmp_path / 'out', '--overwrite') == 2
    assert (tmp_path / 'out' / 'overlays' / 'a.png.png').exists()


BAD = {
    'thresholds': (['--thresholds', '2,x'], ["thresholds is '2,x'", '2,2.5,3,4']),
    'negative thresholds': (['--thresholds', '-1'], ["thresholds is '-1'"]),
    'split': (['--split', 'train'], ['split', "'train'", 'all, val, test']),
    'nothing on that side': (['--split', 'test'], ['no image is marked test']),
    'no CSV': (['--csv', '/nowhere.csv'], ['/nowhere.csv', 'no such file']),
    'other landmarks': (['--csv', 'OTHER'], ['3 landmarks (a, b, c)', '2 (head, knee)']),
    'missing files': (['--image_dir', 'EMPTY'], ['row 2 (dot_0.png)', 'no such file', '9 other images']),
    'no weights': (['--model', 'BARE'], ['BARE', 'no weight/best.pth']),
    'a run of version 0.4': (['--model', 'OLD'], ['OLD', '0.4']),
    'a side without a run': (['--weights', 'old.pth', '--split', 'val'], ["'val'", 'weights', '--model']),
    'flags of train': (['--config', 'RUN/config.yaml'], ['config.yaml', 'flags of train', 'csv', '--model']),
    'endless spacing': (['--pixel_spacing', '1e999'], ['pixel_spacing', 'inf']),
}


@pytest.mark.parametrize('case', BAD)
def test_bad_input_is_one_clear_line_and_writes_nothing(case, finished, data, tmp_path, capsys):
    argv, words = BAD[case]
    (tmp_path / 'EMPTY').mkdir()
    (tmp_path / 'BARE').mkdir()
    for name in ('config.yaml', 'model.json'): shutil.copy(finished / name, tmp_path / 'BARE')
    other, _ = write_dots(tmp_path / 'other', names=('a', 'b', 'c'), n=2)
    (tmp_path / 'OLD').mkdir()
    (tmp_path / 'OLD' / 'config.json').write_text('{}')
    places = {'RUN/config.yaml': finished / 'config.yaml', 'OLD': tmp_path / 'OLD', 'EMPTY': tmp_path / 'EMPTY',
              'BARE': tmp_path / 'BARE', 'OTHER': other}
    assert evaluate(*data, tmp_path / 'out', '--model', finished, *[places.get(arg, arg) for arg in argv]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and all(word in lines[0] for word in words), lines
    assert not (tmp_path / 'out').exists()


def test_an_evaluation_is_not_overwritten(finished, data, tmp_path, capsys):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'predictions.csv').write_text('corrected by hand')
    assert evaluate(*data, tmp_path / 'out', '--model', finished) == 2
    assert (tmp_path / 'out' / 'predictions.csv').read_text() == 'corrected by hand'
