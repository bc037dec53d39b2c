"What the page offers and asks: points that follow, a CSV, a run, slips, and films that are worth a look."

import numpy as np
import pandas as pd
import pytest
from browser import Server, dotted
from helpers import save_picture

DOTS = np.array([[40, 50], [150, 40], [130, 150], [60, 120], [100, 90]], float)  # px
FIVE = ['a', 'b', 'c', 'd', 'e']


@pytest.fixture
def alike(tmp_path):
    "Twelve films with five dots each, a little moved and turned; returns their folder and the dots of each."
    folder, rng, points = tmp_path / 'films', np.random.default_rng(0), {}
    folder.mkdir()
    for k in range(12):
        angle = np.radians(k - 6)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        dots = (DOTS - 100) @ turn + 100 + rng.normal(0, 0.5, DOTS.shape)
        points[f'{k:02}.png'] = dots
        save_picture(folder / f'{k:02}.png', (255 * dotted(200, 200, dots)).astype(np.uint8))
    return folder, points


def write_csv(path, points, names=FIVE, **columns):
    path.parent.mkdir(exist_ok=True)
    rows = [{'image_name': image, 'image_width': 200, 'image_height': 200, 'n_landmarks': len(names)}
            | {f'{name}_{axis}': value for name, point in zip(names, of_image, strict=True)
               for axis, value in zip('xy', point, strict=True)} for image, of_image in points.items()]
    pd.DataFrame(rows).assign(**columns).to_csv(path, index=False)
    return path


@pytest.fixture
def serve_alike(alike):
    servers = []
    def start(*flags):
        servers.append(Server(alike[0], '--landmarks', ','.join(FIVE), *flags))
        return servers[-1]
    yield start
    for server in servers: server.kill()


def in_csv(server):
    "The points of each film in the CSV once the server has ended."
    server.end()
    table = pd.read_csv(server.labels / 'train_annotation.csv').set_index('image_name')
    return {image: row[[f'{name}_{axis}' for name in FIVE for axis in 'xy']].to_numpy(float).reshape(-1, 2)
            for image, row in table.iterrows()}


def origins(server): return [entry.get('origin', 'click') for entry in server.journal if entry['kind'] == 'mark']


def test_after_two_points_the_others_are_offered_and_taken(serve_alike, alike, open_page):
    _, dots = alike
    server = serve_alike()
    film = open_page(server)
    for dot in dots['00.png']: film.click(dot)
    film.wait_saved()
    film.go('n')
    assert not film.page.is_visible('#take')
    meant = [film.click(dot) for dot in dots['01.png'][:2]]
    film.wait('#take', 'all 3')
    assert film.marks() == ['✓', '✓', 'offered', 'offered', 'offered']
    assert film.page.locator('#markers text.offered').all_text_contents() == ['3 c', '4 d', '5 e']
    film.press('y')  # of c
    film.wait('#take', 'all 2')
    film.drag(film.points()['4 d'], dots['01.png'][3] + [5, 0])  # moved, it is the reader's own
    film.wait('#take', 'the one')
    film.page.click('#take')
    film.wait_saved()
    assert film.marks() == ['✓'] * 5
    assert origins(server)[5:] == ['click', 'click', 'template', 'click', 'template']
    found = in_csv(server)['01.png']
    assert np.abs(found[:2] - meant).max() <= 0.00501
    assert np.abs(found[[2, 4]] - dots['01.png'][[2, 4]]).max() < 4
    assert np.abs(found[3] - dots['01.png'][3] - [5, 0]).max() < 1


def test_the_points_of_a_csv_are_offered_the_least_sure_film_first(serve_alike, alike, open_page, tmp_path):
    _, dots = alike
    sure = {'a_confidence': np.linspace(0.9, 0.8, 12), 'c_confidence': [0.9] * 7 + [0.2] + [0.9] * 4}
    csv = write_csv(tmp_path / 'out' / 'predictions.csv', dots, **sure)
    server = serve_alike('--csv', str(csv))
    film = open_page(server)
    assert film.page.inner_text('#film-name') == '07.png' and 'confidence 0.20 at c' in film.page.inner_text('#note')
    assert film.marks() == ['offered'] * 5
    film.press('t')
    film.wait_saved()
    assert film.marks() == ['✓'] * 5 and origins(server) == ['model']
    film.press('u')
    film.wait('#take', 'all 5')  # one step
    film.press('2', 'a')  # absent, whatever is offered
    film.press('t')
    film.wait_saved()
    film.page.select_option('#order', 'name')
    film.expect('#films [aria-selected=true]').to_have_attribute('aria-posinset', '8')
    found = in_csv(server)
    assert found.keys() == {'07.png'}
    np.testing.assert_allclose(found['07.png'][[0, 2, 3, 4]], dots['07.png'][[0, 2, 3, 4]], atol=0.00501)
    assert found['07.png'][1].tolist() == [-1, -1]


@pytest.mark.slow
def test_what_a_run_finds_is_offered_film_by_film(serve, finished, dots, tmp_path, open_page):
    _, films = dots
    server = Server(films, '--landmarks', 'head,knee,nose', '--model', str(finished), '--label_dir', str(tmp_path))
    try:
        film = open_page(server)
        film.wait('#take', 'all 2')
        assert film.marks() == ['offered', 'offered', '–']
        film.press('n')
        film.wait('#take', 'all 2')
    finally: server.kill()


def test_a_slip_is_told_before_the_next_film_once(serve_alike, alike, open_page):
    folder, dots = alike
    others = {image: points for image, points in dots.items() if image != '03.png'}
    write_csv(folder.parent / 'labels' / 'train_annotation.csv', others)
    server = serve_alike()
    film = open_page(server)
    assert film.page.inner_text('#film-name') == '03.png'
    for index in (2, 1, 0, 3, 4): film.click(dots['03.png'][index])  # a and c have changed places
    film.press('n')
    film.wait('#note', 'a and c')
    assert film.page.inner_text('#film-name') == '03.png' and 'a and c' in film.line
    film.go('n')
    assert film.page.inner_text('#film-name') == '04.png' and not film.page.is_visible('#note')


def test_a_film_without_a_slip_is_left_at_once(serve_alike, alike, open_page):
    folder, dots = alike
    write_csv(folder.parent / 'labels' / 'train_annotation.csv', {k: v for k, v in dots.items() if k != '03.png'})
    film = open_page(serve_alike())
    for dot in dots['03.png']: film.click(dot)
    film.go('n')
    assert film.page.inner_text('#film-name') == '04.png'


def test_what_check_finds_is_a_queue_that_says_why(serve_alike, alike, open_page):
    folder, dots = alike
    wrong = {image: points.copy() for image, points in dots.items()}
    wrong['05.png'][[0, 2]] = wrong['05.png'][[2, 0]]
    write_csv(folder.parent / 'labels' / 'train_annotation.csv', wrong)
    server = serve_alike('--from_check')
    film = open_page(server)
    assert film.page.inner_text('#film-name') == '05.png' and 'a and c' in film.page.inner_text('#note')
    film.expect('#films [aria-selected=true]').to_have_attribute('aria-setsize', '1')  # to look at alone
    film.page.uncheck('#noted')
    film.expect('#films [aria-selected=true]').to_have_attribute('aria-setsize', '12')
    film.press('1', 'Backspace', '3', 'Backspace', '1')
    for dot in (dots['05.png'][0], dots['05.png'][2]): film.click(dot)
    film.wait_saved()
    assert np.abs(in_csv(server)['05.png'] - dots['05.png']).max() < 1
