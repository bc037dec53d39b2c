"""Parts of the predictions of a folder as Parquet: each is a file of the images of one batch, whole or not there.

A row an image: its name, the reason where it failed, else every field of its `Prediction` as a list, to the last bit,
its spacing and its look. The metadata of the file name the job that it is a part of.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UsageError
from .predictions import ImageFacts, Predictions, printable
from .predictor import Prediction

JOB = b'landmark_fastai job'
DTYPES = Prediction(points=float, state=np.uint8, confidence=float, spread=float, size=int, expected_error=float,
                    stage=str, first=float, bound=float)
PAIRS = 'points', 'first'  # of the fields: (N, 2)


def to_parquet(predictions: Predictions, job: str) -> bytes:
    "What is known of the images of `predictions`, as a part of the `job`."
    import pyarrow as pa  # comes with Ray
    import pyarrow.parquet as pq
    rows = [row_of(predictions, name) for name in predictions.done]
    rows += [{'image_name': name, 'reason': printable(str(reason))} for name, reason in predictions.failed.items()]
    columns = {name: [row.get(name) for row in rows] for name in ('image_name', 'reason', *Prediction._fields,
                                                                  'spacing', 'source', 'look')}
    schema = pa.schema({'image_name': pa.string(), 'reason': pa.string()} | {
        name: pa.list_(pa.string() if dtype is str else pa.from_numpy_dtype(dtype))
        for name, dtype in DTYPES._asdict().items()} | {
        'spacing': pa.list_(pa.float64()), 'source': pa.string(), 'look': pa.list_(pa.float64())}, {JOB: job})
    file = BytesIO()
    pq.write_table(pa.table(columns, schema), file)
    return file.getvalue()


def row_of(predictions: Predictions, name: str) -> dict[str, Any]:
    "What was found on the image called `name`."
    facts = predictions.facts[name]
    found = {field: np.ravel(values).tolist() for field, values in predictions.found[name]._asdict().items()}
    return found | {'image_name': name, 'spacing': list(map(float, facts.spacing)), 'source': facts.source,
                    'look': predictions.looks[name]}


def add_part(predictions: Predictions, part: bytes, wanted: set[str]):
    "Add to `predictions` what the `part` of `to_parquet` knows of the images `wanted`, which it takes out of these."
    import pyarrow.parquet as pq
    for row in pq.read_table(BytesIO(part)).to_pylist():
        name = row['image_name']
        if name not in wanted: continue
        wanted.remove(name)
        if row['reason'] is not None: predictions.failed[name] = row['reason']
        else: predictions.add(name, prediction_of(row), ImageFacts(row['spacing'], row['source'], None), row['look'])


def prediction_of(row: dict[str, Any]) -> Prediction:
    "The `Prediction` of one image in a row of a part."
    arrays = {field: np.array(row[field], dtype) for field, dtype in DTYPES._asdict().items()}
    return Prediction(**arrays | {field: arrays[field].reshape(-1, 2) for field in PAIRS})


def add_file(predictions: Predictions, path: Path, wanted: set[str]):
    "As `add_part`, of the part in the file at `path`. Raises UsageError where that cannot be read."
    with readable(path): add_part(predictions, path.read_bytes(), wanted)


def job_of(path: Path) -> str:
    "The job that the part in the file at `path` is of, '' if of none. Raises UsageError where it cannot be read."
    import pyarrow.parquet as pq
    with readable(path): return (pq.read_schema(path).metadata or {}).get(JOB, b'').decode()


@contextmanager
def readable(path: Path) -> Iterator[None]:
    "Raise UsageError where the block finds that the part in the file at `path` cannot be read."
    import pyarrow as pa
    try: yield
    except (OSError, pa.ArrowException) as e:
        raise UsageError(f'{path} cannot be read ({" ".join(str(e).split())}); remove it, and its images are predicted '
                         'once more') from None
