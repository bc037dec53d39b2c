"The page of annotate in a real browser, for tests: the command as a process, and what a reader sees and does."

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

CHROMIUM = next(filter(None, map(shutil.which, ['chromium', 'chromium-browser', 'google-chrome'])), None)
ROOT = Path(__file__).parents[1]
NAMES = ['hip', 'knee', 'ankle']
DOTS = np.array([[40.3, 50.8], [100.6, 141.1], [150.2, 88.4]])  # px


def dotted(width, height, dots=DOTS):
    "A film with a smooth bright spot at each dot, float 0 to 1."
    y, x = np.mgrid[:height, :width]
    return 0.1 + 0.8 * sum(np.exp(-((x - dx) ** 2 + (y - dy) ** 2) / 8) for dx, dy in dots)


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
        coordinates = table.loc[:, 'n_landmarks':].iloc[:, 1:]
        return {name: row.to_numpy(float).reshape(-1, 2) for name, row in coordinates.iterrows()}


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
        self.wait('#position', r'\d')
        name = re.escape(self.page.inner_text('#film-name'))  # the line may still be of the film before
        self.wait('#line', rf'^{name}(: \d+ of \d+ set| cannot be read)')
        self.expect('#markers').to_have_attribute('viewBox', re.compile('.'))

    def expect(self, selector):
        "What playwright waits for an element to have."
        from playwright.sync_api import expect  # where it is not installed the tests are skipped
        return expect(self.page.locator(selector))

    def wait(self, selector, pattern):
        "Wait until an element has a text."
        self.expect(selector).to_have_text(re.compile(pattern), timeout=30_000)  # of a busy machine

    def press(self, *keys):
        for key in keys: self.page.keyboard.press(key)

    def go(self, key):
        "Go to the next film or the one before, by key."
        self.leave(lambda: self.press(key))

    def leave(self, act):
        "Do what opens another film, and wait until that is shown."
        before = self.page.inner_text('#position')
        act()
        self.expect('#position').not_to_have_text(before)
        self.ready()

    def reload(self):
        self.page.reload()
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

    def place_by_keys(self, dot):
        "Move the cross to within 0.05 px of a dot by arrow keys and place the landmark there; returns the point."
        self.press('ArrowRight', 'ArrowLeft')
        point = self.cross
        for axis, keys in enumerate((('ArrowLeft', 'ArrowRight'), ('ArrowUp', 'ArrowDown'))):
            tenths = round((dot[axis] - point[axis]) * 10)
            point[axis] += tenths / 10
            key, tenths = keys[tenths > 0], abs(tenths)
            for step, modifiers in ((1000, 'Alt+Shift+'), (100, 'Shift+'), (10, ''), (1, 'Alt+')):
                self.press(*[modifiers + key] * (tenths // step))
                tenths %= step
        self.press('Enter')
        return point

    @property
    def cross(self):
        "The point where the cross of the keyboard is drawn."
        self.box()
        drawn = self.page.locator('#markers > g').last.get_attribute('transform')
        return np.array([float(value) for value in re.findall(r'[-.\d]+', drawn)[:2]])

    def drag(self, point, to):
        "Drag from a point of the film to another."
        self.page.mouse.move(*self.place_of(point))
        self.page.mouse.down()
        self.page.mouse.move(*self.place_of(to), steps=4)
        self.page.mouse.up()

    def points(self):
        "Where markers are on the film, by their text."
        self.box()
        groups = self.page.locator('#markers > g:has(text)').all()
        places = [re.findall(r'[-.\d]+', group.get_attribute('transform'))[:2] for group in groups]
        return {group.text_content(): np.array(place, float) for group, place in zip(groups, places, strict=True)}

    def zoom_at(self, point, least):
        "Turn the wheel over a point of the film until a px of it is `least` px of the screen."
        self.page.mouse.move(*self.place_of(point))
        while self.box()[1] < least: self.page.mouse.wheel(0, -400)

    def marks(self):
        "What the list of landmarks says."
        return [text.strip() for text in self.page.locator('.landmark .mark').all_inner_texts()]


class Fingers:
    "Fingers on the page: each call says where all of them are."
    def __init__(self, film): self.session = film.page.context.new_cdp_session(film.page)

    def touch(self, *places): self._send('touchStart', places)

    def move(self, *places): self._send('touchMove', places)

    def lift(self): self._send('touchEnd', ())

    def _send(self, kind, places):
        points = [{'x': float(x), 'y': float(y), 'id': k} for k, (x, y) in enumerate(places)]
        self.session.send('Input.dispatchTouchEvent', {'type': kind, 'touchPoints': points})


def free_port():
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]
