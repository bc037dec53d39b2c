"`predict --cluster`: what it writes is what `predict` writes, and what was stopped goes on."

import filecmp
import shutil
from pathlib import Path

import pytest
from helpers import discs, refused, write_dicom, write_discs

from landmark_fastai import Incomplete, predict
from landmark_fastai.inference.choosing import config_predictor
from landmark_fastai.inference.on_cluster import key_of
from landmark_fastai.inference.parts import to_parquet
from landmark_fastai.inference.predictions import ImageFacts, Predictions
from landmark_fastai.predict_config import ClusterConfig

pytest.importorskip('pyarrow', reason='pyarrow, which comes with Ray, is not installed')


@pytest.fixture
def films(finished, tmp_path):
    "Ten images of the run `finished`, one of DICOM, and three that fail, two by their names."
    folder = tmp_path / 'films'
    shutil.copytree(finished.parent.parent / 'images', folder)
    (folder / 'sub').mkdir()
    write_dicom(folder / 'sub' / 'x.dcm', discs(200, 160, ((50, 60), (150, 100))), PixelSpacing=[0.2, 0.1])
    for name in ('back\\slash.png', ' space.png'): write_discs(folder / name)
    (folder / 'cut.png').write_bytes(b'junk')
    return folder


def write_part(predictions, config):
    "Write `predictions` as a part of the job of `config` into its output folder."
    key = key_of(config_predictor(config), config)
    path = Path(config.output_dir, 'predictions_parts', '000001.parquet')
    path.parent.mkdir(parents=True)
    path.write_bytes(to_parquet(predictions, key))


def files_of(folder): return sorted(path.relative_to(folder) for path in folder.rglob('*'))


def test_a_cluster_writes_what_one_machine_writes_and_goes_on_where_it_was_stopped(ray, finished, films, tmp_path):
    flags = dict(image_dir=films, model=finished, device='cpu', tolerance=5)
    with pytest.raises(Incomplete, match='3 of 14'): predict(**flags, output_dir=tmp_path / 'alone')
    with pytest.raises(Incomplete, match='3 of 14') as error:
        predict(**flags, output_dir=tmp_path / 'shared', cluster='local', workers=2)
    alone, shared = tmp_path / 'alone', tmp_path / 'shared'
    assert files_of(alone) == files_of(shared) and len(error.value.result) == 11
    for path in files_of(alone):
        assert (alone / path).is_dir() or filecmp.cmp(alone / path, shared / path, shallow=False), path

    config = ClusterConfig(**flags, output_dir=tmp_path / 'stopped', cluster='local', workers=2, no_overlays=True)
    done = Predictions(['head', 'knee'], ['dot_0.png'])
    prediction = config_predictor(config).predict(films / 'dot_0.png')
    points = prediction.points[0] * 0 + 7  # told from what would be predicted anew
    first = type(prediction)(*(values[0] for values in prediction))._replace(points=points)
    done.add('dot_0.png', first, ImageFacts((0.5, 0.5), 'CSV', None), [0.5] * 4)
    write_part(done, config)
    with pytest.raises(Incomplete) as error:
        predict(**flags, output_dir=tmp_path / 'stopped', cluster='local', workers=2, no_overlays=True, resume=True)
    found = error.value.result
    assert (found.points[0] == 7).all() and len(found) == 11
    assert sorted(path.name for path in (tmp_path / 'stopped').iterdir()) == [
        'failed.csv', 'predictions.csv', 'review.csv']


def test_parts_of_another_prediction_are_not_gone_on_with(ray, finished, films, tmp_path):
    flags = dict(image_dir=str(films), model=str(finished), output_dir=str(tmp_path / 'out'), cluster='local')
    write_part(Predictions(['head', 'knee'], []), ClusterConfig(**flags))
    refused(['1 parts of a prediction that was stopped', '--resume', '--overwrite'], predict, **flags)
    refused(['000001.parquet is of another model', '--overwrite'], predict, **flags, resume=True, decode='argmax')
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['predictions_parts']


@pytest.mark.parametrize('given, words', [
    (dict(workers=2), ['workers without cluster', '--cluster local']),
    (dict(resume=True), ['resume without cluster']),
    (dict(cluster='local', resume=True, overwrite=True), ['resume beside overwrite']),
    (dict(cluster='auto', device='cuda:1'), ["'cuda:1'", 'a device of its own']),
    (dict(cluster='auto', worker_cpus=0), ['worker_cpus is 0', 'at least 1'])])
def test_flags_that_contradict_each_other_are_refused(given, words):
    refused(words, ClusterConfig, image_dir='a', output_dir='b', **given)
