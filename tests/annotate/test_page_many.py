"Many films in a real browser, by mouse and by keyboard alone: what is meant is in the CSV, whatever comes between."

import numpy as np
import pytest
from browser import Film, Server, dotted
from helpers import exif_of, save_picture, write_dicom

NAMES = ['a', 'b', 'c', 'd', 'e', 'f']
SHAPE = np.array([[0.25, 0.2], [0.7, 0.25], [0.75, 0.5], [0.7, 0.8], [0.3, 0.75], [0.45, 0.5]])
SIDE = 480  # px, of the square that the shape is in; alike on all films, else the page asks whether it is right
ZOOMS = [0, 3, 8]  # px of the screen a px of the film, at least; 0 for all of the film
FAR = {0: 0.25, 3: 0.12, 8: 0.06}  # px of the film that a dot may be seen from where it was drawn, by zoom
KINDS = ['portrait.png', 'wide.png', 'turned.jpg', 'deep.png', 'x-ray.dcm']
N_KINDS = len(KINDS)


def write_film(folder, k, rng):
    "Write a film with a dot for each landmark, of the `k`-th kind; returns its name and the dots."
    kind, size = k % N_KINDS, rng.integers((480, 600), (560, 700))
    if kind in (1, 3): size = size[::-1]
    dots = (SHAPE - 0.5) * SIDE + size / 2 + rng.uniform(-20, 20, 2) + rng.uniform(-6, 6, SHAPE.shape)
    pixels, name = dotted(*size, dots), f'{k:02} {KINDS[kind]}'
    if kind == 0: save_picture(folder / name, (255 * pixels).astype(np.uint8))
    elif kind == 1: save_picture(folder / name, (255 * pixels[..., None] * (1, 0.9, 0.6)).astype(np.uint8))
    elif kind == 2:  # orientation 6 turns it upright again
        save_picture(folder / name, np.rot90((255 * pixels).astype(np.uint8)), quality=95, exif=exif_of(6))
    elif kind == 3: save_picture(folder / name, (3000 + 20000 * pixels).astype(np.uint16))
    else: write_dicom(folder / name, (3000 * pixels).astype(np.uint16), WindowCenter=1500, WindowWidth=3000)
    return name, dots


class Mouse:
    "A reader who has no keyboard but for names to search for."
    nearest = 0.75  # px of the film, from a dot to the middle of the px of the screen that is clicked

    def __init__(self, film): self.film, self.page = film, film.page

    def place(self, dot, zoom):
        self.page.click('#fit')
        if zoom: self.film.zoom_at(dot, zoom)
        check_seen(self.film, dot, zoom)
        return self.film.click(dot)

    def skip(self): self.page.click(f'.landmark >> nth={self.film.marks().index("–") + 1}')

    def answer(self, which): self.page.click({'a': '#absent', 'x': '#unclear', 'Backspace': '#clear'}[which])

    def undo(self): self.page.click('#undo')

    def previous(self): self.page.click('#previous')

    def next(self): self.page.click('#next')

    def jump(self, number, name):
        self.page.fill('#search', name)
        self.page.click(f'#film-{number}')
        self.page.fill('#search', '')

    def choose(self, index): self.page.click(f'.landmark >> nth={index}')


class Keys:
    "A reader who has no mouse."
    nearest = 0.051  # px of the film, from a dot to where keys can go

    def __init__(self, film): self.film = film

    def place(self, dot, zoom):
        self.film.press('f')
        while self.film.box()[1] < zoom: self.film.press('+')
        return self.film.place_by_keys(dot)

    def skip(self): self.film.press('s')

    def answer(self, which): self.film.press(which)

    def undo(self): self.film.press('u')

    def previous(self): self.film.press('p')

    def next(self): self.film.press('n')

    def jump(self, _, name):
        self.film.press('/', *name, 'Enter', '/', 'Escape')

    def choose(self, index): self.film.press(str(index + 1))


