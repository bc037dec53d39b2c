"The site: built whole, it asks nothing of other machines, and is searched by the words of its readers."

import subprocess
import sys
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

pytestmark = pytest.mark.slow  # the site is built
ROOT = Path(__file__).parents[1]
LOADED = {'script': 'src', 'link': 'href', 'img': 'src', 'iframe': 'src', 'source': 'src', 'video': 'src'}
WIDTHS = 1280, 390  # px, of a desktop and of a phone


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    "The site, built: a link or an anchor that leads nowhere and a page that is in no menu are errors."
    folder = tmp_path_factory.mktemp('site')
    built = subprocess.run([sys.executable, '-m', 'mkdocs', 'build', '--strict', '--site-dir', str(folder)], cwd=ROOT,
                           capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return folder


class Loads(HTMLParser):
    "What a page loads, by itself."
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == 'link' and attrs.get('rel') in ('canonical', 'prev', 'next'): return
        if tag in LOADED and attrs.get(LOADED[tag]): self.found.append(attrs[LOADED[tag]])


def test_no_page_asks_anything_of_other_machines(site):
    pages = list(site.rglob('*.html'))
    for page in pages:
        loads = Loads()
        loads.feed(page.read_text(encoding='utf-8'))
        assert loads.found and not [url for url in loads.found if url.startswith(('http:', 'https:', '//'))], page
    assert len(pages) > 40


# --- in a browser

@pytest.fixture(scope='module')
def address(site):
    "Where the site is served."
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args): pass
    server = ThreadingHTTPServer(('127.0.0.1', 0), partial(Quiet, directory=site))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}/'
    server.shutdown()


@pytest.mark.parametrize(('words', 'page'), [
    ('missing landmark', 'howto/missing_landmarks/'), ('resume', 'howto/resume/'), ('DICOM', 'howto/dicom/'),
    ('angle', 'measuring/'), ('no internet', 'howto/no_internet/'), ('few images', 'howto/few_images/')])
def test_search_finds(words, page, address, browser):
    tab = browser.new_page()
    tab.goto(address)
    tab.locator('input[name=query]').press_sequentially(words)  # the search listens to keys
    tab.locator('.md-search-result__link').first.wait_for()
    found = tab.locator('.md-search-result__item').all()[:3]
    first = [item.locator('.md-search-result__link').first.get_attribute('href') for item in found]
    tab.close()
    assert any(page in href for href in first), first


@pytest.mark.parametrize('width', WIDTHS)
def test_nothing_is_wider_than_the_window(width, address, site, browser):
    tab, asked = browser.new_page(viewport=dict(width=width, height=900)), []
    tab.on('request', lambda request: asked.append(request.url))
    for page in ('', 'howto/', 'training/', 'api/', 'results/'):
        tab.goto(address + page)
        assert tab.evaluate('document.documentElement.scrollWidth') <= width, page
    tab.close()
    assert not [url for url in asked if not url.startswith((address, 'data:'))]
