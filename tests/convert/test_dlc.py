"DeepLabCut: the CSV of clicked points, with a path in one column or in three, and that of predictions."

import numpy as np
import pandas as pd
import pytest
from helpers import refused

from landmark_fastai.convert.convert import convert
from landmark_fastai.formats.annotations import UNLABELLED

THREE = '''scorer,,,AB,AB,AB,AB
bodyparts,,,hip,hip,knee,knee
coords,,,x,y,x,y
labeled-data,films,a.png,10,20,30.25,40.5
labeled-data,sub,b.png,,,7.125,8
'''
ONE = '''scorer,AB,AB,AB,AB
bodyparts,hip,hip,knee,knee
coords,x,y,x,y
labeled-data/films/a.png,10,20,30.25,40.5
labeled-data/sub/b.png,nan,NaN,7.125,8
'''
NET = '''scorer,DLC_resnet50,DLC_resnet50,DLC_resnet50
bodyparts,hip,hip,hip
coords,x,y,likelihood
a.png,10.5,20.25,0.875
'''


@pytest.mark.parametrize('file', [THREE, ONE, ONE.replace('/', '\\')])
def test_points_are_indices_and_blank_is_not_labelled(read, file):
    found = read('dlc', {'CollectedData_AB.csv': file}, source='source/CollectedData_AB.csv')
    assert found.names == ['hip', 'knee'] and found.image_names == ['a.png', 'sub/b.png']
    assert found.points[:, 1].tolist() == [[30.25, 40.5], [7.125, 8]] and found.points[0, 0].tolist() == [10, 20]
    assert found.state[1, 0] == UNLABELLED and found.sizes.tolist() == [[100, 80], [60, 90]]


def test_likelihood_is_confidence(read, tmp_path, capsys):
    read('dlc', {'net.csv': NET}, source='source/net.csv')
    table = pd.read_csv(tmp_path / 'read.csv')
    assert table.hip_x[0] == 10.5 and table.hip_confidence[0] == 0.875
    convert(tmp_path / 'source' / 'net.csv', 'dlc', tmp_path / 'x.json', 'coco', image_dir=tmp_path / 'films')
    assert 'note: 1 confidence of 1 image: not written' in capsys.readouterr().out


def test_what_is_written(written):
    target = written('dlc', name='CollectedData_CD.csv')
    assert target.read_text().splitlines() == [
        'scorer,,,CD,CD,CD,CD', 'bodyparts,,,hip,hip,knee,knee', 'coords,,,x,y,x,y',
        f'labeled-data,{target.parent.name},a.png,10.0,20.0,30.25,40.5', 'labeled-data,sub,b.png,,,,']
    table = pd.read_csv(target, header=[0, 1, 2], index_col=[0, 1, 2])  # as DeepLabCut reads it
    assert table['CD', 'knee', 'y'].iloc[0] == 40.5 and np.isnan(table['CD', 'hip', 'x'].iloc[1])


@pytest.mark.parametrize('file, words', [
    (THREE.replace('bodyparts', 'individuals,,,m1,m1,m1,m1\nbodyparts'), ['x.csv', 'several animals']),
    (THREE.replace('scorer', 'who'), ['x.csv', 'who, bodyparts, coords', 'scorer']),
    (THREE.replace('coords,,,x,y', 'coords,,,x,z'), ['x.csv', 'expected x and y']),
    (NET.replace('a.png', '0'), ['row 4 (0)', 'a frame of a video']),
    (ONE.replace('10,20', '10,'), ['row 4', 'a.png', 'x and y of hip']),
    (ONE.replace('10,20', 'ten,20'), ['row 4', "'ten'"]),
    (ONE.replace('7.125,8', '7.125'), ['row 5', 'x and y of knee']),
    (ONE.replace('films/a.png', 'films/c.png'), ['row 4', 'no image labeled-data/films/c.png']),
    (ONE.replace('10,20', '10,81'), ['row 4', 'landmark hip is at 10,81, outside the image of 100 x 80'])])
def test_what_is_no_such_file_is_one_line(read, file, words):
    refused(words, read, 'dlc', {'x.csv': file}, source='source/x.csv')


def test_sizes_are_those_of_the_images(read):
    refused(['row 4', 'size of the image', '--image_dir'], read, 'dlc', {'x.csv': ONE}, None, 'source/x.csv')
