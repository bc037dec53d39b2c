"The images that a file of another tool speaks of."

import re
from collections import defaultdict
from pathlib import Path, PurePosixPath

from ..errors import UsageError
from ..formats.images import find_images, image_size


class Images:
    """The images below `image_dir`, by what other tools call them; without a folder they are called what a tool says.

    Raises UsageError where there is a folder without images.
    """
    def __init__(self, image_dir: str | None):
        self.folder = image_dir
        self._by_path, self._by_last = defaultdict(list), defaultdict(list)  # each with and without suffix
        for name in find_images(image_dir) if image_dir else ():
            path = PurePosixPath(name)
            for text in {name, str(path.with_suffix(''))}: self._by_path[text].append(name)
            for text in {path.name, path.stem}: self._by_last[text].append(name)

    def find(self, where: str, *texts: str) -> str:
        """The path below the image folder of the image that one of `texts` means, tried in that order.

        Leading folders of a text need not be there, and its suffix may be missing. Raises UsageError with `where`.
        """
        parts_of = [_parts(text) for text in texts]
        if not all(parts_of): raise UsageError(f'{where}: the name of the image is {texts[0]!r}, expected one')
        if not self.folder: return '/'.join(parts_of[0][-1:] if _leads_away(texts[0]) else parts_of[0])
        ends = ['/'.join(parts[i:]) for parts in parts_of for i in range(len(parts))]
        known = [*map(self._by_path.get, ends), *(self._by_last.get(parts[-1]) for parts in parts_of)]
        found = next(filter(None, known), [])
        if len(found) == 1: return found[0]
        what = f'{len(found)} images could be {texts[0]} ({found[0]}, {found[1]})' if found else f'no image {texts[0]}'
        raise UsageError(f'{where}: {what} in {self.folder}; expected one, rename it or pass another --image_dir')

    def size(self, where: str, name: str, stated: tuple[int, int] | None = None) -> tuple[int, int]:
        "Width and height of the image called `name`, as `stated`, else that of its file. Raises UsageError."
        if not self.folder:
            if stated: return stated
            raise UsageError(f'{where}: the size of the image is not told; pass --image_dir, the folder of the images')
        header = image_size(Path(self.folder, name))
        if stated in (None, header.size, header.stored): return stated or header.size
        raise UsageError(f'{where}: the image is said to be {stated[0]} x {stated[1]}, the file is {header.size[0]} x '
                         f'{header.size[1]}; expected the image in which the points were clicked')


def _parts(text):
    "The folders and the name in the path `text`, of any system."
    parts = [part.strip() for part in re.split(r'[\\/]', text)]
    return [part for part in parts if part not in ('', '.', '..') and not part.endswith(':')]


def _leads_away(text):
    "Whether the path `text` leads out of the folder in which it stands."
    return re.match(r'[\\/]|\w+:', text) is not None or '..' in re.split(r'[\\/]', text)
