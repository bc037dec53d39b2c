"`predict` from the command line: what it writes, what it leaves alone, and what it says of what it cannot do."

import shutil

import imageio.v3 as iio
import numpy as np
import pandas as pd
import pytest
from helpers import TINY, disc_finder, discs, original_weights, write_dicom, write_discs
from safetensors.torch import save_file

import cli
import landmark_fastai
from landmark_fastai import Incomplete, UsageError
from landmark_fastai.formats.annotations import UNLABELLED, VISIBLE, read_annotations
from landmark_fastai.formats.dataset import check_images
from landmark_fastai.inference import folder, predictions
from landmark_fastai.predict_config import PredictConfig


def predict(image_dir, output_dir, *argv):
    "Run `predict`; returns the exit code."
    return cli.main(['predict', '--image_dir', str(image_dir), '--output_dir', str(output_dir), *map(str, argv)])


def refused(capsys, *argv):
    "The one line with which `predict` refuses `argv`."
    assert predict(*argv) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith('error: ')
    return lines[0]


@pytest.fixture
def images(finished): return finished.parent.parent / 'images'


@pytest.fixture
def with_discs(monkeypatch):
    "`predict` with a network that finds discs; called, with one of other facts. Returns the `Predictor`."
    def use(**facts):
        finder = disc_finder(128, **facts)
        monkeypatch.setattr('landmark_fastai.inference.loading.load', lambda *_: finder)
        return finder
    use()
    return use


def test_predictions_can_be_trained_on_as_they_are(finished, images, tmp_path):
    assert predict(images, tmp_path / 'out', '--model', finished) == 0
    csv_file = tmp_path / 'out' / 'predictions.csv'
    annotations = read_annotations(csv_file, n_landmarks=2)
    check_images(annotations, images)
    assert annotations.names == ['head', 'knee'] and len(annotations) == 10 and (annotations.state == VISIBLE).all()
    header = csv_file.read_text().splitlines()[0]
    assert header == ('image_name,image_width,image_height,n_landmarks,head_x,head_y,knee_x,knee_y,'
                      'head_confidence,knee_confidence,head_expected_error,knee_expected_error')
    argv = ['--train_image_dir', images, '--label_dir', csv_file.parent, '--train_csv_file', csv_file.name]
    assert cli.main(['train', *map(str, argv), '--output_dir', str(tmp_path / 'runs'), *TINY, '--epochs', '1']) == 0


def test_every_image_gets_a_row_and_an_overlay_and_every_other_file_a_reason(with_discs, tmp_path, capsys):
    folder, out = tmp_path / 'films', tmp_path / 'out'
    for name in ('a.png', 'a.jpg', 'sub/a.png', 'sub/deep/wide.png'): write_discs(folder / name)
    write_discs(folder / 'sub/deep/wide.png', 400, 100, ((30, 30), (360, 70)))
    (folder / 'cut.jpg').write_bytes((folder / 'a.jpg').read_bytes()[:-400])
    (folder / 'sub' / 'empty.png').touch()
    (folder / 'notes.txt').write_text('no image')
    assert predict(folder, out) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines == [f'error: 2 of 6 images could not be read; the reasons are in {out / "failed.csv"}']
    table = read_annotations(out / 'predictions.csv')
    assert table.image_names == ['a.jpg', 'a.png', 'sub/a.png', 'sub/deep/wide.png']
    assert table.sizes.tolist() == [[200, 160]] * 3 + [[400, 100]]
    np.testing.assert_allclose(table.points[1:], [[[50, 60], [150, 100]]] * 2 + [[[30, 30], [360, 70]]], atol=1)
    failed = pd.read_csv(out / 'failed.csv')
    assert list(failed.image_name) == ['cut.jpg', 'sub/empty.png']
    assert failed.reason.str.contains('cannot be read').all()
    overlays = {path.relative_to(out / 'overlays').as_posix() for path in (out / 'overlays').rglob('*.png')}
    assert overlays == {f'{name}.png' for name in table.image_names}
    assert iio.imread(out / 'overlays' / 'a.png.png').std() > 5


