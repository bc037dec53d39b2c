"""The journal of a reader: every action on a line of its own, on disk before it is acknowledged. It is the truth.

The first line says what it is a journal of. A line that was being written as the power went has no end: nobody was told
that it is saved, so it is cut off when the journal is opened, and kept beside it.
"""

import json
import os
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .actions import Action, Work, read_action, replay, to_json

FORMAT = 1  # to be counted up when an older version would misread a journal
FOLDER = 'readers'
EXTENSION = '.jsonl'


class Journal:
    """The journal at `path` of a reader of `landmarks`, which is begun if there is none, and the `work` that it holds.

    Raises UsageError for the journal of another version or of other landmarks, for a damaged one and for a link.
    """
    def __init__(self, path: str | Path, reader: str, landmarks: Sequence[str]):
        self.path, self.landmarks = Path(path), list(landmarks)
        if self.path.is_symlink(): raise UsageError(f'{self.path} is a link, a file was expected; take it away')
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines, rest = read_lines(self.path)
        actions = read_actions(self.path, lines, self.landmarks)
        self.work, self.known, self.n_cut = Work(), set(), len(rest)
        self._take(actions)
        if rest: cut(self.path, rest)
        self.file = open(self.path, 'ab')  # noqa: SIM115  (it stays open)
        if lines: return
        self._write([{'journal': FORMAT, 'reader': reader, 'landmarks': self.landmarks}])
        sync_folder(self.path.parent)

    def append(self, actions: Sequence[Action]):
        "Take those of `actions` that are new; when this returns they are on disk. Raises OSError, and then takes none."
        new = list({action.id: action for action in actions if action.id not in self.known}.values())
        if not new: return
        time = datetime.now(timezone.utc).isoformat(timespec='milliseconds')
        self._write([{'n': self.work.n + k, 'time': time} | to_json(action) for k, action in enumerate(new, 1)])
        self._take(new)

    def close(self): self.file.close()

    def _take(self, actions):
        for action in actions:
            self.work.take(action)
            self.known.add(action.id)

    def _write(self, entries):
        size = os.fstat(self.file.fileno()).st_size
        try:
            self.file.write(b''.join(to_line(entry) for entry in entries))
            self.file.flush()
            os.fsync(self.file.fileno())
        except OSError:  # a full disk: what was written of it is no line
            self.file.close()
            os.truncate(self.path, size)
            self.file = open(self.path, 'ab')  # noqa: SIM115
            raise


def to_line(entry: dict) -> bytes:
    "An entry as a line of a journal."
    return json.dumps(entry, ensure_ascii=False, separators=(',', ':')).encode() + b'\n'


def read_lines(path: Path) -> tuple[list[bytes], bytes]:
    "The whole lines of the journal at `path`, and what is behind them."
    content = path.read_bytes() if path.is_file() else b''
    lines = content.splitlines(keepends=True)
    while lines and not is_whole(lines[-1]): lines.pop()
    return lines, content[sum(map(len, lines)):]


def read_work(path: Path, landmarks: Sequence[str]) -> Work:
    "What the journal at `path` of another reader comes to; it stays as it is. Raises UsageError as `Journal` does."
    lines, _ = read_lines(path)
    return replay(read_actions(path, lines, landmarks))


def read_actions(path: Path, lines: Sequence[bytes], landmarks: Sequence[str]) -> list[Action]:
    "The actions in the `lines` of the journal at `path`. Raises UsageError."
    if lines: check_header(path, lines[0], landmarks)
    return [read_entry(path, row, line, landmarks) for row, line in enumerate(lines[1:], 2)]


def cut(path: Path, rest: bytes):
    "Take `rest` off the end of the journal at `path`, into `<path>.cut`."
    with open(path.with_name(path.name + '.cut'), 'ab') as f: f.write(rest)
    os.truncate(path, path.stat().st_size - len(rest))


def is_whole(line: bytes) -> bool:
    "Whether `line` has its end, and is an object."
    try: return line.endswith(b'\n') and isinstance(json.loads(line), dict)
    except ValueError: return False


def check_header(path: Path, line: bytes, landmarks: Sequence[str]):
    "Raise UsageError unless the first `line` of the journal at `path` is one that this version reads, of `landmarks`."
    header = json.loads(line)
    if header.get('journal') != FORMAT:
        raise UsageError(f'{path}: a journal of the format {header.get("journal")!r}, this version reads {FORMAT}; use '
                         'the version that wrote it')
    if header.get('landmarks') == list(landmarks): return
    raise UsageError(f'{path} has the landmarks {", ".join(map(str, header.get("landmarks") or []))}, not '
                     f'{", ".join(landmarks)}; leave --landmarks out, or pass another --label_dir')


def read_entry(path: Path, row: int, line: bytes, landmarks: Sequence[str]) -> Action:
    "The action in line `row` of the journal at `path`. Raises UsageError where it is damaged."
    try:
        entry = json.loads(line)
        if isinstance(entry, dict): return read_action(without(entry, 'n', 'time'), landmarks)
        problem = 'no object'
    except (ValueError, UsageError) as e: problem = str(e)
    raise UsageError(f'{path}, line {row} is damaged: {problem}; expected an action. Nothing was changed; take that '
                     'line out')


def without(entry: dict[str, Any], *names: str) -> dict[str, Any]:
    "`entry` without `names`."
    return {name: value for name, value in entry.items() if name not in names}


def read_first_line(path: Path) -> dict | None:
    "The first line of the journal at `path`; None where there is none."
    if not path.is_file(): return None
    with open(path, 'rb') as f: line = f.readline()  # a journal may be long, and is read whole when it is opened
    return json.loads(line) if is_whole(line) else None


def sync_folder(folder: Path):
    "Make sure that a new file in `folder` is on disk, where the system can."
    try: fd = os.open(folder, os.O_RDONLY)
    except OSError: return  # Windows opens no folder
    try: os.fsync(fd)
    finally: os.close(fd)
