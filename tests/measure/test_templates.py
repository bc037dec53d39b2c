"Templates on figures whose angles and lengths are known since they were drawn by them."

import numpy as np
import pytest
from helpers import annotated

from landmark_fastai.measure.definitions import read_definitions
from landmark_fastai.measure.evaluate import measure_landmarks


def at(start, degrees, distance):
    "The point at `distance` px from `start`, in the direction `degrees` as one looks: 0 is right, 90 up."
    return np.add(start, [distance * np.cos(np.radians(degrees)), -distance * np.sin(np.radians(degrees))])


def measure(template, points, spacing=0.5):
    "The values of `template` on `points` by name, by the name of the measurement; of each side where it has sides."
    found = measure_landmarks(annotated([list(points.values())], spacing, list(points)), read_definitions(template))
    assert (found.reasons == '').all(), found.reasons
    names = [measure.name for measure in found.measures]
    of_sides = [dict(zip(names, values, strict=True)) for values in found.values[0].tolist()]
    return of_sides if found.sides[0].name else of_sides[0]


def turned(points, degrees):
    "`points` turned, anticlockwise as one looks."
    radians = np.radians(degrees)
    rotation = np.array([[np.cos(radians), np.sin(radians)], [-np.sin(radians), np.cos(radians)]])
    return {name: rotation @ point for name, point in points.items()}


def mirrored(points): return {name: np.multiply(point, (-1, 1)) for name, point in points.items()}


def both_sides(right, left):
    "Points of a right and, mirrored, of a left side, as on one film."
    return {f'right_{name}': point for name, point in right.items()} | \
           {f'left_{name}': point for name, point in mirrored(left).items()}


# --- legs

def leg(valgus, mldfa, mpta):
    "A right leg: lateral is to the left."
    knee = np.array([-200., 1000])
    tibia = -90 - valgus  # the ankle goes to lateral
    lateral, medial = 90 + mldfa, tibia + mpta
    return {'hip': at(knee, 90, 800), 'knee': knee, 'ankle': at(knee, tibia, 700),
            'condyle_lateral': at(knee, lateral, 50), 'condyle_medial': at(knee, lateral + 180, 50),
            'plateau_lateral': at(knee, medial + 180, 50) + (0, 9), 'plateau_medial': at(knee, medial, 50) + (0, 9)}


def test_a_long_leg_and_its_mirror_image():
    varus, valgus = leg(-6, 89, 84), leg(8, 85, 91)
    right, left = measure('long_leg', both_sides(varus, valgus))
    assert [right[name] for name in ('HKA', 'mLDFA', 'MPTA')] == pytest.approx([-6, 89, 84])
    assert [left[name] for name in ('HKA', 'mLDFA', 'MPTA')] == pytest.approx([8, 85, 91])
    for side in (right, left):  # the lateral gap is what the joint lines leave
        assert side['HKA'] == pytest.approx(side['MPTA'] - side['mLDFA'] - side['JLCA'])
    assert right['JLCA'] == pytest.approx(1) and left['JLCA'] == pytest.approx(-2)
    assert right['MAD'] < 0 < left['MAD']
    swapped_right, swapped_left = measure('long_leg', both_sides(valgus, varus))
    assert swapped_right == pytest.approx(left) and swapped_left == pytest.approx(right)


def test_the_mechanical_axis_deviates_by_the_height_of_a_triangle():
    straight = leg(0, 87, 87)
    assert measure('long_leg', both_sides(straight, straight))[0]['MAD'] == pytest.approx(0, abs=1e-9)
    bent = leg(10, 87, 87)
    right, _ = measure('long_leg', both_sides(bent, bent), spacing=0.5)
    chord = np.sqrt(800 ** 2 + 700 ** 2 - 2 * 800 * 700 * np.cos(np.radians(170)))
    assert right['MAD'] == pytest.approx(0.5 * 800 * 700 * np.sin(np.radians(10)) / chord)


def test_a_leg_that_is_turned_has_the_same_angles():
    points = both_sides(leg(-6, 89, 84), leg(8, 85, 91))
    for straight, askew in zip(measure('long_leg', points), measure('long_leg', turned(points, 20)), strict=True):
        assert askew == pytest.approx(straight)


# --- hips

