"`predict --cluster`: what it writes is what `predict` writes, and what was stopped goes on."

import filecmp
import shutil
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import discs, refused, write_dicom, write_discs

from landmark_fastai import Incomplete, predict
from landmark_fastai.cluster.sharing import Workers
from landmark_fastai.errors import UsageError
from landmark_fastai.inference import on_cluster
from landmark_fastai.inference.choosing import config_predictor
from landmark_fastai.inference.on_cluster import KnownJob, check_device, key_of, local_predictor, read_job, write_job
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
    key = key_of(*local_predictor(config))
    path = Path(config.output_dir, 'predictions_parts', '000001.parquet')
    path.parent.mkdir(parents=True)
    path.write_bytes(to_parquet(predictions, key))
    write_job(Path(config.output_dir), KnownJob(key))
    return path


def files_of(folder): return sorted(path.relative_to(folder) for path in folder.rglob('*'))


@pytest.mark.slow
def test_a_cluster_writes_what_one_machine_writes_and_goes_on_where_it_was_stopped(ray, finished, films, tmp_path,
                                                                                          capsys):
    # the workers are processes of their own, in which auto may be bf16
    flags = dict(image_dir=films, model=finished, device='cpu', precision='fp32', tolerance=5)
    with pytest.raises(Incomplete, match='3 of 14'): predict(**flags, output_dir=tmp_path / 'alone')
    with pytest.raises(Incomplete, match='3 of 14') as error:
        predict(**flags, output_dir=tmp_path / 'shared', cluster='local', workers=2)
    alone, shared = tmp_path / 'alone', tmp_path / 'shared'
    assert sorted([*files_of(alone), Path('predictions_job.json')]) == files_of(shared)
    assert len(error.value.result) == 11
    for path in files_of(alone):
        assert (alone / path).is_dir() or filecmp.cmp(alone / path, shared / path, shallow=False), path

    config = ClusterConfig(**flags, output_dir=tmp_path / 'stopped', cluster='local', workers=2, no_overlays=True)
    done = Predictions(['head', 'knee'], ['dot_0.png'])
    prediction = config_predictor(config).predict(films / 'dot_0.png')
    points = prediction.points[0] * 0 + 7  # told from what would be predicted anew
    first = type(prediction)(*(values[0] for values in prediction))._replace(points=points)
    done.add('dot_0.png', first, ImageFacts((0.5, 0.5), 'CSV', None), [0.5] * 4)
    part = write_part(done, config)
    part.with_name('.0123456789abcdef0123456789abcdef.tmp.parquet').write_bytes(b'PAR1 half a part')
    with pytest.raises(Incomplete) as error:
        predict(**flags, output_dir=tmp_path / 'stopped', cluster='local', workers=2, no_overlays=True, resume=True)
    found = error.value.result
    assert (found.points[0] == 7).all() and len(found) == 11
    assert sorted(path.name for path in (tmp_path / 'stopped').iterdir()) == [
        'failed.csv', 'predictions.csv', 'predictions_job.json', 'review.csv']

    again = dict(**flags, output_dir=tmp_path / 'stopped', cluster='local', workers=2, no_overlays=True)
    table = tmp_path / 'stopped' / 'predictions.csv'
    before = table.stat().st_mtime_ns
    capsys.readouterr()
    with pytest.raises(Incomplete, match='3 of 14') as error: predict(**again, resume=True)
    assert (error.value.result.points[0] == 7).all() and table.stat().st_mtime_ns == before
    assert 'Nothing is left to do' in capsys.readouterr().out
    refused(['predictions.csv exists', '--overwrite'], predict, **again)
    refused(['predictions_job.json is of another model', '--overwrite'], predict, **again, resume=True, decode='argmax')
    shutil.copy(films / 'dot_0.png', films / 'new.png')
    refused(['other images than then', '--overwrite'], predict, **again, resume=True)
    assert table.stat().st_mtime_ns == before


def test_parts_of_another_prediction_are_not_gone_on_with(ray, finished, films, tmp_path):
    flags = dict(image_dir=str(films), model=str(finished), output_dir=str(tmp_path / 'out'), cluster='local')
    part = write_part(Predictions(['head', 'knee'], []), ClusterConfig(**flags))
    refused(['a prediction that was stopped', '1 parts', '--resume', '--overwrite'], predict, **flags)
    refused(['predictions_job.json is of another model', '--overwrite'], predict, **flags, resume=True, decode='argmax')
    part.write_bytes(to_parquet(Predictions(['head', 'knee'], []), 'another'))
    refused(['000001.parquet is of another model', '--overwrite'], predict, **flags, resume=True)
    part.write_bytes(b'no Parquet')
    refused(['000001.parquet cannot be read', 'remove it'], predict, **flags, resume=True)
    assert files_of(tmp_path / 'out') == [Path('predictions_job.json'), Path('predictions_parts'),
                                          Path('predictions_parts', '000001.parquet')]


