"""DICOM SR: a measurement report (TID 1500) for each DICOM image, written by highdicom.

A landmark is a region of interest of one point (TID 1410) whose tracking identifier is its name; an absent one is an
evaluation that says so. The report belongs to the study of its image, so it holds the patient's name and number.
"""

from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

from .. import __version__
from ..errors import UsageError
from ..formats.dicom import QuietPydicom, is_dicom
from .films import Film
from .notes import Notes

SUFFIX = '.sr.dcm'
TOOL = 'landmark_fastai'
SCHEME = '99LMFASTAI'  # a private coding scheme: of the names of measurements
UNITS = {'deg': codes.UCUM.Degree, 'mm': codes.UCUM.Millimeter, '%': codes.UCUM.Percent, 'ratio': codes.UCUM.NoUnits,
         'px': Code('{pixels}', 'UCUM', 'pixels')}
NEEDED = 'SOPClassUID', 'SOPInstanceUID', 'StudyInstanceUID', 'SeriesInstanceUID'
MAY_BE_BLANK = ('PatientID', 'PatientName', 'PatientBirthDate', 'PatientSex', 'AccessionNumber', 'StudyID', 'StudyDate',
                'StudyTime', 'ReferringPhysicianName')  # of every study, but not of every file
_quiet = QuietPydicom(Warning, 'pydicom|highdicom')  # which quote names of patients


def write(film: Film, names: list[str], target: Path, notes: Notes) -> bytes:
    "The report on one image. Raises UsageError where highdicom is not installed, or the image is no DICOM of a study."
    try:
        from highdicom import UID, sr
    except ImportError:
        raise UsageError('highdicom, which writes DICOM SR, is not installed; pip install "landmark-fastai[dicom-sr]"',
                         see='missing-packages') from None
    if not film.path: raise UsageError('dicom_sr: reports are on DICOM images; pass --image_dir, their folder')
    with _quiet:
        image = _header(film.path)
        device = sr.DeviceObserverIdentifyingAttributes(generate_uid(entropy_srcs=[TOOL, __version__]), name=TOOL,
                                                        model_name=f'{TOOL} {__version__}')
        context = sr.ObservationContext(observer_device_context=sr.ObserverContext(codes.DCM.Device, device))
        groups = _groups(film, names, (image.SOPClassUID, image.SOPInstanceUID))
        content = sr.MeasurementReport(context, codes.SCT.ImagingProcedure, groups)
        try: report = sr.ComprehensiveSR([image], content, UID(), series_number=1, sop_instance_uid=UID(),
                                         instance_number=1, manufacturer=TOOL, series_description='Landmarks')
        except Exception:  # whose text may quote the header
            raise UsageError(f'{film.path}: a damaged header, expected a DICOM image of a study') from None
        file = BytesIO()
        report.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _groups(film, names, reference):
    "A group for each landmark, and one of all measurements; `reference` are class and instance of the image."
    from highdicom import UID, sr

    def group(identifier, **content):
        return sr.MeasurementsAndQualitativeEvaluations(
            sr.TrackingIdentifier(UID(), identifier), source_images=[sr.SourceImageForMeasurementGroup(*reference)],
            **content)

    def landmark(name):
        if film.marks[name] is None:
            absent = sr.QualitativeEvaluation(codes.DCM.FiducialMark, codes.SCT.Absent)
            return group(name, finding_type=codes.DCM.FiducialMark, qualitative_evaluations=[absent])
        region = sr.ImageRegion('POINT', np.array([film.marks[name]]), sr.SourceImageForRegion(*reference))
        return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            sr.TrackingIdentifier(UID(), name), region, finding_type=codes.DCM.FiducialMark)

    values = [sr.Measurement(Code(each.name, SCHEME, each.name), each.value, UNITS[each.unit]) for each in film.values]
    measured = [group('measurements', measurements=values)] if values else []
    return [landmark(name) for name in names if name in film.marks] + measured


def _header(path):
    "Those elements of the DICOM image at `path` that a report on it repeats; blank where a study may leave them out."
    if not is_dicom(path):
        raise UsageError(f'{path}: no DICOM image, on which alone there can be a report; leave its row out')
    try: image = dcmread(path, force=True, specific_tags=[*NEEDED, *MAY_BE_BLANK])
    except Exception: raise UsageError(f'{path}: cut off, damaged or no DICOM, expected an image') from None
    lacking = [keyword for keyword in NEEDED if not image.get(keyword)]
    if lacking: raise UsageError(f'{path}: lacks {", ".join(lacking)}, expected a DICOM image of a study')
    for keyword in MAY_BE_BLANK:
        if keyword not in image: setattr(image, keyword, '')
    return image