def hip(inclination, anteversion, drop, offset):
    "A right hip: lateral is to the left; lesser trochanter and head as far as told from their lines, in px."
    cup, teardrop, long_axis = np.array([-300., 0]), np.array([-100., 0]), 100
    short_axis = long_axis * np.sin(np.radians(anteversion))
    upwards = 180 - inclination
    return {'teardrop': teardrop, 'cup_superior': at(cup, upwards, long_axis / 2),
            'cup_inferior': at(cup, upwards + 180, long_axis / 2), 'cup_front': at(cup, upwards + 90, short_axis / 2),
            'cup_back': at(cup, upwards - 90, short_axis / 2), 'head': cup,
            'lesser_trochanter': np.array([-350., drop]), 'shaft_proximal': cup + (-offset, 50),
            'shaft_distal': cup + (-offset, 350)}


def test_a_hip_arthroplasty_on_both_sides():
    points = both_sides(hip(42, 15, 200, 80), hip(51, 8, 188, 76))
    right, left = measure('hip_arthroplasty', points, spacing=0.5)
    assert right == pytest.approx({'inclination': 42, 'anteversion': 15, 'leg_length_difference': 6, 'offset': 40})
    assert left == pytest.approx({'inclination': 51, 'anteversion': 8, 'leg_length_difference': -6, 'offset': 38})
    for straight, askew in zip((right, left), measure('hip_arthroplasty', turned(points, -12)), strict=True):
        assert askew == pytest.approx(straight)  # also of a pelvis that lies askew


# --- heads

def skull(sna, snb, frankfort=0., mandible=25., incisor=95.):
    "A head that looks to the right, in Frankfort's horizontal but for `frankfort` degrees; mandible to the Frankfort."
    nasion, sella = np.array([300., -100]), np.array([0., -100])
    menton = np.array([230., 500.])
    tip = at(menton, 180 - mandible - incisor, 150)  # from the mandibular plane, which goes back and up
    return {'sella': sella, 'nasion': nasion, 'porion': np.array([-80., 0]), 'orbitale': np.array([260., 0]),
            'a_point': at(nasion, 180 + sna, 220), 'b_point': at(nasion, 180 + snb, 420), 'pogonion':
            at(nasion, 180 + snb, 480), 'menton': menton, 'gnathion': at(menton, -mandible, 20),
            'gonion': at(menton, 180 - mandible, 300), 'incisor_tip': tip, 'incisor_apex': menton,
            'molar_contact': np.array([50., 280]), 'premolar_contact': np.array([150., 280]),
            'pns': np.array([60., 130]), 'ans': np.array([280., 130]),
            'upper_incisor': np.array([290., 300]), 'lower_incisor': np.array([284., 308])}


@pytest.mark.parametrize('looks', [lambda points: points, mirrored], ids=['right', 'left'])
def test_a_lateral_skull_whichever_way_it_looks(looks):
    points = skull(sna=82, snb=79, mandible=25, incisor=95)
    found = measure('cephalometric', looks(points), spacing=0.5)
    assert [found[name] for name in ('SNA', 'SNB', 'ANB', 'FMA', 'IMPA')] == pytest.approx([82, 79, 3, 25, 95])
    assert found['Wits'] == pytest.approx(0.5 * (points['a_point'] - points['b_point'])[0])
    assert found['Jarabak'] == pytest.approx(100 * np.hypot(*(points['sella'] - points['gonion']))
                                             / np.hypot(*(points['nasion'] - points['menton'])))
    assert measure('cephalometric', turned(looks(points), 33), spacing=0.5) == pytest.approx(found)


def test_class_iii_is_negative_and_a_retroclined_incisor_is_no_supplement():
    found = measure('cephalometric', skull(sna=77, snb=84, mandible=-3, incisor=80))
    assert [found[name] for name in ('ANB', 'FMA', 'IMPA')] == pytest.approx([-7, -3, 80]) and found['Wits'] < 0


