"What a notebook shows of a result: everything in one piece of HTML, and nothing of a name that would run there."

from pathlib import Path

from landmark_fastai.viz.shown import Summary, notebook_html


def test_a_summary_is_a_dict_that_shows_its_sentence_tables_and_report():
    table = ['landmark', 'n'], [['hip', '12'], ['knee', '7']]
    summary = Summary({'n': 2}, 'all is well', [('Errors', table)], Path('my report/report.html'))
    html = summary._repr_html_()
    assert summary == {'n': 2} and 'all is well' in html and 'Errors' in html
    assert html.count('<tr>') == 3 and '<td style="text-align: left">hip</td>' in html
    assert '<td style="text-align: right">7</td>' in html and 'href="my%20report/report.html"' in html


def test_names_are_escaped_and_pictures_without_content_left_out():
    evil = '<script>alert("x")</script>'
    html = notebook_html(evil, [(evil, ([evil], [[evil]]))], [evil], [(evil, 'data:image/jpeg;base64,AA=='), ('b', '')],
                         link=f'{evil}.html')
    assert '<script' not in html and html.count('&lt;script&gt;') == 8 and html.count('<img') == 1


def test_no_empty_parts():
    assert notebook_html('nothing').count('<') == 6  # the piece and its sentence
