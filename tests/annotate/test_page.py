"The page of annotate in a real browser: what is meant by a click or a key is what is in the CSV, whatever happens."

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import exif_of, save_picture, write_dicom
from PIL import Image

playwright = pytest.importorskip('playwright.sync_api', reason='playwright is not installed')
CHROMIUM = next(filter(None, map(shutil.which, ['chromium', 'chromium-browser', 'google-chrome'])), None)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason='there is no Chromium')
ROOT = Path(__file__).parents[2]
NAMES = ['hip', 'knee', 'ankle']
DOTS = np.array([[40.3, 50.8], [100.6, 141.1], [150.2, 88.4]])  # px


@pytest.fixture(scope='module')
def browser():
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
        yield browser
        browser.close()


@pytest.fixture
def context(browser):
    context = browser.new_context(viewport={'width': 1280, 'height': 800}, has_touch=True)
    context.set_default_timeout(10_000)
    yield context
    context.close()


def dotted(width, height, dots=DOTS):
    "A film with a smooth bright spot at each dot, float 0 to 1."
    y, x = np.mgrid[:height, :width]
    return 0.1 + 0.8 * sum(np.exp(-((x - dx) ** 2 + (y - dy) ** 2) / 8) for dx, dy in dots)


@pytest.fixture
def films(tmp_path):
    "A folder of films with the same dots, one of each kind."
    folder = tmp_path / 'films'
    folder.mkdir()
    portrait, landscape = dotted(180, 240), dotted(260, 190)
    save_picture(folder / 'a portrait.png', (255 * portrait).astype(np.uint8))
    save_picture(folder / 'b landscape.png', (255 * landscape[..., None] * (1, 0.9, 0.6)).astype(np.uint8))
    lying = np.rot90((255 * portrait).astype(np.uint8))  # orientation 6 turns it upright again
    save_picture(folder / 'c rotated.jpg', lying, quality=95, exif=exif_of(6))
    save_picture(folder / 'd deep.png', (3000 + 20000 * landscape).astype(np.uint16))
    write_dicom(folder / 'e.dcm', (3000 * portrait).astype(np.uint16), WindowCenter=1500, WindowWidth=3000)
    return folder


class Server:
    "The command on a folder of films, as a process."
    def __init__(self, films, *flags, port=0):
        self.films, self.labels, self.flags, self.port = films, films.parent / 'labels', flags, port
        self.start()

    def start(self):
        argv = ['annotate', '--image_dir', self.films, '--label_dir', self.labels, '--port', self.port, '--no_browser',
                *(self.flags or ['--landmarks', ','.join(NAMES)])]
        self.process = subprocess.Popen([sys.executable, 'cli.py', *map(str, argv)], stdout=subprocess.PIPE, text=True,
                                        stderr=subprocess.DEVNULL, cwd=ROOT)
        self.address = self.process.stdout.readline().strip()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        "Ctrl-C."
        self.process.send_signal(signal.SIGINT)
        self.process.wait(10)

    @property
    def journal(self):
        lines = (self.labels / 'readers' / 'reader.jsonl').read_text(encoding='utf-8').splitlines()[1:]
        return [json.loads(line) for line in lines]

    def points(self):
        "What the CSV holds once the server has ended: (images, landmarks, 2) by image."
        self.end()
        table = pd.read_csv(self.labels / 'train_annotation.csv').set_index('image_name')
        return {name: row[[f'{each}_{axis}' for each in NAMES for axis in 'xy']].to_numpy(float).reshape(-1, 2)
                for name, row in table.iterrows()}


@pytest.fixture
def serve(films):
    servers = []
    def start(*args, **kwargs):
        servers.append(Server(films, *args, **kwargs))
        return servers[-1]
    yield start
    for server in servers: server.kill()