@pytest.mark.parametrize('looks', [lambda points: points, mirrored], ids=['right', 'left'])
def test_the_eight_of_the_challenge(looks):
    points = skull(sna=82, snb=79, mandible=25)
    points['ans'] = points['ans'] + (0, 220 * np.tan(np.radians(4)))  # its front 4 degrees lower
    found = measure('isbi2015', looks(points), spacing=0.1)
    a, b, nasion, pogonion = (points[name] for name in ('a_point', 'b_point', 'nasion', 'pogonion'))
    ab = np.degrees(np.arctan2(b[1] - a[1], a[0] - b[0]))  # at the Frankfort plane, below and behind
    facial = np.degrees(np.arctan2(pogonion[1] - nasion[1], nasion[0] - pogonion[0]))
    assert [found[name] for name in ('ANB', 'SNB', 'SNA')] == pytest.approx([3, 79, 82])
    assert found['ODI'] == pytest.approx(180 - ab - 25 + 4)
    assert found['APDI'] == pytest.approx(facial + (ab - facial) + 4) and ab < facial  # B behind the facial plane
    assert found['FHA'] == pytest.approx(25) and 0 < found['FHI'] < 1
    assert found['MW'] == pytest.approx(1)  # 6 and 8 px
    points['lower_incisor'] = np.array([296., 308])
    assert measure('isbi2015', looks(points), spacing=0.1)['MW'] == pytest.approx(-1)
    points['lower_incisor'] = points['upper_incisor']
    assert measure('isbi2015', looks(points), spacing=0.1)['MW'] == 0


def test_the_classes_of_the_challenge():
    by_name = {measure.name: measure for measure in read_definitions('isbi2015').measures}
    table = {'ANB': [(4, 'I'), (6, 'II'), (-2, 'III')], 'SNB': [(76, 'normal'), (70, 'retro'), (80, 'pro')],
             'SNA': [(81, 'normal'), (85, 'pro'), (70, 'retro')], 'ODI': [(74, 'normal'), (90, 'deep'), (60, 'open')],
             'APDI': [(81, 'normal'), (70, 'II'), (90, 'III')], 'FHI': [(0.7, 'normal'), (0.8, 'short'), (0.6, 'long')],
             'FHA': [(30, 'normal'), (35, 'high'), (20, 'low')],
             'MW': [(3, 'normal'), (0, 'edge'), (-1, 'cross'), (5, 'jet')]}
    assert set(table) == set(by_name)
    for name, pairs in table.items():
        found = by_name[name].class_of(np.array([value for value, _ in pairs]))
        for each, (value, word) in zip(found, pairs, strict=True):
            assert word in each.split() or each.startswith(word), (name, value)
    assert by_name['MW'].class_of(np.array([1])) == ['']  # which the challenge does not name


# --- feet and spines

def foot(hva, ima):
    "A right foot as seen from above, toes up: lateral is to the right."
    base, head = np.array([0., 0]), np.array([0., -200])
    second = np.array([60., 0])
    return {'metatarsal1_base': base, 'metatarsal1_head': head, 'phalanx_base': head - (0, 10),
            'phalanx_head': at(head - (0, 10), 90 - hva, 80), 'metatarsal2_base': second,
            'metatarsal2_head': at(second, 90 - ima, 220)}


@pytest.mark.parametrize('lies', [lambda points: points, mirrored, lambda points: turned(points, 180)],
                         ids=['from above', 'from below', 'toes down'])
def test_a_great_toe_however_the_foot_lies(lies):
    points = lies(both_sides(foot(28, 14), foot(-5, 7)))
    right, left = measure('hallux_valgus', points)
    assert right == pytest.approx({'HVA': 28, 'IMA': 14}) and left == pytest.approx({'HVA': -5, 'IMA': 7})


def pelvis(tilt, slope, lordosis):
    "A spine that looks to the right."
    hips = np.array([100., 500])
    middle = at(hips, 90 + tilt, 150)
    top = middle + (-20, -250)
    return {'femoral_head_1': hips + (5, 3), 'femoral_head_2': hips - (5, 3), 'S1_anterior': at(middle, -slope, 30),
            'S1_posterior': at(middle, 180 - slope, 30), 'L1_anterior': at(top, lordosis - slope, 25),
            'L1_posterior': at(top, lordosis - slope + 180, 25)}


@pytest.mark.parametrize('looks', [lambda points: points, mirrored], ids=['right', 'left'])
@pytest.mark.parametrize('tilt, slope, lordosis', [(13, 41, 60), (-4, 35, 50), (30, -6, -12), (25, 10, 20)])
def test_pelvic_incidence_is_tilt_plus_slope(looks, tilt, slope, lordosis):
    found = measure('spinopelvic', looks(pelvis(tilt, slope, lordosis)))
    assert found == pytest.approx({'PI': tilt + slope, 'PT': tilt, 'SS': slope, 'LL': lordosis,
                                   'PI_LL': tilt + slope - lordosis})
