"""`python -m docs.templates` writes what measuring.md says of functions and templates, and draws its pictures.

The page holds the functions between `<!-- functions -->` and `<!-- /functions -->`, the templates between `<!--
templates -->` and `<!-- /templates -->`. The figures are drawn here, and of nobody.
"""

from pathlib import Path

import cv2
import numpy as np
import yaml

from landmark_fastai.files import write_text
from landmark_fastai.formats.annotations import Annotations
from landmark_fastai.measure.definitions import TEMPLATES, Measure, read_definitions, templates
from landmark_fastai.measure.drawing import Drawing
from landmark_fastai.measure.evaluate import measure_landmarks
from landmark_fastai.measure.functions import FUNCTIONS, LINE, POINT, VALUE, Form
from landmark_fastai.viz.overlays import write_png

DOCS = Path(__file__).parent
PAGE = DOCS / 'measuring.md'
LETTERS = {POINT: 'pqr', LINE: 'lm', VALUE: 'xyz'}
SPACING = 0.5  # mm per px of the figures
BONE, JOINT = 120, 165  # grey


# --- figures: names of landmarks and their points, and what is drawn under them

def long_leg():
    "Both legs; the right one is in varus, the left one in valgus."
    right = {'hip': (170, 70), 'knee': (148, 370), 'ankle': (168, 690), 'condyle_medial': (182, 384),
             'condyle_lateral': (114, 378), 'plateau_medial': (181, 393), 'plateau_lateral': (115, 391)}
    left = {'hip': (350, 70), 'knee': (344, 370), 'ankle': (362, 690), 'condyle_medial': (310, 377),
            'condyle_lateral': (378, 373), 'plateau_medial': (310, 388), 'plateau_lateral': (378, 383)}
    bones = []
    for points, lateral in ((right, -1), (left, 1)):
        hip, knee, ankle = (np.array(points[name]) for name in ('hip', 'knee', 'ankle'))
        trochanter = hip + (lateral * 48, 38)
        bones += [([trochanter, knee - (0, 25)], 26), ([hip, trochanter + (0, 8)], 20), ([knee + (0, 36), ankle], 24),
                  ([np.add(points['condyle_medial'], (-lateral * -6, -14)), np.add(points['condyle_lateral'],
                                                                                  (-lateral * 6, -14))], 26),
                  ([np.add(points['plateau_medial'], (lateral * 6, 12)), np.add(points['plateau_lateral'],
                                                                               (-lateral * 6, 12))], 24),
                  ([hip, hip], 40)]
    return (520, 760), sided(right, left), bones


def hip_arthroplasty():
    "Both hips with a cup and a stem; the left leg is the shorter one."
    right = {'teardrop': (235, 250), 'cup_superior': (113, 163), 'cup_inferior': (194, 246), 'cup_front': (146, 211),
             'cup_back': (163, 196), 'head': (153, 206), 'lesser_trochanter': (108, 382), 'shaft_proximal': (84, 330),
             'shaft_distal': (96, 560)}
    left = {'teardrop': (405, 254), 'cup_superior': (538, 180), 'cup_inferior': (446, 240), 'cup_front': (500, 222),
            'cup_back': (484, 198), 'head': (491, 208), 'lesser_trochanter': (532, 372), 'shaft_proximal': (560, 330),
            'shaft_distal': (548, 560)}
    bones = [([(320, 60), (320, 210)], 120), ([(320, 80), (110, 90)], 60), ([(320, 80), (530, 90)], 60),
             ([(110, 90), (150, 200)], 80), ([(530, 90), (490, 200)], 80), ([(230, 240), (310, 290)], 26),
             ([(410, 240), (330, 290)], 26), ([(210, 260), (250, 360), (315, 320)], 22),
             ([(430, 260), (390, 360), (325, 320)], 22)]
    for points, lateral in ((right, -1), (left, 1)):
        head, top, end, lesser = (np.array(points[name]) for name in ('head', 'shaft_proximal', 'shaft_distal',
                                                                      'lesser_trochanter'))
        bones += [([top - (0, 40), end], 58), ([top, lesser - (lateral * -8, 0)], 36), ([head, head], 64)]
    return (640, 600), sided(right, left), bones


