"The page of `annotate` in Chromium, as a reader has it: how soon, how smooth, how quickly saved, and how much memory."

import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from statistics import median

import cv2
import numpy as np

from landmark_fastai.data.radiograph import draw_radiograph
from landmark_fastai.errors import UsageError

from .fixtures import SEED, memory, write_small
from .timing import ROOT, duration, longer, number, row, say

QUICK = dict(repetitions=1, size=(1000, 750), n_many=200, n_clicks=6, n_visited=(3, 6), n_frames=20)
FEW = 100     # images in a folder
AS_FAST = 1.25  # times as long, at most: what the other folder may take
FLAT = 50     # MB
LANDMARKS = ','.join(f'landmark_{k}' for k in range(1, 13))
WINDOW = dict(width=1280, height=800)  # px
SIXTY = 'A movement, and what is drawn for it, in each frame; headless Chromium draws 60 frames/s at most.'
SAVED = 'From the release of the button until the page says saved, which is once the journal is on disk.'
HEAP = 'Heap of JavaScript after its garbage is collected; the pixels are beside it, in the memory of the renderer.'
FIRST_PIXELS = """window.firstPixels = new Promise((resolve) => {
  const look = () => {
    const canvas = document.getElementById('film');
    const pixel = canvas?.getContext('2d').getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data;
    if (pixel?.[3]) resolve(performance.now());
    else requestAnimationFrame(look);
  };
  look();
})"""
FRAMES = """async (n) => {  // a movement before each frame, which draws the one before
  const stage = document.getElementById('stage'), box = stage.getBoundingClientRect();
  const frame = () => new Promise(requestAnimationFrame);
  const start = await frame();
  let end = start;
  for (let k = 0; k < n; k++) {
    const angle = k / 10, clientX = box.x + box.width / 2 + 80 * Math.sin(angle);
    const clientY = box.y + box.height / 2 + 60 * Math.sin(1.3 * angle);
    stage.dispatchEvent(new PointerEvent('pointermove', { pointerId: 1, pointerType: 'mouse', clientX, clientY }));
    end = await frame();
  }
  return 1000 * n / (end - start);
}"""
UNTIL_SAVED = """() => {
  const saved = document.getElementById('saved');
  window.waits = [];
  let from = null;
  addEventListener('pointerup', (event) => { from = event.timeStamp; }, true);
  new MutationObserver(() => {
    if (from === null || saved.classList.contains('waiting')) return;
    window.waits.push((performance.now() - from) / 1000);
    from = null;
  }).observe(saved, { attributeFilter: ['class'] });
}"""


def run(folder, repetitions=5, size=(4000, 3000), n_many=10_000, n_clicks=60, n_visited=(50, 500), n_frames=120):
    "Rows of the page."
    from playwright.sync_api import sync_playwright  # of requirements-dev.txt, as Chromium for this group alone
    path = next(filter(None, map(shutil.which, ['chromium', 'chromium-browser', 'google-chrome'])), None)
    if not path: raise UsageError('there is no Chromium; install it, as with apt-get install chromium')
    say(f'drawing films of {size[0]} x {size[1]} px')
    films, few, many = write_films(folder / 'large', size, max(n_visited) + 1), folder / 'few', folder / 'many'
    write_small(few, FEW)
    write_links(few, many, n_many)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=['--no-sandbox'])
        return [*large_film(browser, films, size, repetitions, n_frames), *folders(browser, few, many, repetitions),
                saving(browser, few, n_clicks), *visits(browser, films, size, n_visited)]


