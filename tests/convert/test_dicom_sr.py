"DICOM SR, read back by highdicom and by pydicom."

import builtins

import pydicom
import pytest
from helpers import picture, refused, write_definitions, write_dicom

from landmark_fastai import UsageError

CSV = '''image_name,image_width,image_height,Hüfte_x,Hüfte_y,knee_x,knee_y,ankle_x,ankle_y,toe_x,toe_y
a.dcm,100,80,10,20,10,60.25,-1,-1,,
'''
TEXT = '''
measure:
  length: {value: "distance(Hüfte, knee)", unit: mm}
  lean: {value: "angle(line(Hüfte, knee), horizontal(knee))", unit: deg, description: of the femur}
  long: {value: "distance(Hüfte, knee) / 10", unit: ratio}
  pixels: {value: "distance(Hüfte, knee)", unit: px}
  share: {value: "100 * distance(Hüfte, knee) / 40", unit: "%"}
  shank: {value: "distance(knee, ankle)", unit: mm}
'''


@pytest.fixture
def sr():
    "highdicom's module of structured reports."
    return pytest.importorskip('highdicom', reason='highdicom, of the extra dicom-sr, is not installed').sr


@pytest.fixture
def report(sr, written, dicom_films, tmp_path):
    "A function that writes the report on a.dcm; returns it as highdicom reads it."
    def write(**flags):
        return sr.srread(written('dicom_sr', CSV, image_dir=dicom_films, **flags) / 'a.sr.dcm')
    return write


def test_a_landmark_is_a_point_of_its_name_in_the_image(report, dicom_films):
    found, image = report(), pydicom.dcmread(dicom_films / 'a.dcm')
    groups = found.content.get_planar_roi_measurement_groups()
    assert [each.tracking_identifier for each in groups] == ['Hüfte', 'knee']
    assert [each.roi.value.tolist() for each in groups] == [[[10.5, 20.5]], [[10.5, 60.75]]]  # from the corner
    assert all(each.finding_type.meaning == 'Fiducial mark' for each in groups)
    assert len({each.tracking_uid for each in groups}) == 2
    source = groups[0].roi.ContentSequence[0].ReferencedSOPSequence[0]
    assert source.ReferencedSOPInstanceUID == image.SOPInstanceUID
    assert found.StudyInstanceUID == image.StudyInstanceUID and found.SeriesInstanceUID != image.SeriesInstanceUID
    assert found.SOPClassUID.name == 'Comprehensive SR Storage' and found.Modality == 'SR'
    assert str(found.PatientName) == 'Döring' and found.PatientID == 'P7'
    assert found.ContentTemplateSequence[0].TemplateIdentifier == '1500'


def test_what_is_absent_is_said_and_what_is_not_labelled_is_not(report):
    group, = report().content.get_image_measurement_groups()
    evaluation, = group.get_qualitative_evaluations()
    assert group.tracking_identifier == 'ankle' and evaluation.value.meaning == 'Absent'


def test_measurements_with_their_units(report, tmp_path, capsys):
    found = report(definitions=write_definitions(tmp_path, TEXT))
    *_, group = found.content.get_image_measurement_groups()
    assert group.tracking_identifier == 'measurements'
    told = {each.name.value: (round(each.value, 9), each.unit.value, each.unit.scheme_designator)
            for each in group.get_measurements()}
    assert told == {'length': (20.125, 'mm', 'UCUM'), 'lean': (90, 'deg', 'UCUM'), 'long': (2.0125, '1', 'UCUM'),
                    'pixels': (40.25, '{pixels}', 'UCUM'), 'share': (50.3125, '%', 'UCUM')}
    assert 'note: 1 measurement of 1 image: left out: ankle is absent' in capsys.readouterr().out


def test_pydicom_reads_it_alone(report, tmp_path):
    report()
    ds = pydicom.dcmread(tmp_path / 'target' / 'a.sr.dcm')
    assert ds.file_meta.MediaStorageSOPClassUID == '1.2.840.10008.5.1.4.1.1.88.33' and not ds.get('PixelData')
    evidence = ds.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert evidence.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == '1.2.3'
    points = []
    def look(ds, element):
        if element.keyword == 'GraphicData': points.append(list(element.value))
    ds.walk(look)
    assert points == [[10.5, 20.5], [10.5, 60.75]]


def test_an_image_that_is_of_no_study_is_refused(sr, written, dicom_films, films, tmp_path):
    write_dicom(dicom_films / 'a.dcm', picture(80, 100), PatientName='SECRET', SeriesInstanceUID='1.2.8')
    refused(['a.dcm: lacks StudyInstanceUID'], written, 'dicom_sr', CSV, image_dir=dicom_films)
    refused(['a.png: no DICOM image'], written, 'dicom_sr')
    refused(['--image_dir'], written, 'dicom_sr', image_dir=None)
    assert not (tmp_path / 'target').exists()


@pytest.mark.parametrize('tag', ['PatientName', 'StudyDate', 'PatientBirthDate', 'PatientSex', 'AccessionNumber'])
def test_no_text_of_the_image_gets_out_in_a_message(sr, written, dicom_films, tag, recwarn, capsys):
    write_dicom(dicom_films / 'a.dcm', picture(80, 100), StudyInstanceUID='1.2.9', SeriesInstanceUID='1.2.8',
                **{tag: 'SECRET' * 12})
    try: written('dicom_sr', CSV, image_dir=dicom_films)
    except UsageError as e: assert 'SECRET' not in str(e) and 'a.dcm' in str(e)
    told = capsys.readouterr()
    assert 'SECRET' not in told.out + told.err and not any('SECRET' in str(each.message) for each in recwarn)


def test_without_highdicom_it_says_what_to_install(written, dicom_films, monkeypatch):
    real = builtins.__import__
    def without(name, *args, **kwargs):
        if name.partition('.')[0] == 'highdicom': raise ImportError(name)
        return real(name, *args, **kwargs)
    monkeypatch.setattr(builtins, '__import__', without)
    refused(['highdicom', 'pip install "landmark-fastai[dicom-sr]"'], written, 'dicom_sr', CSV, image_dir=dicom_films)
