"The `annotate` command."

from ..config import AnnotateConfig
from ..flags import takes
from ..formats.annotations import read_annotations
from ..quality.check import find_all
from .adjudication import ADJUDICATED, Disputed
from .desk import Desk
from .journal import FOLDER
from .review import found_by_check, least_sure
from .serve import listen, serve
from .study import Study
from .suggestions import marks_of


@takes(AnnotateConfig)
def annotate(config: AnnotateConfig):
    """Serve a page for clicking landmarks on the images below `image_dir`, until Ctrl-C; prints its address.

    What is clicked is on disk at once, and the annotation CSV follows. The arguments are the flags of `landmark-fastai
    annotate`. Raises UsageError before anything is changed.
    """
    disputed = Disputed(config.csv_file.parent / FOLDER) if config.adjudicate else None
    offered = read_annotations(config.csv) if config.csv else None
    reasons = disputed.reasons() if disputed else least_sure(offered) if offered else {}
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
    print(f'{config.csv_file}: {sum(desk.work.n_marked(image) > 0 for image in desk.image_names)} images')
