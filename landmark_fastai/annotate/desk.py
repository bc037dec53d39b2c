"""The desk of a reader: a folder of images, the journal of what the reader does to them, and the CSV that follows.

Files below the folder of labels: `readers/AB.jsonl`, the journal of the reader AB, and `readers/AB.csv`, which is
derived from it, as the annotation CSV is where there is a single reader. What was said of images that came back is in
`readers/AB_again.csv`.
"""

import hashlib
import re
import shutil
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock

from filelock import FileLock, Timeout

from ..errors import UsageError
from ..files import atomic, lies_in, write_text
from ..formats.annotations import Annotations, read_annotations, write_annotations
from ..formats.columns import REQUIRED, read_names
from ..formats.images import find_images, image_size
from .actions import Action, Mark, Work
from .adjudication import ADJUDICATED, Disputed
from .hints import slips
from .journal import EXTENSION, FOLDER, Journal, read_first_line
from .labels import annotations_of, imported
from .queue import order
from .repeats import again, image_of, second_readings
from .review import Reason, in_short
from .run import Run
from .study import OPEN, Study
from .suggestions import SHAPES, Help, Suggestion, check_given, whole_images

LOCK = '.annotate.lock'
SECOND = '_again'  # ends the name of the CSV of what was said of images that came back
DERIVED = '.derived'  # file in the folder of readers: digests of the CSV files that were written from a journal last