def test_names_that_no_csv_holds_are_failures(with_discs, tmp_path):
    for name in ('good.png', 'back\\slash.png', 'line\nbreak.png', ' space.png'): write_discs(tmp_path / 'films' / name)
    assert predict(tmp_path / 'films', tmp_path / 'out', '--no_overlays') == 1
    assert read_annotations(tmp_path / 'out' / 'predictions.csv').image_names == ['good.png']
    assert len(pd.read_csv(tmp_path / 'out' / 'failed.csv')) == 3


def test_when_nothing_can_be_read_the_table_is_empty_and_has_the_columns_of_others(with_discs, tmp_path):
    (tmp_path / 'films').mkdir()
    (tmp_path / 'films' / 'a.png').write_bytes(b'junk')
    assert predict(tmp_path / 'films', tmp_path / 'out') == 1
    table = pd.read_csv(tmp_path / 'out' / 'predictions.csv')
    write_discs(tmp_path / 'good' / 'a.png')
    assert predict(tmp_path / 'good', tmp_path / 'found') == 0
    assert len(table) == 0 and list(table) == list(pd.read_csv(tmp_path / 'found' / 'predictions.csv'))


def test_overlays_can_be_left_out(finished, images, tmp_path):
    assert predict(images, tmp_path / 'out', '--model', finished, '--no_overlays') == 0
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {'predictions.csv', 'review.csv'}


def test_uncertain_landmarks_are_blank_and_absent_ones_minus_one(with_discs, tmp_path):
    with_discs(presence=['white'])
    write_discs(tmp_path / 'films' / 'a.png', n=1)  # no white disc
    write_discs(tmp_path / 'films' / 'b.png', points=((50, 60), (150, 100), (150, 40)), n=3)  # two grey discs
    assert predict(tmp_path / 'films', tmp_path / 'out', '--min_confidence', '0.5') == 0
    rows = (tmp_path / 'out' / 'predictions.csv').read_text().splitlines()
    assert rows[1].split(',')[6:8] == ['-1', '-1'] and rows[1].endswith(',')  # no confidence where it is absent
    assert rows[2].split(',')[4:6] == ['', ''] and 0.05 < float(rows[2].split(',')[8]) < 0.3


def test_min_confidence_reaches_the_predictor(finished, images, tmp_path):
    assert predict(images, tmp_path / 'out', '--model', finished, '--min_confidence', '1', '--no_overlays') == 0
    table = read_annotations(tmp_path / 'out' / 'predictions.csv')
    assert (table.state == UNLABELLED).all()


def test_pixel_spacing_is_that_of_the_file_or_of_the_flag(with_discs, tmp_path, capsys):
    folder, pixels = tmp_path / 'films', discs(200, 160, ((50, 60), (150, 100)))
    write_discs(folder / 'a.png')
    write_dicom(folder / 'b.dcm', pixels, PixelSpacing=[0.2, 0.1])
    write_dicom(folder / 'c.dcm', pixels, ImagerPixelSpacing=[0.3, 0.3])
    assert predict(folder, tmp_path / 'out', '--pixel_spacing', '0.5', '--no_overlays') == 0
    table = read_annotations(tmp_path / 'out' / 'predictions.csv')
    assert table.spacing.tolist() == [[0.5, 0.5], [0.1, 0.2], [0.3, 0.3]]
    assert list(table.spacing_source) == ['flag --pixel_spacing', 'DICOM PixelSpacing',
                                          'DICOM ImagerPixelSpacing (detector)']
    said = capsys.readouterr().out
    assert 'ImagerPixelSpacing (detector), at the detector: magnification is not corrected' in said
    assert predict(folder, tmp_path / 'out2', '--no_overlays') == 0
    assert 'Pixel spacing of 1 images is unknown' in capsys.readouterr().out
    assert np.isnan(read_annotations(tmp_path / 'out2' / 'predictions.csv').spacing[0]).all()