def check_seen(film, dot, zoom):
    "A dot must be seen where it was drawn."
    film.page.keyboard.down('h')  # no marker is in the way
    error = np.abs(film.seen_at(dot) - dot).max()
    film.page.keyboard.up('h')
    assert error < FAR[zoom], f'a dot is seen {error:.3f} px away at zoom {zoom}'


class Reading:
    "A reader who marks films one after another, with what happens to readers; `meant` are the points by film."
    def __init__(self, film, hand, films):
        self.film, self.hand, self.films, self.meant = film, hand, films, {}

    def read(self):
        for k, name in enumerate(self.films):
            assert self.film.page.inner_text('#film-name') == name
            self.meant[name] = np.full(SHAPE.shape, np.nan)
            happens = (k + k // N_KINDS) % N_KINDS  # each to each kind of film in its turn
            self.mark_all(name, happens)
            self.film.wait_saved()
            if happens == 3 and k:  # back and on: nothing changes
                self.film.leave(self.hand.previous)
                self.film.leave(self.hand.next)
            if happens == 4: self.correct(name, k)
            if k == len(self.films) - 1: break
            self.film.leave(self.hand.next)
            if happens == 0: self.regret(name)

    def mark_all(self, name, happens):
        if happens == 1: self.hand.skip()
        for index in range(len(NAMES)):
            if happens == 1: index = (index + 1) % len(NAMES)  # what was skipped comes last, by itself
            if happens == 2 and index in (1, 4):
                self.hand.answer('a' if index == 1 else 'x')
                self.meant[name][index] = -1 if index == 1 else np.nan
            else:
                self.mark(name, index, is_undone=happens == 0 and index == 2)
            if happens == 3 and index == 3:
                self.film.wait_saved()
                self.film.reload()

    def mark(self, name, index, is_undone=False):
        "Place a landmark, at first in a wrong place where it `is_undone`."
        dots, zoom = self.films[name], ZOOMS[index % 3]
        if is_undone:
            self.hand.place(dots[index - 1], ZOOMS[0])
            self.hand.undo()
            self.film.wait('#line', 'Undone: ' + NAMES[index])
        self.meant[name][index] = self.hand.place(dots[index], zoom)

    def correct(self, name, k):
        "Jump back by several films, to clear a landmark and place it again."
        number = k - 3
        other = list(self.films)[number]
        self.film.leave(lambda: self.hand.jump(number, other))
        self.hand.choose(5)
        self.hand.answer('Backspace')
        self.film.wait('#line', 'f is cleared')
        self.mark(other, 5)
        self.film.leave(lambda: self.hand.jump(k, name))

    def regret(self, name):
        "Undo on the film before, from the next one, and place the landmark again."
        self.hand.undo()
        self.film.wait('#line', 'Undone: f')
        self.mark(name, 5)
        self.film.wait_saved()
        self.film.leave(self.hand.next)


@pytest.mark.parametrize('hand, n_films', [
    (Mouse, 5), *(pytest.param(*case, marks=pytest.mark.slow) for case in ((Keys, 5), (Mouse, 20), (Keys, 20)))])
def test_what_was_meant_is_in_the_csv(tmp_path, context, hand, n_films):
    (tmp_path / 'films').mkdir()
    rng = np.random.default_rng(n_films)
    films = dict(write_film(tmp_path / 'films', k, rng) for k in range(n_films))
    server = Server(tmp_path / 'films', '--landmarks', ','.join(NAMES))
    try:
        film = Film(context, server)
        reading = Reading(film, hand(film), films)
        reading.read()
        film.reload()
        film.wait('#finished', f'{n_films} of {n_films} finished')
        assert not film.complaints
        found = server.points()
    finally: server.kill()
    assert found.keys() == films.keys()
    for name, points in found.items():
        np.testing.assert_allclose(points, reading.meant[name], atol=0.00501, err_msg=name)
        is_placed = points >= 0
        assert np.abs(points - films[name])[is_placed].max() < hand.nearest, name
    assert sum((points == -1).all(1).sum() for points in found.values()) == n_films // N_KINDS
    assert 1 < sum(entry.get('seconds', 0) for entry in server.journal) < 600  # at work