class Film:
    "The page, as a reader sees and uses it."
    def __init__(self, context, server):
        self.page, self.complaints = context.new_page(), []
        self.page.on('pageerror', lambda error: self.complaints.append(str(error)))
        self.page.on('console', lambda said: self.complaints.append(said.text) if said.type == 'error' else None)
        self.page.goto(server.address)
        self.ready()

    def ready(self):
        "Wait until a film is shown."
        self.wait('#line', r' of \d+ set|Cannot be read')
        playwright.expect(self.page.locator('#markers')).to_have_attribute('viewBox', re.compile('.'))

    def wait(self, selector, pattern):
        "Wait until an element has a text."
        playwright.expect(self.page.locator(selector)).to_have_text(re.compile(pattern), timeout=10_000)

    def press(self, *keys):
        for key in keys: self.page.keyboard.press(key)

    def go(self, key):
        "Go to the next film or the one before, by key."
        before = self.page.inner_text('#position')
        self.press(key)
        playwright.expect(self.page.locator('#position')).not_to_have_text(before)
        self.ready()

    @property
    def line(self): return self.page.inner_text('#line')

    @property
    def saved(self): return self.page.inner_text('#saved')

    def wait_saved(self): self.wait('#saved', '^saved')

    def box(self):
        "Left, top, and px of the screen a px of the film, by what the browser has laid out; pixel centres are whole."
        self.page.evaluate('() => new Promise(requestAnimationFrame)')  # what is due is drawn
        box = self.page.locator('#markers').bounding_box()
        x, y, width, _ = map(float, self.page.get_attribute('#markers', 'viewBox').split())
        scale = box['width'] / width
        return np.array([box['x'] - x * scale, box['y'] - y * scale]), scale

    def place_of(self, point):
        "The whole px of the screen nearest to a point of the film."
        corner, scale = self.box()
        return np.rint(corner + np.array(point) * scale)

    def meant_at(self, place):
        "The point of the film that a click at a place of the screen means."
        corner, scale = self.box()
        return (np.array(place) - corner) / scale

    def seen_at(self, point):
        "Where the bright spot near a point of the film is on the screen, as a point of the film."
        corner, scale = self.box()
        x, y = map(int, np.rint(corner + np.array(point) * scale))
        r = int(round(7 * scale))
        shot = self.page.screenshot(clip=dict(x=x - r, y=y - r, width=2 * r + 1, height=2 * r + 1))
        grey = np.asarray(Image.open(BytesIO(shot)).convert('L')).astype(float)
        grey = np.clip(grey - 80, 0, None)
        rows, columns = np.mgrid[:grey.shape[0], :grey.shape[1]]
        centre = np.array([(grey * columns).sum(), (grey * rows).sum()]) / grey.sum()
        return self.meant_at(np.array([x - r, y - r]) + centre + 0.5)  # a px of the screen covers x to x + 1

    def click(self, point):
        "Click at a point of the film; returns what was meant, to the px of the screen."
        place = self.place_of(point)
        meant = self.meant_at(place)
        self.page.mouse.click(*place)
        return meant

    def zoom_at(self, point, least):
        "Turn the wheel over a point of the film until a px of it is `least` px of the screen."
        self.page.mouse.move(*self.place_of(point))
        while self.box()[1] < least: self.page.mouse.wheel(0, -400)

    def marks(self):
        "What the list of landmarks says."
        return [text.strip() for text in self.page.locator('.landmark .mark').all_inner_texts()]


@pytest.fixture
def open_page(context):
    pages = []
    def start(server):
        pages.append(Film(context, server))
        return pages[-1]
    yield start
    for page in pages: assert not [text for text in page.complaints if 'Failed to load resource' not in text]


# --- what is meant is what is saved