SKULL = {'sella': (255, 205), 'nasion': (468, 178), 'orbitale': (440, 262), 'porion': (190, 268),
         'a_point': (468, 372), 'b_point': (446, 497), 'pogonion': (449, 548), 'menton': (428, 572),
         'gnathion': (441, 565), 'gonion': (252, 470), 'pns': (315, 345), 'ans': (480, 340)}
OF_SKULL = [([(150, 160), (210, 60), (340, 30), (440, 80), (470, 170)], 24), ([(150, 160), (170, 300)], 24),
            ([(255, 205), (468, 178)], 14), ([(190, 268), (255, 220)], 18), ([(440, 262), (466, 185)], 14),
            ([(315, 345), (478, 342)], 16), ([(468, 345), (462, 385)], 18), ([(235, 290), (250, 462), (428, 560)], 34),
            ([(440, 500), (440, 555)], 26)]


def cephalometric():
    "A head that looks to the right."
    teeth = {'molar_contact': (368, 442), 'premolar_contact': (410, 438), 'incisor_tip': (470, 437),
             'incisor_apex': (444, 518)}
    bones = [*OF_SKULL, ([(470, 437), (444, 518)], 14), ([(474, 445), (458, 372)], 14), ([(368, 415), (368, 470)], 22),
             ([(410, 412), (410, 468)], 16)]
    return (600, 640), SKULL | teeth, bones


def isbi2015():
    "The same head."
    teeth = {'lower_incisor': (470, 437), 'upper_incisor': (478, 447)}
    return (600, 640), SKULL | teeth, [*OF_SKULL, ([(470, 437), (444, 518)], 14), ([(478, 447), (458, 372)], 14)]


def hallux_valgus():
    "Both feet as seen from above, toes up; the right great toe deviates."
    right = {'metatarsal1_base': (130, 480), 'metatarsal1_head': (86, 290), 'phalanx_base': (88, 262),
             'phalanx_head': (116, 150), 'metatarsal2_base': (172, 470), 'metatarsal2_head': (166, 260)}
    left = {'metatarsal1_base': (610, 480), 'metatarsal1_head': (626, 290), 'phalanx_base': (629, 262),
            'phalanx_head': (627, 150), 'metatarsal2_base': (568, 470), 'metatarsal2_head': (564, 260)}
    bones = []
    for points, lateral in ((right, 1), (left, -1)):
        for first, last, width in (('metatarsal1_base', 'metatarsal1_head', 36), ('phalanx_base', 'phalanx_head', 28),
                                   ('metatarsal2_base', 'metatarsal2_head', 24)):
            bones.append(([points[first], points[last]], width))
        for k in range(3):
            base = np.add(points['metatarsal2_base'], (lateral * 34 * (k + 1), 10 * k))
            bones.append(([base, base + (lateral * 10 * k, -190 + 22 * k)], 20))
        heel = np.add(points['metatarsal2_base'], (lateral * 20, 60))
        bones.append(([heel, heel + (0, 70)], 110))
    return (740, 640), sided(right, left), bones


def spinopelvic():
    "A lower spine and pelvis that look to the right."
    points = {'femoral_head_1': (330, 520), 'femoral_head_2': (344, 528), 'S1_anterior': (322, 398),
              'S1_posterior': (268, 352), 'L1_anterior': (342, 66), 'L1_posterior': (284, 82)}
    levels = np.linspace(0, 1, 5)
    bones = [([(313 + 42 * np.sin(np.pi * t), 96 + 245 * t), (313 + 42 * np.sin(np.pi * t), 112 + 245 * t)], 50)
             for t in levels]
    bones += [([(285, 385), (250, 440), (232, 500)], 46), ([(300, 400), (335, 500)], 30), ([(330, 520)] * 2, 66),
              ([(344, 528)] * 2, 66), ([(336, 540), (350, 630)], 40)]
    return (560, 640), points, bones


FIGURES = {figure.__name__: figure for figure in (long_leg, hip_arthroplasty, cephalometric, isbi2015, hallux_valgus,
                                                  spinopelvic)}


def sided(right: dict, left: dict) -> dict:
    "Landmarks of both sides."
    return {f'{side}_{name}': point for side, points in (('right', right), ('left', left))
            for name, point in points.items()}


