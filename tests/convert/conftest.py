"Two films and their annotations, and what `convert` makes of a text."

import pytest
from helpers import picture, save_picture, write_dicom

from landmark_fastai.convert.convert import convert
from landmark_fastai.formats.annotations import read_annotations

# index (10, 20) of a film of 100 x 80 px: each test pins by hand what it is in the format
CSV = '''image_name,image_width,image_height,n_landmarks,hip_x,hip_y,knee_x,knee_y
a.png,100,80,2,10,20,30.25,40.5
sub/b.png,60,90,2,-1,-1,,
'''


@pytest.fixture
def films(tmp_path):
    "The folder of a.png, 100 x 80 px, and sub/b.png, 60 x 90 px."
    (tmp_path / 'films' / 'sub').mkdir(parents=True)
    save_picture(tmp_path / 'films' / 'a.png', picture(80, 100))
    save_picture(tmp_path / 'films' / 'sub' / 'b.png', picture(90, 60))
    return tmp_path / 'films'


@pytest.fixture
def dicom_films(tmp_path):
    "The folder of a.dcm, 100 x 80 px of 0.25 x 0.5 mm, of a study with the patient Döring."
    (tmp_path / 'dicom').mkdir()
    write_dicom(tmp_path / 'dicom' / 'a.dcm', picture(80, 100), PixelSpacing=[0.5, 0.25], StudyInstanceUID='1.2.9',
                SeriesInstanceUID='1.2.8', SpecificCharacterSet='ISO_IR 192', PatientName='Döring', PatientID='P7')
    return tmp_path / 'dicom'


@pytest.fixture
def written(tmp_path, films):
    "A function that converts a CSV to a format; returns the target."
    def write(form, csv=CSV, name='target', image_dir=films, **flags):
        (tmp_path / 'points.csv').write_text(csv, encoding='utf-8')
        convert(tmp_path / 'points.csv', 'csv', tmp_path / name, form, image_dir=image_dir, **flags)
        return tmp_path / name
    return write


@pytest.fixture
def read(tmp_path, films):
    "A function that converts `files`, texts by name, of a format; returns the annotations of the CSV."
    def convert_files(form, files, image_dir=films, source='source', **flags):
        for name, text in files.items():
            path = tmp_path / 'source' / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding='utf-8')
        convert(tmp_path / source, form, tmp_path / 'read.csv', 'csv', image_dir=image_dir, **flags)
        return read_annotations(tmp_path / 'read.csv')
    return convert_files
