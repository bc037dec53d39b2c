"The page of annotate when the server, the browser or another tab come between: nothing is lost."

import random
import shutil
import time

import numpy as np
import psutil
import pytest
from browser import CHROMIUM, DOTS, Film, free_port

N_KILLS = 20
# that the browser keeps so many actions: a reading transaction waits until those before it are on disk
KEPT = '''async (n) => {
  const done = (request) => new Promise((resolve) => { request.onsuccess = () => resolve(request.result); });
  const [{ name }] = await indexedDB.databases();
  const database = await done(indexedDB.open(name));
  const kept = await done(database.transaction('actions').objectStore('actions').count());
  database.close();
  return kept === n;
}'''


def test_clicks_while_the_server_is_dead_are_not_saved_yet_and_then_saved(serve, open_page):
    server = serve(port=free_port())
    film = open_page(server)
    meant = [film.click(DOTS[0])]
    film.wait_saved()
    server.kill()
    meant += [film.click(dot) for dot in DOTS[1:]]
    film.wait('#saved', r'not saved yet \(2\): no server')
    server.start()
    film.wait_saved()
    assert len([each for each in server.journal if each['kind'] == 'mark']) == 3
    assert np.abs(server.points()['a portrait.png'] - meant).max() <= 0.00501


@pytest.mark.slow
def test_undo_and_redo_while_the_server_is_dead_are_of_what_was_done_before_them(serve, open_page):
    server = serve(port=free_port())
    film = open_page(server)
    film.click(DOTS[0])
    film.wait_saved()
    server.kill()
    film.click(DOTS[1])
    film.wait('#saved', 'no server')
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
    film.page.wait_for_function(KEPT, arg=3, polling=20)
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
    film.wait('#saved', 'no server')
    film.press('q')
    assert 'Not all is saved' in film.line
    with film.page.expect_event('dialog'): film.page.close(run_before_unload=True)
    assert asked == ['beforeunload']


def test_two_tabs_that_mark_the_same_landmark_see_both_and_choose(serve, open_page):
    server = serve()
    first, second = open_page(server), open_page(server)
    first.click(DOTS[0])
    first.wait_saved()
    meant = second.click(DOTS[2])
    second.page.wait_for_selector('.choice')
    second.wait_saved()
    buttons = second.page.locator('.choice button').all_inner_texts()
    assert [[round(value) for value in map(float, text.split(','))] for text in buttons] == [[40, 51], [150, 88]]
    second.box()
    assert second.page.locator('#markers text').all_text_contents() == ['1 hip', '1 hip ?']
    second.page.click('.choice button >> nth=1')
    second.page.wait_for_selector('.choice', state='detached')
    second.wait_saved()
    assert np.abs(server.points()['a portrait.png'][0] - meant).max() <= 0.00501


def test_a_tab_that_is_come_back_to_shows_what_another_one_has_done(serve, open_page):
    server = serve()
    first, second = open_page(server), open_page(server)
    second.click(DOTS[0])
    second.wait_saved()
    first.page.evaluate("dispatchEvent(new Event('focus'))")
    first.wait('#progress', '1 of 3')
    first.click(DOTS[1])
    first.wait_saved()
    assert first.marks() == ['✓', '✓', '–'] and first.page.locator('.choice').count() == 0
    first.press('u', 'u')  # also what the other one has done
    first.wait('#progress', '0 of 3')


@pytest.mark.slow
def test_a_page_of_other_films_loads_again_and_keeps_what_was_clicked(serve, open_page, dotted_films):
    server = serve(port=free_port())
    film = open_page(server)
    server.kill()
    film.click(DOTS[0])
    shutil.copy(dotted_films / 'a portrait.png', dotted_films / '0 new.png')  # all numbers are others now
    server.start()
    film.wait_saved()
    film.wait('#position', r'6$')
    film.wait_saved()
    assert list(server.points()) == ['a portrait.png']


@pytest.mark.slow
def test_a_film_that_is_opened_while_the_server_is_away_opens_when_it_is_back(serve, open_page):
    server = serve(port=free_port())
    film = open_page(server)
    film.go('n')
    server.kill()
    film.press('n', 'n')  # the second one was not fetched before
    film.wait('#problem', 'does not answer')
    film.press('a')  # on no film
    server.start()
    film.wait('#line', 'd deep.png: 0 of 3')
    assert film.marks() == ['–'] * 3 and not film.page.is_visible('#problem')


@pytest.mark.slow
def test_a_browser_that_is_killed_has_kept_what_the_server_has_not(browser, serve, tmp_path):
    server, chance = serve(port=free_port()), random.Random(N_KILLS)
    for _ in range(N_KILLS):
        context = browser.browser_type.launch_persistent_context(
            tmp_path / 'profile', executable_path=CHROMIUM, args=['--no-sandbox'])
        film = Film(context, server)
        film.press('Backspace', '2', 'Backspace', '3', 'Backspace', '1')
        film.wait('#progress', '0 of 3')
        film.wait('#saved', '^(all )?saved')
        server.kill()
        dots = DOTS + chance.uniform(-20, 20)
        meant = [film.click(dot) for dot in dots]
        film.wait('#saved', r'not saved yet \(3\)')
        film.page.wait_for_function(KEPT, arg=3, polling=20)  # a busy disk takes its time
        time.sleep(chance.uniform(0, 0.2))
        kill_browser(tmp_path / 'profile')
        server.start()
        context = browser.browser_type.launch_persistent_context(
            tmp_path / 'profile', executable_path=CHROMIUM, args=['--no-sandbox'])
        Film(context, server).wait('#saved', '^saved')
        context.close()
        clicked = [mark for entry in server.journal for mark in entry.get('marks', {}).values() if mark]
        assert np.abs(np.array(clicked[-3:]) - meant).max() <= 0.00501
    assert len(clicked) == 3 * N_KILLS


def kill_browser(profile):
    "Kill the browser of a profile, and nothing else."
    for process in psutil.process_iter(['cmdline']):
        if f'--user-data-dir={profile}' in (process.info['cmdline'] or []): process.kill()
