"The whole way: predict, correct what is offered in the browser, and train on."

import pandas as pd
import pytest
from browser import Server

from landmark_fastai import cli


@pytest.mark.slow
def test_predictions_are_corrected_and_trained_on(finished, dots, tmp_path, open_page):
    _, films = dots
    assert cli.main(['predict', '--model', str(finished), '--image_dir', str(films), '--output_dir',
                     str(tmp_path / 'found')]) == 0
    server = Server(films, '--landmarks', 'head,knee', '--csv', str(tmp_path / 'found' / 'predictions.csv'),
                    '--label_dir', str(tmp_path / 'labels'))
    try:
        film, corrected = open_page(server), {}
        for _ in range(6):
            film.wait('#take', 'all 2')
            film.press('t', '2', 'ArrowRight')  # the knee is a pixel further on
            film.wait_saved()
            corrected[film.page.inner_text('#film-name')] = True
            film.press('n')
            film.expect('#film-name').not_to_have_text(next(reversed(corrected)))
    finally: server.end()
    predicted = pd.read_csv(tmp_path / 'found' / 'predictions.csv').set_index('image_name').loc[list(corrected)]
    table = pd.read_csv(tmp_path / 'labels' / 'train_annotation.csv').set_index('image_name').loc[list(corrected)]
    assert (table.head_x - predicted.head_x).abs().max() <= 0.00501
    assert (table.knee_x - predicted.knee_x).between(0.9, 1.1).sum() >= 5  # one may lie at the border
    argv = ['train', '--n_landmarks', '2', '--train_image_dir', films, '--label_dir', tmp_path / 'labels', '--from_run',
            finished, '--epochs', '1', '--batch_size', '2', '--output_dir', tmp_path / 'runs', '--experiment_name',
            'second']
    assert cli.main(list(map(str, argv))) == 0
    assert (tmp_path / 'runs' / 'second' / 'weight' / 'best.pth').is_file()
