"The page of annotate for everyone: axe-core finds nothing serious, every control has a name, every key is told."

import re

import pytest
from browser import DOTS, Film

BROKEN = 'a broken.png'
KEYS = ['Click', 'Enter', 'Arrow keys', 'Tab', '1 … 9', 'a', 'x', 'y', 't', 'Backspace', 's', 'u, b, Ctrl-Z', 'Ctrl-Y',
        'n', 'p', '/', 'Wheel', 'Drag', 'f', '+', '-', 'c', 'v', 'Right drag', 'w', 'r', 'i', 'g', 'h held', 'l held',
        'Escape', '?', 'q']
CONTROLS = r'^\s*- (?:button|checkbox|combobox|searchbox|listbox|textbox|application|dialog)'


def complaints(film):
    "What axe-core finds serious or critical, as lines that name the rule and the elements."
    axe = pytest.importorskip('axe_playwright_python.sync_playwright', reason='axe-core is not installed').Axe()
    film.box()
    found = axe.run(film.page).response['violations']
    return [f'{each["id"]}: {node["target"]} {node.get("failureSummary")}' for each in found
            if each['impact'] in ('serious', 'critical') for node in each['nodes']]


@pytest.mark.slow
@pytest.mark.parametrize('scheme', ['light', 'dark'])
@pytest.mark.parametrize('width', [1280, 800])
def test_axe_finds_nothing_serious(browser, serve, dotted_films, scheme, width):
    (dotted_films / BROKEN).write_bytes(b'no image')
    server = serve()
    context = browser.new_context(color_scheme=scheme, viewport={'width': width, 'height': 800})
    film, other = Film(context, server), Film(context, server)
    assert film.page.is_visible('#problem') and BROKEN in film.page.inner_text('#problem')
    found = {'a broken film': complaints(film)}
    film.go('n')
    other.go('n')
    film.click(DOTS[0])
    film.wait_saved()
    found['a film'] = complaints(film)
    film.press('?')
    found['help'] = complaints(film)
    other.click(DOTS[2])
    other.page.wait_for_selector('.choice')
    other.wait_saved()
    found['a conflict'] = complaints(other)
    server.kill()
    other.click(DOTS[1])
    other.wait('#saved', 'not saved yet')
    found['not saved'] = complaints(other)
    context.close()
    assert not any(found.values()), found


def test_every_control_has_a_name_also_those_of_a_conflict(serve, open_page):
    server = serve()
    film, other = open_page(server), open_page(server)
    film.click(DOTS[0])
    film.wait_saved()
    other.click(DOTS[2])
    other.page.wait_for_selector('.choice')
    film.press('?')
    for page, least in ((film.page, 2), (other.page, 20)):
        snapshot = page.locator('body').aria_snapshot()
        assert len(re.findall(CONTROLS, snapshot, re.M)) >= least, snapshot
        assert not re.findall(CONTROLS + r'(?: \[.*\])*:?$', snapshot, re.M), snapshot


def test_help_shows_every_key_and_keeps_keys_to_itself(serve, open_page):
    film = open_page(serve())
    film.press('?')
    assert film.page.locator('#keys-table kbd').all_inner_texts() == KEYS
    film.press('n', 'Escape')  # keys do nothing behind it
    assert film.page.inner_text('#position').startswith('1 ') and not film.page.is_visible('#keys')


def test_the_search_is_reached_and_left_by_keys(serve, open_page):
    film = open_page(serve())
    film.press('/', 'd', 'e', 'e', 'p')
    assert film.page.locator('#films [role=option]').count() == 2  # and the one that is open
    film.leave(lambda: film.press('Enter'))
    assert film.page.inner_text('#film-name') == 'd deep.png'
    film.press('/', 'Escape')
    assert film.page.locator('#films [role=option]').count() == 5
    film.go('n')  # keys are for the film again
