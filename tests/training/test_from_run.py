"A training that begins with the network of another run: what trained that does not judge this one, or that is said."

from dataclasses import replace

import pandas as pd
import pytest
from helpers import write_dots

from landmark_fastai.config import TrainConfig
from landmark_fastai.evaluation.notes import start_notes
from landmark_fastai.formats.splits import trained_images
from landmark_fastai.training.run import prepare, split_after_run


@pytest.fixture
def config(finished, tmp_path):
    "Of a training that begins with `finished`, on its ten images and six others, another part of which validates."
    csv_file, images = write_dots(tmp_path, n=16)
    return TrainConfig.of(dict(from_run=finished, label_dir=csv_file.parent, train_csv_file=csv_file.name, seed=1,
                               train_image_dir=images, batch_size=4, output_dir=tmp_path / 'runs'))


def test_what_has_trained_the_network_does_not_validate(config, finished):
    sides = split_after_run(config)
    names = pd.read_csv(config.csv_file).image_name[sides == 'val']
    assert len(names) == 4 and not set(names) & trained_images(finished)
    assert start_notes(config, names.tolist()) == []


def test_a_run_that_is_resumed_keeps_its_sides(config):
    table = pd.read_csv(config.csv_file)
    config.folder.mkdir(parents=True)
    sides = ['train'] * 13 + ['val'] * 3
    pd.DataFrame(dict(image_name=table.image_name, split=sides)).to_csv(config.folder / 'split.csv', index=False)
    assert split_after_run(replace(config, resume=True)).tolist() == sides
    assert split_after_run(config).tolist() != sides


def test_where_the_csv_says_otherwise_it_is_told(config, finished):
    trained = trained_images(finished)
    table = pd.read_csv(config.csv_file)
    known = [name for name in table.image_name if name in trained][:2]
    table['split'] = ['val' if name in (*known, 'dot_15.png') else 'train' for name in table.image_name]
    table.to_csv(config.csv_file, index=False)
    with pytest.warns(UserWarning, match='2 of 3 images that judge this training .* trained the network'):
        prepare(config, 'cpu', None)
