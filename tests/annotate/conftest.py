"Films with dots, servers and pages for the tests of the page."

import numpy as np
import pytest
from browser import Film, Server, dotted
from helpers import exif_of, save_picture, write_dicom


@pytest.fixture
def context(browser):
    context = browser.new_context(viewport={'width': 1280, 'height': 800}, has_touch=True)
    context.set_default_timeout(30_000)
    yield context
    context.close()


@pytest.fixture
def dotted_films(tmp_path):
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


@pytest.fixture
def serve(dotted_films):
    servers = []
    def start(*args, **kwargs):
        servers.append(Server(dotted_films, *args, **kwargs))
        return servers[-1]
    yield start
    for server in servers: server.kill()


@pytest.fixture
def open_page(context):
    pages = []
    def start(server):
        pages.append(Film(context, server))
        return pages[-1]
    yield start
    for page in pages: assert not [text for text in page.complaints if 'Failed to load resource' not in text]
