"In which order a reader comes to the images."

import hashlib
from collections.abc import Mapping, Sequence

from .actions import Work

ORDERS = NAME, RANDOM, UNFINISHED, WORST = 'name', 'random', 'unfinished', 'worst'


def order(images: Sequence[str], how: str, work: Work, landmarks: Sequence[str], scores: Mapping[str, float],
          seed: str) -> list[int]:
    """The numbers of `images` in the order `how`, of `ORDERS`.

    RANDOM depends on `seed` and the name of an image alone, so that one more image leaves the others in their order;
    UNFINISHED has those first on which a landmark is without a mark; WORST has the largest of `scores` first, such as
    expected errors, and images without a score last.
    """
    keys = {NAME: lambda image: 0,
            RANDOM: lambda image: chance(seed, image),
            UNFINISHED: lambda image: is_finished(work, image, landmarks),
            WORST: lambda image: -scores.get(image, float('-inf'))}
    return sorted(range(len(images)), key=lambda number: keys[how](images[number]))


def is_finished(work: Work, image: str, landmarks: Sequence[str]) -> bool:
    "Whether every landmark of an image has a mark."
    return all(work.of(image).get(name) is not None for name in landmarks)


def chance(*texts: str) -> float:
    "A number from 0 to 1, without 1, that looks random, and is always the same for the same `texts`."
    digest = hashlib.sha256('/'.join(texts).encode(errors='surrogateescape')).digest()
    return int.from_bytes(digest[:6], 'big') / 2 ** 48
