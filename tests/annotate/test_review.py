"Which films are worth a look, and why."

import pytest

from landmark_fastai import UsageError
from landmark_fastai.annotate.review import found_by_check, least_sure, read_review
from landmark_fastai.formats.annotations import read_annotations
from landmark_fastai.quality.findings import LOOK, NOTE, SERIOUS, Finding

HEADER = 'image_name,image_width,image_height,n_landmarks,hip_x,hip_y,knee_x,knee_y'


@pytest.fixture
def csv(tmp_path):
    def write(rows, header=HEADER):
        path = tmp_path / 'p.csv'
        path.write_text('\n'.join([header, *rows, '']))
        return read_annotations(path)
    return write


def test_findings_of_single_films_and_the_worst_of_each_says_how_bad_it_is(csv):
    annotations = csv(['a.png,9,9,2,1,1,2,2', 'b.png,9,9,2,1,1,2,2', 'c.png,9,9,2,1,1,2,2'])
    where = annotations.where(1)
    reasons = found_by_check([
        Finding(SERIOUS, f'{where}: hip and knee seem to have changed places', (1,)),
        Finding(LOOK, f'{where}: hip lies within 1 % of the border', (1,)),
        Finding(LOOK, 'p.csv: 4 images have hip near the border; …', (1, 2), of_many='have hip near the border'),
        Finding(LOOK, 'p.csv: knee is visible on 1 image'), Finding(NOTE, f'{annotations.where(0)}: deep', (0,))],
        annotations)
    assert reasons.keys() == {'b.png', 'c.png'} and reasons['b.png'].score > reasons['c.png'].score
    assert reasons['b.png'].text.startswith('hip and knee seem to have changed places; hip lies within 1 %')
    assert 'have hip near the border' in reasons['c.png'].text


def test_of_a_prediction_the_landmark_of_the_least_confidence(csv):
    header = f'{HEADER},hip_confidence,knee_confidence'
    reasons = least_sure(csv(['a.png,9,9,2,1,1,2,2,0.9,0.25', 'b.png,9,9,2,1,1,,,0.5,', 'c.png,9,9,2,,,,,,'], header))
    assert reasons == {'a.png': (0.75, 'confidence 0.25 at knee'), 'b.png': (0.5, 'confidence 0.50 at hip')}
    assert least_sure(csv(['a.png,9,9,2,1,1,2,2'])) == {}
    with pytest.raises(UsageError, match='row 2.*hip_confidence.*high'):
        least_sure(csv(['a.png,9,9,2,1,1,2,2,high,0.25'], header))


def test_a_review_says_what_is_doubtful_on_each_film_the_worst_first(tmp_path):
    path = tmp_path / 'review.csv'
    path.write_text('image_name,landmark,score,reason\nb.png,hip,3.5,left blank\n./=a.png,hip,2,"far, off"\n'
                    'b.png,knee,1.5,unusual\n')
    assert read_review(path) == {'b.png': (3.5, 'hip: left blank; knee: unusual'), '=a.png': (2, 'hip: far, off')}
    path.write_text('image_name,landmark,score,reason\n')
    assert read_review(path) == {}


@pytest.mark.parametrize('text, words', [
    ('image_name,landmark,reason\n', ['score']), ('', ['review.csv']),
    ('image_name,landmark,score,reason\na.png,hip,high,x\n', ['row 2', "'high'"])])
def test_what_is_no_review_is_refused(tmp_path, text, words):
    path = tmp_path / 'review.csv'
    path.write_text(text)
    with pytest.raises(UsageError) as error: read_review(path)
    assert all(word in str(error.value) for word in words)
