"The folder that a command writes: what another command has written there stays."

import pytest

from landmark_fastai import UsageError
from landmark_fastai.output_folder import make_output_folder


@pytest.mark.parametrize('there, written, whose', [
    (['predictions.csv', 'measurements.csv', 'report.html'], 'measurements.csv', 'predict or evaluate'),
    (['measurements.csv', 'agreement.csv'], 'agreement.csv', 'measure')])
def test_what_another_command_has_written_stays(tmp_path, there, written, whose):
    for name in there: (tmp_path / name).touch()
    with pytest.raises(UsageError, match=f'{there[0]} is of {whose}, whose other files would be lost'):
        make_output_folder(tmp_path, [written, 'report.html'], True, None, [])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(there)


def test_what_the_command_itself_has_written_goes(tmp_path):
    for name in ('predictions.csv', 'measurements.csv', 'mine.txt'): (tmp_path / name).touch()
    make_output_folder(tmp_path, ['predictions.csv', 'measurements.csv'], True, None, [])
    assert [path.name for path in tmp_path.iterdir()] == ['mine.txt']
