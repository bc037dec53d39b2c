"The desk of a reader: what fits together, what is kept, and the CSV files that follow."

import os

import cv2
import numpy as np
import pandas as pd
import pytest

from landmark_fastai import UsageError
from landmark_fastai.annotate.actions import ABSENT, MARK, Action
from landmark_fastai.annotate.adjudication import Disputed
from landmark_fastai.annotate.desk import Desk
from landmark_fastai.annotate.repeats import again
from landmark_fastai.annotate.study import Study
from landmark_fastai.formats.annotations import read_annotations

NAMES = ['hip', 'knee']
HEADER = 'image_name,image_width,image_height,n_landmarks,hip_x,hip_y,knee_x,knee_y'


@pytest.fixture
def folders(tmp_path):
    "A folder of three images, and one for labels that is not there yet."
    for name in ('a.png', 'b/c.png', 'd.png'):
        (tmp_path / 'films' / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / 'films' / name), np.zeros((80, 100), np.uint8))
    return tmp_path / 'films', tmp_path / 'labels' / 'train.csv'


@pytest.fixture
def sit(folders):
    "A function that opens a desk; all are closed in the end."
    desks = []
    def sit(reader='AB', landmarks=NAMES, **kwargs):
        desks.append(Desk(*folders, reader, landmarks, **kwargs))
        return desks[-1]
    yield sit
    for desk in desks: desk.lock.release()


def mark(id, image, **marks): return Action(id, 'tab', MARK, image, 0, marks)


def test_what_was_marked_is_in_the_journal_at_once_and_in_both_csv_files_when_written(sit, folders):
    desk = sit()
    desk.take([mark('1', 'b/c.png', hip=(3.5, 4.), knee=ABSENT)])
    assert not folders[1].exists() and '"b/c.png"' in desk.journal.path.read_text()
    desk.write()
    found = read_annotations(folders[1])
    assert found.image_names == ['b/c.png'] and found.sizes.tolist() == [[100, 80]]
    assert folders[1].read_text() == (folders[1].parent / 'readers' / 'AB.csv').read_text()
    before = folders[1].stat().st_mtime_ns
    desk.write()
    assert folders[1].stat().st_mtime_ns == before  # nothing new


def test_whoever_comes_back_finds_all_and_a_csv_that_a_kill_left_behind_is_brought_up_to_date(sit, folders):
    desk = sit()
    desk.take([mark('1', 'a.png', hip=(1., 2.))])
    desk.close()
    desk = sit()
    desk.take([mark('2', 'a.png', hip=(5., 6.)), mark('3', 'd.png', knee=(7., 8.))])
    desk.lock.release()  # killed: the CSV is of before
    again = sit(landmarks=None)
    assert again.work.marks == {'a.png': {'hip': (5., 6.)}, 'd.png': {'knee': (7., 8.)}}
    assert pd.read_csv(folders[1]).hip_x.tolist()[0] == 5


def test_a_csv_that_a_kill_left_behind_brings_nothing_back_however_new_the_file_is(sit, folders):
    desk = sit()
    desk.take([mark('1', 'a.png', hip=(1., 2.), knee=(3., 3.))])
    desk.write()
    desk.take([mark('2', 'a.png', hip=None)])
    later = desk.journal.path.stat().st_mtime_ns + 10 ** 9
    os.utime(folders[1], ns=(later, later))  # the journal went on while the CSV was being written
    desk.lock.release()  # killed
    assert sit().work.n_marked('a.png') == 1


def test_points_of_a_csv_are_the_first_actions_and_can_be_undone(sit, folders):
    folders[1].parent.mkdir()
    folders[1].write_text(f'{HEADER},split\nd.png,100,80,2,1,2,,,val\ngone.png,50,50,2,3,3,,,train\n')
    desk = sit(landmarks=None)
    assert desk.landmarks == NAMES and desk.work.marks['d.png'] == {'hip': (1., 2.)}
    assert desk.work.origins['d.png'] == {'hip': 'import'} and len(desk.work.done) == 2
    desk.close()
    found = read_annotations(folders[1])
    assert found.image_names == ['d.png', 'gone.png'] and found.split == ['val', 'train']
    assert found.points[1, 0].tolist() == [3, 3]  # of an image that is not here


def test_what_was_changed_by_hand_since_is_taken_over(sit, folders):
    desk = sit()
    desk.take([mark('1', 'a.png', hip=(1., 2.), knee=(3., 3.))])
    desk.close()
    folders[1].write_text(f'{HEADER}\na.png,100,80,2,9,9,,\n')
    assert sit().work.marks == {'a.png': {'hip': (9., 9.), 'knee': (3., 3.)}}


