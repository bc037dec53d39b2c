"Libraries are silent while they read, and nothing of a host application is changed: no filter, no level, no setting."

import logging
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pydicom
import pytest
from helpers import NAMED, noise, picture, save_picture, spoiled, write_dicom

import landmark_fastai
from landmark_fastai.errors import UsageError
from landmark_fastai.formats.dicom import dicom_header, read_dicom
from landmark_fastai.formats.images import image_size, read_image
from landmark_fastai.formats.quiet import Quiet

IMPORT = """
import logging, sys, warnings
import cv2, gdcm, jinja2, numpy, pandas, PIL.Image, pydicom.pixels, tqdm, yaml
def settings(): return {**vars(pydicom.config.settings), 'enforce': pydicom.config.enforce_valid_values}
def levels(): return {name: logging.getLogger(name).level for name in ('', 'pydicom', 'PIL')}
before = list(warnings.filters), settings(), levels(), warnings.showwarning, warnings.formatwarning
import landmark_fastai.formats.dataset, landmark_fastai.formats.splits, landmark_fastai.formats.cache
import landmark_fastai.quality.check
assert 'torch' not in sys.modules
assert before == (list(warnings.filters), settings(), levels(), warnings.showwarning, warnings.formatwarning)
"""


def test_an_import_changes_nothing_of_a_host_application():
    root = Path(landmark_fastai.__file__).parents[1]
    done = subprocess.run([sys.executable, '-c', IMPORT], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def state():
    log = logging.getLogger('pydicom')
    return list(warnings.filters), log.level, log.disabled, list(log.filters), dict(vars(pydicom.config.settings))


def test_reading_leaves_everything_as_it_was(tmp_path):
    dicom = spoiled(tmp_path / 'a.dcm', [*NAMED, ('WindowCenter', 'DS')])
    png, before = save_picture(tmp_path / 'a.png', picture()), state()
    for read in (read_dicom, dicom_header, read_image): read(dicom)
    read_image(png), image_size(png)
    assert state() == before


def test_reading_in_threads_leaves_everything_as_it_was(tmp_path):
    path, before = write_dicom(tmp_path / 'a.dcm', noise((30, 41))), state()
    with ThreadPoolExecutor(8) as pool: list(pool.map(read_image, [path] * 80))
    assert state() == before


def test_an_error_leaves_everything_as_it_was(tmp_path):
    before = state()
    with pytest.raises(UsageError): read_dicom(tmp_path / 'none.dcm')
    assert state() == before


def test_a_warning_that_was_said_is_not_said_again_after_reading(tmp_path):
    path = write_dicom(tmp_path / 'a.dcm', noise((4, 4)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('default')
        for _ in range(3):
            warnings.warn('once', stacklevel=1)
            read_image(path)
    assert len(caught) == 1


def test_only_the_named_warnings_are_silent():
    quiet = Quiet(RuntimeWarning, __name__)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        with quiet:
            warnings.warn('silent', RuntimeWarning, stacklevel=1)
            warnings.warn('another kind', UserWarning, stacklevel=1)
            warnings.warn('another place', RuntimeWarning, stacklevel=2)
        warnings.warn('after it', RuntimeWarning, stacklevel=1)
    assert [str(each.message) for each in caught] == ['another kind', 'another place', 'after it']


def test_the_last_thread_that_leaves_ends_the_silence():
    quiet, both_inside, before = Quiet(RuntimeWarning, __name__), Barrier(2), list(warnings.filters)
    def inside(_):
        with quiet:
            both_inside.wait(10)
            return warnings.filters[0]
    with ThreadPoolExecutor(2) as pool: assert set(pool.map(inside, range(2))) == {quiet.entry}
    assert warnings.filters == before


def test_filters_that_are_exchanged_meanwhile_keep_nothing():
    quiet, before = Quiet(RuntimeWarning), list(warnings.filters)
    quiet.__enter__()
    with warnings.catch_warnings():
        warnings.simplefilter('always')  # in front
        with quiet: assert warnings.filters[0] == quiet.entry
        quiet.__exit__()
        assert quiet.entry not in warnings.filters
    assert warnings.filters == before
