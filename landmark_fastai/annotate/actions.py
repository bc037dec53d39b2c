"""What a reader does to points, and what follows from all of it. Pure: no file, no clock.

A *mark* is what a reader says of a landmark on an image: a point (x, y) in original px, `absent`, or `unclear` where it
cannot be judged; None where nothing is said. An action gives landmarks of one image new marks, or undoes or redoes
that.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ..errors import UsageError
from ..flags import is_number, nearest

ABSENT, UNCLEAR = 'absent', 'unclear'
MARK, UNDO, REDO, WORK = KINDS = 'mark', 'undo', 'redo', 'work'
ORIGINS = 'click', 'template', 'model', 'import', 'adjudication'
LONGEST = 4096  # letters of the path of an image
Mark = tuple[float, float] | str | None


@dataclass(frozen=True)
class Action:
    "One thing that a reader did."
    id: str      # of the page's making: what is known already is not taken twice
    client: str  # the tab that it was done in
    kind: str    # of `KINDS`; WORK is time alone
    image: str
    base: int    # how many actions the tab knew of
    marks: dict[str, Mark] = field(default_factory=dict)  # for MARK, by landmark
    origin: str = 'click'  # for MARK, of `ORIGINS`
    target: str = ''     # for UNDO and REDO, the id of a MARK
    seconds: float = 0.  # that the reader has worked on the image since the last action


@dataclass(frozen=True)
class Change:
    "What a MARK has changed on an image: the marks of landmarks before and after."
    id: str
    image: str
    before: dict[str, Mark]
    after: dict[str, Mark]


@dataclass
class Work:
    "All that a reader has done."
    n: int = 0  # actions
    marks: dict[str, dict[str, Mark]] = field(default_factory=dict)    # by image and landmark
    origins: dict[str, dict[str, str]] = field(default_factory=dict)   # of these
    conflicts: dict[str, dict[str, list[Mark]]] = field(default_factory=dict)  # marks that are not taken, see `take`
    seconds: dict[str, float] = field(default_factory=dict)            # by image
    done: list[Change] = field(default_factory=list)    # what can be undone, the next one last
    undone: list[Change] = field(default_factory=list)  # what can be redone, the next one last
    touched: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)  # last by which action of which tab

    def take(self, action: Action):
        """Go on by one `action`.

        A mark of a landmark that another tab has marked otherwise, unknown to this one, is not taken but a conflict,
        until the landmark is marked again. What is undone or redone must be what is next, else another tab was first.
        """
        self.n += 1
        if action.seconds: self.seconds[action.image] = self.seconds.get(action.image, 0.) + action.seconds
        if action.kind == MARK: self._mark(action)
        elif action.kind == UNDO: self._move(action, self.done, self.undone, 'before')
        elif action.kind == REDO: self._move(action, self.undone, self.done, 'after')

    def of(self, image: str) -> dict[str, Mark]:
        "The marks of an image, by landmark."
        return self.marks.get(image, {})

    def n_marked(self, image: str) -> int:
        "How many landmarks of an image have a mark."
        return sum(mark is not None for mark in self.of(image).values())

    def _mark(self, action):
        before, taken = self.of(action.image), {}
        for name, mark in action.marks.items():
            at, by = self.touched.get((action.image, name), (0, action.client))
            if at <= action.base or by == action.client or mark == before.get(name): taken[name] = mark
            else: self.conflicts.setdefault(action.image, {}).setdefault(name, []).append(mark)
        if not taken: return
        for name in taken: self.conflicts.get(action.image, {}).pop(name, None)
        self.origins.setdefault(action.image, {}).update(dict.fromkeys(taken, action.origin))
        self.done.append(Change(action.id, action.image, {name: before.get(name) for name in taken}, taken))
        self.undone.clear()
        self._set(action, action.image, taken)

    def _move(self, action, source, destination, side):
        if not source or source[-1].id != action.target: return
        change = source.pop()
        destination.append(change)
        self._set(action, change.image, getattr(change, side))

    def _set(self, action, image, marks):
        self.marks.setdefault(image, {}).update(marks)
        self.touched.update({(image, name): (self.n, action.client) for name in marks})


def replay(actions: Sequence[Action]) -> Work:
    "What all of `actions`, in their order, come to."
    work = Work()
    for action in actions: work.take(action)
    return work


# --- as they are sent and stored

def to_json(action: Action) -> dict[str, Any]:
    "What `read_action` reads: everything but what is as it is by default."
    defaults = {each.name: each.default for each in fields(Action)} | {'marks': {}}
    return {name: value for name, value in asdict(action).items() if value != defaults[name]}


def read_action(values: Any, landmarks: Sequence[str]) -> Action:
    "The action that a page has sent, or a journal holds, checked. Raises UsageError."
    if not isinstance(values, dict): raise UsageError(f'an action is {str(values)[:100]!r}; expected an object')
    names = [each.name for each in fields(Action)]
    for name in values:
        if name not in names: raise UsageError(f'{name!r} is nothing of an action{nearest(str(name), names)}')
    expected = {'id': is_id, 'client': is_id, 'kind': KINDS.__contains__, 'image': is_id, 'base': is_count,
                'marks': lambda marks: isinstance(marks, dict), 'origin': ORIGINS.__contains__, 'target': is_text,
                'seconds': lambda value: is_number(value) and value >= 0}
    for name, is_right in expected.items():
        needed = name in ('id', 'client', 'kind', 'image', 'base')
        if (needed or name in values) and not is_right(values.get(name)):
            raise UsageError(f'{name} of an action is {str(values.get(name))[:100]!r}')
    marks = {name: read_mark(name, mark, landmarks) for name, mark in values.get('marks', {}).items()}
    if (values['kind'] == MARK) != bool(marks): raise UsageError(f'an action {values["kind"]} with {len(marks)} marks')
    return Action(**values | {'marks': marks})


def read_mark(name: str, mark: Any, landmarks: Sequence[str]) -> Mark:
    "The mark of the landmark `name`, from JSON: a list of two numbers, a word, or None. Raises UsageError."
    if name not in landmarks: raise UsageError(f'{name!r} is no landmark here{nearest(name, list(landmarks))}')
    if mark is None or mark in (ABSENT, UNCLEAR): return mark
    if isinstance(mark, list | tuple) and len(mark) == 2 and all(map(is_number, mark)): return tuple(map(float, mark))
    raise UsageError(f'{name} is marked {str(mark)[:100]!r}; expected x and y, {ABSENT}, {UNCLEAR} or nothing')


def is_id(value: Any) -> bool:
    "Whether `value`, from JSON, is a text that can name something."
    return is_text(value) and bool(value)


def is_text(value: Any) -> bool:
    "Whether `value`, from JSON, is a text no longer than one can be."
    return isinstance(value, str) and len(value) <= LONGEST


def is_count(value: Any) -> bool:
    "Whether `value`, from JSON, is a whole number from 0 on."
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
