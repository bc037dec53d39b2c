"The `convert` command: annotations of one tool for another."

from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from ..errors import UsageError
from ..files import atomic, atomic_folder, check_replaceable, check_writable, lies_in
from ..flags import takes
from ..formats.annotations import (
    ABSENT,
    UNLABELLED,
    VISIBLE,
    Annotations,
    hide_corner,
    read_annotations,
    warn_doubtful,
    write_annotations,
)
from ..formats.dataset import check_images
from ..formats.estimates import columns_of, read_estimates
from ..measure.definitions import column_of, read_definitions
from ..measure.evaluate import measure_landmarks
from ..reader_config import ConvertConfig
from ..viz.report import counted
from .films import Film, Value, annotations_of, checked_names, films_of, numbered
from .images import Images
from .notes import Notes
from .table import FORMATS, Format


@takes(ConvertConfig)
def convert(config: ConvertConfig) -> Annotations:
    """Read `source`, of `source_format`, and write it to `target`, of `target_format`; print what that cannot say.

    Returns the annotations that were read. The arguments are the flags of `landmark-fastai convert`. Raises UsageError
    before anything is written.
    """
    target, form, notes = Path(config.target), FORMATS[config.target_format], Notes()
    check_target(config, target, form)
    annotations, confidence = read(config, notes)
    if form.write is None:
        estimates = {} if np.isnan(confidence).all() else {'confidence': confidence}
        write_annotations(target, annotations, estimates)
    else:
        _note(notes, annotations, np.isfinite(confidence), 'confidence', 'not written')
        sayable = as_sayable(annotations, config.target_format, notes)
        films = films_of(sayable, form.is_corner, config.image_dir)
        if config.definitions: add_values(films, annotations, config.definitions, notes)
        write(films, sayable.names, target, form, notes)
    for line in notes.lines(): print(f'note: {line}')
    n_points = int((annotations.state == VISIBLE).sum())
    print(f'{counted(len(annotations), "image")}, {counted(n_points, "point")}: {target}')
    return annotations


# --- reading

def read(config: ConvertConfig, notes: Notes) -> tuple[Annotations, np.ndarray]:
    "The annotations of the source, with the landmarks that are asked for, and the confidence (n, N) of each point."
    source, form = Path(config.source), FORMATS[config.source_format]
    if form.read is None:
        annotations = read_annotations(source)
        confidence = read_estimates(annotations, 'confidence')
        lost = [name for name in columns_of(annotations) if name != 'confidence']
        if lost: notes.say(f'what predictions say beside points and confidence is not written: {", ".join(lost)}')
    else:
        reading = form.read(source, Images(config.image_dir), notes)
        annotations, confidence = annotations_of(reading, source, form.is_corner, notes)
    if config.names is not None and form.names:
        annotations, confidence = only(annotations, confidence, config.names, notes)
    elif config.names is not None: annotations = renamed(annotations, config.names)
    if not annotations.names:
        raise UsageError(f'{source}: no landmark in it, expected one; name those without a point by --landmarks')
    if config.image_dir: annotations, _ = check_images(annotations, config.image_dir)
    if config.invisible_landmarks: annotations = hide_corner(annotations)
    warn_doubtful(annotations)
    return annotations, confidence


def only(annotations: Annotations, confidence: np.ndarray, names: list[str],
         notes: Notes) -> tuple[Annotations, np.ndarray]:
    "Those of the landmarks that are in `names`, in that order; one that is nowhere is not labelled anywhere."
    checked_names(annotations.path, names)
    if annotations.names and not set(names) & set(annotations.names):
        raise UsageError(f'landmarks is {", ".join(names)}, none of which {annotations.path.name} has; it has '
                         f'{", ".join(annotations.names)}')
    columns = [annotations.names.index(name) if name in annotations.names else -1 for name in names]
    others = ~np.isin(np.arange(len(annotations.names)), columns)
    _note(notes, annotations, others & (annotations.state != UNLABELLED), 'landmark', 'not asked for, left out')
    def taken(values, blank):
        nowhere = np.full((len(values), 1, *values.shape[2:]), blank, values.dtype)
        return np.append(values, nowhere, 1)[:, columns]
    return (replace(annotations, names=names, points=taken(annotations.points, np.nan),
                    state=taken(annotations.state, UNLABELLED)), taken(confidence, np.nan))


def renamed(annotations: Annotations, names: list[str]) -> Annotations:
    "`annotations` of a format that numbers its landmarks, with `names`. Raises UsageError for another number of them."
    if len(names) != len(annotations.names):
        raise UsageError(f'landmarks has {len(names)} names, {annotations.path.name} has {len(annotations.names)} '
                         'landmarks; expected a name for each')
    return replace(annotations, names=checked_names(annotations.path, names))


