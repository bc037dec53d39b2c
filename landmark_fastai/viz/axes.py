"What all figures share: size, axes, legend, file. No pyplot: it keeps figures and global state."

from base64 import b64encode
from io import BytesIO
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from ..files import atomic

STYLES = ['-', '--', ':', '-.', (0, (6, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 3))]  # x 10 colours: 70 landmarks
NAME = 28             # longest name in a legend, in characters


def new_figure(width: float, height: float) -> Figure:
    "An empty figure of `width` x `height` hundred px."
    figure = Figure(figsize=(width, height), dpi=100, layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path):
    "Write `figure` to `path`, whole or not at all."
    with atomic(path) as temporary: figure.savefig(temporary)


def figure_uri(figure: Figure) -> str:
    "`figure` as a link that holds it: SVG, which is sharp at every size."
    figure.savefig(content := BytesIO(), format='svg')
    return f'data:image/svg+xml;base64,{b64encode(content.getvalue()).decode()}'


def label_log(axis: Axis):
    "Label the logarithmic `axis` at 1, 2, 5, 10 and so on."
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    label_plainly(axis)


def label_plainly(axis: Axis):
    "Label the large ticks of `axis` alone, without powers of ten."
    axis.set_major_formatter('{x:g}')
    axis.set_minor_formatter('')


def say_empty(ax: Axes):
    "Write in the middle of `ax` that there is nothing to draw."
    ax.text(0.5, 0.5, 'no values', transform=ax.transAxes, ha='center', color='grey', backgroundcolor='white')


def add_legend(figure: Figure, ax: Axes, rows: int):
    "Put the legend of `ax` beside the panels, never over a curve."
    handles, labels = ax.get_legend_handles_labels()
    legend = figure.legend(handles, labels, loc='outside right upper', ncols=-(-len(labels) // rows),
                           fontsize='small', frameon=False, handlelength=3)
    for text in legend.get_texts(): text.set_parse_math(False)  # a name with two $ is no formula


def shorten(name: str, length: int = NAME) -> str:
    "`name` on one line, without its middle where it is long: landmark names differ at their ends."
    name = ' '.join(name.split())
    return name if len(name) <= length else f'{name[:length // 2]}…{name[-length // 2 + 1:]}'
