"What a training ends with: an evaluation of its validation images."

import json

from helpers import TINY, write_unlabelled_validation

import cli


def test_validation_without_labels_has_a_report_without_numbers(tmp_path):
    csv_file, images = write_unlabelled_validation(tmp_path)
    argv = ['--train_image_dir', images, '--label_dir', tmp_path, '--train_csv_file', csv_file.name, '--epochs', 1]
    assert cli.main(['train', *map(str, argv), *TINY, '--output_dir', str(tmp_path / 'runs')]) == 0
    run = tmp_path / 'runs' / 'baseline'
    summary = json.loads((run / 'validation' / 'summary.json').read_text())
    assert summary['overall']['px']['mean'] is None and (run / 'report.html').exists()