def test_a_job_that_was_stopped_before_its_first_part_goes_on(finished, tmp_path):
    flags = dict(image_dir='films', model=str(finished), output_dir=str(tmp_path / 'out'), cluster='local')
    assert on_cluster.open_folder(ClusterConfig(**flags, resume=True), 'a') == tmp_path / 'out'
    (tmp_path / 'out' / 'predictions.csv').touch()  # by which it is this program's
    assert on_cluster.open_folder(ClusterConfig(**flags, resume=True), 'a') == tmp_path / 'out'
    refused(['a prediction that was stopped', '--resume'], on_cluster.open_folder, ClusterConfig(**flags), 'a')
    refused(['predictions_job.json is of another'], on_cluster.open_folder, ClusterConfig(**flags, resume=True), 'b')
    on_cluster.open_folder(ClusterConfig(**flags, overwrite=True), 'b')
    assert read_job(tmp_path / 'out') == KnownJob('b')
    (tmp_path / 'out' / 'predictions_job.json').write_text('{}')
    refused(['predictions_job.json cannot be read'], on_cluster.open_folder, ClusterConfig(**flags, resume=True), 'b')


@pytest.mark.parametrize('given, words', [
    (dict(device='cuda'), ['device is cuda', 'no GPU']), (dict(precision='fp16'), ["'fp16'", 'cpu', 'fp32']),
    (dict(device='tpu9'), ["'tpu9'"])])
def test_what_no_worker_can_do_is_refused_before_the_folder_is_emptied(ray, given, words, finished, films, tmp_path):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'predictions.csv').write_text('earlier')
    refused(words, predict, image_dir=films, model=finished, output_dir=tmp_path / 'out', cluster='local',
            overwrite=True, **given)
    assert (tmp_path / 'out' / 'predictions.csv').read_text() == 'earlier'


def test_with_gpus_only_workers_know_what_they_can_do():
    config = ClusterConfig(image_dir='a', output_dir='b', cluster='auto', device='cuda', precision='bf16')
    check_device(config, Workers(1, 1, 1, 1))


class OfBundle:
    "A predictor of a bundle, whose engine was chosen by its time."
    class engine: name = 'onnx'
    names, weights, facts = ['head', 'knee'], [], 'facts'


def test_workers_with_a_bundle_take_no_gpu_and_the_engine_that_was_chosen_here(monkeypatch, tmp_path):
    asked = []
    def predictor(config):
        if config.device == 'cuda': raise UsageError('device cuda with a bundle')
        return OfBundle()
    def count(ray, n, cpus, use_gpus):
        asked.append(use_gpus)
        raise UsageError('enough')
    @contextmanager
    def connected(*_): yield None
    for name, value in dict(takes_bundle=lambda _: True, config_predictor=predictor, count_workers=count,
                            connected=connected).items(): monkeypatch.setattr(on_cluster, name, value)
    config = ClusterConfig(image_dir=str(tmp_path), output_dir=str(tmp_path / 'out'), cluster='auto')
    found, for_workers = local_predictor(config)
    assert config.engine == 'auto' and for_workers.engine == 'onnx'
    assert key_of(found, for_workers) != key_of(found, replace(for_workers, engine='openvino'))
    refused(['enough'], on_cluster.predict_on_cluster, found, for_workers, 'key', [])
    assert asked == [False]
    refused(['device cuda with a bundle'], local_predictor, replace(config, device='cuda'))


@pytest.mark.parametrize('given, words', [
    (dict(workers=2), ['workers without cluster', '--cluster local']),
    (dict(resume=True), ['resume without cluster']),
    (dict(cluster='local', resume=True, overwrite=True), ['resume beside overwrite']),
    (dict(cluster='auto', device='cuda:1'), ["'cuda:1'", 'a device of its own']),
    (dict(cluster='auto', worker_cpus=0), ['worker_cpus is 0', 'at least 1'])])
def test_flags_that_contradict_each_other_are_refused(given, words):
    refused(words, ClusterConfig, image_dir='a', output_dir='b', **given)
