"The model card of a run: read from its folder, written where it is wanted."

import json
from pathlib import Path

from ..config import TrainConfig, read_config
from ..errors import UsageError
from ..files import write_text
from ..model.facts import read_facts
from ..model.weights import imagenet_licence
from .card_words import card_text

FILE = 'model_card.md'


def write_card(run: str | Path, folder: str | Path, more: str = ''):
    """Write `model_card.md` of the run in the folder `run` to `folder`, that of the run or another.

    It is made of the run's `config.yaml`, `model.json` and, where that is there, the summary of its errors, and ends
    with `more`, a section of Markdown. Raises UsageError where `run` is no run or that is damaged.
    """
    config, facts = read_config(run), read_facts(run)
    summary = read_summary(Path(run), config)
    text = card_text(config, facts, summary, imagenet_licence(config.encoder_name))
    write_text(Path(folder, FILE), f'{text}\n{more}' if more else text)


def read_summary(run: Path, config: TrainConfig) -> dict | None:
    "The summary of the errors of a run, on its validation images or on those of all folds; None where there is none."
    path = run / ('cross_validation' if config.folds else 'validation') / 'summary.json'
    if not path.is_file(): return None
    try: return json.loads(path.read_text(encoding='utf-8'))
    except ValueError:
        raise UsageError(f'{path} is damaged, expected that of a run; remove it for a card without errors') from None