def test_doubtful_spacings_are_told_once(with_discs, tmp_path):
    folder, pixels = tmp_path / 'films', discs(200, 160, ((50, 60), (150, 100)))
    write_discs(folder / 'a.png')
    for name in 'bc': write_dicom(folder / f'{name}.dcm', pixels, PixelSpacing=[143, 143])
    with pytest.warns(UserWarning, match='doubtful') as caught:
        assert predict(folder, tmp_path / 'out', '--pixel_spacing', '0.1', '--no_overlays') == 0
    message, = [str(each.message) for each in caught if 'doubtful' in str(each.message)]
    assert '2 of 3 images' in message and '(b.dcm)' in message and '143 mm (DICOM PixelSpacing)' in message


def test_nothing_is_overwritten_unless_told_and_nothing_but_our_own(with_discs, tmp_path, capsys):
    write_discs(tmp_path / 'films' / 'a.png')
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'thesis.docx').touch()
    assert predict(tmp_path / 'films', out) == 0
    before = (out / 'predictions.csv').stat().st_mtime_ns
    line = refused(capsys, tmp_path / 'films', out)
    assert '--overwrite' in line and '--output_dir' in line
    assert (out / 'predictions.csv').stat().st_mtime_ns == before
    shutil.move(tmp_path / 'films' / 'a.png', tmp_path / 'films' / 'b.png')
    assert predict(tmp_path / 'films', out, '--overwrite') == 0
    assert {path.name for path in out.rglob('*')} == {'b.png.png', 'overlays', 'predictions.csv', 'review.csv',
                                                      'thesis.docx'}


def test_files_of_the_same_name_that_may_not_be_ours_are_spared(with_discs, tmp_path, capsys):
    write_discs(tmp_path / 'films' / 'a.png')
    (tmp_path / 'out' / 'figures').mkdir(parents=True)
    (tmp_path / 'out' / 'figures' / 'my.svg').touch()
    assert predict(tmp_path / 'films', tmp_path / 'out') == 0
    assert predict(tmp_path / 'films', tmp_path / 'out', '--overwrite') == 0
    assert (tmp_path / 'out' / 'figures' / 'my.svg').exists()
    (tmp_path / 'out2').mkdir()
    (tmp_path / 'out2' / 'report.html').touch()
    for flags in (['--overwrite'], []):  # which is not advised either, since it would be refused
        line = refused(capsys, tmp_path / 'films', tmp_path / 'out2', *flags)
        assert 'remove it yourself' in line and '--overwrite' not in line
    assert (tmp_path / 'out2' / 'report.html').exists()


def test_a_run_is_no_place_for_predictions(finished, images, capsys):
    line = refused(capsys, images, finished, '--model', finished, '--overwrite')
    assert 'is the folder of a run' in line and (finished / 'report.html').exists()


@pytest.mark.parametrize('files', [['config.json'], ['config.yaml'], ['model.json'], ['config.yaml', 'model.json']])
def test_a_run_of_any_age_and_one_that_was_killed_early_is_no_place_either(with_discs, tmp_path, capsys, files):
    write_discs(tmp_path / 'films' / 'a.png')
    run = tmp_path / 'run'
    run.mkdir()
    for name in (*files, 'predictions.csv'): (run / name).write_text('{}')
    for flags in ([], ['--overwrite']):
        line = refused(capsys, tmp_path / 'films', run, *flags)
        assert str(run) in line and files[0] in line and '--output_dir' in line and '--overwrite' not in line
    assert sorted(path.name for path in run.iterdir()) == sorted([*files, 'predictions.csv'])


def test_a_name_that_does_for_no_overlay_costs_only_the_overlay(with_discs, tmp_path):
    for name in ('a' * 248 + '.png', 'b.png'): write_discs(tmp_path / 'films' / name)
    write_discs(tmp_path / 'films' / 'b.png.png' / 'c.png')
    with pytest.warns(UserWarning, match='overlay cannot be written'):
        assert predict(tmp_path / 'films', tmp_path / 'out') == 0
    assert len(read_annotations(tmp_path / 'out' / 'predictions.csv')) == 3


