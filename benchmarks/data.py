"The data path: from JPEG files to batches; and what it costs a training."

import time

from landmark_fastai import landmark_dls

from . import reference
from .fixtures import FILM, LITE0, more_points, write_csv, write_films
from .step import make_learner, train_epoch
from .timing import alternate, faster, longer, say, timed
from .turns import Repeated

QUICK = dict(repetitions=1, n_films=9, n_epoch=9, size=(220, 190), image_resize=64, epoch_resize=64, n_items=2)
BATCH, WORKERS = 8, 2
MASKS = ('Masks are boolean here and float32 in the reference, as the loss of each takes them; the conversion is part '
         'of our training step.')
FIRST = 'Ours includes checking all files, and filling the cache with one more image, for validation.'


def run(folder, repetitions=5, n_films=25, n_epoch=65, size=FILM, image_resize=512, epoch_resize=256, n_items=16):
    "Rows of the data path. `n_films` and `n_epoch` include one image for validation; files are in the page cache."
    say(f'writing {n_epoch} films')
    paths, points = write_films(folder / 'films', n_epoch, size, n_drawn=8)
    def csv_of(n, n_landmarks):
        return write_csv(folder / f'{n}_{n_landmarks}.csv', paths[:n], more_points(points[:n], n_landmarks, size), size)
    def rows_of(n_landmarks):
        return list(zip(paths[:n_films - 1], more_points(points[:n_films - 1], n_landmarks, size), strict=True))
    case = dict(image_resize=image_resize, batch_size=BATCH, drop_last=False)
    few, many = csv_of(n_films, 2), csv_of(n_films, 19)
    return [
        fetch(prepare(few, paths, **case), paths, image_resize, n_items, repetitions),
        *few_landmarks(few, paths, rows_of(2), size, case, repetitions),
        *many_landmarks(many, paths, rows_of(19), size, case, repetitions),
        workers(csv_of(n_epoch, 2), paths, case, repetitions),
        training(csv_of(n_epoch, 2), paths, epoch_resize, repetitions)]


def prepare(csv_file, paths, augment='none', **kwargs):
    "`DataLoaders` with the normalisation that a learner adds, and a full cache."
    dls = landmark_dls(csv_file, paths[0].parent, augment=augment, **kwargs)
    make_learner(dls)
    return dls


def go_through(dl):
    "Make all batches of an epoch of `dl`, and do nothing with them."
    for _ in dl: pass


def passes(dls):
    "A side of `alternate`: an epoch of our data path."
    return timed(lambda: go_through(dls.train), dls.train.n)


def reference_passes(rows, size, image_resize):
    "A side of `alternate`: an epoch of the reference's data path, over `rows` whose files are of `size`."
    loader = reference.make_loader(rows, size, image_resize, batch_size=BATCH)
    return timed(lambda: go_through(loader), len(rows))


def fetch(dls, paths, image_resize, n_items, repetitions):
    "An item from the cache against decoding, padding and resizing it; ours more often, for the clock's sake."
    say(f'fetching items, {repetitions} times')
    def ours():
        for _ in range(20):
            for i in range(n_items): dls.train.do_item(i % dls.train.n)
    def theirs():
        for path in paths[:n_items]: reference.read_square(path, image_resize)
    seconds = alternate(timed(ours, 20 * n_items), timed(theirs, n_items), repetitions=repetitions)
    return faster(f'fetch an item, {image_resize} px, from the second epoch on', *seconds, 30,
                  note='Against decode, pad and resize alone; no mask on either side.')


def few_landmarks(csv_file, paths, rows, size, case, repetitions):
    "From the second epoch on, and the first, with 2 landmarks."
    say(f'data path with 2 landmarks, {repetitions} times')
    def first(augment):
        return lambda: first_epoch(csv_file, paths, augment, case)
    plain, normal, first_plain, first_normal, theirs = alternate(
        passes(prepare(csv_file, paths, **case)), passes(prepare(csv_file, paths, 'normal', **case)),
        first('none'), first('normal'), reference_passes(rows, size, case['image_resize']), repetitions=repetitions)
    what = f"data path, {case['image_resize']} px, 2 landmarks"
    return [faster(f'{what}, no augmentation', plain, theirs, 8, note=MASKS),
            faster(f'{what}, default augmentation; reference without', normal, theirs, 1, wanted='> 1', note=MASKS),
            faster(f'{what}, first epoch, no augmentation', first_plain, theirs, 1, note=FIRST),
            faster(f'{what}, first epoch, default augmentation; reference without', first_normal, theirs, 1,
                   note=FIRST)]


def first_epoch(csv_file, paths, augment, case):
    "Seconds per image of filling the cache and one epoch; without those of making the network that normalises."
    start = time.perf_counter()
    dls = landmark_dls(csv_file, paths[0].parent, augment=augment, **case)
    filling = time.perf_counter() - start
    make_learner(dls)
    return filling / dls.train.n + passes(dls)()


def many_landmarks(csv_file, paths, rows, size, case, repetitions):
    "From the second epoch on, with 19 landmarks."
    say(f'data path with 19 landmarks, {repetitions} times')
    plain, normal, theirs = alternate(
        passes(prepare(csv_file, paths, **case)), passes(prepare(csv_file, paths, 'normal', **case)),
        reference_passes(rows, size, case['image_resize']), repetitions=repetitions)
    what = f"data path, {case['image_resize']} px, 19 landmarks"
    return [faster(f'{what}, no augmentation', plain, theirs, 4, note=MASKS),
            faster(f'{what}, default augmentation; reference without', normal, theirs, 1, wanted='> 1', note=MASKS)]


def workers(csv_file, paths, case, repetitions):
    "The threads that make batches ahead, against worker processes."
    say(f'data path with {WORKERS} worker processes, {repetitions} times')
    seconds = alternate(*(passes(prepare(csv_file, paths, 'normal', num_workers=n, **case)) for n in (0, WORKERS)),
                        repetitions=repetitions)
    return faster(f"data path, {case['image_resize']} px, 2 landmarks, default augmentation, threads; against "
                  f'--num_workers {WORKERS}', *seconds)


def training(csv_file, paths, image_resize, repetitions):
    "The training part of an epoch against its steps alone, which are ours too: what data cost a training."
    dls = landmark_dls(csv_file, paths[0].parent, image_resize=image_resize, batch_size=BATCH)
    say(f'epochs of {len(dls.train)} steps, {repetitions} times')
    learn, train_dl = make_learner(dls, LITE0), dls.train  # the fastest network: the data have the least time
    repeated = Repeated(train_dl, len(train_dl))
    train_epoch(learn, Repeated(train_dl, 1))  # warm enough: an epoch of either side takes long
    epoch, steps = alternate(lambda: train_epoch(learn, train_dl), lambda: train_epoch(learn, repeated),
                             repetitions=repetitions, warm=0)
    return longer(f'training part of an epoch, {LITE0}, {train_dl.n} images, {image_resize} px, default augmentation; '
                  'against its steps alone', epoch, steps, 1.10)
