"How far a point is to be trusted, by the error that is to be expected of it."

from .frame import Array

NEAR = 0.04  # of the square's side: the expected error at which the confidence is a half


def confidence(expected_error: Array, size: int) -> Array:
    """Confidence, 0 to 1, for an expected error in network px on a square of side `size`.

    1 / (1 + error / (4 % of the side)): 0.8 where 1 % of the side is expected, 0.5 where 4 %. It ranks the landmarks
    of a model, and is no probability of being right.
    """
    return 1 / (1 + expected_error / (NEAR * size))