def test_points_clicked_by_mouse_at_two_zooms_are_in_the_csv(serve, open_page, films):
    server = serve()
    film, meant = open_page(server), {}
    for name in sorted(path.name for path in films.iterdir()):
        assert film.page.inner_text('#film-name') == name
        for dot, least in zip(DOTS, (0, 0, 9), strict=True):
            if least: film.zoom_at(dot, least)
            error = np.abs(film.seen_at(dot) - dot).max()
            assert error < (0.06 if least else 0.25), f'{name}: the dot is seen {error:.3f} px away'
            meant.setdefault(name, []).append(film.click(dot))
        film.wait_saved()
        if name != 'e.dcm': film.go('n')
    film.go('p')  # and back: nothing changes
    film.go('n')
    film.page.reload()
    film.ready()
    found = server.points()
    assert found.keys() == meant.keys()
    for name, points in found.items():
        assert np.abs(points - meant[name]).max() <= 0.00501, name
        assert np.abs(points - DOTS).max() < 0.3


def test_points_placed_by_keyboard_alone_are_in_the_csv(serve, open_page):
    server = serve()
    film = open_page(server)
    for k in range(3):
        for index, dot in enumerate(DOTS):
            if (k, index) == (1, 0): film.press('a')  # absent
            elif (k, index) == (2, 1): film.press('s')  # skipped
            else: place_by_keys(film, dot)
        if k == 0: film.press('Shift+Tab', 'ArrowLeft', 'Backspace', 'u', 'u')  # knee: moved, cleared, and all undone
        film.wait_saved()
        if k < 2: film.go('n')
    film.page.reload()
    film.ready()
    film.go('p')
    film.go('n')
    film.press('2', 'x')  # cannot be judged: blank
    film.wait_saved()
    found = list(server.points().values())
    expected = [DOTS, [[-1, -1], *DOTS[1:]], [DOTS[0], [np.nan] * 2, DOTS[2]]]
    assert np.allclose(found, expected, atol=0.001, equal_nan=True)


def place_by_keys(film, dot):
    "Move the cross to a dot by arrow keys and place the landmark there."
    film.press('ArrowRight', 'ArrowLeft')
    at = np.array([float(value) for value in re.findall(r'translate\(([-\d.]+) ([-\d.]+)\)', cross(film))[0]])
    for distance, (fewer, more) in zip(dot - at, (('ArrowLeft', 'ArrowRight'), ('ArrowUp', 'ArrowDown')), strict=True):
        key, tenths = more if distance > 0 else fewer, round(abs(distance) * 10)
        for step, modifier in ((1000, 'Alt+Shift+'), (100, 'Shift+'), (10, ''), (1, 'Alt+')):
            for _ in range(tenths // step): film.press(modifier + key)
            tenths %= step
    film.press('Enter')


def cross(film):
    "Where the cross of the keyboard is drawn."
    film.box()
    return film.page.locator('#markers > g').last.get_attribute('transform')


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


# --- nothing is lost

def free_port():
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]


def test_clicks_while_the_server_is_dead_are_not_saved_yet_and_then_saved(serve, open_page):
    server = serve(port=free_port())
    film = open_page(server)
    meant = [film.click(DOTS[0])]
    film.wait_saved()
    server.kill()
    meant += [film.click(dot) for dot in DOTS[1:]]
    film.wait('#line', r'does not answer')
    assert 'not saved yet (2)' in film.saved
    server.start()
    film.wait_saved()
    assert len([each for each in server.journal if each['kind'] == 'mark']) == 3
    assert np.abs(server.points()['a portrait.png'] - meant).max() <= 0.00501


def test_undo_and_redo_while_the_server_is_dead_are_of_what_was_done_before_them(serve, open_page):
    server = serve(port=free_port())
    film = open_page(server)
    film.click(DOTS[0])
    film.wait_saved()
    server.kill()
    film.click(DOTS[1])
    film.press('u')
    film.wait('#line', 'Undone: knee')
    assert film.marks() == ['✓', '–', '–']
    film.press('Control+y')
    film.wait('#line', 'Redone: knee')
    film.press('u', 'u', 'u')  # of the first one the server has to tell, and then of none
    meant = film.click(DOTS[1])  # after them
    server.start()
    film.wait_saved()
    film.wait('#progress', '1 of 3')
    assert np.allclose(server.points()['a portrait.png'], [[np.nan] * 2, meant, [np.nan] * 2], atol=0.00501,
                       equal_nan=True)


