"Figures for a manuscript: as large as they are printed, with text that stays text, and no trace in matplotlib."

import re
from base64 import b64decode
from io import BytesIO
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from PIL import Image

from landmark_fastai.viz.figures import plot_boxes
from landmark_fastai.viz.paper import in_print, print_figure, save_forms, save_picture

SVG = '{http://www.w3.org/2000/svg}'


def write(folder):
    plot_boxes(np.linspace(0, 3, 20)[:, None], ['a_$b$'], 'mm', folder / 'boxes.png')
    return folder / 'boxes.png', folder / 'boxes.svg', folder / 'boxes.pdf'


def test_every_form_is_as_wide_as_the_page(tmp_path):
    png, svg, pdf = write(tmp_path)
    with Image.open(png) as image: assert image.info['dpi'] == pytest.approx((300, 300), abs=0.01)
    assert image.width / 300 * 2.54 == pytest.approx(17.5, abs=0.01)
    width = 17.5 / 2.54 * 72
    assert float(ElementTree.parse(svg).getroot().get('width').removesuffix('pt')) == pytest.approx(width)
    box = re.search(rb'/MediaBox \[ ?0 0 ([\d.]+)', pdf.read_bytes())
    assert pdf.read_bytes().startswith(b'%PDF-') and float(box[1]) == pytest.approx(width)


def test_text_can_be_edited(tmp_path):
    _, svg, pdf = write(tmp_path)
    texts = [''.join(text.itertext()) for text in ElementTree.parse(svg).iter(f'{SVG}text')]
    assert '1 a_$b$ (20)' in texts and 'error, mm' in texts
    assert b'/CIDFontType2' in pdf.read_bytes() and b'/Type3' not in pdf.read_bytes()  # TrueType


def test_text_is_no_smaller_than_journals_take_it(tmp_path):
    sizes = [float(size) for size in re.findall(r'font(?:-size)?: ([\d.]+)px', write(tmp_path)[1].read_text())]
    assert sizes and min(sizes) >= 6


def test_matplotlib_is_left_as_it_was(tmp_path):
    with matplotlib.rc_context({'font.size': 13, 'svg.fonttype': 'path', 'pdf.fonttype': 3}):
        before = dict(matplotlib.rcParams)
        write(tmp_path)
        assert dict(matplotlib.rcParams) == before


def test_the_same_figure_is_the_same_file(tmp_path):
    first = [path.read_bytes() for path in write(tmp_path)]
    assert [path.read_bytes() for path in write(tmp_path)] == first


def test_the_forms_lay_the_figure_out_alike(tmp_path):
    figure = print_figure(8.5, 6)
    ax = figure.subplots()
    ax.set_ylabel('a label\nof two lines')
    places = []
    figure.canvas.mpl_connect('draw_event', lambda event: places.append(ax.get_position().bounds))
    in_print(save_forms)(figure, tmp_path / 'a.png')
    assert places and ax.get_position().bounds == places[0] and places[0][0] > 0.1


def test_films_are_printed_at_300_dpi_in_every_form(tmp_path):
    picture = np.zeros((150, 600, 3), np.uint8)
    picture[:, 300:] = 200, 40, 10
    save_picture(tmp_path / 'worst.png', picture)
    with Image.open(tmp_path / 'worst.png') as image:
        assert (np.asarray(image) == picture).all() and image.info['dpi'] == pytest.approx((300, 300), abs=0.01)
    root = ElementTree.parse(tmp_path / 'worst.svg').getroot()
    assert (root.get('width'), root.get('height'), root.get('viewBox')) == ('2.000in', '0.500in', '0 0 600 150')
    data = root.find(f'{SVG}image').get('href').removeprefix('data:image/jpeg;base64,')
    assert abs(np.asarray(Image.open(BytesIO(b64decode(data)))).astype(int) - picture).max() < 12
    pdf = (tmp_path / 'worst.pdf').read_bytes()
    assert pdf.startswith(b'%PDF-') and re.search(rb'/MediaBox \[ 0 0 144(\.0)? 36(\.0)? \]', pdf)
