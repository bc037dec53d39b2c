"A trained run that is asked for landmarks, in a thread of its own: torch is imported when it is asked first."

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..errors import UsageError
from ..model.facts import read_facts
from .actions import Mark
from .labels import mark_of


class Run:
    """The run in `folder`, for images below `image_dir`; what it has `found`, by image and landmark, in original px.

    Raises UsageError where there is no run, or it knows none of `landmarks`.
    """
    def __init__(self, folder: str | Path, image_dir: str | Path, landmarks: Sequence[str]):
        self.folder, self.image_dir = folder, Path(image_dir)
        known = read_facts(folder).landmarks
        if not set(known) & set(landmarks):
            raise UsageError(f'{folder} has the landmarks {", ".join(known)}; expected some of {", ".join(landmarks)}')
        self.found: dict[str, dict[str, Mark]] = {}
        self.predictor = None
        self.thread = ThreadPoolExecutor(1, 'run')

    def ask(self, image: str):
        "Wait until what the run finds on an image is `found`. Raises UsageError where it cannot tell."
        self.thread.submit(self._look_at, image).result()

    def close(self): self.thread.shutdown(cancel_futures=True)

    def _look_at(self, image):
        if image in self.found: return
        if self.predictor is None:
            from ..inference.choosing import load_any
            self.predictor = load_any(self.folder)
        prediction = self.predictor.predict(self.image_dir / image)
        marks = map(mark_of, prediction.points[0], prediction.state[0])
        self.found[image] = dict(zip(self.predictor.names, marks, strict=True))