class Desk:
    """What a reader works on, until `close`; one desk at a time in a folder of labels.

    `landmarks` are those of the reader's journal or of the CSV where they are left out. Points that the CSV of a single
    reader has otherwise, clicked before there was a journal or changed by hand since, are actions, too. What is offered
    are `given` marks, by image and landmark, and what the run in the folder `model` finds; `reasons` to look at images,
    by image, give them an order. In adjudication the images are those that are `disputed`, and what readers have said
    of them is offered. Raises UsageError for whatever does not fit together, and changes nothing then.
    """
    def __init__(self, image_dir: str | Path, csv_file: str | Path, reader: str,
                 landmarks: Sequence[str] | None = None, given: Mapping[str, Mapping[str, Mark]] | None = None,
                 model: str | Path | None = None, reasons: Mapping[str, Reason] | None = None, study: Study = OPEN,
                 disputed: Disputed | None = None):
        self.image_dir, self.csv_file, self.reader = Path(image_dir), Path(csv_file), reader
        check_reader(reader, is_adjudication=disputed is not None)
        self.study, self.disputed, self.image_names = study, disputed, find_images(image_dir)
        shown = here(disputed.images, self.image_names, self.image_dir) if disputed else self.image_names
        self.images = study.items(shown, reader)  # as they are shown; some may come back, see `repeats`
        self.titles = self.images if not study.hides_names else [f'film {n}' for n in range(1, len(self.images) + 1)]
        self.ids = [joint_digest(image) for image in self.images]  # that a page knows them by, from start to start
        self.numbers = {image: number for number, image in enumerate(self.images)}
        self.folder = self.csv_file.parent / FOLDER
        self.own_csv = self.folder / f'{reader}.csv'
        self.key = joint_digest(str(self.folder.resolve()), reader)  # that a page knows it by
        self.films = joint_digest(self.key, *self.titles, *self.ids)  # other numbers mean other films where it differs
        self.known = read_annotations(self.csv_file) if self.csv_file.is_file() else None
        path = self.folder / (reader + EXTENSION)
        self.landmarks = choose_landmarks(landmarks, path, self.known)
        self.reasons = {image: reason for image, reason in (reasons or {}).items()
                        if image in self.numbers and not study.hides_names}  # they may name images, too
        if given: check_given(given, self.image_names, self.landmarks)
        run = Run(model, self.image_dir, self.landmarks) if model else None
        self.help = Help(self.landmarks, given, run)
        self.lock = take_lock(self.folder)
        try:
            self.journal = Journal(path, reader, self.landmarks)
            if self.known and self.is_last_word: self.journal.append(imported(self._said_by_hand(), self.work))
        except BaseException:
            self.lock.release()
            raise
        self.written = -1  # actions that the CSV files hold
        self.sizes = {}
        self.mutex = Lock()  # a server takes and writes in several threads
        self.write()

    @property
    def work(self) -> Work:
        "All that the reader has done."
        return self.journal.work

    def take(self, actions: Sequence[Action]):
        """Keep what the reader has done.

        Raises UsageError for an image that is not here or cannot be read, and for a point beside it, and OSError; then
        none is kept.
        """
        for action in actions:
            if action.image not in self.numbers: raise UsageError(f'{action.image!r} is no image here')
            points = {name: mark for name, mark in action.marks.items() if isinstance(mark, tuple)}
            if points: check_inside(action.image, points, self.size(action.image))
        with self.mutex: self.journal.append(actions)

    def suggestions_of(self, image: str) -> dict[str, list[Suggestion]]:
        "What is offered for landmarks of an image, the best first; nothing where it is withheld."
        return {} if self.study.is_withheld(image) else self.known_suggestions(image)

    def known_suggestions(self, image: str) -> dict[str, list[Suggestion]]:
        "As `suggestions_of`, also where it is withheld."
        if self.disputed: return self.disputed.suggestions(image)
        with self.mutex: return self.help.of(image, self.work)

    def ask_run(self, image: str):
        "Wait until the run, if any, has told what it finds on an image. Raises UsageError where it cannot tell."
        if self.help.can_ask(image): self.help.run.ask(image_of(image))

    def order(self, how: str) -> list[int]:
        "The numbers of the images in one of `queue.ORDERS`; the random one is the reader's own."
        scores = {image: reason.score for image, reason in self.reasons.items()}
        with self.mutex: return order(self.images, how, self.work, self.landmarks, scores, self.reader)

    def slips_of(self, image: str) -> list[str]:
        "What looks like a slip on an image, in the light of others, each in a sentence."
        with self.mutex:
            others = [each for each in whole_images(self.work, but=image) if each in self.numbers]
            images = [*others[-SHAPES:], image]
            sizes = {each: self.size(each) for each in images}
            annotations = annotations_of(self.work, self.landmarks, sizes, self.csv_file)
        return [in_short(finding, annotations) for finding in slips(annotations, image)]

    def write(self):
        "Derive the CSV files from the journal, unless they are up to date."
        with self.mutex:
            done = self.work.n
            if self.written == done: return
            sizes = self._marked_sizes()
            found = annotations_of(self.work, self.landmarks, sizes, self.csv_file, self.known)
            second = self._second_readings(sizes)
        if len(second): write_annotations(second.path, second)
        if len(found):
            write_annotations(self.own_csv, found)
            if self.is_last_word: self._publish()
        self.written = done

    @property
    def is_last_word(self) -> bool:
        "Whether the annotation CSV is of this reader: in adjudication, or where there is no other."
        return self.disputed is not None or len(list(self.folder.glob('*' + EXTENSION))) == 1

    def size(self, image: str) -> tuple[int, int]:
        "Width and height of an image, original px. Raises UsageError where it cannot be read."
        path = self.path(image)
        if path not in self.sizes: self.sizes[path] = image_size(path).size
        return self.sizes[path]

    def path(self, image: str) -> Path:
        "The file of an image. Raises UsageError for a link to the outside, which training would refuse, too."
        path = self.image_dir / image_of(image)
        if lies_in(path, self.image_dir): return path
        raise UsageError(f'{path} is a link to a file outside {self.image_dir}; copy the file there')

    def told(self, message: str) -> str:
        "A `message` as the reader may read it: without names of images where these are hidden."
        if not self.study.hides_names: return message
        titles = {text: title for image, title in zip(self.images, self.titles, strict=True)
                  for text in (str(self.path(image)), image_of(image))}
        pattern = '|'.join(map(re.escape, sorted(titles, key=len, reverse=True)))  # the longest that fits
        return re.sub(pattern, lambda found: titles[found[0]], message)

    def close(self):
        "Write what is not written yet, and let others sit down."
        self.write()
        self.journal.close()
        if self.help.run: self.help.run.close()
        self.lock.release()

    def _publish(self):
        "Copy the CSV of the reader over that of annotations, known as derived by then whatever ends this."
        digests = [digest(path.read_bytes()) for path in (self.csv_file, self.own_csv) if path.is_file()]
        write_text(self.folder / DERIVED, '\n'.join(digests))
        with atomic(self.csv_file) as temporary: shutil.copyfile(self.own_csv, temporary)

    def _said_by_hand(self):
        "What the annotation CSV may say that the journal does not; in adjudication, of other images to begin with."
        if self.disputed and not self.work.n:
            return self.known.subset([image not in self.disputed.images for image in self.known.image_names])
        return self.known.subset([]) if self._is_derived() else self.known

    def _is_derived(self):
        "Whether the annotation CSV is as it was written from the journal, which may have gone on since."
        derived = self.folder / DERIVED
        return derived.is_file() and digest(self.csv_file.read_bytes()) in derived.read_text().split()

    def _second_readings(self, sizes):
        "The annotations of the images that came back, of `sizes`."
        work = second_readings(self.work)
        known = self.known and self.known.subset([image in work.marks for image in self.known.image_names])
        return annotations_of(work, self.landmarks, sizes, self.folder / f'{self.reader}{SECOND}.csv', known)

    def _marked_sizes(self):
        "The sizes of marked images, in the order of names; of those that are gone, or broken since, there is no row."
        sizes = {}
        for image in self.image_names:
            if not {image, again(image)} & self.work.marks.keys(): continue
            try: sizes[image] = self.size(image)
            except UsageError as e: warnings.warn(f'left out of {self.csv_file.name}: {e}', stacklevel=3)
        return sizes


