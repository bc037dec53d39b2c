"Semantic tensors, `TensorRadiograph` and `TensorLandmarks`, and how fastai shows them."

import math

from fastai.vision.core import TensorImageBW, TensorPoint
from fastai.vision.data import get_grid
from matplotlib import patches
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from plum import dispatch

TRUTH, PREDICTION = '#2d7dff', '#ff3232'  # the blue and the red of `viz.overlays`


class TensorRadiograph(TensorImageBW):
    "An image (1, S, S) or (3, S, S); one grey channel shows bone white."
    _show_args = {'cmap': 'gray'}


class TensorLandmarks(TensorPoint):
    """Points (N, 2), NaN unless visible: in [-1, 1] on their way through the transforms, in network px when decoded.

    An item also carries its `state` (N,) and `frame`, a row (7,) of a `Frame`; decoded training targets carry the
    `radius` of their masks.
    """
    def show(self, ctx: Axes, color: str | None = None, **kwargs) -> Axes:
        "Draw the points on `ctx`, in one `color` or each in its own, and their masks where the radius is known."
        colors = [color or f'C{k}' for k in range(len(self))]
        ctx.scatter(self[:, 0], self[:, 1], c=colors, s=14, linewidths=0.6, edgecolors='white', zorder=3)
        if hasattr(self, 'radius'):
            for (x, y), c in zip((self + 0.5).floor().tolist(), colors, strict=True):
                if not math.isnan(x): ctx.add_patch(_diamond(x, y, self.radius, c))
        return ctx


def _diamond(x: float, y: float, radius: int, color: str) -> patches.Polygon:
    "The outline of a mask, in network px."
    corners = [(x - radius, y), (x, y - radius), (x + radius, y), (x, y + radius)]
    return patches.Polygon(corners, facecolor=color, edgecolor=color, alpha=0.25)


@dispatch
def show_results(x: TensorRadiograph, y: TensorLandmarks, samples, outs, ctxs=None, max_n=6, nrows=None, ncols=None,
                 figsize=None, **kwargs):
    "True landmarks in blue, predicted ones in red, on `max_n` images."
    if ctxs is None: ctxs = get_grid(min(len(samples), max_n), nrows=nrows, ncols=ncols, figsize=figsize)
    for (image, true), (pred,), ctx in zip(samples, outs, ctxs, strict=False):
        if hasattr(true, 'radius'): del true.radius
        image.show(ctx=ctx, **kwargs)
        true.show(ctx=ctx, color=TRUTH)
        pred.show(ctx=ctx, color=PREDICTION)
    handles = [Line2D([], [], ls='', marker='o', color=color, label=label)
               for color, label in ((TRUTH, 'truth'), (PREDICTION, 'prediction'))]
    ctxs[0].get_figure().legend(handles=handles, loc='outside upper center', ncols=2, frameon=False)
    return ctxs
