"The folder that a command writes: never over what another has written, or what is read."

from collections.abc import Iterable
from pathlib import Path

from .config import run_file
from .errors import UsageError
from .files import check_writable, lies_in

# the file by which an earlier run of a command is known; `evaluate` may also write the second, `measure` the last
KEYS = {'predictions.csv': 'predict or evaluate', 'measurements.csv': 'measure', 'agreement.csv': 'agreement'}


def make_output_folder(folder: str | Path, written: Iterable[str], overwrite: bool, image_dir: str | None,
                       inputs: Iterable[str | None]) -> Path:
    """Make `folder`, without what an earlier run of the command has `written` there: patterns, the first a file.

    Raises UsageError where that is not wanted, would remove one of the `inputs` or what another command has written, or
    lies among the images.
    """
    folder, written = Path(folder), list(written)
    check_writable(folder)
    if of_run := run_file(folder):
        raise UsageError(f'{folder} is the folder of a run, it has a {of_run.name}; pass another --output_dir')
    if image_dir and lies_in(folder, image_dir):
        raise UsageError(f'{folder} lies in the image folder {image_dir}, where pictures would be taken for images; '
                         'pass another --output_dir')
    for key, command in KEYS.items():
        if key == written[0]: break
        if (folder / key).exists():
            raise UsageError(f'{folder / key} is of {command}, whose other files would be lost; pass another '
                             '--output_dir', see='existing-folder')
    there = [path for pattern in written for path in sorted(folder.glob(pattern))]
    if there and there[0].name != written[0]:
        raise UsageError(f'{there[0]} exists without {written[0]}, so it may not be of this program; '
                         'remove it yourself, or pass another --output_dir')
    for given in filter(None, (image_dir, *inputs)):
        if any(lies_in(path, given) for path in there):
            raise UsageError(f'{given} is read, and --overwrite would remove it; pass another --output_dir')
    if there and not overwrite:  # last: nothing else may stand against what it advises
        raise UsageError(f'{there[0]} exists; pass --overwrite to replace it, or another --output_dir',
                         see='existing-folder')
    for path in there: path.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    return folder
