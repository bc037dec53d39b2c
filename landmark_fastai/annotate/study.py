"What is kept from a reader, so that readers and their help can be compared."

from collections.abc import Sequence
from dataclasses import dataclass

from .queue import chance
from .repeats import image_of, shuffled, with_repeats


@dataclass(frozen=True)
class Study:
    "How images are shown to a reader."
    blind: bool = False   # without their names, in an order of the reader's own
    repeats: float = 0.   # share of them that come back unannounced
    withhold: float = 0.  # share of them on which nothing is suggested

    @property
    def hides_names(self) -> bool:
        "Whether names are kept from the reader: an image that comes back would be known by its name."
        return self.blind or self.repeats > 0

    def items(self, images: Sequence[str], reader: str) -> list[str]:
        "The list of the `reader`: `images`, and those that come back, as `repeats` names them."
        if not self.hides_names: return list(images)
        mixed = shuffled(images, reader)
        return with_repeats(mixed, self.repeats, reader) if self.repeats else mixed

    def is_withheld(self, item: str) -> bool:
        "Whether nothing is suggested on an image, for all readers and whenever it is shown."
        return chance('withheld', image_of(item)) < self.withhold


OPEN = Study()  # none: everything is shown
