"The server of annotate: who gets something, and what is kept before it is acknowledged."

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

from landmark_fastai.annotate.app import HEADERS, make_app
from landmark_fastai.annotate.desk import Desk
from landmark_fastai.annotate.review import Reason
from landmark_fastai.annotate.study import Study

TOKEN, HOST = 'secret', '127.0.0.1:8000'
ORIGIN = {'origin': f'http://{HOST}'}


@pytest.fixture
def desk(tmp_path):
    (tmp_path / 'films').mkdir()
    for name in ('a.png', 'b.png'): cv2.imwrite(str(tmp_path / 'films' / name), np.zeros((80, 100), np.uint8))
    (tmp_path / 'films' / 'broken.png').write_bytes(b'no image')
    desk = Desk(tmp_path / 'films', tmp_path / 'labels' / 'train.csv', 'AB', ['hip', 'knee'])
    yield desk
    desk.lock.release()


@pytest.fixture
def stranger(desk): return TestClient(make_app(desk, TOKEN, {HOST}), f'http://{HOST}', follow_redirects=False)


@pytest.fixture
def page(stranger):
    "A browser that has come by the address with the token."
    assert stranger.get('/', params={'token': TOKEN}).status_code == 303
    return stranger


def action(id='1', image=0, **changes):
    return {'id': id, 'client': 'tab', 'kind': 'mark', 'image': image, 'base': 0, 'marks': {'hip': [1.5, 2]}} | changes


def post(page, *actions, **headers): return page.post('/api/actions', json=list(actions), headers=ORIGIN | headers)


# --- who gets something

def test_the_token_becomes_a_cookie_and_goes_from_the_address(stranger):
    assert stranger.get('/').status_code == 403
    answer = stranger.get('/', params={'token': TOKEN})
    assert answer.status_code == 303 and answer.headers['location'] == '/'
    cookie = answer.headers['set-cookie'].lower()
    assert 'httponly' in cookie and 'samesite=strict' in cookie and cookie.startswith('annotate_8000=')
    assert stranger.get('/api/desk').status_code == 200
    assert 'main.js' in stranger.get('/').text and 'import' in stranger.get('/static/main.js').text


@pytest.mark.parametrize('path', ['/', '/api/desk', '/api/images/0', '/api/images/0/pixels',
                                  '/static/main.js'])
@pytest.mark.parametrize('token', [None, '', 'guessed', 'ä'])
def test_without_the_token_there_is_nothing(stranger, path, token):
    answer = stranger.get(path, params={'token': token} if token is not None else {})
    assert answer.status_code == 403 and 'hip' not in answer.text


def test_another_name_of_this_machine_gets_nothing(page, desk):
    "As of a site whose name is made to point here (DNS rebinding)."
    for host in ('evil.example', '127.0.0.1', '127.0.0.1:9', ''):
        assert page.get('/api/desk', headers={'host': host}).status_code == 421
        assert post(page, action(), host=host).status_code == 421
    assert desk.work.n == 0


@pytest.mark.parametrize('headers, status', [
    ({'origin': 'http://evil.example'}, 403), ({'origin': 'null'}, 403), ({'origin': ''}, 403),
    ({'origin': 'http://127.0.0.1:9'}, 403), ({'content-type': 'text/plain'}, 415)])
def test_what_another_site_sends_is_refused_and_not_kept(page, desk, headers, status):
    assert post(page, action(), **headers).status_code == status
    assert desk.work.n == 0


def test_what_is_too_long_is_refused_unread(page, desk):
    assert page.post('/api/actions', content=b'[' + b' ' * 2 ** 21 + b']',
                     headers=ORIGIN | {'content-type': 'application/json'}).status_code == 413
    chunks = (part for part in [b'[', b']'])
    assert page.post('/api/actions', content=chunks,
                     headers=ORIGIN | {'content-type': 'application/json'}).status_code == 413


def test_every_answer_has_the_headers_that_keep_others_out(page, stranger):
    for answer in (page.get('/'), page.get('/api/desk'), page.get('/nothing'), page.get('/', headers={'host': 'x'})):
        assert all(answer.headers[name] == text for name, text in HEADERS.items())


