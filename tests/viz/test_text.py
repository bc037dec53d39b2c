"Text on pictures."

import numpy as np
import pytest

from landmark_fastai.viz.text import ROW, blank, caption, fit_text, text_width, write_texts


def test_names_lose_their_middle():
    short = fit_text('left_' + 'x' * 80 + '_superior', 200)
    assert short.startswith('left_') and short.endswith('_superior') and '…' in short and text_width(short) <= 200


@pytest.mark.parametrize('text, shown', [('tip', 'tip'), ('two\nlines', 'two lines'), ('', '')])
def test_text_that_fits_stays_on_one_line(text, shown):
    assert fit_text(text, 200) == shown


def test_text_stands_where_it_is_put_and_the_picture_is_left_alone():
    picture = blank(100, 60)
    written = write_texts(picture, [((50, 30), 'mm', 'x')], fill=(0, 0, 0))
    rows, columns = np.nonzero((written != 255).any(-1))
    assert abs(rows.mean() - 30) < 3 and abs(columns.mean() - 50) < 3 and (picture == 255).all()


def test_caption_is_a_strip_with_its_text_in_the_middle():
    strip = caption('a long caption ' * 20, 120)
    dark = np.nonzero((strip < 128).any((0, 2)))[0]
    assert strip.shape == (ROW, 120, 3) and abs(dark.mean() - 60) < 8 and dark.min() > 0 and dark.max() < 119
