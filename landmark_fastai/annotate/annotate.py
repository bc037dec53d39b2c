"The `annotate` command."

from ..config import AnnotateConfig
from ..flags import takes
from .desk import Desk
from .serve import listen, serve


@takes(AnnotateConfig)
def annotate(config: AnnotateConfig):
    """Serve a page for clicking landmarks on the images below `image_dir`, until Ctrl-C; prints its address.

    What is clicked is on disk at once, and the annotation CSV follows. The arguments are the flags of `landmark-fastai
    annotate`. Raises UsageError before anything is changed.
    """
    with listen(config.port) as listening:  # first: a port that is in use leaves no trace
        desk = Desk(config.image_dir, config.csv_file, config.reader, config.names)
        try: serve(desk, listening, not config.no_browser)
        except KeyboardInterrupt: pass  # that is how it ends
        finally: desk.close()
    print(f'{config.csv_file}: {sum(desk.work.n_marked(image) > 0 for image in desk.work.marks)} images')
