"DICOM files: compressions, headers, what is one, and what is refused."

import io
import subprocess
import sys
from pathlib import Path

import gdcm
import numpy as np
import pydicom
import pytest
from helpers import noise, rewrite_syntax, write_dicom
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

import landmark_fastai
from landmark_fastai.errors import UsageError
from landmark_fastai.formats.dicom import dicom_header, is_dicom, read_dicom

pytestmark = pytest.mark.usefixtures('no_warnings')  # pydicom's neither


def refused(path, read=read_dicom):
    with pytest.raises(UsageError) as caught: read(path)
    assert '\n' not in str(caught.value) and str(caught.value).startswith(f'{path}: ')
    return str(caught.value)


# how it is stored

def compress(path, syntax):
    "Compress the DICOM file at `path` in place with GDCM."
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(path))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(syntax))))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return path


LOSSLESS = [RLELossless, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless]


@pytest.mark.parametrize('syntax', LOSSLESS)
@pytest.mark.parametrize('shape, dtype', [
    ((30, 41), np.uint8), ((30, 41), np.uint16), ((30, 41), np.int16), ((30, 41, 3), np.uint8)])
def test_compressed_pixels_are_the_same(tmp_path, syntax, shape, dtype):
    path = write_dicom(tmp_path / 'a.dcm', noise(shape, dtype))
    expected = read_dicom(path)
    np.testing.assert_array_equal(read_dicom(compress(path, syntax)), expected, strict=True)
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == syntax
    assert dicom_header(path)[0] == (41, 30)


def test_pydicoms_own_rle(tmp_path):
    path, pixels = tmp_path / 'a.dcm', noise((30, 41), np.uint16)
    ds = pydicom.dcmread(write_dicom(path, pixels))
    ds.compress(RLELossless)
    ds.save_as(path)
    np.testing.assert_array_equal(read_dicom(path), pixels.astype(np.float32), strict=True)


@pytest.mark.parametrize('color', [True, False])
def test_jpeg(tmp_path, color):
    y, x = np.mgrid[:40, :60]
    pixels = (np.stack([2 * x, 3 * y, 250 - 2 * x], -1) if color else 2 * x + y).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, 'JPEG', quality=95)
    path = tmp_path / 'a.dcm'
    ds = pydicom.dcmread(write_dicom(path, pixels))
    ds.PhotometricInterpretation = 'YBR_FULL_422' if color else 'MONOCHROME2'
    ds.PixelData, ds.file_meta.TransferSyntaxUID = encapsulate([buffer.getvalue()]), JPEGBaseline8Bit
    ds.save_as(path)
    got = read_dicom(path)
    assert got.shape == pixels.shape and abs(got.astype(int) - pixels).mean() < 3


@pytest.mark.parametrize('implicit, little', [(True, True), (False, True), (False, False)])
def test_a_file_without_a_file_header(tmp_path, implicit, little):
    path, pixels = tmp_path / 'a.dcm', noise((30, 41), np.uint16)
    ds = pydicom.dcmread(write_dicom(path, pixels, PixelSpacing=[0.2, 0.1]))
    ds.file_meta, ds.preamble = pydicom.dataset.FileMetaDataset(), None
    if not little: ds.PixelData = pixels.byteswap().tobytes()
    pydicom.dcmwrite(path, ds, implicit_vr=implicit, little_endian=little)
    assert path.read_bytes()[128:132] != b'DICM'
    np.testing.assert_array_equal(read_dicom(path), pixels.astype(np.float32), strict=True)
    assert dicom_header(path) == ((41, 30), (0.1, 0.2), 'DICOM PixelSpacing')


def test_a_deflated_file(tmp_path):
    path, pixels = tmp_path / 'a.dcm', noise((30, 41))
    ds = pydicom.dcmread(write_dicom(path, pixels))
    ds.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    ds.save_as(path)
    assert (read_dicom(path) == pixels).all() and dicom_header(path)[0] == (41, 30)


# the header

