"The files of an evaluation: distances.csv, summary.json, figures and report.html."

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from ..config import TrainConfig
from ..files import write_text
from ..flags import saved
from ..formats.images import read_image
from ..formats.spreadsheet import safe_name
from ..inference.predictions import printable
from ..measure.rows import jsonable
from ..model.facts import ModelFacts
from ..viz.figures import plot_boxes, plot_confidence, plot_coverage, plot_cumulative, plot_vectors
from ..viz.overlays import contact_sheet, draw_markers
from ..viz.paper import save_picture
from ..viz.report import FIGURES, Figure, Table, figures_in, write_report
from .bounds import LEVELS, coverage, pooled_coverage
from .compare import Evaluation
from .error_table import errors_table, headline
from .scores import Scores
from .summary import RESAMPLES, summarize

N_WORST = 12  # images on the sheet of the worst
TILE = 590    # longer side of an image there, px: three fill the sheet


def write_evaluation(folder: Path, evaluation: Evaluation, notes: list[str], settings: dict,
                     thresholds: list[float] | None = None,
                     measurements: Sequence[dict] = ()) -> tuple[dict, list[Figure]]:
    """Write distances.csv, summary.json and figures into `folder`.

    Returns the summary, by `thresholds` (see `summarize`), and title, explanation and file of each figure. `settings`
    and `notes` go into summary.json, too, and rows of `measurements` if there are any.
    """
    summary = summarize(evaluation.scores, thresholds)
    write_distances(folder / 'distances.csv', evaluation.scores)
    settings = {name: printable(value) if isinstance(value, str) else value for name, value in settings.items()}
    sources = Counter(source or 'unknown' for source in evaluation.annotations.spacing_source)
    known = {'settings': settings, 'notes': notes, 'n_failed': len(evaluation.predictions.failed),
             'spacing': dict(sources), 'bounds': pooled_coverage(evaluation)}
    if measurements: known['measurements'] = jsonable(list(measurements))
    write_text(folder / 'summary.json', json.dumps(summary | known, indent=2, ensure_ascii=False) + '\n')
    write_figures(folder / 'figures', evaluation, summary)
    return summary, figures_in(folder / 'figures', FIGURES)


def write_distances(path: Path, scores: Scores):
    "Write the distances of `scores` to the CSV `path`: a row an image, blank where there is nothing to score."
    columns = {'image_name': list(map(safe_name, scores.image_names))}
    for unit in scores.units:
        distances = pd.DataFrame(scores.distances(unit), columns=[f'{name}_{unit}' for name in scores.names])
        columns |= {f'mean_error_{unit}': distances.mean(axis=1), **distances}
    write_text(path, pd.DataFrame(columns).to_csv(index=False, float_format='%.4f'))


def run_settings(config: TrainConfig, facts: ModelFacts) -> dict:
    "What a report tells of a run: its flags, and what it has learned."
    return saved(config) | {f'model: {name}': value for name, value in asdict(facts).items()}


def write_evaluation_report(path: Path, title: str, subtitle: str, summary: dict, figures: list[Figure], settings: dict,
                            notes: list[str], tables: Iterable[tuple[str, Table]] = ()):
    "Write the report of `summary` to `path`: its headline and table, then more `tables`, as `write_report` takes them."
    write_report(path, title, subtitle, headline(summary), [('Errors', errors_table(summary)), *tables], figures,
                 settings, notes, 'report.html', summary=summary, resamples=RESAMPLES)


def write_figures(folder: Path, evaluation: Evaluation, summary: dict):
    "Write the figures of `evaluation` into `folder`."
    scores = evaluation.scores
    unit, names = scores.unit, scores.names
    distances = scores.distances(unit, missed=np.inf)
    plot_cumulative(distances, names, summary['thresholds'], unit, folder / 'cumulative.png')
    plot_boxes(distances, names, unit, folder / 'boxes.png')
    plot_vectors(scores.offsets[unit], names, unit, folder / 'vectors.png')
    rank = summary['overall']['confidence_rank']
    plot_confidence(scores.confidence, distances, rank, unit, folder / 'confidence.png')
    of_bounds = coverage(evaluation)
    if np.isfinite(of_bounds).any(): plot_coverage(LEVELS, of_bounds, folder / 'coverage.png')
    write_worst(folder / 'worst.png', evaluation, distances)


def write_worst(path: Path, evaluation: Evaluation, distances: np.ndarray):
    """Write a sheet of the images with most missed landmarks, then the largest mean error, to `path`; none without any.

    `distances` (n, N) are infinite where a landmark was missed, NaN where there is nothing to score.
    """
    missed, means = np.isinf(distances).sum(1), mean_of_finite(distances)
    worst = np.lexsort([-means, -missed])
    worst = [i for i in worst if not np.isnan(distances[i]).all()][:N_WORST]
    if not worst: return
    pictures, captions = [], []
    for i in worst:
        name = evaluation.annotations.image_names[i]
        pixels = read_image(evaluation.image_dir / name, evaluation.predictor.config.color)
        found = evaluation.predictions.found[name]
        pictures.append(draw_markers(pixels, evaluation.annotations.points[i], found.points, largest=TILE))
        facts = [f'{missed[i]} missed'] if missed[i] else []
        if np.isfinite(distances[i]).any(): facts.append(f'{means[i]:.2f} {evaluation.scores.unit}')
        captions.append(f'{", ".join(facts)}: {name}')
    save_picture(path, contact_sheet(pictures, captions, columns=3))


def mean_of_finite(distances: np.ndarray) -> np.ndarray:
    "The mean (n,) of the finite values in each row of `distances` (n, N), 0 where there is none."
    finite = np.isfinite(distances)
    return np.where(finite, distances, 0).sum(1) / finite.sum(1).clip(1)
