"The page of annotate in a real browser: what is meant by a click or a key is what is in the CSV."

import time

import numpy as np
import pytest
from browser import DOTS, Fingers


def test_undo_goes_back_over_films_and_a_reload_and_redo_returns(serve, open_page):
    server = serve()
    film = open_page(server)
    film.click(DOTS[0])
    film.go('n')
    film.click(DOTS[1])
    film.wait_saved()
    film.page.reload()
    film.ready()
    film.press('u')
    film.wait('#line', r'Undone')
    film.press('b')
    film.wait('#position', '^1 ')
    film.wait('#line', r'Undone')
    assert film.marks() == ['–'] * 3
    film.press('Control+y')
    film.wait('#line', r'Redone')
    film.wait_saved()
    assert film.marks()[1:] == ['–'] * 2 and film.marks()[0] != '–'
    assert list(server.points()) == ['a portrait.png']


def test_a_point_is_dragged_and_nudged_and_extra_clicks_do_nothing(serve, open_page):
    server = serve()
    film = open_page(server)
    for dot in DOTS: film.click(dot)
    film.click((20, 200))  # one too many
    assert 'set already' in film.line
    start, end = film.place_of(DOTS[0]), film.place_of((30, 200))
    moved = film.meant_at(film.place_of(DOTS[0])) + (end - start) / film.box()[1]
    film.page.mouse.move(*start)
    film.page.mouse.down()
    film.page.mouse.move(*(start + end) / 2)
    film.page.mouse.move(*end)
    film.page.mouse.up()
    film.press('ArrowRight', 'Shift+ArrowUp', 'Alt+ArrowLeft')
    film.wait_saved()
    points = server.points()['a portrait.png']
    assert np.abs(points[0] - (moved + (0.9, -10))).max() < 0.02 and np.abs(points[1:] - DOTS[1:]).max() < 0.3
    assert [entry['kind'] for entry in server.journal if entry['kind'] != 'work'] == ['mark'] * 7


def test_buttons_lists_and_empty_places_never_place_a_point(serve, open_page):
    server = serve()
    film = open_page(server)
    for selector in ('.landmark >> nth=1', '#line', '#names', '#fit', '#invert', '#range', '#window', '#larger',
                     '#smaller', '#search', '#unfinished', '#films', '#film-name'):
        film.page.click(selector)
    film.press('Escape', 'f')
    stage = film.page.locator('#stage').bounding_box()
    film.page.mouse.click(stage['x'] + 5, stage['y'] + 5)  # beside the film
    assert 'beside the film' in film.line and film.marks() == ['–'] * 3
    film.page.mouse.move(600, 400)
    film.page.mouse.down()
    film.page.mouse.move(640, 430)  # pans
    film.page.mouse.up()
    film.page.mouse.down()
    film.press('n')  # what was pressed on one film is no click on another
    film.wait('#film-name', 'b landscape.png')
    film.page.mouse.up()
    assert film.marks() == ['–'] * 3 and not [each for each in server.journal if each['kind'] == 'mark']


def test_fingers_tap_aim_pan_and_pinch(serve, open_page):
    server = serve()
    film = open_page(server)
    fingers, place = Fingers(film), film.place_of(DOTS[0])
    tapped = film.meant_at(place)
    fingers.touch(place)
    fingers.lift()
    place = film.place_of(DOTS[1]) + (0, 70)  # the cross is above the finger
    aimed = film.meant_at(place - (0, 70))
    fingers.touch(place - (30, 10))
    time.sleep(0.5)
    fingers.move(place)
    fingers.lift()
    film.wait_saved()
    corner, scale = film.box()
    fingers.touch((400, 300), (500, 300))
    fingers.move((350, 300), (550, 300))
    fingers.lift()
    assert film.box()[1] == pytest.approx(2 * scale, rel=0.01)
    corner, _ = film.box()
    fingers.touch((500, 300))
    fingers.move((520, 340))
    fingers.move((540, 350))
    fingers.lift()
    assert film.box()[0] - corner == pytest.approx([40, 50], abs=1)
    points = server.points()['a portrait.png']
    assert np.abs(points[:2] - [tapped, aimed]).max() <= 0.00501 and np.isnan(points[2]).all()
