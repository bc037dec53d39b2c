"""What a model card says, from what is known of a run: no torch, no file, no name of an image, a patient or a folder.

Its headings are those of Mitchell et al., Model Cards for Model Reporting, FAT* 2019, as on the Hugging Face hub.
"""

from ..config import TrainConfig
from ..conformal import fewest
from ..model.facts import FOLDS, BoundFacts, DataFacts, ModelFacts
from ..viz.markdown import markdown_table, render_markdown
from ..viz.report import DASH, Table, counted, fixed, percent
from .card_limits import LEVEL, bounds_in_use, limits

LEVELS = LEVEL, 0.95  # of bounds that a card tells of
LICENCE = 'Apache-2.0'  # of this package


def card_text(config: TrainConfig, facts: ModelFacts, summary: dict | None, licence: str) -> str:
    """The model card of a run with the flags `config`, as Markdown.

    `summary` is that of its errors, see `evaluation.summary`; None, or one without any error, says that they were not
    measured. `licence` says where the encoder's ImageNet weights are from, and what is known of their licence.
    """
    if summary and not summary['overall']['px']['n']: summary = None
    known = bounds_in_use(config, facts)
    return render_markdown(
        'model_card.md', config=config, facts=facts, summary=summary, licence=licence, ours=LICENCE,
        details=markdown_table((['detail', 'value'], details(config, facts))),
        sides=facts.images and markdown_table(side_table(facts.images)), sizes=facts.images and sizes(facts.images),
        spacing=facts.images and spacing(facts.images), landmarks=markdown_table(landmark_table(facts)),
        errors=[markdown_table(error_table(summary, unit)) for unit in ('px', 'mm') if summary and has(summary, unit)],
        detection=summary and markdown_table(detection_table(summary)), source=known and bound_source(known),
        bounds=known and markdown_table(bound_table(known, summary)), limits=limits(config, facts, summary))


# --- model details

def details(config: TrainConfig, facts: ModelFacts) -> list[list[str]]:
    "What the model is and how it was trained: name and value of each detail."
    colour = 'colour' if config.color else 'grey'
    rows = [
        ['finds', f'{counted(len(facts.landmarks), "landmark")} on an image, in pixels of that image'],
        ['network', f'{config.arch} with the encoder {config.encoder_name} (segmentation-models-pytorch)'],
        ['its weights began as', beginning(config)],
        ['sees', f'the whole image in {colour}, padded with black, as a square of {config.image_resize} px']]
    if facts.shape:
        rows.append(['of several peaks', 'takes the one that fits the shape of all landmarks on training images'])
    if config.refine:
        rows.append(['second stage', f'looks again, at crops of {config.refine_resize} px around what the first found'])
    if config.folds:
        rows.append(['networks', f'{config.folds} that are used together, each trained without the images of one fold'])
    return rows + training(config) + [
        ['trained on', f'{facts.device or "not known"}, {facts.precision or "precision not known"}'],
        ['software', ', '.join(f'{name} {of}' for name, of in facts.versions.items()) or 'not known'],
        ['commit of landmark_fastai', facts.git_commit or 'not known: it was not run from a git checkout']]


def training(config: TrainConfig) -> list[list[str]]:
    "How the model was trained, as `details`."
    augmentation = config.augment + (f', elastic {config.elastic:g}' if config.elastic else '') + (
        ', mirrored' if config.flip_pairs else '')
    return [
        ['epochs', epochs(config)],
        ['optimiser', f'{config.optimizer}, learning rate {config.lr:g} ({config.schedule}), weight decay '
                      f'{config.weight_decay:g}, batches of {config.batch_size}'],
        ['loss', config.loss], ['augmentation', augmentation], ['recipe', config.recipe], ['seed', str(config.seed)]]


def beginning(config: TrainConfig) -> str:
    "What the weights of the network were before the training; no name of a file or folder."
    if config.from_run: return 'those of an earlier run'
    known = {'imagenet': 'ImageNet weights of the encoder, the rest at random', 'none': 'random numbers'}
    return known.get(config.encoder_weights, 'weights of the encoder from a file, the rest at random')


def epochs(config: TrainConfig) -> str:
    "How many epochs the training was to have."
    if config.minutes and config.folds: return f'as many as fitted into {config.minutes:g} minutes for all folds'
    text = f'{config.n_epochs}' + (f' and {config.refine_epochs} of the second stage' if config.refine else '')
    if config.minutes: text += f', as many as fitted into {config.minutes:g} minutes'
    if config.early_stop: text += f' at most: it stops after {config.early_stop} without a smaller error'
    return text


# --- data