def test_a_page_that_is_closed_unsaved_sends_it_when_it_is_opened_again(serve, open_page):
    server = serve(port=free_port())
    film = open_page(server)
    server.kill()
    meant = [film.click(dot) for dot in DOTS]
    film.wait('#saved', r'not saved yet \(3\)')
    time.sleep(0.3)  # the outbox is on disk
    film.page.close()  # without a question, as in a crash
    server.start()
    again = open_page(server)
    again.wait_saved()
    assert np.abs(server.points()['a portrait.png'] - meant).max() <= 0.00501


def test_a_reload_is_warned_of_while_something_is_not_saved(serve, open_page):
    server = serve()
    film, asked = open_page(server), []
    film.page.on('dialog', lambda dialog: (asked.append(dialog.type), dialog.accept()))
    film.click(DOTS[0])
    film.wait_saved()
    film.page.reload()
    film.ready()
    assert asked == []
    server.kill()
    film.click(DOTS[1])
    film.press('q')
    assert 'not' in film.line.lower()
    with film.page.expect_event('dialog'): film.page.close(run_before_unload=True)
    assert asked == ['beforeunload']


def test_two_tabs_that_mark_the_same_landmark_see_both_and_choose(serve, open_page):
    server = serve()
    first, second = open_page(server), open_page(server)
    first.click(DOTS[0])
    first.wait_saved()
    meant = second.click(DOTS[2])
    second.page.wait_for_selector('.conflict')
    second.wait_saved()
    assert second.page.locator('.conflict button').count() == 2
    second.page.click('.conflict button >> nth=1')
    second.page.wait_for_selector('.conflict', state='detached')
    second.wait_saved()
    assert np.abs(server.points()['a portrait.png'][0] - meant).max() <= 0.00501


def test_a_page_of_other_films_loads_again_and_keeps_what_was_clicked(serve, open_page, films):
    server = serve(port=free_port())
    film = open_page(server)
    server.kill()
    film.click(DOTS[0])
    shutil.copy(films / 'a portrait.png', films / '0 new.png')  # all numbers are others now
    server.start()
    film.wait_saved()
    film.wait('#position', r'6$')
    film.wait_saved()
    assert list(server.points()) == ['a portrait.png']


# --- what is seen

def test_a_broken_film_is_named_and_the_next_one_opens(serve, open_page, films):
    (films / 'a portrait.png').write_bytes(b'no image')
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


def test_help_shows_every_key_and_every_control_has_a_name(serve, open_page):
    film = open_page(serve())
    film.press('?')
    assert film.page.is_visible('#keys') and 'absent' in film.page.inner_text('#keys-table')
    film.press('n', 'Escape')  # keys do nothing behind it
    assert film.page.inner_text('#position').startswith('1 ')
    snapshot = film.page.locator('body').aria_snapshot()
    controls = r'^\s*- (?:button|checkbox|searchbox|listbox|textbox)'
    assert len(re.findall(controls, snapshot, re.M)) > 10
    assert not re.findall(controls + r'(?: \[.*\])?:?$', snapshot, re.M), snapshot


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


# --- fingers

class Fingers:
    "Fingers on the page: each call says where all of them are."
    def __init__(self, film): self.session = film.page.context.new_cdp_session(film.page)

    def touch(self, *places): self._send('touchStart', places)

    def move(self, *places): self._send('touchMove', places)

    def lift(self): self._send('touchEnd', ())

    def _send(self, kind, places):
        points = [{'x': float(x), 'y': float(y), 'id': k} for k, (x, y) in enumerate(places)]
        self.session.send('Input.dispatchTouchEvent', {'type': kind, 'touchPoints': points})


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
