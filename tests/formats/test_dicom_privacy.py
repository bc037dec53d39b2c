"DICOM: no text of a file gets out, and the host application is left as it was."

import logging
import struct
import traceback
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers import NAMED, SENTINEL, data_start, element, noise, rewrite_syntax, spoiled, write_dicom

from landmark_fastai.errors import UsageError
from landmark_fastai.formats.dicom import dicom_header, read_dicom
from landmark_fastai.formats.images import read_image

pytestmark = pytest.mark.usefixtures('no_warnings')

USED = [
    ('PhotometricInterpretation', 'CS'), ('PixelSpacing', 'DS'), ('ImagerPixelSpacing', 'DS'), ('WindowCenter', 'DS'),
    ('WindowWidth', 'DS'), ('VOILUTFunction', 'CS'), ('RescaleSlope', 'DS'), ('RescaleIntercept', 'DS'),
    ('NumberOfFrames', 'IS'), ('PixelPaddingValue', 'LO'), ('Rows', 'LO'), ('BitsStored', 'LO'),
    ('VOILUTSequence', 'LO'), ('ModalityLUTSequence', 'LO'), ('PixelData', 'LO')]
ITEM = [('SpecificCharacterSet', 'CS'), ('LUTExplanation', 'LO'), ('LUTDescriptor', 'LO'), ('LUTData', 'LO')]


@pytest.fixture
def silent(caplog, capfd, recwarn):
    "A function that asserts that nothing said in the test so far, nor in the given texts, holds the sentinel."
    caplog.set_level(logging.DEBUG)
    warnings.simplefilter('always')
    def check(*texts):
        said = ''.join([*texts, *capfd.readouterr(), caplog.text, *(str(w.message) for w in recwarn.list)])
        assert SENTINEL not in said and 'ENTINE' not in said, said
    return check


def told(path):
    "Everything that reading `path` says in its errors."
    assert SENTINEL.encode() in path.read_bytes()
    said = []
    for read in (read_dicom, dicom_header, read_image):
        try: said.append(repr(read(path)))
        except UsageError as e: said += traceback.format_exception(e)
    return ''.join(said)


@pytest.mark.parametrize('used', USED)
def test_no_text_of_a_tag_gets_out(tmp_path, silent, used):
    silent(told(spoiled(tmp_path / 'a.dcm', [*NAMED, used])))


def test_texts_do_not_keep_an_image_from_being_read(tmp_path, silent):
    path = spoiled(tmp_path / 'a.dcm', NAMED + [('PixelSpacing', 'DS'), ('WindowCenter', 'DS'), ('WindowWidth', 'DS')])
    assert (read_dicom(path) == noise((30, 41))).all() and dicom_header(path)[2] == ''
    silent()


@pytest.mark.parametrize('keyword', ['VOILUTSequence', 'ModalityLUTSequence', 'SourceImageSequence'])
@pytest.mark.parametrize('undefined', [True, False])
@pytest.mark.parametrize('spoiled_one', ITEM)
def test_no_text_of_a_sequence_gets_out(tmp_path, silent, keyword, undefined, spoiled_one):
    elements = dict(LUTDescriptor=('US', struct.pack('<3H', 4, 100, 8)), LUTData=('OW', bytes([0, 85, 170, 255])))
    elements[spoiled_one[0]] = spoiled_one[1], SENTINEL.encode()
    item = b''.join(element(keyword, *rest) for keyword, rest in elements.items())
    item = struct.pack('<HHI', 0xfffe, 0xe000, len(item)) + item
    sequence = element(keyword, 'SQ', item)
    if undefined: sequence = sequence[:8] + b'\xff' * 4 + item + struct.pack('<HHI', 0xfffe, 0xe0dd, 0)
    path = write_dicom(tmp_path / 'a.dcm', noise((30, 41)))
    content = path.read_bytes()
    path.write_bytes(content[:data_start(content)] + sequence + content[data_start(content):])
    silent(told(path))


def test_no_text_of_the_file_header_gets_out(tmp_path, silent):
    path = write_dicom(tmp_path / 'a.dcm', noise((30, 41)))
    rewrite_syntax(path, SENTINEL)
    silent(told(path))


@pytest.mark.parametrize('share', [0.2, 0.5, 0.8])
def test_no_text_of_a_file_cut_off_gets_out(tmp_path, silent, share):
    path = spoiled(tmp_path / 'a.dcm', NAMED + USED[1:8])
    content = path.read_bytes()
    path.write_bytes(content[:int(len(content) * share)])
    silent(told(path))


def test_no_text_gets_out_of_a_thread(tmp_path, silent):
    path = spoiled(tmp_path / 'a.dcm', NAMED + USED[1:8])
    with ThreadPoolExecutor(8) as pool: silent(*pool.map(told, [path] * 40))


def test_reading_leaves_the_filters_of_warnings_alone(tmp_path):
    path = write_dicom(tmp_path / 'a.dcm', noise((30, 41)))
    read_dicom(path)
    before = list(warnings.filters)
    read_dicom(path)
    assert warnings.filters == before