def drawn(size: tuple[int, int], bones: list) -> np.ndarray:
    "An image of `size` with `bones`, (points, width) each."
    image = np.full(size[::-1], 25, np.uint8)
    for points, width in bones:
        path = [np.rint(points).astype(np.int32)]
        cv2.polylines(image, path, False, JOINT, width, cv2.LINE_AA)
        cv2.polylines(image, path, False, BONE, max(1, width - 6), cv2.LINE_AA)
    return cv2.GaussianBlur(image, (0, 0), 1.2)


def picture(name: str) -> np.ndarray:
    "The picture of the template `name`, as `measure` draws it."
    size, points, bones = FIGURES[name]()
    annotations = Annotations(
        path=Path('figure.csv'), names=list(points), image_names=['figure.png'], rows=[2], sizes=np.array([size]),
        points=np.array([list(points.values())], float), state=np.zeros((1, len(points)), np.uint8),
        spacing=np.full((1, 2), SPACING), spacing_source=np.array(['CSV'], object), patient_id=None, split=None)
    definitions = read_definitions(name)
    return Drawing(annotations, definitions, measure_landmarks(annotations, definitions)).draw(0, drawn(size, bones))


# --- the page

def functions_table() -> str:
    "Every function of the language, as a Markdown table."
    rows = ['| function | is |', '| --- | --- |']
    for name, forms in FUNCTIONS.items():
        rows += [f'| `{call(name, form)}` | {form.gives}: {form.meaning} |'
                 for form in forms]
    return '\n'.join(rows) + '\n'


def call(name: str, form: Form) -> str:
    "How a function is called: `distance(p, l)`."
    counts, letters = {}, []
    for kind in form.takes:
        letters.append(LETTERS.get(kind, 'pqr')[counts.setdefault(kind, 0)])
        counts[kind] += 1
    return f'{name}({", ".join(letters + ["…"] * form.repeats)})'


def templates_text() -> str:
    "All templates, each with its landmarks, its picture and its measurements."
    return '\n'.join(map(template_text, sorted(templates(), key=list(FIGURES).index)))


def template_text(name: str) -> str:
    "A template."
    raw, found = yaml.safe_load((TEMPLATES / f'{name}.yaml').read_text(encoding='utf-8')), read_definitions(name)
    prefixes = ' or '.join(f'`{side.prefix}`' for side in found.sides if side.prefix)
    sides = f' All these names begin with {prefixes}.' if prefixes else ''
    rows = ['| measurement | is | definition | source |', '| --- | --- | --- | --- |']
    rows += [row(measure, raw['measure'][measure.name]['value']) for measure in found.measures]
    defined = ['```', *(f'{key}: {text}' for key, text in raw.get('define', {}).items()), '```']
    return '\n'.join([f'### {found.name}: `{name}`', '', raw['description'] + sides, '',
                      f'![{found.name}, drawn](images/measure_{name}.png)', '', *defined, '', *rows, ''])


def row(measure: Measure, value: str) -> str:
    "A measurement as a row."
    what = f'{measure.description}; {measure.unit}' + (f'; positive: {measure.positive}' if measure.positive else '')
    classes = '; '.join(f'{name} {limits(least, most)}' for name, least, most in measure.classes)
    cells = [f'`{measure.name}`', '; '.join(filter(None, (what, classes))), f'`{value}`', measure.source]
    return f'| {" | ".join(cells)} |'


def limits(least: float, most: float) -> str:
    "The limits of a class."
    if least == -np.inf: return f'below {most:g}'
    if most == np.inf: return f'above {least:g}'
    return f'{least:g}' if least == most else f'{least:g} to {most:g}'


def with_texts(text: str) -> str:
    "`text`, the page, with its table of functions and its templates as they have to be."
    for name, content in (('functions', functions_table()), ('templates', templates_text())):
        before, begin, rest = text.partition(f'<!-- {name} -->\n')
        _, end, after = rest.partition(f'<!-- /{name} -->')
        text = before + begin + content + end + after
    return text


if __name__ == '__main__':
    write_text(PAGE, with_texts(PAGE.read_text(encoding='utf-8')))
    for name in FIGURES: write_png(DOCS / 'images' / f'measure_{name}.png', picture(name))
