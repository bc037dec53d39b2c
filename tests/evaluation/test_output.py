"What evaluations write."

import csv

import cv2
import pytest
from helpers import BLANK, NAMED, SENTINEL, TINY, spoiled, write_dots

import cli
from landmark_fastai.evaluation.output import write_distances


def test_distances_are_written(scored, tmp_path):
    scores = scored([[(10, 20), (5, 5)], [(10, 20), BLANK], [BLANK, BLANK]], [[(13, 24), (6, 5)]] * 3,
                    names=['tip', 'b,"c'], pixel_spacing=[0.1, '', 0.1])
    write_distances(tmp_path / 'd.csv', scores)
    with open(tmp_path / 'd.csv', newline='') as f: rows = list(csv.reader(f))
    assert rows == [['image_name', 'mean_error_px', 'tip_px', 'b,"c_px', 'mean_error_mm', 'tip_mm', 'b,"c_mm'],
                    ['0.png', '3.0000', '5.0000', '1.0000', '0.3000', '0.5000', '0.1000'],
                    ['1.png', '5.0000', '5.0000', '', '', '', ''], ['2.png', *[''] * 6]]


@pytest.mark.slow
def test_no_text_of_a_dicom_file_reaches_an_output(tmp_path, capfd):
    csv_file, images = write_dots(tmp_path)
    for path in sorted(images.iterdir()):
        spoiled(path.with_suffix('.dcm'), NAMED, cv2.imread(str(path), 0), PixelSpacing=[0.5, 0.5])
        assert SENTINEL.encode() in path.with_suffix('.dcm').read_bytes()
        path.unlink()
    csv_file.write_text(csv_file.read_text().replace('.png', '.dcm'))
    (images / 'dot_10.dcm').write_bytes((images / 'dot_1.dcm').read_bytes()[:-100])
    argv = ['--train_image_dir', images, '--label_dir', tmp_path, '--train_csv_file', csv_file.name, '--epochs', 1]
    runs = tmp_path / 'runs'
    assert cli.main(['train', *map(str, argv), *TINY, '--output_dir', str(runs)]) == 0
    model = ['--model', runs / 'baseline']
    assert cli.main(['evaluate', '--image_dir', str(images), '--csv', str(csv_file), '--output_dir',
                     str(tmp_path / 'evaluated'), *map(str, model)]) == 0
    assert cli.main(['predict', '--image_dir', str(images), '--output_dir', str(tmp_path / 'predicted'),
                     *map(str, model)]) == 1  # the file that was cut off
    outputs = [path for name in ('runs', 'evaluated', 'predicted') for path in (tmp_path / name).rglob('*')
               if path.is_file()]
    assert len(outputs) > 40 and SENTINEL not in ''.join(capfd.readouterr())
    for path in outputs: assert SENTINEL.encode() not in path.read_bytes(), path
    assert 'mean_error_mm' in (runs / 'baseline' / 'train_results' / 'training_log.csv').read_text()
