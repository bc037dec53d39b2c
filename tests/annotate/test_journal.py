"The journal: on disk before it is acknowledged, cut anywhere, taken once."

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landmark_fastai import UsageError
from landmark_fastai.annotate import journal as module
from landmark_fastai.annotate.actions import MARK, Action, replay
from landmark_fastai.annotate.journal import Journal

NAMES = ['hip', 'knee']


def actions(n, first=0):
    return [Action(f'id {k}', 'tab', MARK, f'{k % 3}.png', k, {NAMES[k % 2]: (float(k), 0.5)}) for k in range(first, n)]


def opened(path, names=NAMES): return Journal(path, 'AB', names)


def test_what_was_appended_is_there_when_it_is_opened_again(tmp_path):
    path = tmp_path / 'readers' / 'AB.jsonl'
    journal = opened(path)
    journal.append(actions(2))
    journal.append(actions(5, 2))
    assert journal.work == replay(actions(5)) == opened(path).work
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    assert entries[0] == {'journal': 1, 'reader': 'AB', 'landmarks': NAMES}
    assert [entry['n'] for entry in entries[1:]] == [1, 2, 3, 4, 5] and all('time' in entry for entry in entries[1:])


def test_an_action_is_taken_once_however_often_it_is_sent(tmp_path):
    journal = opened(tmp_path / 'AB.jsonl')
    journal.append(actions(3) + actions(3))
    journal.append(actions(4))
    again = opened(tmp_path / 'AB.jsonl')
    again.append(actions(4))
    assert again.work == replay(actions(4))
    assert len((tmp_path / 'AB.jsonl').read_text().splitlines()) == 5


def test_it_is_on_disk_before_append_returns(tmp_path, monkeypatch):
    journal, synced = opened(tmp_path / 'AB.jsonl'), []
    monkeypatch.setattr(module.os, 'fsync', lambda fd: synced.append((tmp_path / 'AB.jsonl').read_bytes().count(b'\n')))
    journal.append(actions(2))
    assert synced == [3]


@settings(max_examples=60)
@given(st.data())
def test_cut_anywhere_it_holds_what_came_whole_and_goes_on(tmp_path_factory, data):
    path = tmp_path_factory.mktemp('cut') / 'AB.jsonl'
    opened(path).append(actions(6))
    content = path.read_bytes()
    n = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:n] + data.draw(st.sampled_from([b'', b'\0' * 20, b'{"n": 3, "id', b'\xff\xfe'])))
    journal = opened(path)
    n_whole = max(content[:n].count(b'\n') - 1, 0)
    assert journal.work == replay(actions(n_whole))
    journal.append(actions(6))  # as the page sends again what was not acknowledged
    assert journal.work == replay(actions(6)) == opened(path).work
    assert path.read_bytes().count(b'\n') == 7


def test_what_was_cut_off_is_kept_beside_it(tmp_path):
    path = tmp_path / 'AB.jsonl'
    opened(path).append(actions(2))
    with open(path, 'ab') as f: f.write(b'{"half')
    assert opened(path).n_cut == 6
    assert path.with_name('AB.jsonl.cut').read_bytes() == b'{"half' and opened(path).n_cut == 0


def test_a_full_disk_takes_none_and_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / 'AB.jsonl'
    journal = opened(path)
    journal.append(actions(2))
    before = path.read_bytes()
    def full(fd): raise OSError(28, 'No space left on device')
    with monkeypatch.context() as patch:
        patch.setattr(module.os, 'fsync', full)
        with pytest.raises(OSError): journal.append(actions(4))
    assert path.read_bytes() == before and journal.work == replay(actions(2))
    journal.append(actions(4))
    assert opened(path).work == replay(actions(4))


@pytest.mark.parametrize('header, words', [({'journal': 2, 'landmarks': NAMES}, 'format 2.*reads 1'),
                                           ({'journal': 1, 'landmarks': ['nose']}, 'nose, not hip, knee'),
                                           ({'image': 'a.png'}, 'format None')])
def test_a_journal_of_another_version_or_of_other_landmarks_is_refused_and_left_alone(tmp_path, header, words):
    path = tmp_path / 'AB.jsonl'
    path.write_text(json.dumps(header) + '\n{"torn')
    before = path.read_bytes()
    with pytest.raises(UsageError, match=words): opened(path)
    assert path.read_bytes() == before


def test_a_link_is_refused_and_what_it_leads_to_is_left_alone(tmp_path):
    (tmp_path / 'diary.txt').write_text('Dear diary')
    (tmp_path / 'AB.jsonl').symlink_to(tmp_path / 'diary.txt')
    with pytest.raises(UsageError, match='AB.jsonl is a link'): opened(tmp_path / 'AB.jsonl')
    assert (tmp_path / 'diary.txt').read_text() == 'Dear diary'


def test_a_damaged_line_in_the_middle_is_refused_and_left_alone(tmp_path):
    path = tmp_path / 'AB.jsonl'
    opened(path).append(actions(3))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b''.join([*lines[:2], b'{"id": 5}\n', *lines[2:]]))
    before = path.read_bytes()
    with pytest.raises(UsageError, match='line 3 is damaged'): opened(path)
    assert path.read_bytes() == before