def test_links_are_followed_inside_the_folder_and_named_where_they_lead_out(with_discs, tmp_path):
    folder = tmp_path / 'films'
    for name in ('films/a.png', 'other/b.png'): write_discs(tmp_path / name)
    (folder / 'same.png').symlink_to(folder / 'a.png')
    (folder / 'out.png').symlink_to(tmp_path / 'other' / 'b.png')
    (folder / 'broken.png').symlink_to(folder / 'nowhere.png')
    (folder / 'sub').symlink_to(tmp_path / 'other')
    with pytest.warns(UserWarning, match='sub: a link to a folder, which is left out'):
        assert predict(folder, tmp_path / 'out') == 1
    table = read_annotations(tmp_path / 'out' / 'predictions.csv')
    assert check_images(table, folder)[0].image_names == ['a.png', 'same.png']
    failed = pd.read_csv(tmp_path / 'out' / 'failed.csv').set_index('image_name').reason
    assert 'link to outside' in failed['out.png'] and 'no such file' in failed['broken.png']


def test_an_interruption_keeps_what_was_found(with_discs, tmp_path):
    for k in range(60): write_discs(tmp_path / 'films' / f'{k:02}.png')
    finder = with_discs()
    stream = finder.stream
    def interrupted(*args):
        for k, result in enumerate(stream(*args)):
            if k == 30: raise KeyboardInterrupt  # as Ctrl-C does in the main thread, which runs the network
            yield result
    finder.stream = interrupted
    assert predict(tmp_path / 'films', tmp_path / 'out') == 1
    table, overlays = pd.read_csv(tmp_path / 'out' / 'predictions.csv'), (tmp_path / 'out' / 'overlays').iterdir()
    assert 20 <= len(table) < 60 and [f'{name}.png' for name in table.image_name] == sorted(p.name for p in overlays)


def test_the_table_is_whole_whenever_it_is_written(with_discs, tmp_path, monkeypatch):
    for wait in ('SAVE_EVERY', 'SAVE_REST'): monkeypatch.setattr(folder, wait, 0)
    lengths, write = [], predictions.write_annotations
    def counted(path, annotations, *estimates):
        lengths.append(len(annotations))
        write(path, annotations, *estimates)
    monkeypatch.setattr(predictions, 'write_annotations', counted)
    for k in range(40): write_discs(tmp_path / 'films' / f'{k:02}.png')
    assert predict(tmp_path / 'films', tmp_path / 'out', '--no_overlays') == 0
    assert len(lengths) > 20 and lengths == sorted(lengths) and lengths[-1] == 40


def test_writing_the_table_takes_a_twentieth_of_the_time_at_most(with_discs, tmp_path, monkeypatch):
    clock, writings = [0.], []
    def write(*_):
        writings.append(clock[0])
        clock[0] += 10
    def stream(*_):
        for _ in range(1000):
            clock[0] += 1
            yield
    monkeypatch.setattr(folder.time, 'monotonic', lambda: clock[0])
    monkeypatch.setattr(predictions.Predictions, 'write', write)
    monkeypatch.setattr(folder, 'predict_into', stream)
    write_discs(tmp_path / 'films' / 'a.png')
    config = PredictConfig(image_dir=str(tmp_path / 'films'), output_dir=str(tmp_path / 'out'))
    folder.predict_folder(with_discs(), config, tmp_path / 'out', ['a.png'], None, None)
    # after 30 s, then 200 s after each that took 10 s; the last one at the end
    assert writings == [30, 240, 450, 660, 870, 1050]


