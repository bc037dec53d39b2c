"The `annotate` command."

import json
from pathlib import Path

from ..files import write_text
from ..flags import takes
from ..formats.annotations import read_annotations
from ..quality.check import find_all
from ..reader_config import AnnotateConfig
from .adjudication import ADJUDICATED, Disputed
from .desk import Desk
from .journal import FOLDER
from .pictures import check_overlay_dir, write_pictures
from .review import found_by_check, least_sure, read_review
from .serve import listen, serve
from .study import Study
from .suggestions import marks_of
from .summary import summarize_work, summary_lines


@takes(AnnotateConfig)
def annotate(config: AnnotateConfig):
    """Serve a page for clicking landmarks on the images below `image_dir`, until Ctrl-C; prints its address.

    What is clicked is on disk at once, and the annotation CSV follows. The arguments are the flags of `landmark-fastai
    annotate`. Raises UsageError before anything is changed.
    """
    if config.overlay_dir: check_overlay_dir(Path(config.overlay_dir), config.image_dir)
    disputed = Disputed(config.csv_file.parent / FOLDER) if config.adjudicate else None
    offered = read_annotations(config.csv) if config.csv else None
    reasons = disputed.reasons() if disputed else least_sure(offered) if offered else {}
    if config.review: reasons = read_review(config.review)
    if config.from_check:
        annotations = read_annotations(config.csv_file)
        reasons |= found_by_check(find_all(annotations, config.image_dir)[0], annotations)
    with listen(config.port) as listening:  # first: a port that is in use leaves no trace
        desk = Desk(config.image_dir, config.csv_file, ADJUDICATED if disputed else config.reader,
                    config.names or (disputed and disputed.landmarks), offered and marks_of(offered), config.model,
                    reasons, Study(config.blind, config.repeats, config.withhold), disputed)
        try: serve(desk, listening, not config.no_browser)
        except KeyboardInterrupt: pass  # that is how it ends
        finally: desk.close()
    sum_up(desk)
    if config.overlay_dir:
        n = write_pictures(Path(config.overlay_dir), desk.image_dir, desk.image_names, desk.landmarks, desk.work)
        print(f'{config.overlay_dir}: {n} pictures')


def sum_up(desk: Desk):
    "Print what the work at a `desk` comes to, and write it beside the journal."
    written = desk.csv_file if desk.is_last_word else desk.own_csv
    print(f'{written}: {sum(desk.work.n_marked(image) > 0 for image in desk.image_names)} images')
    summary = summarize_work(desk.work, desk.images, desk.landmarks, desk.known_suggestions, desk.study.is_withheld)
    for line in summary_lines(summary): print(line)
    write_text(desk.own_csv.with_suffix('.json'), json.dumps(summary, indent=1))
