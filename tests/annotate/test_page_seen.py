"What the page of annotate shows: broken films, windows, help, lists, at two widths."

from io import BytesIO

import numpy as np
from browser import DOTS
from PIL import Image


def test_a_broken_film_is_named_and_the_next_one_opens(serve, open_page, dotted_films):
    (dotted_films / 'a portrait.png').write_bytes(b'no image')
    film = open_page(serve())
    assert 'a portrait.png' in film.page.inner_text('#problem')
    film.page.mouse.click(500, 400)
    film.press('a', 'Enter', 'ArrowUp', 'u')
    film.go('n')
    assert film.page.inner_text('#film-name') == 'b landscape.png' and not film.page.is_visible('#problem')
    assert film.marks() == ['–'] * 3


def grey_at(film, point):
    "The grey value on the screen at a point of the film."
    x, y = film.place_of(point)
    film.page.evaluate('() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))')
    shot = film.page.screenshot(clip=dict(x=x, y=y, width=1, height=1))
    return int(np.asarray(Image.open(BytesIO(shot)).convert('L'))[0, 0])


def test_window_inversion_and_hidden_markers(serve, open_page):
    film = open_page(serve())
    for _ in range(3): film.go('n')  # 16 bits
    assert film.page.inner_text('#film-name') == 'd deep.png'
    plain, dot = (10, 180), DOTS[0]
    film.press('r')
    assert grey_at(film, plain) < 10 and grey_at(film, dot) > 240
    film.press('i')
    assert grey_at(film, plain) > 245 and grey_at(film, dot) < 15
    film.press('i')
    film.page.mouse.move(500, 300)
    film.page.mouse.down(button='right')
    film.page.mouse.move(500, 200)  # a lower level: brighter
    film.page.mouse.up(button='right')
    assert grey_at(film, plain) > 80 and 'level' in film.line
    film.press('w')
    film.click(dot)
    film.box()
    assert film.page.locator('#markers text').count() == 1
    film.page.keyboard.down('h')
    film.box()
    assert film.page.locator('#markers text').count() == 0
    film.page.keyboard.up('h')
    film.page.keyboard.down('l')
    film.box()
    assert film.page.is_visible('#loupe')
    film.page.keyboard.up('l')
    film.press('g')
    film.box()
    assert film.page.text_content('#markers text') == '1' and not film.page.is_visible('#loupe')


def test_the_page_fits_its_window_and_nothing_overlaps(serve, open_page):
    film = open_page(serve())
    for width in (1280, 800):
        film.page.set_viewport_size({'width': width, 'height': 800})
        film.box()
        assert film.page.evaluate('document.documentElement.scrollWidth') <= width
        boxes = [film.page.locator(each).bounding_box() for each in ('#bar', '#stage', '#side', '#line')]
        bar, stage, side, line = boxes
        assert bar['y'] + bar['height'] <= stage['y'] and stage['x'] + stage['width'] <= side['x'] + 0.5
        assert stage['y'] + stage['height'] <= line['y'] + 0.5 and side['x'] + side['width'] <= width
        assert stage['width'] * stage['height'] > 0.55 * width * 800


def test_unfinished_films_alone_and_parts_of_names(serve, open_page):
    film = open_page(serve())
    film.press('a', 'a', 'a')
    film.wait_saved()
    film.go('n')
    film.page.check('#unfinished')
    assert len(film.page.locator('#films [role=option]').all()) == 4
    film.page.fill('#search', 'DEEP')
    assert len(film.page.locator('#films [role=option]').all()) == 2  # and the one that is open
    assert '1 of 5 finished' in film.page.inner_text('#finished')
    film.page.focus('#films')
    film.press('End', 'Enter')
    film.wait('#film-name', 'd deep.png')
    film.page.fill('#search', '')
    film.page.click('#films [role=option] >> nth=0')  # the finished one is not among them
    film.wait('#film-name', 'b landscape.png')
