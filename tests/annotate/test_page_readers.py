"What readers see of a study: films without names that come back, and points of others in adjudication alone."

import json

import numpy as np
import pandas as pd
import pytest
from browser import DOTS, NAMES


def test_a_blind_reader_sees_no_name_and_a_film_that_comes_back_is_new_to_her(serve, open_page, dotted_films):
    server = serve('--landmarks', ','.join(NAMES), '--repeats', '0.01', '--reader', 'AB')
    film = open_page(server)
    assert film.page.inner_text('#position') == '1 / 6' and not film.page.is_visible('#order')
    for number in range(1, 7):
        assert film.page.inner_text('#film-name') == f'film {number}' and film.marks() == ['–'] * 3
        for dot in DOTS: film.click(dot + number / 10)
        film.wait_saved()
        if number < 6: film.go('n')
    text = film.page.content() + film.page.title()
    assert not any(path.name in text for path in dotted_films.iterdir())
    film.page.reload()
    film.ready()
    assert film.marks() == ['✓'] * 3
    first = server.points()
    again = pd.read_csv(server.labels / 'readers' / 'AB_again.csv')
    assert len(first) == 5 and len(again) == 1
    points = again[[f'{name}_{axis}' for name in NAMES for axis in 'xy']].to_numpy(float).reshape(-1, 2)
    assert 0.1 < np.abs(points - first[again.image_name[0]]).max() < 1.5


@pytest.mark.slow
def test_in_adjudication_the_worst_film_comes_first_and_what_readers_say_is_offered(serve, open_page, dotted_films):
    said = {'AB': [DOTS, DOTS], 'CD': [DOTS + (2, 0), DOTS + (10, 0)]}
    for reader, films in said.items():
        server = serve('--landmarks', ','.join(NAMES), '--reader', reader)
        film = open_page(server)
        assert film.marks() == ['–'] * 3 and film.page.locator('#markers text').count() == 0  # nothing of another
        for number, dots in enumerate(films):
            for name, dot in zip(NAMES, dots, strict=True):
                if (reader, number, name) == ('CD', 0, 'ankle'): film.press('a')
                else: film.click(dot)
            film.wait_saved()
            if not number: film.go('n')
        server.end()
        film.page.close()
    server = serve('--adjudicate')
    film = open_page(server)
    assert film.page.inner_text('#film-name') == 'a portrait.png' and 'ankle' in film.page.inner_text('#note')
    assert film.marks() == ['offered'] * 3
    film.press('t')  # but for the ankle, which one has said to be absent
    film.wait('#progress', '2 of 3')
    film.press('y')
    assert 'differ' in film.line
    film.page.get_by_role('button', name='AB 1').click()
    film.wait('#progress', '3 of 3')
    film.go('n')
    assert film.page.inner_text('#film-name') == 'b landscape.png'
    film.page.get_by_role('button', name='CD ').click()
    film.press('y')
    film.wait_saved()
    found = server.points()
    assert found.keys() == {'a portrait.png', 'b landscape.png'}
    assert np.abs(found['a portrait.png'] - DOTS - ((1, 0), (1, 0), (0, 0))).max() < 0.4
    assert np.abs(found['b landscape.png'][:2] - DOTS[:2] - ((10, 0), (5, 0))).max() < 0.4
    assert np.isnan(found['b landscape.png'][2]).all()


def test_what_is_left_is_told_once_three_films_are_finished_and_summed_up_in_the_end(serve, open_page, dotted_films):
    pictures = dotted_films.parent / 'pictures'
    server = serve('--landmarks', ','.join(NAMES), '--overlay_dir', pictures)
    film = open_page(server)
    for number in range(3):
        for dot in DOTS: film.click(dot)
        film.wait_saved()
        if number < 2:
            assert 'left' not in film.page.inner_text('#finished')
            film.go('n')
    film.wait('#finished', '3 of 5 finished, about 1 min left')
    server.end()
    summary = json.loads((server.labels / 'readers' / 'reader.json').read_text())['films']
    assert summary['finished'] == 3 and 0 < summary['median_seconds'] < 30 and 0 < summary['minutes_left'] < 1
    said = server.process.stdout.read()
    assert '3 of 5 films finished' in said and f'{pictures}: 3 pictures' in said
    assert len(list(pictures.glob('*.annotated.png'))) == 3
