"What is kept from a reader."

from landmark_fastai.annotate.repeats import again
from landmark_fastai.annotate.study import Study

MANY = [f'{k}.png' for k in range(300)]


def test_without_a_study_everything_is_shown_in_order():
    study = Study()
    assert study.items(MANY, 'AB') == MANY and not study.hides_names and not any(map(study.is_withheld, MANY))


def test_blind_readers_see_the_same_images_in_orders_of_their_own():
    first, second = (Study(blind=True).items(MANY, reader) for reader in ('AB', 'CD'))
    assert sorted(first) == sorted(second) == sorted(MANY) and MANY != first != second


def test_who_shows_images_again_hides_their_names():
    study = Study(repeats=0.1)
    assert study.hides_names and 300 < len(study.items(MANY, 'AB')) < 360


def test_help_is_withheld_on_a_share_of_images_whoever_reads_them_and_how_often():
    withheld = {image for image in MANY if Study(withhold=0.2).is_withheld(image)}
    assert 40 < len(withheld) < 80
    assert withheld < {image for image in MANY if Study(withhold=0.4).is_withheld(image)}
    assert all(Study(withhold=0.2).is_withheld(again(image)) for image in withheld)
