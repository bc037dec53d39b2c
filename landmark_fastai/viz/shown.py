"What a notebook shows of a result: its sentence, tables, small pictures, and a link to its report, as a piece of HTML."

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np

from .overlays import as_jpeg
from .report import render
from .tables import Table, is_text


def notebook_html(verdict: str, tables: Sequence[tuple[str, Table]] = (), lines: Sequence[str] = (),
                  pictures: Sequence[tuple[str, str]] = (), link: str | Path | None = None) -> str:
    """HTML of the sentence `verdict`, of `tables` with their titles, `lines`, `pictures` and a `link` to a file.

    A picture is its caption and its content as a link, '' where there is none. All texts are escaped.
    """
    pictures = [(caption, picture) for caption, picture in pictures if picture]
    sides = [['left' if is_text(column) else 'right' for column in zip(*rows, strict=True)] for _, (_, rows) in tables]
    return render('shown.html', verdict=verdict, tables=list(zip(tables, sides, strict=True)), lines=lines,
                  pictures=pictures, link=link, href=link and quote(Path(link).as_posix()))


def jpeg_uri(picture: np.ndarray) -> str:
    "RGB uint8 `picture` as a link that holds it."
    return f'data:image/jpeg;base64,{as_jpeg(picture)}'


class Summary(dict):
    "The summary of a report, which a notebook shows as the sentence and the tables that it begins with, and a link."
    def __init__(self, values: dict, verdict: str, tables: Sequence[tuple[str, Table]], report: Path):
        super().__init__(values)
        self.verdict, self.tables, self.report = verdict, tables, report

    def _repr_html_(self): return notebook_html(self.verdict, self.tables, link=self.report)
