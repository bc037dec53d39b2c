"What readers see of a study: films without names that come back, and points of others in adjudication alone."

import numpy as np
import pandas as pd
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