def test_weights_of_the_original_system_predict(tmp_path, capsys):
    model, weights = original_weights(tmp_path, n_landmarks=2)
    save_file(model.state_dict(), tmp_path / 'old.safetensors')
    write_discs(tmp_path / 'films' / 'a.png')
    argv = ['--encoder_name', 'resnet18', '--n_landmarks', '2']
    assert predict(tmp_path / 'films', tmp_path / 'out', '--weights', weights, *argv) == 0
    assert predict(tmp_path / 'films', tmp_path / 'safe', '--weights', tmp_path / 'old.safetensors', *argv) == 0
    table = read_annotations(tmp_path / 'out' / 'predictions.csv')
    assert table.names == ['landmark_1', 'landmark_2'] and (table.state == VISIBLE).all()
    pth, safetensors = ((tmp_path / name / 'predictions.csv').read_bytes() for name in ('out', 'safe'))
    assert pth == safetensors
    line = refused(capsys, tmp_path / 'films', tmp_path / 'none', '--weights', 'nowhere.safetensors')
    assert 'nowhere.safetensors' in line and 'no such file' in line


BAD = {
    'no run': (['--model', '/nowhere'], ['/nowhere', 'no such folder']),
    'wrong number': (['--n_landmarks', '3'], ['n_landmarks is 3', '2 landmarks (head, knee)']),
    'no images': (['--image_dir', 'EMPTY'], ['EMPTY', 'no image']),
    'no folder': (['--image_dir', '/nowhere'], ['/nowhere']),
    'decoder': (['--decode', 'max'], ['decode', "'max'", 'centroid', 'argmax']),
    'confidence': (['--min_confidence', '2'], ['min_confidence', '2', 'at least 0', 'at most 1']),
    'spacing': (['--pixel_spacing', '0'], ['pixel_spacing', '0', 'above 0']),
    'endless spacing': (['--pixel_spacing', '1e999'], ['pixel_spacing', 'inf', '0']),
    'encoder': (['--encoder_name', 'resnet18'], ['encoder_name without weights']),
    'device': (['--device', 'tpu9'], ["device 'tpu9'"]),
    'output in images': (['--output_dir', 'IMAGES/out'], ['lies in the image folder', '--output_dir']),
    'output is a file': (['--output_dir', __file__], ['test_predict.py is a file, a folder was expected']),
    'output that is not writable': (['--output_dir', '/proc/x'], ['is not writable', '--output_dir']),
    'flags of train': (['--config', 'RUN/config.yaml'], ['config.yaml', 'flags of train', '--model']),
    'output under a file': (['--output_dir', __file__ + '/out'], ['test_predict.py', '--output_dir']),
}


@pytest.mark.parametrize('case', BAD)
def test_bad_input_is_one_clear_line_and_writes_nothing(case, finished, images, tmp_path, capsys):
    argv, words = BAD[case]
    (tmp_path / 'EMPTY').mkdir()
    argv = [arg.replace('EMPTY', str(tmp_path / 'EMPTY')).replace('IMAGES', str(images)).replace('RUN', str(finished))
            for arg in argv]
    line = refused(capsys, images, tmp_path / 'out', '--model', finished, *argv)
    assert all(word in line for word in words), line
    assert [path.name for path in tmp_path.iterdir()] == ['EMPTY'] and not (images / 'out').exists()


def test_python_gets_the_predictions(finished, images, tmp_path):
    table = landmark_fastai.predict(image_dir=images, output_dir=tmp_path / 'out', model=finished, no_overlays=True)
    np.testing.assert_array_equal(table.points, read_annotations(tmp_path / 'out' / 'predictions.csv').points)
    np.testing.assert_array_equal(table.points, landmark_fastai.load(finished).predict(sorted(images.iterdir())).points)


def test_python_gets_them_also_where_an_image_cannot_be_read(with_discs, tmp_path):
    write_discs(tmp_path / 'films' / 'a.png')
    (tmp_path / 'films' / 'b.png').write_bytes(b'junk')
    with pytest.raises(Incomplete, match='1 of 2 images') as error:
        landmark_fastai.predict(tmp_path / 'films', tmp_path / 'out')
    assert error.value.result.image_names == ['a.png']


def test_arguments_are_checked_in_python_too():
    with pytest.raises(UsageError, match="'models'.*model"): landmark_fastai.predict('a', 'b', models='c')
    with pytest.raises(UsageError, match='image_dir'): landmark_fastai.predict(output_dir='b')
    with pytest.raises(UsageError, match="tta is 'yes'"): landmark_fastai.predict('a', 'b', tta='yes')
