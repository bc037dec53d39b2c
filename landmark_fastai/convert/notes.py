"What is lost between two formats, or taken for something: said once a kind, with how often."

from ..viz.report import counted


class Notes:
    "What there is to say, in the order in which it was met first."
    def __init__(self): self._met, self._said = {}, []

    def say(self, text: str):
        "That which is no matter of single images."
        self._said.append(text)

    def add(self, thing: str, what: str, image: str, n: int = 1):
        "That `what` became of `n` of a `thing`, a noun in the singular, of the image called `image`."
        count, images = self._met.get((thing, what), (0, set()))
        self._met[thing, what] = count + n, images | {image}

    def lines(self) -> list[str]:
        "A line a kind: `3 absent landmarks of 2 images: written as not labelled`."
        return [*self._said, *(f'{counted(count, thing)} of {counted(len(images), "image")}: {what}'
                               for (thing, what), (count, images) in self._met.items())]