def digest(content: bytes) -> str:
    "What stands for `content`, and tells nothing of it."
    return hashlib.blake2b(content, digest_size=12).hexdigest()


def joint_digest(*texts: str) -> str:
    "What stands for `texts` together."
    return digest('\0'.join(texts).encode(errors='surrogateescape'))


def choose_landmarks(given: Sequence[str] | None, journal: Path, known: Annotations | None) -> list[str]:
    "Those that were given, of the journal of the reader, or `known` of the CSV. Raises UsageError where they differ."
    of_journal = (read_first_line(journal) or {}).get('landmarks')
    found = {'the journal': of_journal, known.path.name if known else '': known.names if known else None,
             '--landmarks': list(given) if given else None}
    found = {where: names for where, names in found.items() if names}
    if not found:
        raise UsageError('no landmarks are known: neither a CSV nor a journal is here; pass their names, as '
                         '--landmarks hip,knee')
    if given: check_names(given)
    (first, names), *others = found.items()
    for where, other in others:
        if other == names: continue
        raise UsageError(f'{where} has the landmarks {", ".join(other)}, and {first} has {", ".join(names)}: expected '
                         'the same; pass another --label_dir, or leave --landmarks out')
    return list(names)


def check_names(names: Sequence[str]):
    "Raise UsageError for names that are no landmarks' in a CSV."
    header = [*REQUIRED, *(f'{name}_{end}' for name in names for end in 'xy')]
    if read_names(Path('--landmarks'), header) == list(names): return
    raise UsageError(f'--landmarks has {", ".join(names)}: expected no names of other columns of a CSV')


def here(images: Sequence[str], among: Sequence[str], folder: Path) -> list[str]:
    "Those of `images` that are `among` those in `folder`. Raises UsageError where none is."
    found = [image for image in among if image in set(images)]
    if found: return found
    raise UsageError(f'{folder} has none of the {len(images)} images that two readers have read, such as '
                     f'{images[0]!r}; expected some, pass their --image_dir')


def check_reader(reader: str, is_adjudication: bool):
    "Raise UsageError unless `reader` can be the name of a file anywhere, and is that of nobody else."
    if (reader == ADJUDICATED) != is_adjudication:
        raise UsageError(f'reader is {reader!r}; expected {ADJUDICATED} with --adjudicate, and another name without')
    if not re.fullmatch(r'[\w-]{1,40}', reader):
        raise UsageError(f'reader is {reader!r}; expected initials or a short name of letters and digits')
    if reader.endswith(SECOND):
        raise UsageError(f'reader is {reader!r}; expected no {SECOND} at its end, which names the files of images that '
                         'came back')


def check_inside(image: str, points: dict[str, tuple[float, float]], size: tuple[int, int]):
    "Raise UsageError where one of `points` is beside the image of `size`, px, whose pixels have whole numbers."
    for name, point in points.items():
        if all(0 <= value <= n - 1 for value, n in zip(point, size, strict=True)): continue
        raise UsageError(f'{image}: {name} at {point[0]:g}, {point[1]:g}; expected it within 0 to {size[0] - 1}, 0 to '
                         f'{size[1] - 1}')


def take_lock(folder: Path) -> FileLock:
    "The lock of a folder of readers, taken. Raises UsageError where another process has it."
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise UsageError(f'{folder.parent}: another annotate is at work here, expected one at a time; go on in its '
                         'page, or end it') from None
    except OSError as e:
        raise UsageError(f'{folder} is not writable ({e.strerror}); pass another --label_dir') from None
    return lock