def test_a_second_reader_sees_nothing_of_the_first_and_leaves_the_csv_alone(sit, folders):
    desk = sit()
    desk.take([mark('1', 'a.png', hip=(1., 2.))])
    desk.close()
    before = folders[1].read_bytes()
    other = sit('CD', landmarks=None)
    assert other.work.n == 0 and other.landmarks == NAMES
    other.take([mark('1', 'a.png', hip=(7., 7.))])
    other.close()
    assert folders[1].read_bytes() == before
    assert pd.read_csv(folders[1].parent / 'readers' / 'CD.csv').hip_x.tolist() == [7]


def test_one_at_a_time(sit):
    sit()
    with pytest.raises(UsageError, match='another annotate is at work'): sit('CD')


@pytest.mark.parametrize('point, is_inside', [
    ((0., 0.), True), ((99., 79.), True), ((99.5, 5.), False), ((5., -0.5), False)])
def test_a_point_lies_on_a_pixel_of_the_image(sit, point, is_inside):
    desk = sit()
    if is_inside: desk.take([mark('1', 'a.png', hip=point)])
    else:
        with pytest.raises(UsageError, match='a.png: hip at .* within 0 to 99, 0 to 79'):
            desk.take([mark('1', 'a.png', hip=point)])
    assert desk.work.n == is_inside


def test_an_image_that_is_not_here_is_refused_and_nothing_kept(sit):
    desk = sit()
    with pytest.raises(UsageError, match='other.png'):
        desk.take([mark('1', 'a.png', hip=(1., 1.)), mark('2', 'other.png', hip=None)])
    assert desk.work.n == 0


@pytest.mark.parametrize('landmarks, csv, words', [
    (None, None, 'no landmarks are known'), (NAMES, 'image_name\na.png\n', 'image_width'),
    (['nose'], HEADER + '\na.png,100,80,2,1,1,,\n', '--landmarks has.*nose.*hip, knee')])
def test_what_does_not_fit_together_is_refused_and_changes_nothing(sit, folders, landmarks, csv, words):
    if csv:
        folders[1].parent.mkdir()
        folders[1].write_text(csv)
    with pytest.raises(UsageError, match=words): sit(landmarks=landmarks)
    assert not (folders[1].parent / 'readers').exists()


@pytest.mark.parametrize('name', ['train.csv', 'readers/AB.csv', 'readers/.derived'])
def test_what_a_link_leads_to_is_not_overwritten(sit, folders, tmp_path, name):
    before = HEADER + '\na.png,100,80,2,5,5,,\n'
    (tmp_path / 'other').write_text(before)
    path = folders[1].parent / name
    path.parent.mkdir(parents=True)
    path.symlink_to(tmp_path / 'other')
    desk = sit()
    desk.take([mark('1', 'a.png', knee=(1., 2.))])
    desk.close()
    assert (tmp_path / 'other').read_text() == before
    assert read_annotations(folders[1]).points[0, 1].tolist() == [1, 2]


def test_a_lock_that_is_a_link_is_refused(sit, folders, tmp_path):
    (tmp_path / 'other').write_text('precious')
    (folders[1].parent / 'readers').mkdir(parents=True)
    (folders[1].parent / 'readers' / '.annotate.lock').symlink_to(tmp_path / 'other')
    with pytest.raises(UsageError, match='not writable'): sit()
    assert (tmp_path / 'other').read_text() == 'precious'


@pytest.mark.parametrize('reader', ['', '../AB', 'a b', 'x' * 41, 'AB.jsonl', 'AB_again'])
def test_a_reader_has_a_short_name(sit, reader):
    with pytest.raises(UsageError, match='reader is'): sit(reader)


def test_an_image_that_breaks_meanwhile_has_no_row_and_is_named(sit, folders):
    desk = sit()
    desk.take([mark('1', 'a.png', hip=(1., 2.)), mark('2', 'd.png', hip=(1., 2.))])
    desk.lock.release()  # killed before it wrote
    (folders[0] / 'a.png').write_bytes(b'broken')
    with pytest.warns(UserWarning, match='a.png'): desk = sit()
    assert read_annotations(folders[1]).image_names == ['d.png'] and desk.work.marks['a.png']


# --- studies of readers