# --- what is kept

def test_the_desk_and_an_image(page, desk):
    assert page.get('/api/desk').json() == {
        'key': desk.key, 'films': desk.films, 'reader': 'AB', 'landmarks': ['hip', 'knee'],
        'images': ['a.png', 'b.png', 'broken.png'], 'ids': desk.ids, 'isBlind': False, 'answered': [0, 0, 0],
        'seconds': [0, 0, 0], 'notes': {}, 'n': 0, 'undo': None, 'redo': None}
    assert page.get('/api/images/1').json() == {'width': 100, 'height': 80, 'marks': {}, 'origins': {}, 'conflicts': {},
                                                'seconds': 0, 'canAsk': False, 'suggestions': {}}
    assert page.get('/api/order?how=name').json() == [0, 1, 2]
    assert page.get('/api/order?how=best').status_code == 400


def test_what_is_acknowledged_is_on_disk_and_told(page, desk):
    answer = post(page, action(seconds=2), action('2', marks={'knee': 'absent'})).json()
    told = {'marks': {'hip': [1.5, 2], 'knee': 'absent'}, 'origins': {'hip': 'click', 'knee': 'click'}, 'conflicts': {},
            'seconds': 2, 'canAsk': False, 'suggestions': {}}
    assert answer == {'images': {'0': told}, 'n': 2, 'undo': {'target': '2', 'image': 0}, 'redo': None}
    assert desk.journal.path.read_text().count('\n') == 3
    assert page.get('/api/desk').json()['answered'] == [2, 0, 0]
    assert post(page, action(seconds=2)).json()['n'] == 2  # sent again


def test_undoing_tells_the_image_and_what_comes_next(page):
    post(page, action(), action('2', image=1))
    answer = post(page, action('3', image=1, kind='undo', target='2', marks={})).json()
    assert answer['images'].keys() == {'1'} and answer['images']['1']['marks'] == {}
    assert answer['undo'] == {'target': '1', 'image': 0} and answer['redo'] == {'target': '2', 'image': 1}


def test_tabs_that_do_not_know_of_each_other_see_both_marks(page):
    post(page, action())
    answer = post(page, action('2', client='other', marks={'hip': [9, 9]})).json()
    assert answer['images']['0']['marks'] == {'hip': [1.5, 2]}
    assert answer['images']['0']['conflicts'] == {'hip': [[9, 9]]}


@pytest.mark.parametrize('wrong', [
    {'image': 7}, {'image': -1}, {'image': '../a.png'}, {'image': True}, {'marks': {'nose': [1, 1]}}, {'kind': 'x'}])
def test_a_wrong_action_is_refused_with_all_that_came_with_it(page, desk, wrong):
    answer = post(page, action(), action('2') | wrong)
    assert answer.status_code == 400 and answer.json()['error'] and desk.work.n == 0


@pytest.mark.parametrize('body', [b'', b'{', b'{}', b'[1]', b'\xff'])
def test_what_is_no_list_of_actions_is_refused(page, desk, body):
    answer = page.post('/api/actions', content=body, headers=ORIGIN | {'content-type': 'application/json'})
    assert answer.status_code == 400 and desk.work.n == 0


def test_a_full_disk_is_told_and_nothing_taken(page, desk, monkeypatch):
    def full(actions): raise OSError(28, 'No space left on device')
    monkeypatch.setattr(desk.journal, 'append', full)
    answer = post(page, action())
    assert answer.status_code == 507 and answer.json() == {'error': 'No space left on device'}


def test_a_broken_image_and_one_that_is_not_there_are_told(page):
    answer = page.get('/api/images/2')
    assert answer.status_code == 400 and 'broken.png' in answer.json()['error']
    assert page.get('/api/images/9').status_code == 400 and page.get('/api/images/..%2Fa').status_code == 404


