"Pictures of annotated films."

import imageio.v3 as iio
import numpy as np
import pytest
from helpers import save_picture

from landmark_fastai import UsageError
from landmark_fastai.annotate.actions import ABSENT, Work
from landmark_fastai.annotate.pictures import check_overlay_dir, write_pictures
from landmark_fastai.viz.overlays import BLUE

NAMES = ['hip', 'knee']


def test_every_annotated_film_has_a_picture_and_other_files_stay(tmp_path):
    films, folder = tmp_path / 'films', tmp_path / 'pictures'
    for name in ('a.png', 'b/c.png', 'd.png'):
        (films / name).parent.mkdir(parents=True, exist_ok=True)
        save_picture(films / name, np.full((800, 700), 90, np.uint8))
    (films / 'd.png').write_bytes(b'broken')
    folder.mkdir()
    (folder / 'a.png.png').write_text('of somebody else')
    work = Work(marks={'a.png': {'hip': (300., 200.), 'knee': ABSENT}, 'b/c.png': {'hip': None},
                       'd.png': {'hip': (1., 1.)}})
    images = ['a.png', 'b/c.png', 'd.png']
    with pytest.warns(UserWarning, match='d.png'): assert write_pictures(folder, films, images, NAMES, work) == 1
    assert sorted(path.name for path in folder.iterdir()) == ['a.png.annotated.png', 'a.png.png']
    picture = iio.imread(folder / 'a.png.annotated.png')
    rows, columns = np.nonzero((picture[:, :700] == BLUE).all(-1))
    assert [columns.mean(), rows.mean()] == pytest.approx([300, 200], abs=1)
    assert (picture[:, 700:] != 255).any()  # names
    work.marks['b/c.png'] = {'hip': (5., 5.)}
    with pytest.warns(UserWarning): assert write_pictures(folder, films, images, NAMES, work) == 2
    assert (folder / 'b' / 'c.png.annotated.png').is_file()


def test_a_folder_in_which_they_would_be_taken_for_films_is_refused(tmp_path):
    (tmp_path / 'films').mkdir()
    for folder in ('films', 'films/pictures'):
        with pytest.raises(UsageError, match='overlay_dir'): check_overlay_dir(tmp_path / folder, tmp_path / 'films')
    (tmp_path / 'file').touch()
    with pytest.raises(UsageError, match='overlay_dir'): check_overlay_dir(tmp_path / 'file', tmp_path / 'films')
    check_overlay_dir(tmp_path / 'new', tmp_path / 'films')