def test_an_image_that_came_back_is_in_a_csv_of_its_own_and_never_twice_in_that_of_annotations(sit, folders):
    folders[1].parent.mkdir()
    folders[1].write_text(f'{HEADER},pixel_spacing\nd.png,100,80,2,1,2,,,0.5\n')
    desk = sit(study=Study(repeats=0.5))
    (back,) = [item for item in desk.images if item.endswith(again(''))]
    image = back.removesuffix(again(''))
    desk.take([mark('1', image, hip=(1., 1.)), mark('2', back, hip=(2., 3.), knee=ABSENT)])
    assert desk.size(back) == (100, 80) and desk.path(back) == folders[0] / image
    desk.close()
    found = read_annotations(folders[1])
    assert sorted(found.image_names) == sorted({image, 'd.png'})
    assert found.points[found.image_names.index(image), 0].tolist() == [1, 1]
    second = read_annotations(folders[1].parent / 'readers' / 'AB_again.csv')
    assert second.image_names == [image] and second.points[0, 0].tolist() == [2, 3] and second.names == NAMES
    again_without = sit()  # nothing comes back any more, and what was said stays
    assert again_without.images == ['a.png', 'b/c.png', 'd.png'] and again_without.work.of(back)['knee'] == ABSENT
    again_without.close()
    assert read_annotations(folders[1].parent / 'readers' / 'AB_again.csv').image_names == [image]


def test_a_page_knows_films_by_what_stays_when_names_are_hidden_or_one_more_film_is_there(sit, folders):
    desk = sit()
    known = dict(zip(desk.images, desk.ids, strict=True))
    desk.close()
    cv2.imwrite(str(folders[0] / '0.png'), np.zeros((80, 100), np.uint8))
    blind = sit(study=Study(blind=True))
    assert known.items() <= dict(zip(blind.images, blind.ids, strict=True)).items()
    assert blind.films != desk.films and len(set(blind.ids)) == 4


def test_what_is_withheld_is_not_offered_but_known(sit):
    given = {image: {'hip': (5., 5.)} for image in ('a.png', 'b/c.png', 'd.png')}
    desk = sit(given=given, study=Study(withhold=0.5))
    withheld = [image for image in desk.images if desk.study.is_withheld(image)]
    assert 0 < len(withheld) < 3
    for image in desk.images:
        assert bool(desk.suggestions_of(image)) == (image not in withheld)
        assert desk.known_suggestions(image)['hip'][0].mark == (5., 5.)


# --- adjudication

def read_by(sit, reader, **kwargs):
    "What a reader says of images, by their stems."
    desk = sit(reader, landmarks=None if reader != 'AB' else NAMES)
    desk.take([mark(f'{reader}{image}', f'{image}.png', hip=point) for image, point in kwargs.items()])
    desk.close()


def test_in_adjudication_the_annotation_csv_is_of_what_was_settled(sit, folders):
    read_by(sit, 'AB', a=(1., 1.), d=(5., 5.))
    read_by(sit, 'CD', a=(4., 5.))
    disputed = Disputed(folders[1].parent / 'readers')
    desk = sit('adjudicated', None, reasons=disputed.reasons(), disputed=disputed)
    assert desk.images == ['a.png'] and desk.work.of('a.png') == {}
    assert [each.mark for each in desk.suggestions_of('a.png')['hip']] == [(2.5, 3.), (1., 1.), (4., 5.)]
    desk.take([mark('1', 'a.png', hip=(2., 2.))])
    desk.close()
    def points(): return dict(pd.read_csv(folders[1]).set_index('image_name').hip_x)
    assert points() == {'a.png': 2, 'd.png': 5}  # the second was read once
    read_by(sit, 'AB', d=(6., 6.))
    assert points() == {'a.png': 2, 'd.png': 5}
    folders[1].write_text(f'{HEADER}\na.png,100,80,2,3,3,,\nd.png,100,80,2,5,5,,\n')
    desk = sit('adjudicated', None, disputed=disputed)
    assert desk.work.of('a.png')['hip'] == (3., 3.)  # changed by hand


def test_who_adjudicates_has_a_name_that_no_reader_has(sit, folders):
    with pytest.raises(UsageError, match='adjudicated'): sit('adjudicated')
    read_by(sit, 'AB', a=(1., 1.))
    read_by(sit, 'CD', a=(4., 5.))
    disputed = Disputed(folders[1].parent / 'readers')
    (folders[0] / 'a.png').unlink()
    with pytest.raises(UsageError, match='a.png'): sit('adjudicated', None, disputed=disputed)
