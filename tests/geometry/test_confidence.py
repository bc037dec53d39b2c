"Confidence, against numbers worked out by hand."

import pytest

from landmark_fastai.geometry.confidence import confidence


@pytest.mark.parametrize('share, expected', [(0, 1), (0.01, 0.8), (0.04, 0.5), (0.36, 0.1)])
def test_confidence_falls_with_the_expected_error(share, expected):
    assert confidence(share * 256, 256) == pytest.approx(expected)
