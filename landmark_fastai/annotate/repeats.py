"""Images that come back unannounced, for the error of a reader against herself. Pure.

An *item* of a reader's list is an image, or, when it comes back, what `again` gives: a name that no file has. What is
done on it is kept apart by that name.
"""

from collections.abc import Sequence

from .actions import Work
from .queue import chance

AGAIN = '//2'  # ends the name of an image that comes back: no path has two slashes
EARLY = 0.5    # share of the list from which images come back: after later ones too little is left
APART = 3      # an image comes back at the earliest a third of the list after it was shown


def again(image: str) -> str:
    "The item that an `image` is when it comes back."
    return image + AGAIN


def image_of(item: str) -> str:
    "The image that an `item` of the list shows."
    return item.removesuffix(AGAIN)


def second_readings(work: Work) -> Work:
    "The marks of the images that came back, by image."
    return Work(marks={image_of(item): marks for item, marks in work.marks.items() if item != image_of(item)})


def with_repeats(images: Sequence[str], share: float, seed: str) -> list[str]:
    """`images`, in the order in which they are shown, and about that `share` of them a second time.

    At least one comes back. Which ones depends on `seed` and the name of an image alone, so that one more
    image leaves the others. The order is expected to be that of `shuffled` with the same seed.
    """
    chosen = [image for image in images if comes_back(image, share, seed)] or list(images[:1])
    places = {image: place for place, image in enumerate(images)}
    gap = -(-(len(images) + len(chosen)) // APART)  # images between
    items = {place: [] for place in range(len(images) + 1)}  # that come back before the image at that place
    for image in chosen:
        room = len(images) - places[image] - gap  # 0 where it can come back last of all, and nowhere else
        if room >= 0: items[places[image] + gap + int(chance(seed, 'place', image) * (room + 1))].append(again(image))
    return [item for place in range(len(images) + 1) for item in [*items[place], *images[place:place + 1]]]


def comes_back(image: str, share: float, seed: str) -> bool:
    "Whether an image of a list that is `shuffled` is one of those that come back."
    return chance(seed, image) < EARLY and chance(seed, 'again', image) < share / EARLY


def shuffled(images: Sequence[str], seed: str) -> list[str]:
    "`images` in an order that depends on `seed` and their names alone: one more image leaves the others in theirs."
    return sorted(images, key=lambda image: chance(seed, image))
