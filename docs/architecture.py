"""`python -m docs.architecture` writes the arrows between packages into architecture.md, as a table and a diagram.

Both are read from the imports of landmark_fastai. A *room* is a package of it, or a module beside them. The page holds
the table between `<!-- arrows -->` and `<!-- /arrows -->`; the diagram is images/architecture.svg.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import networkx as nx

from landmark_fastai.files import write_text

from .diagram import Box, svg

DOCS = Path(__file__).parent
PACKAGE = DOCS.parent / 'landmark_fastai'
PAGE, DIAGRAM = DOCS / 'architecture.md', DOCS / 'images' / 'architecture.svg'
TABLE = re.compile(r'(<!-- arrows -->\n).*?(<!-- /arrows -->)', re.DOTALL)
# of the modules at the top; all may use the others
ABOVE_ALL, OF_ITS_OWN = {'all', 'cli', '__init__', '__main__'}, {'learner'}
WIDTH, ROW, BOX = 760, 66, (124, 36)  # px of the diagram


# --- the imports

def room(path: Path) -> str:
    "The package, or the module at the top, that the file at `path` is in."
    return path.relative_to(PACKAGE).parts[0].removesuffix('.py')


def imported(path: Path) -> Iterator[str]:
    "The rooms that the file at `path` imports from, also within functions."
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if not isinstance(node, ast.ImportFrom) or not node.level: continue
        above = path.parents[node.level - 1]
        if node.module: yield room(above / node.module.replace('.', '/'))
        elif above == PACKAGE: yield from (alias.name for alias in node.names if not alias.name.startswith('__'))


def of_all() -> list[str]:
    "The modules at the top that every room may use."
    return sorted({path.stem for path in PACKAGE.glob('*.py')} - ABOVE_ALL - OF_ITS_OWN)


def arrows() -> nx.DiGraph:
    "Who imports whom: the rooms, without those that all may use and those that stand above all."
    left_out = {*of_all(), *ABOVE_ALL}
    graph = nx.DiGraph()
    for path in sorted(PACKAGE.rglob('*.py')):
        if room(path) in left_out: continue
        graph.add_node(room(path))
        graph.add_edges_from((room(path), other) for other in sorted(set(imported(path)) - left_out - {room(path)}))
    return graph


# --- the table

def table() -> str:
    "What each room imports, from the top down, as a Markdown table."
    graph = arrows()
    order = [name for layer in nx.topological_generations(graph) for name in sorted(layer)]
    rows = ['| room | uses |', '| --- | --- |', '| `cli`, `all` | everything |']
    rows += [f'| `{name}` | {", ".join(f"`{other}`" for other in order if other in graph[name]) or "–"} |'
             for name in order]
    return '\n'.join(rows) + '\n'


def with_table(text: str) -> str:
    "`text`, the page, with its table as it has to be."
    return TABLE.sub(lambda match: match[1] + table() + match[2], text)


# --- the diagram

def diagram() -> str:
    "The rooms in layers, with the arrows that do not follow from others."
    graph = nx.transitive_reduction(arrows())
    paths, layers = laid_out(graph)
    at = {node: (WIDTH / 2 + (k - (len(layer) - 1) / 2) * WIDTH / (max(map(len, layers)) + 0.2), ROW * (depth + 1.5))
          for depth, layer in enumerate(layers) for k, node in enumerate(layer)}
    half = BOX[1] / 2
    ways = [[(at[path[0]][0], at[path[0]][1] + half), *(at[node] for node in path[1:-1]),
             (at[path[-1]][0], at[path[-1]][1] - half)] for path in paths]
    boxes = [Box(*at[name], *BOX, [name]) for name in sorted(graph)]
    height = ROW * (len(layers) + 2)
    boxes += [Box(WIDTH / 2, ROW / 2, WIDTH - 20, BOX[1], ['cli, all: use everything below'], '#f7efdd'),
              Box(WIDTH / 2, height - ROW / 2, WIDTH - 20, 50, ['what all may use', ', '.join(of_all())], '#eeeeee')]
    return svg(WIDTH, height, boxes, ways, 'Packages of landmark_fastai: an arrow leads from a package to one that it '
                                           'imports')


def laid_out(graph: nx.DiGraph) -> tuple[list[list], list[list]]:
    """Each arrow as the nodes that it passes, and the layers of nodes, from the top down.

    In a layer they stand so that few arrows cross. An arrow over several layers passes a node of its own in each, a
    tuple (from, to, depth).
    """
    depth = {name: k for k, layer in enumerate(nx.topological_generations(graph)) for name in layer}
    paths = [[a, *((a, b, k) for k in range(depth[a] + 1, depth[b])), b] for a, b in sorted(graph.edges)]
    layers = [[] for _ in range(max(depth.values()) + 1)]
    for path in paths:
        for k, node in enumerate(path, depth[path[0]]):
            if node not in layers[k]: layers[k].append(node)
    steps = nx.Graph(step for path in paths for step in zip(path, path[1:], strict=False))
    for _ in range(12):  # each layer by the middle of its neighbours, down and up, until nothing moves
        for k in [*range(1, len(layers)), *reversed(range(len(layers) - 1))]:
            place = {node: i - (len(layer) - 1) / 2 for layer in layers for i, node in enumerate(layer)}
            beside = {node: [place[other] for other in steps[node]] for node in layers[k]}
            layers[k].sort(key=lambda node, beside=beside: (sum(beside[node]) / len(beside[node]), str(node)))
    return paths, layers


if __name__ == '__main__':
    write_text(PAGE, with_table(PAGE.read_text(encoding='utf-8')))
    write_text(DIAGRAM, diagram())