@pytest.mark.parametrize('path', [
    '/static/../app.py', '/static/%2e%2e/app.py', '/static/..%2fapp.py', '/static/%2e%2e%2fapp.py',
    '/static//etc/passwd', '/../app.py', '/api/images/..%2f..%2fapp.py/pixels', '/api/images/0/../../../app.py'])
def test_no_path_leads_out(page, path):
    answer = page.get(path)
    assert answer.status_code == 404 and 'import' not in answer.text and 'root:' not in answer.text


@pytest.mark.parametrize('name', ['b.png', 'broken.png'])
def test_a_film_that_is_a_link_to_the_outside_is_not_shown(page, desk, tmp_path, name):
    (desk.image_dir / name).rename(tmp_path / 'secret.png')
    (desk.image_dir / name).symlink_to('../secret.png')
    number = desk.numbers[name]
    for path in (f'/api/images/{number}', f'/api/images/{number}/pixels'):
        answer = page.get(path)
        assert answer.status_code == 400 and f'{name} is a link' in answer.json()['error']
    assert post(page, action(image=number)).status_code == 400 and desk.work.n == 0


@pytest.mark.parametrize('path', ['/api/images/0', '/api/images/0/pixels'])
def test_a_page_of_other_films_is_told_to_load_again(page, desk, path):
    "Their numbers would be those of other films."
    assert page.get(path, params={'films': desk.films}).status_code == 200
    assert page.get(path, params={'films': 'of yesterday'}).status_code == 409
    answer = page.post('/api/actions', params={'films': 'of yesterday'}, json=[action()], headers=ORIGIN)
    assert answer.status_code == 409 and desk.work.n == 0


def test_names_that_are_hidden_are_nowhere_in_what_a_page_gets(desk):
    desk.lock.release()
    blind = Desk(desk.image_dir, desk.csv_file, 'AB', ['hip', 'knee'], reasons={'a.png': Reason(1, 'as b.png')},
                 study=Study(blind=True))
    page = TestClient(make_app(blind, TOKEN, {HOST}), f'http://{HOST}')
    page.get('/', params={'token': TOKEN})
    told = page.get('/api/desk')
    assert told.json()['images'] == ['film 1', 'film 2', 'film 3'] and told.json()['isBlind']
    number = blind.images.index('broken.png')
    broken = [page.get(f'/api/images/{number}{end}') for end in ('', '/pixels')]
    assert all(answer.status_code == 400 and f'film {number + 1}' in answer.json()['error'] for answer in broken)
    beside = post(page, action(image=blind.images.index('a.png'), marks={'hip': [500, 1]}))
    answers = [told, *broken, beside, *(page.get(f'/api/images/{number}') for number in range(3))]
    for answer in answers:
        assert not any(name in answer.text + str(answer.headers) for name in ('a.png', 'b.png', 'broken'))
    blind.close()


# --- pixels

def pixels_at(page, number):
    "The pixels of an answer, and its window."
    answer = page.get(f'/api/images/{number}/pixels')
    assert answer.status_code == 200
    size = int(answer.headers['x-height']), int(answer.headers['x-width'])
    window = float(answer.headers['x-black']), float(answer.headers['x-white'])
    if answer.headers['content-type'] == 'image/png':
        return cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED), window
    return np.frombuffer(answer.content, '<u2').reshape(size), window


def test_pixels_are_those_that_were_written(page, desk):
    folder, grey = desk.image_dir, np.arange(8000, dtype=np.uint16).reshape(80, 100)
    cv2.imwrite(str(folder / 'a.png'), (grey // 32).astype(np.uint8))
    cv2.imwrite(str(folder / 'b.png'), grey * 8)
    pixels, window = pixels_at(page, 0)
    assert (pixels == grey // 32).all() and pixels.dtype == np.uint8 and window == (0, 255)
    pixels, window = pixels_at(page, 1)
    assert (pixels == grey * 8).all() and window == pytest.approx((320, 63672), abs=1)


def test_pixels_of_a_broken_image_name_it(page):
    answer = page.get('/api/images/2/pixels')
    assert answer.status_code == 400 and 'broken.png' in answer.json()['error']