@pytest.mark.parametrize('tags, spacing, source', [
    (dict(PixelSpacing=[0.2, 0.1]), (0.1, 0.2), 'DICOM PixelSpacing'),  # rows first, which is y
    (dict(ImagerPixelSpacing=[0.2, 0.1]), (0.1, 0.2), 'DICOM ImagerPixelSpacing (detector)'),
    (dict(NominalScannedPixelSpacing=[0.2, 0.1]), (0.1, 0.2), 'DICOM NominalScannedPixelSpacing (detector)'),
    (dict(PixelSpacing=[0.2, 0.1], ImagerPixelSpacing=[0.2, 0.1]), (0.1, 0.2), 'DICOM PixelSpacing (detector)'),
    (dict(PixelSpacing=[0.2, 0.1], NominalScannedPixelSpacing=[0.2, 0.1]), (0.1, 0.2), 'DICOM PixelSpacing (detector)'),
    (dict(PixelSpacing=[0.2, 0.1], ImagerPixelSpacing=[0.2, 0.1], PixelSpacingCalibrationType='FIDUCIAL'), (0.1, 0.2),
     'DICOM PixelSpacing'),
    (dict(PixelSpacing=[0.4, 0.3], ImagerPixelSpacing=[0.2, 0.1]), (0.3, 0.4), 'DICOM PixelSpacing'),
    *((dict(PixelSpacing=unusable, ImagerPixelSpacing=[0.2, 0.1]), (0.1, 0.2), 'DICOM ImagerPixelSpacing (detector)')
      for unusable in ('', [0, 0.1], [-1, 0.1], [0.1], 0.1, [1, 2, 3], ['nan', 1], ['inf', 1], ['', '']))])
def test_spacing_and_its_source(tmp_path, tags, spacing, source):
    path = write_dicom(tmp_path / 'a.dcm', noise((30, 41)), **tags)
    assert dicom_header(path) == ((41, 30), spacing, source)


@pytest.mark.parametrize('tags', [{}, dict(PixelSpacing=[0, 0]), dict(ImagerPixelSpacing='')])
def test_spacing_that_is_unknown(tmp_path, tags):
    _, spacing, source = dicom_header(write_dicom(tmp_path / 'a.dcm', noise((30, 41)), **tags))
    assert np.isnan(spacing).tolist() == [True, True] and source == ''


def test_the_header_needs_no_pixels(tmp_path):
    path = write_dicom(tmp_path / 'a.dcm', noise((30, 41)))
    path.write_bytes(path.read_bytes()[:-1000])
    assert dicom_header(path)[0] == (41, 30)


# what is DICOM

@pytest.mark.parametrize('name, expected', [
    ('a.dcm', True), ('a.DCM', True), ('a.dicom', True), ('a', True), ('1.2.840.3', True), ('a.ima', True),
    ('a.png', False), ('a.TIF', False), ('DICOMDIR', False), ('dicomdir', False)])
def test_is_dicom_by_suffix_and_by_content(tmp_path, name, expected):
    path = write_dicom(tmp_path / name, noise((4, 4)))
    assert is_dicom(path) == is_dicom(str(path)) == expected


@pytest.mark.parametrize('content', [b'', b'DICM', bytes(128) + b'DIC'])
def test_what_is_no_dicom(tmp_path, content):
    (tmp_path / 'a').write_bytes(content)
    assert not is_dicom(tmp_path / 'a') and not is_dicom(tmp_path) and not is_dicom(tmp_path / 'none')


# what is refused

@pytest.mark.parametrize('read', [read_dicom, dicom_header])
def test_frames_and_missing_pixels_are_refused(tmp_path, read):
    path = write_dicom(tmp_path / 'a.dcm', noise((12, 4)), Rows=4, NumberOfFrames=3)
    assert 'a.dcm: cannot be read as an image (it has 3 frames)' in refused(path, read)
    assert 'it has no pixels' in refused(write_dicom(path, noise((4, 4)), PixelData=None), read)
    path.write_bytes(b'no DICOM, but a text')
    assert 'cannot be read as an image' in refused(path, read)
    path.write_bytes(b'')
    assert 'cannot be read as an image' in refused(path, read)


@pytest.mark.parametrize('frames', [0, 1, '', None])
def test_one_frame_is_an_image(tmp_path, frames):
    path = write_dicom(tmp_path / 'a.dcm', noise((4, 4)), NumberOfFrames=frames)
    assert (read_dicom(path) == noise((4, 4))).all()


@pytest.mark.parametrize('read', [read_dicom, dicom_header])
def test_a_missing_file_and_a_folder_are_told(tmp_path, read):
    assert 'none.dcm: no such file' in refused(tmp_path / 'none.dcm', read)
    assert 'is a directory, expected an image' in refused(tmp_path, read)


