"Workers of a cluster are killed while images are predicted: each image has its row, once, as without a cluster."

import pytest

from benchmarks import cluster


@pytest.mark.slow
def test_killing_three_of_eight_workers_costs_no_row(tmp_path):
    pytest.importorskip('ray', reason='Ray, of the extra cluster, is not installed')
    *_, undisturbed, disturbed = cluster.run(tmp_path, n_images=400)
    for found in (undisturbed, disturbed):
        assert found['missing'] == found['twice'] == found['other'] == 0 and found['ordered']
    assert disturbed['killed'] == 3


def test_what_is_wrong_is_counted(tmp_path):
    for key, rows in (('alone', ['a,1', 'b,2', 'c,3']), ('disturbed', ['c,3', 'b,4', 'b,2'])):
        (tmp_path / key).mkdir()
        (tmp_path / key / 'predictions.csv').write_text('\n'.join(['image_name,x', *rows]))
    assert cluster.compare('disturbed', tmp_path, 3) == dict(key='disturbed', missing=1, twice=1, other=1,
                                                             ordered=False)
