"What a spreadsheet would calculate: image names are made harmless in each CSV, other texts are refused on reading."

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import GOOD, HEADER, message_of

from landmark_fastai.config import TrainConfig
from landmark_fastai.formats.annotations import read_annotations, write_annotations
from landmark_fastai.formats.splits import read_split
from landmark_fastai.formats.spreadsheet import is_formula, plain_name, safe_name
from landmark_fastai.inference.predictions import Predictions
from landmark_fastai.model.facts import ModelFacts
from landmark_fastai.training.run_folder import start_folder

FORMULAS = ['=1+2.png', '+a.png', '-a/b.png', '@a.png', '\ta.png', '\ra.png']
HARMLESS = ['a.png', 'a=b.png', 'sub/=a.png', '.a.png', '_a.png', '1.png']


@pytest.mark.parametrize('name', FORMULAS)
def test_a_formula_gets_a_folder_in_front(name):
    assert is_formula(name) and safe_name(name) == f'./{name}' and not is_formula(safe_name(name))
    assert plain_name(safe_name(name)) == name and Path('images', safe_name(name)) == Path('images', name)


@pytest.mark.parametrize('name', HARMLESS)
def test_other_names_stay_as_they_are(name):
    assert not is_formula(name) and safe_name(name) == plain_name(name) == name


def first_column(path):
    with open(path, newline='', encoding='utf-8') as file: return [row[0] for row in csv.reader(file)][1:]


def test_annotations_are_written_without_formulas_and_read_back(csv_file, annotated, tmp_path):
    names = FORMULAS[:4] + HARMLESS
    written = annotated(len(names), image_names=names)
    write_annotations(tmp_path / 'out.csv', written)
    assert first_column(tmp_path / 'out.csv') == ['./=1+2.png', './+a.png', './-a/b.png', './@a.png', *HARMLESS]
    assert read_annotations(tmp_path / 'out.csv').image_names == names


@pytest.mark.parametrize('column', ['patient_id', 'image_spacing_source'])
@pytest.mark.parametrize('text', ['=1+2', '+49', '-7', '@a', '  =1+2', '\t=1+2', '\xa0=1+2', '"=HYPERLINK(1,2)"'])
def test_other_texts_that_would_be_calculated_are_refused(csv_file, column, text):
    message = message_of(csv_file(f'{HEADER},{column}', f'{GOOD},fine', f'b.png,100,200,2,1,2,3,4,{text}'))
    for named in ('train.csv, row 3 (b.png)', f'{column} is {text.strip().strip(chr(34))!r}', 'formula', 'in front'):
        assert named in message


def test_the_flag_is_a_source_that_is_written_without_a_formula_also_from_0_4(csv_file, tmp_path):
    path = csv_file(f'{HEADER},pixel_spacing,image_spacing_source', f'{GOOD},0.1,--pixel_spacing')
    write_annotations(tmp_path / 'out.csv', read_annotations(path))
    assert (tmp_path / 'out.csv').read_text().endswith(',0.1,flag --pixel_spacing\n')


def test_the_split_of_a_run_is_written_without_formulas_and_read_back(tmp_path):
    config = TrainConfig(output_dir=str(tmp_path))
    facts = ModelFacts(['hip'], [0.5], [0.5])
    start_folder(config, facts, False, ['=a.png', 'b.png'], split=np.array(['train', 'val']))
    assert first_column(config.folder / 'split.csv') == ['./=a.png', 'b.png']
    assert read_split(config.folder) == {'=a.png': 'train', 'b.png': 'val'}


def test_images_that_failed_are_written_without_formulas(tmp_path):
    predictions = Predictions(['hip'], ['=a.png'], failed={'=a.png': '=a.png: cut off'})
    predictions.write(tmp_path, 0.9)
    failed = pd.read_csv(tmp_path / 'failed.csv')
    assert failed.image_name.tolist() == ['./=a.png'] and failed.reason.tolist() == ['./=a.png: cut off']