@pytest.mark.parametrize('size', [dict(Rows=None), dict(Columns=None), dict(Rows=0)])
def test_a_missing_size_is_told(tmp_path, size):
    path = write_dicom(tmp_path / 'a.dcm', noise((4, 4)), **size)
    assert 'its size is missing' in refused(path, dicom_header)
    assert 'cannot be read as an image' in refused(path)


@pytest.mark.parametrize('share', [0.01, 0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize('syntax', [None, *LOSSLESS])
def test_a_file_cut_off_is_told(tmp_path, syntax, share):
    path = write_dicom(tmp_path / 'a.dcm', noise((60, 80), np.uint16))
    if syntax: compress(path, syntax)
    content = path.read_bytes()
    path.write_bytes(content[:int(len(content) * share)])
    assert 'cannot be read as an image' in refused(path) and 'cut off' in refused(path)


@pytest.mark.parametrize('share', [0.1, 0.5, 0.9])
@pytest.mark.parametrize('syntax', LOSSLESS)
def test_pixels_cut_off_within_are_told(tmp_path, syntax, share):
    path = compress(write_dicom(tmp_path / 'a.dcm', noise((60, 80), np.uint16)), syntax)
    ds = pydicom.dcmread(path)
    frame = pydicom.encaps.get_frame(ds.PixelData, 0, number_of_frames=1)
    ds.PixelData = encapsulate([frame[:int(len(frame) * share)]])
    ds.save_as(path)
    message = refused(path)
    assert 'pixels cut off, damaged or of an unsupported kind' in message and syntax.name in message


# each of these ends the process when it gets to GDCM

AS_RGB = dict(SamplesPerPixel=3, PhotometricInterpretation='RGB', PlanarConfiguration=0)


@pytest.mark.parametrize('syntax, tags', [
    *((syntax, tags) for syntax in (JPEGLossless, JPEGLosslessSV1, JPEGLSLossless)
      for tags in (dict(Rows=31), dict(Rows=29), dict(Columns=80), dict(BitsStored=6), dict(BitsAllocated=32), AS_RGB)),
    (JPEG2000Lossless, AS_RGB), (JPEG2000Lossless, dict(Rows=31))])
def test_a_frame_of_another_kind_than_the_header_says_is_told(tmp_path, syntax, tags):
    path = compress(write_dicom(tmp_path / 'a.dcm', noise((30, 41))), syntax)
    ds = pydicom.dcmread(path)
    for keyword, value in tags.items(): setattr(ds, keyword, value)
    ds.save_as(path)
    assert 'pixels cut off, damaged or of an unsupported kind' in refused(path)


@pytest.mark.parametrize('marker', [b'\x00\x00', b'\xff\x01', b'\xff\xd3'])
def test_a_frame_damaged_before_its_scan_is_told(tmp_path, marker):
    path = compress(write_dicom(tmp_path / 'a.dcm', noise((60, 80), np.uint16)), JPEGLosslessSV1)
    content = path.read_bytes()
    assert content.count(b'\xff\xc4') == 1  # the Huffman table
    path.write_bytes(content.replace(b'\xff\xc4', marker))
    assert 'pixels cut off, damaged or of an unsupported kind' in refused(path)


@pytest.mark.parametrize('syntax, name', [
    ('1.2.840.10008.1.2.4.201', 'High-Throughput JPEG 2000 Image Compression (Lossless Only)'),
    ('1.2.3.4', 'an unknown syntax')])
def test_an_unsupported_compression_is_named(tmp_path, syntax, name):
    path = compress(write_dicom(tmp_path / 'a.dcm', noise((60, 80), np.uint16)), RLELossless)
    rewrite_syntax(path, syntax)
    assert f'stored as {name})' in refused(path) and '1.2.3.4' not in refused(path)
    assert dicom_header(path)[0] == (80, 60)


def test_a_folder_called_dl_beside_a_notebook_does_no_harm(tmp_path):
    (tmp_path / 'dl').mkdir()
    root = str(Path(landmark_fastai.__file__).parents[1])
    code = f'import sys; sys.path[1:1] = [{root!r}]; import landmark_fastai.formats.dicom, dl; print(dl.__path__)'
    result = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, capture_output=True, text=True)
    assert str(tmp_path) in result.stdout, result.stderr