# --- writing

def as_sayable(annotations: Annotations, name: str, notes: Notes) -> Annotations:
    "`annotations` as the format called `name` can say them; what that loses is noted."
    form, state, points = FORMATS[name], annotations.state, annotations.points
    if not form.absent:
        _note(notes, annotations, state == ABSENT, 'absent landmark', f'not labelled in {name}, which cannot tell')
        state = np.where(state == ABSENT, UNLABELLED, state)
    if not form.fractions:
        rounded = np.clip(np.round(points), 0, annotations.sizes[:, None] - 1)
        _note(notes, annotations, (abs(rounded - points) > 0).any(-1), 'point', f'rounded, {name} has whole pixels')
        points = rounded
    if not form.names and annotations.names != numbered(len(annotations.names)):
        notes.say(f'{name} numbers landmarks; --landmarks {",".join(annotations.names)} gives their names back')
    of_headers = np.array([str(source).startswith('DICOM') for source in annotations.spacing_source])
    known = np.isfinite(annotations.spacing).all(1) & ~of_headers
    if not form.spacing: _note(notes, annotations, known[:, None], 'pixel spacing', 'not written')
    for column in ('patient_id', 'split'):
        if getattr(annotations, column) is not None: notes.say(f'{column} is not written')
    return replace(annotations, state=state, points=points)


def add_values(films: list[Film], annotations: Annotations, source: str, notes: Notes):
    "Measure what the definitions `source` define, for the reports on `films`."
    measured = measure_landmarks(annotations, read_definitions(source))
    for i, film in enumerate(films):
        for s, side in enumerate(measured.sides):
            for m, measure in enumerate(measured.measures):
                value, name = measured.values[i, s, m], column_of(side, measure)
                if np.isfinite(value): film.values.append(Value(name, float(value), measure.unit))
                else: notes.add('measurement', f'left out: {measured.reasons[i, s, m]}', film.name)


def write(films: list[Film], names: list[str], target: Path, form: Format, notes: Notes):
    "Write `films` to `target`, all of them or nothing."
    if not form.suffix:
        content = form.write(films, names, target, notes)
        with atomic(target) as temporary: temporary.write_bytes(content.encode())
        return
    contents = {}
    for film in films:
        path = f'{PurePosixPath(film.name).with_suffix("")}{form.suffix}'
        if path in contents:
            raise UsageError(f'{film.where}: another image has the name {path} already, expected names that differ '
                             'without their suffix; rename it')
        content = form.write(film, names, target / path, notes)
        contents[path] = content.encode() if isinstance(content, str) else content
    _check_others(target, contents)
    with atomic_folder(target) as temporary:
        for path, content in contents.items():
            (temporary / path).parent.mkdir(parents=True, exist_ok=True)
            (temporary / path).write_bytes(content)


def _check_others(target, contents):
    "Raise UsageError where the folder `target` holds files other than `contents`, which would be lost."
    there = [path for path in target.rglob('*') if not path.is_dir()]
    others = [path for path in there if path.relative_to(target).as_posix() not in contents]
    if others:
        raise UsageError(f'{others[0]} would be lost, which is not written again; remove it yourself, or pass another '
                         '--target')


def check_target(config: ConvertConfig, target: Path, form: Format):
    "Raise UsageError where `target` cannot be written, is read, or is there already and not to be replaced."
    if target.is_dir() != bool(form.suffix) and target.exists():
        raise UsageError(f'target is {target}, a {"file" if form.suffix else "folder"}; expected the name of a '
                         f'{"folder" if form.suffix else "file"} for {config.target_format}')
    if form.suffix: check_replaceable(target, 'target')
    else: check_writable(target.parent, 'target')
    if form.suffix and config.image_dir and lies_in(target, config.image_dir):
        raise UsageError(f'{target} lies in the image folder {config.image_dir}; pass another --target')
    for given in filter(None, (config.source, config.image_dir, config.definitions, config.config)):
        if lies_in(given, target) or (given == config.source and lies_in(target, given)):
            raise UsageError(f'{given} is read, and {target} would be written over or into it; pass another --target')
    there = any(target.iterdir()) if target.is_dir() else target.exists()
    if there and not config.overwrite:
        raise UsageError(f'{target} exists; pass --overwrite to replace it, or another --target')


def _note(notes, annotations, which, thing, what):
    "Note `what` became of a `thing` wherever `which` (n, m) says so."
    for name, n in zip(annotations.image_names, which.sum(1).tolist(), strict=True):
        if n: notes.add(thing, what, name, n)
