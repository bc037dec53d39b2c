"The `agreement` command: how readers, or models, agree on the same images, and where they drift. No torch."

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from ..files import write_text
from ..flags import saved, takes
from ..output_folder import make_output_folder
from ..reader_config import AgreementConfig
from ..viz.differences import plot_bland_altman, plot_drift, plot_identity
from ..viz.report import Figure, aligned, beside_report, counted, write_report
from ..viz.shown import Summary
from .agreement import ALL, Readings, agreement_rows
from .agreement_table import (
    AXES,
    distance_table,
    drift_table,
    headline,
    panel_notes,
    tile_of,
    value_tables,
)
from .comparison import KIND, measure_panel, measurement_notes, measurement_readings
from .definitions import read_definitions
from .drifts import Compared, drift_notes, drift_rows, group_drifts, groups_of, reader_drifts
from .readers import Panel, landmark_readings, read_panel
from .rows import jsonable, write_rows

WRITTEN = ('agreement.csv', 'drift.csv', 'summary.json', 'report.html', *beside_report(
    ['bland_altman_*', 'identity_*', 'drift_*'], ['distances', 'measurements_*', 'coordinates_*', 'drift']))
PAIRS = 6  # of readers, and comparisons of drift, that get figures; the latter with drift first
PRINTED = 'Distances', 'Measurements'  # tables that the terminal shows; the others are long
BLAND_ALTMAN = ('Each dot is an image: how far apart both readers are (vertical) over the mean of both. The line is '
                'the bias, 95 % of the differences lie between the broken lines. A slope or a funnel means that they '
                'agree less on some images.')
IDENTITY = 'Each dot is an image. On the line both readers say the same.'
DRIFT = ('How far the first puts each landmark from where the second does, on average and after turning all shapes '
         'alike, with 95 % intervals. Red landmarks lie elsewhere by more than chance.')
PLOTS = (('bland_altman', 'Bland–Altman', BLAND_ALTMAN, plot_bland_altman),
         ('identity', 'Identity', IDENTITY, plot_identity))


@takes(AgreementConfig)
def agreement(config: AgreementConfig) -> Summary:
    """Compare what readers, or models, have clicked on the same images; returns the summary.

    Writes agreement.csv, drift.csv, summary.json, figures, tables and report.html. The arguments are the flags of
    `landmark-fastai agreement`; `csvs` and `readers` may be lists, too. Raises UsageError.
    """
    panel = read_panel(config.files, config.names, config.invisible_landmarks)
    if config.pixel_spacing is not None:
        panel = replace(panel, spacing=np.where(np.isnan(panel.spacing), config.pixel_spacing, panel.spacing))
    readings, notes = landmark_readings(panel), []
    if config.definitions:
        measured = measure_panel(panel, read_definitions(config.definitions, config.chosen))
        readings += measurement_readings(measured)
        notes = list(measurement_notes(measured))
    reads = *config.files, config.definitions, config.config
    folder = make_output_folder(config.output_dir, WRITTEN, config.overwrite, None, reads)
    summary = write_agreement(folder, panel, readings, groups_of(panel, config.groups), saved(config), notes)
    print(f'report: {folder / "report.html"}')
    return summary


def write_agreement(folder: Path, panel: Panel, readings: list[Readings], groups: list[str], settings: dict,
                    notes: list[str]) -> Summary:
    """Write how the readers of `panel` agree on `readings` into `folder`, print it, and return the summary.

    `readings` are of the landmarks, and of measurements if there are any, of the images of `panel`; `groups` names the
    group of each image, '' is none. `settings` are told in the report, with what follows and with `notes`.
    """
    unit, readers = panel.unit, panel.readers
    rows = agreement_rows(readings, readers)
    overall = agreement_rows([_pooled(panel)], readers)
    of_groups = group_drifts(panel, groups)
    compared = [*reader_drifts(panel), *of_groups]
    drifts = drift_rows(compared, panel.names, unit)
    notes = [*drift_notes(drifts), *panel_notes(panel, groups, of_groups), *notes]
    summary = jsonable({
        'readers': readers, 'landmarks': panel.names, 'unit': unit, 'n_images': len(panel.image_names),
        'n_compared': int(panel.both.any(1).sum()), 'overall': overall, 'agreement': rows, 'drift': drifts,
        'settings': settings, 'notes': notes})
    write_rows(folder / 'agreement.csv', rows)
    write_rows(folder / 'drift.csv', drifts)
    write_text(folder / 'summary.json', json.dumps(summary, indent=2, ensure_ascii=False) + '\n')
    tables = _tables(overall, rows, drifts, unit)
    figures, verdict = _figures(folder / 'figures', panel, readings, rows, compared), headline(overall[-1], readers)
    write_report(folder / 'report.html', f'Agreement of {counted(len(readers), "reader")}', ', '.join(readers),
                 verdict, tables, figures, settings, notes, 'agreement.html', unit=unit,
                 n_readers=len(readers), measured=any(each.kind == KIND for each in readings))
    printed = [(title, table) for title, table in tables if title.startswith(PRINTED)]
    for title, table in printed: print(f'{title}\n{aligned(table)}')
    for note in notes: print(note)
    return Summary(summary, verdict, printed, folder / 'report.html')


def _pooled(panel):
    "The points of all landmarks together."
    points = panel.points_in(panel.unit).swapaxes(1, 2)
    return Readings(ALL, 'landmark', panel.unit, points.reshape(-1, *points.shape[2:]))


def _tables(overall, rows, drifts, unit):
    "The tables of the report, with their titles."
    shown = [row for row in rows if row['kind'] == KIND or row['unit'] == unit]
    kinds = {'Distances': ('landmark',), 'Coordinates': AXES, 'Measurements': (KIND,)}
    of_kind = {title: [row for row in shown if row['kind'] in each] for title, each in kinds.items()}
    tables = [('Distances', distance_table([*overall, *of_kind['Distances']]))]
    for title in ('Measurements', 'Coordinates'):
        if of_kind[title]: tables += value_tables(title, of_kind[title])
    return [*tables, ('Drift', drift_table(drifts))]


def _figures(folder: Path, panel: Panel, readings: list[Readings], rows: list[dict],
             compared: list[Compared]) -> list[Figure]:
    "Write the figures into `folder`; title, explanation and file of each."
    found = []
    of_kind = {'': [each for each in readings if each.kind in AXES and each.unit == panel.unit],
               'of measurements, ': [each for each in readings if each.kind == KIND]}
    by_key = {(row['name'], row['kind'], row['unit'], row['pair']): row for row in rows}
    for number, (i, j) in enumerate(list(combinations(range(len(panel.readers)), 2))[:PAIRS], 1):
        readers = panel.readers[i], panel.readers[j]
        pair = ' - '.join(readers)
        for what, values in of_kind.items():
            tiles = [tile_of(each, i, j, by_key[each.name, each.kind, each.unit, pair]) for each in values]
            for name, title, text, plot in PLOTS if tiles else ():
                path = folder / f'{name}_{"measurements_" * bool(what)}{number}.png'
                plot(tiles, readers, path)
                found.append((f'{title}: {what}{pair}', text, path))
    flagged_first = sorted(compared, key=lambda each: not each.drift.flagged.any())
    for number, each in enumerate(flagged_first[:PAIRS], 1):
        path, title = folder / f'drift_{number}.png', f'{each.what}{", in " * bool(each.within)}{each.within}'
        plot_drift(each.drift.offset, each.drift.error, each.drift.flagged, panel.names, panel.unit, title, path)
        found.append((f'Drift: {title}', DRIFT, path))
    return found
