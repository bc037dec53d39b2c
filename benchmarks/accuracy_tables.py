"What `benchmarks.accuracy` has found, as tables and a figure; `found` are the results by the key of their training."

from statistics import fmean, median

from landmark_fastai.viz.axes import add_legend, label_log, new_figure, save_figure

from .accuracy_plans import CT, ENCODERS, MOUSE, PLANS, encoders
from .timing import grid, load

TUNING = 'accuracy_tuning'
TITLES = {CT: 'CT slices of the thorax, 20 landmarks, 32 to train on',
          MOUSE: 'frames of a mouse in two views, 12 landmarks, 50 to train on'}


def all_tables(found, folder):
    "The tables of docs/results.md."
    return '\n\n'.join(filter(None, (comparison(found), fewer(found), ablation(found), tuning(folder))))


def headline(found):
    "The table of the README: mean errors of both recipes on the test images, over the seeds that there are."
    rows = []
    for data, what in TITLES.items():
        both = [(found[one.key]['test'], found[other.key]['test']) for one, other in pairs('compare', found)
                if one.data == data]
        if not both: continue
        original, default = (fmean(result['mean'] for result in side) for side in zip(*both, strict=True))
        rows.append([what, len(both), px(original), f'**{px(default)}**'])
    return grid(('images', 'seeds', 'original recipe', 'default recipe'), rows)


def comparison(found):
    "Both recipes on each data set and seed, and their means over the seeds; the rank correlation is of the default."
    header = 'data', 'seed', 'side', 'original', 'default', 'ratio', 'confidence ranks its errors'
    there, rows = pairs('compare', found), []
    for data in (CT, MOUSE):
        here = [pair for pair in there if pair[0].data == data]
        for side in ('val', 'test'):
            each = [(found[one.key][side], found[other.key][side]) for one, other in here]
            rows += [[data, one.seed, side, *cells(*results)] for (one, _), results in zip(here, each, strict=True)]
            if len(each) < 2: continue
            originals, defaults = zip(*each, strict=True)
            rows.append([data, f'mean of {len(each)}', side, *cells(averaged(originals), averaged(defaults))])
    return grid(header, rows) if rows else ''


def averaged(results):
    "The mean of the errors of `results`, and the median of their rank correlations."
    return dict(mean=fmean(r['mean'] for r in results), confidence_rank=median(r['confidence_rank'] for r in results))


def fewer(found):
    "Both recipes with fewer training images."
    header = 'training images', 'side', 'original', 'default', 'ratio', 'confidence ranks its errors'
    everything = [pair for pair in pairs('compare', found) if (pair[0].data, pair[0].seed) == (CT, 0)]
    rows = [[one.n_train or 'all 32', side, *cells(found[one.key][side], found[other.key][side])]
            for one, other in pairs('sizes', found) + everything for side in ('val', 'test')]
    return grid(header, rows) if rows else ''


def ablation(found):
    "The default recipe with one thing changed: mean error on the validation images, of the best and the last epoch."
    rows = [change(found[one.key], 'the default recipe') for one in PLANS['ablation'] if one.key in found]
    header = 'changed in the default recipe, 128 px, ct_thorax_20', 'best epoch', 'last epoch'
    return grid(header, rows) if rows else ''


def by_encoder(found):
    "Encoders in equal minutes: mean errors on the validation images, of each seed and over the seeds."
    rows = []
    for data, size in ((CT, 128), (MOUSE, 128), (CT, 256)):
        for name, epochs in ENCODERS.items():
            errors = [found[one.key]['val']['mean'] for one in encoders(data, size)
                      if one.key in found and one.variant['encoder_name'] == name]
            if not errors: continue
            rows.append([f'{data}, {size} px', f'`{name}`', epochs, ' · '.join(f'{error:.2f}' for error in errors),
                         px(fmean(errors))])
    return grid(('data', 'encoder', 'epochs', 'each seed', 'mean'), rows) if rows else ''


def tuning(folder):
    "The same of the recipe of version 0.3, on the way to the default, folded away."
    saved = load(TUNING, folder)
    tables = []
    for data in (CT, MOUSE):
        rows = [change(row, 'the recipe of 0.3') for row in (saved['rows'] if saved else [])
                if row['training']['data'] == data]
        header = f'changed in the recipe of 0.3, 128 px, {data}', 'best epoch', 'last epoch'
        if rows: tables.append(grid(header, rows))
    if not tables: return ''
    summary = '<details><summary>The same of the recipe of version 0.3, on the way to the default</summary>'
    return '\n\n'.join([summary, *tables, '</details>'])


def change(row, unchanged):
    "Cells that tell what was changed in a training, and its errors on the validation images."
    what = ', '.join(f'`--{name} {value}`' for name, value in row['training']['variant'].items())
    return what or unchanged, px(min(row['mean_error_px'])), px(row['mean_error_px'][-1])


def pairs(plan, found):
    "The trainings of `plan` that both recipes have finished, original first."
    both = zip(PLANS[plan][::2], PLANS[plan][1::2], strict=True)
    return [(one, other) for one, other in both if one.key in found and other.key in found]


def cells(original, default):
    "The mean errors of two results, their ratio, and the rank correlation of the second, as cells."
    return (px(original['mean']), f"**{px(default['mean'])}**", f"{default['mean'] / original['mean']:.2f}",
            f"{default['confidence_rank']:.2f}")


def px(value):
    "`value`, in original px, as a cell of a table."
    return f'{value:.2f} px'


def plot_curves(found, path):
    "Write the validation errors over the epochs of the default recipe and of the original in its full length."
    curves = {'original, 350 epochs': PLANS['long'][0], 'original, 40 epochs': PLANS['compare'][0],
              'default, 40 epochs': PLANS['compare'][1]}
    figure = new_figure(9, 4.6)
    ax = figure.subplots()
    for label, training in curves.items():
        if training.key not in found: continue
        errors = found[training.key]['mean_error_px']
        ax.plot(range(1, len(errors) + 1), errors, label=f'{label}: {px(min(errors))} at best')
    ax.set(xscale='log', yscale='log', xlabel='epoch', ylabel='mean error on validation images, original px')
    for axis in (ax.xaxis, ax.yaxis): label_log(axis)
    ax.grid(alpha=0.3)
    add_legend(figure, ax, rows=24)
    save_figure(figure, path)