def side_table(images: DataFacts) -> Table:
    "The images, and the patients where they are known, on each side of the split or in each fold."
    uses = {'train': 'trained the network', 'val': 'chose the epoch whose weights were kept',
            'cal': 'made the bounds, and nothing else', 'test': 'took no part'}
    rows = [[side, f'{n:,}', f'{images.patients[side]:,}' if images.patients else 'not known',
             uses.get(side, 'validated one network, and trained the others')] for side, n in images.sides.items()]
    return ['part', 'images', 'patients', 'what they did'], rows


def sizes(images: DataFacts) -> str:
    "The range of the widths and heights, px."
    ends = zip(('width', 'height'), *images.sizes, strict=True)
    return ', '.join(f'{what} {_range(low, high, "px")}' for what, low, high in ends)


def spacing(images: DataFacts) -> str:
    "The range of the pixel spacings, and where they are from."
    if not images.spacing: return 'not known of any image'
    across, down = ([f'{end[axis]:g}' for end in images.spacing] for axis in (0, 1))
    text = _range(*across, 'mm') if across == down else f'{_range(*across, "mm")} across, {_range(*down, "mm")} down'
    sources = [f'{source or "not known"}: {counted(n, "image")}' for source, n in images.spacing_sources.items()]
    return f'{text} ({", ".join(sources)})'


def _range(low, high, unit): return f'{low} {unit}' if low == high else f'{low} to {high} {unit}'


def landmark_table(facts: ModelFacts) -> Table:
    "The landmarks, on how many images they were labelled, and what the network can tell of them."
    labels = facts.images.labels if facts.images else [['not known'] * 3] * len(facts.landmarks)
    rows = [[name, *(f'{n:,}' if isinstance(n, int) else n for n in of_landmark),
             'yes' if name in facts.presence else 'no', 'no' if name in facts.flat else 'yes']
            for name, of_landmark in zip(facts.landmarks, labels, strict=True)]
    return ['landmark', 'visible', 'absent', 'not labelled', 'may be called absent', 'the network sees a place'], rows


# --- errors and bounds

def has(summary: dict, unit: str) -> bool:
    "Whether errors in `unit` were measured."
    return bool(summary['overall'].get(unit, {}).get('n'))


def error_table(summary: dict, unit: str) -> Table:
    "Errors in `unit`, over all landmarks and of each."
    def row(name, entry):
        errors = entry[unit]
        interval = DASH if errors['ci_low'] is None else f'{errors["ci_low"]:.2f} to {errors["ci_high"]:.2f}'
        return [name, f'{errors["n"]:,}', fixed(errors['mean']), fixed(errors['sd']), interval, fixed(errors['median'])]
    header = ['landmark', 'n', f'mean, {unit}', 'SD', '95 % interval of the mean', 'median']
    return header, [row(name, entry) for name, entry in _entries(summary)]


def detection_table(summary: dict) -> Table:
    "How many landmarks were found within each threshold, missed, and rightly called absent or visible."
    presence = 'presence' in summary['overall']
    def row(name, entry):
        cells = [name, *map(percent, entry['success_rate'].values()), f'{entry["n_missed"]:,}']
        if not presence: return cells
        return [*cells, f'{entry["n_absent"]:,}', percent(entry.get('presence', {}).get('accuracy'))]
    header = ['landmark', *(f'within {threshold:g} {summary["unit"]}' for threshold in summary['thresholds']), 'missed']
    return header + ['absent', 'presence right'] * presence, [row(name, entry) for name, entry in _entries(summary)]


def _entries(summary): return [('all', summary['overall']), *summary['landmarks'].items()]


def bound_source(known: BoundFacts) -> str:
    "What bounds are from, in words."
    counts = [len(scores) for scores in known.scores]
    n = f'{_range(min(counts), max(counts), "images")} for a landmark'
    if known.source == FOLDS:
        return (f'the images of all folds ({n}), each by the network that was not trained on it: approximate, since '
                'they are used for all networks together, and the images have chosen epochs')
    return f'images that took no part in the training ({n})'


def bound_table(known: BoundFacts, summary: dict | None) -> Table:
    "For how many landmarks there are bounds, and how often they held where that was measured."
    measured = {row['level']: row for row in summary.get('bounds', [])} if summary else {}
    def row(level):
        there = sum(len(scores) >= fewest(level) for scores in known.scores)
        cells = [f'{100 * level:g} %', f'{there} of {len(known.scores)}']
        if level not in measured: return [*cells, 'not measured', DASH, DASH]
        of = measured[level]
        return [*cells, percent(of['within']), f'{of["n"]:,}', fixed(of['median_px'])]
    return ['level', 'landmarks with a bound', 'held for', 'of points', 'median radius, px'], list(map(row, LEVELS))
