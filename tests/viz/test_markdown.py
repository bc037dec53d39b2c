"Text of users stays text, in a line and in a cell of a table."

import re

import pytest
from markdown_it import MarkdownIt

from landmark_fastai.viz.markdown import Marked, escaped, markdown_table


def html(text): return MarkdownIt('gfm-like', {'linkify': False}).render(text)


TEXTS = ['a|b', 'a`b', '*a*', '_a_', '__init__', 'left_hip', '<b>a</b>', '[a](b)', '![a](b)', 'a\\', '\\|', '&amp;',
         '~~a~~', '# a', 'a  b\tc', '$x$', 'ü°', '`a|b`', '**', '|']


@pytest.mark.parametrize('text', TEXTS)
def test_text_of_a_user_is_no_mark_up(text):
    shown = ' '.join(text.split()).replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')
    assert html(escaped(text)) == f'<p>{shown}</p>\n'
    cells = re.findall('<td.*?>(.*?)</td>', html(markdown_table((['a', 'b'], [['n', text], [text, '1.5']]))))
    assert cells == ['n', shown, shown, '1.5']


def test_a_name_with_an_underscore_is_read_as_it_is_written_and_marked_text_is_left_alone():
    assert escaped('left_hip 1.5') == 'left_hip 1.5' and escaped(Marked('**a**')) == '**a**'


def test_columns_of_numbers_are_to_the_right():
    assert markdown_table((['name', 'mean'], [['hip', '1.5'], ['knee', '–']])) == \
        '| name | mean |\n| --- | ---: |\n| hip | 1.5 |\n| knee | – |'
