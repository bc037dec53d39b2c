"A trained run that is asked film by film."

import numpy as np
import pytest

from landmark_fastai import UsageError
from landmark_fastai.annotate.run import Run
from landmark_fastai.inference.loading import load


def test_what_a_run_finds_is_what_it_predicts_and_is_known_from_then_on(finished, dots):
    _, films = dots
    run, film = Run(finished, films, ['knee', 'nose']), sorted(films.iterdir())[0]
    assert run.found == {}
    run.ask(film.name)
    expected = load(finished).predict(film)
    assert run.found[film.name].keys() == {'head', 'knee'}
    np.testing.assert_allclose(list(run.found[film.name].values()), expected.points[0])
    known = run.found[film.name]
    run.ask(film.name)
    assert run.found[film.name] is known
    run.close()


def test_an_image_that_cannot_be_read_is_told_each_time(finished, tmp_path):
    (tmp_path / 'broken.png').write_bytes(b'no picture')
    run = Run(finished, tmp_path, ['knee'])
    for _ in range(2):
        with pytest.raises(UsageError, match='broken.png'): run.ask('broken.png')
    assert run.found == {}
    run.close()


def test_a_run_of_other_landmarks_and_a_folder_without_one_are_refused(finished, tmp_path):
    with pytest.raises(UsageError, match='head, knee'): Run(finished, tmp_path, ['nose'])
    with pytest.raises(UsageError, match=tmp_path.name): Run(tmp_path, tmp_path, ['nose'])
