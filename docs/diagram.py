"Diagrams as SVG, of boxes with lines of text and arrows between them: no program and no font of another is needed."

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

LINE = 17  # px from line to line of text
INK, PAPER, FILL, EDGE = '#1b2a3a', '#ffffff', '#eaf1f8', '#5b7a99'


@dataclass(frozen=True)
class Box:
    "A box around its middle (`x`, `y`), px; the first of `lines` is bold."
    x: float
    y: float
    width: float
    height: float
    lines: Sequence[str]
    fill: str = FILL


def svg(width: int, height: int, boxes: Iterable[Box], arrows: Iterable[Sequence[tuple[float, float]]],
        title: str) -> str:
    "The SVG of `boxes` and of `arrows`, each the points that it goes through; `title` is what a screen reader says."
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'role="img" font-family="DejaVu Sans, Verdana, sans-serif" font-size="13" text-anchor="middle">',
        f'<title>{escape(title)}</title>',
        f'<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
        f'orient="auto"><path d="M0 0 L10 5 L0 10 z" fill="{EDGE}"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="{PAPER}"/>',  # a page may be dark
        *map(_arrow, arrows), *map(_box, boxes), '</svg>']
    return '\n'.join(parts) + '\n'


def _arrow(points: Sequence[tuple[float, float]]) -> str:
    "A smooth path through `points`, upright in each."
    path = [f'M{points[0][0]:g} {points[0][1]:g}']
    for (x0, y0), (x1, y1) in zip(points, points[1:], strict=False):
        if y0 == y1: path.append(f'L{x1:g} {y1:g}')
        else: path.append(f'C{x0:g} {(y0 + y1) / 2:g} {x1:g} {(y0 + y1) / 2:g} {x1:g} {y1:g}')
    return f'<path d="{" ".join(path)}" fill="none" stroke="{EDGE}" stroke-width="1.4" marker-end="url(#tip)"/>'


def _box(box: Box) -> str:
    left, top = box.x - box.width / 2, box.y - box.height / 2
    first = box.y - LINE * (len(box.lines) - 1) / 2 + 4.5  # baseline
    text = [f'<text x="{box.x:g}" y="{first + LINE * k:g}" font-weight="{"normal" if k else "bold"}" fill="{INK}">'
            f'{escape(line)}</text>' for k, line in enumerate(box.lines)]
    return '\n'.join([f'<rect x="{left:g}" y="{top:g}" width="{box.width:g}" height="{box.height:g}" rx="6" '
                      f'fill="{box.fill}" stroke="{EDGE}"/>', *text])
