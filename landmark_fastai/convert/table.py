"The formats: who reads and writes each, and what it can say."

from collections.abc import Callable
from dataclasses import dataclass

from . import coco, dicom_sr, dlc, isbi2015, label_studio, labelme, original, slicer, tps


@dataclass(frozen=True)
class Format:
    "What `convert` knows of a format; the annotation CSV, which can say all, has no functions here."
    tool: str                      # and its file, for people
    read: Callable | None = None   # (source, images, notes) -> Reading
    write: Callable | None = None  # (films, names, target, notes) -> content; of one film where there is a suffix
    suffix: str = ''               # of a file an image, in a folder; '' where all are in one file
    is_corner: bool = False        # (0, 0) is the corner of the top-left pixel, not its centre
    absent: bool = False           # what else it can tell
    names: bool = True
    sizes: bool = False            # of images
    spacing: bool = False          # mm per pixel
    fractions: bool = True         # of a pixel


FORMATS = {
    'csv': Format('the annotation CSV', absent=True, sizes=True, spacing=True),
    'coco': Format('COCO keypoints, as CVAT has them (JSON)', coco.read, coco.write, is_corner=True, sizes=True),
    'label_studio': Format('Label Studio (JSON)', label_studio.read, label_studio.write, is_corner=True, sizes=True),
    'slicer': Format('3D Slicer (`.mrk.json`)', slicer.read, slicer.write, slicer.SUFFIX, absent=True),
    'dlc': Format('DeepLabCut (CSV)', dlc.read, dlc.write),
    'labelme': Format('labelme (JSON)', labelme.read, labelme.write, labelme.SUFFIX, is_corner=True,
                      sizes=True),
    'tps': Format('tpsDig (TPS)', tps.read, tps.write, is_corner=True, names=False, spacing=True),
    'isbi2015': Format('the challenge of ISBI 2015 (text)', isbi2015.read, isbi2015.write, isbi2015.SUFFIX,
                       fractions=False),
    'original': Format('the original annotator (CSV)', original.read, original.write, absent=True, names=False,
                       sizes=True, fractions=False),
    'dicom_sr': Format('DICOM SR (TID 1500), written only', None, dicom_sr.write, dicom_sr.SUFFIX, is_corner=True,
                       absent=True),
}
