"What a reader's work comes to: time, what is left, both readings of what came back, and how far help moved the reader."

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import dist
from statistics import fmean, median
from typing import Any

from .actions import Work
from .queue import is_finished
from .repeats import second_readings
from .suggestions import Suggestion


def summarize_work(work: Work, items: Sequence[str], landmarks: Sequence[str],
              suggestions: Callable[[str], Mapping[str, Sequence[Suggestion]]],
              is_withheld: Callable[[str], bool]) -> dict[str, Any]:
    """The summary of `work` on the `items` of a list; distances in original px, times as they are called.

    `suggestions` tells what is known of an item, offered or withheld. What cannot be told is None, and a part of which
    there is nothing is left out.
    """
    found = {'films': films(work, items, landmarks)}
    if second_readings(work).marks: found['repeats'] = repeats(work, landmarks)
    moved = {True: [], False: []}
    for item in items: moved[is_withheld(item)] += distances_from(work.of(item), suggestions(item))
    if any(moved.values()): found['help'] = {'helped': spread(moved[False]), 'withheld': spread(moved[True])}
    return found


def films(work: Work, items: Sequence[str], landmarks: Sequence[str]) -> dict[str, Any]:
    "How many of the films are finished, and how long they took: films whose points were imported took no time."
    finished = [item for item in items if is_finished(work, item, landmarks)]
    seconds = [work.seconds[item] for item in finished if work.seconds.get(item)]
    pace = median(seconds) if seconds else None
    return {'finished': len(finished), 'of': len(items), 'median_seconds': pace,
            'minutes_left': None if pace is None else pace * (len(items) - len(finished)) / 60}


def repeats(work: Work, landmarks: Sequence[str]) -> dict[str, Any]:
    "How far both readings of the films that came back are apart, in all and by landmark, where both have a point."
    second = second_readings(work)
    apart = {name: [dist(work.of(image)[name], marks[name]) for image, marks in second.marks.items()
                    if isinstance(marks.get(name), tuple) and isinstance(work.of(image).get(name), tuple)]
             for name in landmarks}
    return spread([each for of_name in apart.values() for each in of_name]) | {
        'landmarks': {name: spread(of_name) for name, of_name in apart.items()}}


def distances_from(marks: Mapping[str, Any], suggestions: Mapping[str, Sequence[Suggestion]]) -> Iterator[float]:
    "How far points are from those of a model."
    for name, known in suggestions.items():
        best = known[0]
        if best.origin == 'model' and isinstance(best.mark, tuple) and isinstance(marks.get(name), tuple):
            yield dist(best.mark, marks[name])


def spread(distances: Sequence[float]) -> dict[str, Any]:
    "How many `distances` there are, their mean and their median, px; None where there is none."
    return {'n': len(distances), 'mean_px': fmean(distances) if distances else None,
            'median_px': median(distances) if distances else None}


def summary_lines(summary: Mapping[str, Any]) -> list[str]:
    "A summary, a line a fact."
    of = summary['films']
    lines = [f'{of["finished"]} of {of["of"]} films finished']
    if of['median_seconds'] is not None:
        lines[0] += f', {of["median_seconds"]:.0f} s a film (median)'
        if of['minutes_left']: lines[0] += f'; about {max(of["minutes_left"], 1):.0f} min left'
    if 'repeats' in summary and summary['repeats']['n']:
        lines += ['both readings of films that came back: ' + distances_in_words(summary['repeats'])]
        lines += [f'  {name}: {distances_in_words(each)}' for name, each in summary['repeats']['landmarks'].items()
                  if each['n']]
    lines += [f'from what the model says, {how}: {distances_in_words(each)}'
              for how, each in summary.get('help', {}).items() if each['n']]
    return lines


def distances_in_words(each: Mapping[str, Any]) -> str:
    "What `spread` has told."
    return f'mean {each["mean_px"]:.2f}, median {each["median_px"]:.2f} px (n = {each["n"]})'
