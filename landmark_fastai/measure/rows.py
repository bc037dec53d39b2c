"Rows of numbers, some of which are not known, as CSV and as JSON."

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..files import write_text


def write_rows(path: Path, rows: list[dict]):
    "Write `rows`, all with the same columns, to the CSV `path`, blank for NaN."
    write_text(path, pd.DataFrame(rows).to_csv(index=False, float_format='%.6g', lineterminator='\n'))


def jsonable(value: Any) -> Any:
    "`value` with None for NaN, in all its parts."
    if isinstance(value, dict): return {name: jsonable(part) for name, part in value.items()}
    if isinstance(value, list | tuple): return [jsonable(part) for part in value]
    if isinstance(value, np.generic): value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value
