"Which images train, validate, calibrate, test: the `split` column, a drawn split, or folds; no patient on two sides."

import math
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import UsageError
from .annotations import Annotations
from .columns import SPLITS
from .spreadsheet import plain_name

TRAINED = 'train', 'val'  # sides that a training looks at


def split_rows(annotations: Annotations, val_fraction: float = 0.2, seed: int = 42,
               trained: Collection[str] = ()) -> np.ndarray:
    """Side of each image, (n,) of `columns.SPLITS`.

    The `split` column where there is one. Else ceil(n * `val_fraction`) images are drawn for validation; where
    `patient_id` is known, whole patients until there are at least so many. Those that are called as what has `trained`
    the network before are drawn only where there are no others. The training side is never empty. Raises `UsageError`
    if one side would be.
    """
    if annotations.split is not None: return checked_split(annotations, annotations.split)
    if not 0 < val_fraction < 1: raise UsageError(f'val_fraction is {val_fraction}, expected a number between 0 and 1')
    groups = annotations.patient_id if annotations.patient_id is not None else annotations.image_names
    size_of = Counter(groups)
    unique = list(size_of)
    if len(size_of) < 2: raise UsageError(_too_few(annotations), see='too-few-images')
    n_val = math.ceil(len(annotations) * val_fraction - 1e-9)  # 100 * 0.07 is a little over 7
    known = {group for group, name in zip(groups, annotations.image_names, strict=True) if name in trained}
    shuffled = [unique[i] for i in np.random.default_rng(seed).permutation(len(unique))]
    new = [group for group in shuffled if group not in known]
    drawn, n_drawn = set(), 0
    for group in new if 0 < len(new) < len(shuffled) else shuffled[:-1]:
        if n_drawn >= n_val: break
        drawn.add(group); n_drawn += size_of[group]
    return np.array(['val' if group in drawn else 'train' for group in groups])


def split_folds(annotations: Annotations, n_folds: int, seed: int = 42) -> np.ndarray:
    """The fold of each image, (n,) from 1 to `n_folds`, for cross-validation; 0 for `cal` and `test`, in none of them.

    Folds are of equal size, as nearly as whole patients allow where `patient_id` is known. Raises `UsageError` for
    fewer images or patients than folds.
    """
    kept = [i for i in range(len(annotations)) if annotations.split is None or annotations.split[i] in TRAINED]
    groups = annotations.patient_id if annotations.patient_id is not None else annotations.image_names
    size_of = Counter(groups[i] for i in kept)
    if not 2 <= n_folds <= len(size_of):
        what = 'images' if annotations.patient_id is None else 'patients'
        raise UsageError(f'folds is {n_folds}; {annotations.path.name} has {len(size_of)} {what} to train on, expected '
                         f'2 to {len(size_of)}, or 0 for no cross-validation', see='too-few-images')
    unique, sizes, fold_of = list(size_of), [0] * n_folds, {}
    shuffled = [unique[i] for i in np.random.default_rng(seed).permutation(len(unique))]
    for group in sorted(shuffled, key=size_of.get, reverse=True):  # the largest first, each to the smallest fold
        fold_of[group] = sizes.index(min(sizes)) + 1
        sizes[fold_of[group] - 1] += size_of[group]
    folds = np.zeros(len(annotations), int)
    folds[kept] = [fold_of[groups[i]] for i in kept]
    return folds


def checked_split(annotations: Annotations, split: Sequence[str]) -> np.ndarray:
    "`split`, of `columns.SPLITS` for each image, as an array (n,). Raises UsageError for another, and an empty side."
    split, name = np.asarray(split), annotations.path.name
    if split.shape != (len(annotations),):
        raise UsageError(f'{name}: split has the shape {split.shape}, expected the side of each of the '
                         f'{len(annotations)} images')
    others = sorted(set(split.tolist()) - set(SPLITS), key=str)
    if others: raise UsageError(f'{name}: split has {others[0]!r}, expected {", ".join(SPLITS)}')
    for side in ('train', 'val'):
        if side not in split:
            raise UsageError(f'{name}: no row has split {side}, expected train and val; mark some, or leave the split '
                             'out', see='too-few-images')
    return split


def trained_images(run: Path) -> set[str]:
    "The names of the images that the network of the run in the folder `run` was trained on. Raises UsageError."
    return {name for name, side in read_split(run).items() if side == 'train'}


def _too_few(annotations):
    what = 'image' if annotations.patient_id is None or len(annotations) < 2 else 'patient'
    return f'{annotations.path.name}: only one {what}, expected at least 2 to train and validate; add {what}s'


def read_split(run: Path) -> dict[str, str]:
    """The side of each image that the run in the folder `run` was trained with, by name.

    Empty where the run has no split.csv. Raises UsageError where that cannot be read.
    """
    if not (run / 'split.csv').is_file(): return {}
    try: rows = pd.read_csv(run / 'split.csv', dtype=str, na_filter=False)
    except (ValueError, OSError) as e: raise UsageError(f'{run / "split.csv"} cannot be read ({e})') from None
    if not {'image_name', 'split'} <= set(rows):
        raise UsageError(f'{run / "split.csv"} lacks a column, expected image_name,split')
    return dict(zip(map(plain_name, rows.image_name), rows.split, strict=True))