def write_films(folder, size, n, n_drawn=4):
    "Write `n` 16-bit PNGs of `size`, of which `n_drawn` are drawn and the others links to them; returns the folder."
    folder.mkdir(parents=True)
    rng = np.random.default_rng(SEED)
    for k in range(min(n, n_drawn)):
        film = cv2.resize(draw_radiograph(rng)[0], size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
        film = 200 * film + rng.normal(0, 60, film.shape).astype(np.float32)
        cv2.imwrite(str(folder / f'film_{k:04}.png'), film.clip(0, 65535).astype(np.uint16))
    write_links(folder, folder, n)
    return folder


def write_links(source, folder, n):
    "Fill `folder` up to `n` images with links to those of `source`."
    images = sorted(source.iterdir())
    folder.mkdir(exist_ok=True)
    for k in range(len(images) if folder == source else 0, n):
        os.link(images[k % len(images)], folder / f'film_{k:04}.png')


@contextmanager
def served(films):
    "The command on a folder of films, with labels of its own: the process, its address, and seconds until it was told."
    labels = films.parent / f'labels_{time.time_ns()}'
    start = time.perf_counter()
    with subprocess.Popen([sys.executable, 'cli.py', 'annotate', '--image_dir', films, '--label_dir', labels, '--port',
                           '0', '--no_browser', '--landmarks', LANDMARKS], cwd=ROOT, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.DEVNULL) as process:
        try: yield process, process.stdout.readline().strip(), time.perf_counter() - start
        finally: process.kill()


@contextmanager
def opened(browser, address):
    "The page at an address, once it shows a film, and the seconds that took."
    context = browser.new_context(viewport=WINDOW)
    page = context.new_page()
    page.add_init_script(FIRST_PIXELS)
    page.goto(address)
    yield page, page.evaluate('() => window.firstPixels') / 1000
    context.close()


def large_film(browser, films, size, repetitions, n_frames):
    "Rows of a large film: until it is seen, and how smoothly its window is dragged and it is moved."
    say(f'a large film, {repetitions} times')
    what, seconds, frames = f'a film of {size[0]} × {size[1]} px, 16 bits', [], {}
    with served(films) as (_, address, _):
        for _ in range(repetitions):
            with opened(browser, address) as (page, waited):
                seconds.append(waited)
                for zoom in ('fitted', '1 : 1'):
                    if zoom != 'fitted': magnify(page)
                    for how, button in (('window', 'right'), ('pan', 'left')):
                        frames.setdefault((how, zoom), []).append(dragged(page, button, n_frames))
    found = [row(f'{what}: from the address to the first pixels', duration(seconds), wanted='< 1 s',
                 met=median(seconds) < 1, seconds=dict(ours=seconds))]
    for how, text in (('window', 'window and level dragged'), ('pan', 'moved')):
        rates = {zoom: median(frames[how, zoom]) for zoom in ('fitted', '1 : 1')}
        here = ', '.join(f'{number(rate)} frames/s {zoom}' for zoom, rate in rates.items())
        found.append(row(f'{what}: {text}', here, wanted='≥ 30 frames/s', met=min(rates.values()) >= 30, note=SIXTY))
    return found


def magnify(page):
    "Zoom in until a pixel of the film is a px of the screen."
    width = page.locator('#stage').bounding_box()['width']
    while True:
        page.evaluate('() => new Promise(requestAnimationFrame)')
        if float(page.get_attribute('#markers', 'viewBox').split()[2]) <= width: return
        page.keyboard.press('+')


def dragged(page, button, n_frames):
    "Frames a second while a button is held on the film and moved."
    box = page.locator('#stage').bounding_box()
    page.mouse.move(box['x'] + box['width'] / 2, box['y'] + box['height'] / 2)
    page.mouse.down(button=button)
    found = page.evaluate(FRAMES, n_frames)
    page.mouse.up(button=button)
    return found


def folders(browser, few, many, repetitions):
    "Rows of a folder of many images against one of few: until the address is told, and then until a film is seen."
    say(f'a folder of many images, {repetitions} times')
    told, seen = [[], []], [[], []]
    for _ in range(repetitions):
        for side, films in enumerate((many, few)):
            with served(films) as (_, address, seconds), opened(browser, address) as (_, waited):
                told[side].append(seconds)
                seen[side].append(waited)
    what = f'a folder of {len(list(many.iterdir()))} images, {{}}; against one of {FEW}'
    return [longer(what.format('until the address is told'), *told, AS_FAST),
            longer(what.format('from the address to the first pixels'), *seen, AS_FAST)]


def saving(browser, films, n_clicks):
    "The row of the time from a click until it is saved."
    say(f'{n_clicks} clicks')
    with served(films) as (_, address, _), opened(browser, address) as (page, _):
        page.evaluate(UNTIL_SAVED)
        x, y, width, height = (page.locator('#stage').bounding_box()[each] for each in ('x', 'y', 'width', 'height'))
        rng = np.random.default_rng(SEED)
        for k in range(n_clicks):
            if k and k % LANDMARKS.count(',') == 0: step(page)
            page.mouse.click(*(np.array([x, y]) + rng.uniform(0.3, 0.7, 2) * (width, height)))
            while len(waits := page.evaluate('() => window.waits')) <= k: time.sleep(0.005)
    return row(f'from a click until it is saved, median of {n_clicks}', duration(waits, 'ms'), wanted='< 50 ms',
               met=median(waits) < 0.05, note=SAVED, seconds=dict(ours=waits))


def step(page):
    "Go to the next film, by key, and wait until it is drawn."
    from playwright.sync_api import expect
    before = page.inner_text('#film-name')
    page.keyboard.press('n')
    expect(page.locator('#film-name')).not_to_have_text(before)
    expect(page.locator('#line')).to_contain_text(f'{page.inner_text("#film-name")}: 0 of')
    page.evaluate('() => new Promise(requestAnimationFrame)')


def visits(browser, films, size, n_visited):
    "Rows of the memory of the server and of the page after as many films were visited."
    say(f'visiting {max(n_visited)} films')
    found = {}
    with served(films) as (process, address, _), opened(browser, address) as (page, _):
        for k in range(1, max(n_visited) + 1):
            if k in n_visited: found[k] = memories(browser, page, process.pid)
            if k < max(n_visited): step(page)
    few, many = (found[n] for n in n_visited)
    what = f'{{}} after {n_visited[1]} films of {size[0]} × {size[1]} px, 16 bits, were visited; after {n_visited[0]}'
    notes = {'heap of the page': HEAP}
    return [row(what.format(name), f'{many[name]:.0f} MB', f'{few[name]:.0f} MB', f'within {FLAT} MB',
                many[name] - few[name] <= FLAT, note=notes.get(name, '')) for name in few]


def memories(browser, page, server):
    "MB of the process `server`, of the page's heap, and of its processes, once garbage is collected."
    session, of_browser = page.context.new_cdp_session(page), browser.new_browser_cdp_session()
    for name in ('HeapProfiler.collectGarbage', 'HeapProfiler.collectGarbage', 'Performance.enable'): session.send(name)
    metrics = {each['name']: each['value'] for each in session.send('Performance.getMetrics')['metrics']}
    processes = of_browser.send('SystemInfo.getProcessInfo')['processInfo']
    renderers = [each['id'] for each in processes if each['type'] == 'renderer']
    session.detach()
    of_browser.detach()
    return {'memory of the server': memory(pid=server), 'heap of the page': metrics['JSHeapUsedSize'] / 2 ** 20,
            'memory of the renderer': sum(memory(pid=each) for each in renderers)}
