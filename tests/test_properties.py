"Properties that hold for any input: the CSV reads as it was written or is refused, and geometry has an inverse."

import csv
import io
import os
import string
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from landmark_fastai.data.items import make_frame
from landmark_fastai.errors import UsageError
from landmark_fastai.formats.annotations import (
    ABSENT,
    VISIBLE,
    Annotations,
    _states,
    read_annotations,
    write_annotations,
)
from landmark_fastai.geometry.frame import from_unit, to_network, to_original, to_unit

# by chance at home, where a finding is welcome; always the same where a landing hangs on it
settings.register_profile('quick', max_examples=50, deadline=None, derandomize='CI' in os.environ)
settings.load_profile('quick')

TRICKY = ['', '-1', 'nan', 'inf', '1e400', '1_0', '٣', '0x10', '-0.0', '1,5', '..', '/etc/hosts', 'a\\b', '\0', '"',
          'None']
WORD = st.text(string.ascii_letters + string.digits + ' -_.äß,"\'', min_size=1, max_size=12)
NAMES = WORD.map(str.strip).filter(lambda name: name and name not in ('.', '..') and not f'{name}_'.startswith('image_')
                                   and name not in ('mean_error', 'pixel_spacing'))
HARMLESS = NAMES.filter(lambda name: name[0] not in '=+-@')  # in a spreadsheet


@st.composite
def annotations(draw):
    "Any content that a CSV can hold."
    names = draw(st.lists(HARMLESS, min_size=1, max_size=4, unique=True))
    images = draw(st.lists(NAMES.map(lambda name: f'{name}.png'), min_size=1, max_size=5, unique=True))
    n = len(images)
    sizes = np.array(draw(st.lists(st.tuples(*[st.integers(1, 9000)] * 2), min_size=n, max_size=n)))
    points = np.full((n, len(names), 2), np.nan)
    for i, k in np.ndindex(n, len(names)):
        kind = draw(st.sampled_from(['visible', 'absent', 'blank']))
        if kind == 'absent': points[i, k] = -1
        if kind == 'visible': points[i, k] = [draw(st.floats(0, side - 1)) for side in sizes[i]]
    spacing = draw(st.lists(st.one_of(st.just((np.nan, np.nan)), st.tuples(*[st.floats(1e-3, 10)] * 2)), min_size=n,
                            max_size=n))
    patients = draw(st.one_of(st.none(), st.lists(HARMLESS, min_size=n, max_size=n)))
    split = draw(st.one_of(st.none(), st.lists(st.sampled_from(['train', 'val', 'test']), min_size=n, max_size=n)))
    if patients and split: split = [split[patients.index(patient)] for patient in patients]
    known = ~np.isnan(np.array(spacing)).any(1)
    return Annotations(Path('x.csv'), names, images, list(range(2, n + 2)), sizes, *_states(points), np.array(spacing),
                       np.where(known, 'CSV', '').astype(object), patients, split)


def read(text):
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter('ignore')
        path = Path(folder, 'x.csv')
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_annotations(path)


def written(content):
    with TemporaryDirectory() as folder:
        write_annotations(Path(folder, 'x.csv'), content)
        return Path(folder, 'x.csv').read_text(encoding='utf-8')


@given(annotations())
def test_what_was_written_is_read(content):
    again = read(written(content))
    assert again.names == content.names and again.image_names == content.image_names
    for field in ('sizes', 'points', 'state', 'spacing'):
        np.testing.assert_array_equal(getattr(again, field), getattr(content, field))
    assert again.patient_id == content.patient_id and again.split == content.split


@given(annotations(), st.data())
def test_a_changed_cell_is_read_right_or_refused(content, data):
    rows = list(csv.reader(io.StringIO(written(content))))
    row = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.integers(0, len(rows[row]) - 1))
    rows[row][column] = data.draw(st.one_of(st.text(max_size=8), st.sampled_from(TRICKY)))
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    refused_or_sound(out.getvalue())


@given(annotations(), st.data())
def test_changed_bytes_are_read_right_or_refused(content, data):
    text = bytearray(written(content).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        change = data.draw(st.sampled_from(['flip', 'cut', 'insert']))
        if change == 'flip': text[at] = data.draw(st.integers(0, 255))
        if change == 'insert': text.insert(at, data.draw(st.integers(0, 255)))
        if change == 'cut': del text[at:at + data.draw(st.integers(1, 20))]
        if not text: return
    refused_or_sound(bytes(text))


def refused_or_sound(text):
    "Reading `text` raises UsageError in one line, or gives annotations that keep every promise."
    try: got = read(text)
    except UsageError as e:
        assert '\n' not in str(e) and 'x.csv' in str(e)
        return
    visible = got.state == VISIBLE
    assert np.isfinite(got.points[visible]).all() and np.isnan(got.points[~visible]).all()
    assert (got.points[visible] >= 0).all()
    assert (got.points <= got.sizes[:, None] - 1).all(-1)[visible].all() and (got.sizes > 0).all()
    assert len(set(got.image_names)) == len(got.image_names) and set(np.unique(got.state)) <= {VISIBLE, ABSENT, 2}
    assert all('..' not in Path(name).parts and not Path(name).is_absolute() for name in got.image_names)
    assert (got.spacing[~np.isnan(got.spacing)] > 0).all()


@given(st.integers(1, 12000), st.integers(1, 12000), st.integers(1, 64), st.floats(0, 1), st.floats(0, 1))
def test_every_map_has_its_inverse(width, height, size, right, down):
    size *= 32
    frame = make_frame((width, height), (np.nan, np.nan), size)
    point = np.array([right * (width - 1), down * (height - 1)])
    network = to_network(point, frame)
    assert ((network >= -0.5 - 1e-6) & (network <= size - 0.5 + 1e-6)).all()
    assert abs(to_original(network, frame) - point).max() < 1e-3
    assert abs(from_unit(to_unit(network, size), size) - network).max() < 1e-3
