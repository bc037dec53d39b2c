"""The anatomy of an adult pelvis in mm, as outlines from an AP radiograph, and hips that differ between patients.

Outlines (n, 2) are x, y: of one half of trunk and pelvis mm lateral of the midline and mm below the femoral heads, of
the leg mm lateral of and below the centre of its femoral head. Curves go smoothly through their points (see
`canvas.spline`), but for the tips of a pointed pelvis.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .canvas import turn

SIDES = {'right': -1, 'left': 1}  # of the image: the patient faces the reader


def _mm(*points): return np.array(points, float)


# --- one half of the trunk and of the pelvis

HEAD, RADIUS = _mm(90, 0), 24.  # of the femur
INNOMINATE = _mm((34, -98), (35, -112), (42, -127), (58, -140), (80, -148), (103, -145), (123, -131), (137, -108),
    (139, -95), (131, -77), (122, -60), (122, -46), (117, -34), (119, -21), (116, -10), (112, 4), (107, 18), (101, 32),
    (98, 46), (97, 60), (91, 74), (80, 82), (68, 80), (56, 71), (40, 62), (24, 56), (11, 50), (4, 43), (3, 30),
    (3, 16), (8, 9), (20, 7), (32, 3), (46, -6), (58, -18), (65, -34), (65, -52), (60, -68), (50, -82), (40, -90))
FORAMEN = _mm((27, 31), (36, 22), (50, 16), (64, 17), (73, 27), (75, 42), (70, 56), (58, 59), (44, 52), (32, 43))
BRIM = _mm((42, -92), (56, -76), (65, -56), (66, -36), (58, -17), (44, -4), (26, 6))
ILIOISCHIAL = _mm((62, -62), (68, -40), (69, -14), (70, 10), (76, 34), (82, 56))
TEARDROP = _mm((66, -2), (63, 10), (63, 20), (66, 25), (69, 20), (69, 8))
CREST = _mm((46, -126), (60, -137), (81, -145), (103, -142), (121, -128), (134, -107))
BUTTRESS, FOSSA = _mm(80, -50), _mm(96, -105)  # where the ilium is thickest and thinnest
SACRUM = _mm((0, -116), (16, -120), (32, -125), (48, -120), (55, -106), (51, -90), (43, -76), (37, -62), (31, -48),
    (22, -37), (11, -30), (9, -20), (6, -10), (0, -5))
SACRAL_FORAMINA = _mm((26, -98), (23.5, -82), (20.5, -67), (17.5, -53))
SACROILIAC = _mm((39, -119), (45, -106), (46, -95), (41, -84))
PSOAS = _mm((28, -310), (42, -230), (56, -150), (76, -80), (98, -20), (112, 40))
TRUNK = _mm((0, -560), (165, -560), (158, -330), (154, -230), (162, -140), (178, -60), (187, 20), (150, 84), (60, 96),
    (0, 92))

# --- a lumbar vertebra, about its centre; the pedicles and the spinous process are seen end on

VERTEBRA = _mm((0, -14), (20, -14.5), (25, -14), (22, -5), (22, 5), (25.5, 13), (20, 15), (0, 14))
TRANSVERSE = _mm((18, -9), (30, -9), (42, -13), (44, -8), (32, -3), (20, 0))
PEDICLE = _mm((21, 0), (17, -7), (13, 0), (17, 7), (21, 0))
SPINOUS = _mm((-3, 0), (0, -3), (3, 0), (5, 18), (0, 23), (-5, 18), (-3, 0))

# --- the leg; trabeculae run along the lines of load

FEMUR = _mm((8, -17), (20, -8), (30, -1), (39, 1), (46, -7), (54, -9), (62, -3), (67, 10), (68, 24), (65, 38),
    (61, 54), (59, 74), (58, 110), (57, 180), (56, 300), (55, 560), (25, 560), (26, 300), (27, 180), (28, 110),
    (28, 84), (24, 73), (18, 66), (17, 59), (21, 51), (17, 42), (10, 33), (2, 25), (-8, 17), (-6, 2))
THIGH = _mm((0, -60), (70, -40), (98, 20), (104, 90), (98, 200), (88, 340), (78, 560), (-26, 560), (-50, 340),
    (-74, 200), (-86, 110), (-84, 84), (-40, 40))
INTERTROCHANTERIC = _mm((58, -3), (52, 16), (40, 36), (27, 54), (20, 62))
TRABECULAE = [
    _mm((18, 44), (9, 26), (0, 4), (-4, -18)), _mm((20, 47), (14, 28), (7, 4), (5, -19)),
    _mm((22, 50), (19, 30), (14, 6), (12, -15)),
    _mm((60, 50), (48, 22), (26, 6), (0, 6), (-16, 12)), _mm((61, 36), (46, 12), (26, 3), (2, 0), (-18, 5))]
OUTLINES = {'innominate': INNOMINATE, 'teardrop': TEARDROP, 'femur': FEMUR}


class Tip(NamedTuple):
    "A landmark where an outline comes to a point: `place` (2,) stands in for one `vertex`."
    outline: str
    vertex: int
    place: np.ndarray


TIPS = {
    'teardrop': Tip('teardrop', 3, _mm(66, 27)), 'greater_trochanter': Tip('femur', 5, _mm(54, -15)),
    'lesser_trochanter': Tip('femur', 23, _mm(11.5, 60.5)), 'ischium': Tip('innominate', 21, _mm(78.5, 89)),
    'iliac_spine': Tip('innominate', 8, _mm(147, -94)), 'pubic_symphysis': Tip('innominate', 30, _mm(4, 7.5))}
REACH = 2.5  # mm that a tip may lie off, along x and y, from where it lies in the other patients
MEDIAN = 'pubic_symphysis'  # one landmark, midway between the tips of both sides


# --- patients

@dataclass
class Hip:
    "One side of a patient: `pelvis` and `leg` (2, 2) take outlines to mm beside the midline and below the heads."
    side: int  # -1 the patient's right, at the image's left
    pelvis: np.ndarray
    leg: np.ndarray
    joint: float  # mm of cartilage
    flat: float  # height of the femoral head against its width
    worn: bool  # by arthrosis: narrow joint, flattened head
    places: dict[str, np.ndarray]  # of the `TIPS` on their outlines; none on a pelvis that is all smooth

    @property
    def head(self) -> np.ndarray:
        "The centre of the femoral head."
        return self.on_pelvis(HEAD)

    @property
    def ball(self) -> np.ndarray:
        "The half axes of the femoral head, as the columns of a matrix (2, 2)."
        return np.diag((RADIUS, RADIUS * self.flat))

    def on_pelvis(self, points: np.ndarray) -> np.ndarray:
        "`points` (..., 2) of the pelvis of this patient."
        return points @ self.pelvis.T

    def on_leg(self, points: np.ndarray) -> np.ndarray:
        "`points` (..., 2) of the leg of this patient."
        return points @ self.leg.T + self.head

    def _lay(self, outline: str, points: np.ndarray) -> np.ndarray:
        return self.on_leg(points) if outline == 'femur' else self.on_pelvis(points)

    def outline(self, name: str) -> np.ndarray:
        "One of the `OUTLINES` of this patient; a vertex at a tip is written three times, which makes it a corner."
        corners = {TIPS[tip].vertex: [place] * 3 for tip, place in self.places.items() if TIPS[tip].outline == name}
        return self._lay(name, np.concatenate([corners.get(k, [point]) for k, point in enumerate(OUTLINES[name])]))

    def tip(self, name: str) -> np.ndarray:
        "Where one of the `TIPS` of this patient is."
        return self._lay(TIPS[name].outline, self.places[name])


def random_hips(rng: np.random.Generator, pointed: bool = False) -> list[Hip]:
    """Both hips of one pelvis: common width, height and lean, each side's own swing of the leg, neck and joint.

    Where the pelvis is `pointed` its outlines come to a point at the `TIPS`, each a little elsewhere in each patient.
    """
    width, height = rng.uniform(0.93, 1.08), rng.uniform(0.92, 1.08)
    lean, twist = rng.uniform(-0.06, 0.06), rng.uniform(-0.05, 0.05)
    hips = []
    for side in SIDES.values():
        pelvis = np.array([(side * width * (1 + side * twist), lean), (0, height)])
        neck = np.array([(side * rng.uniform(0.88, 1.03), 0), (rng.uniform(-0.1, 0.1), 1)])
        leg = turn(side * rng.uniform(-12, 6)) @ neck
        worn = rng.random() < 0.15
        joint, flat = (rng.uniform(1, 2), rng.uniform(0.8, 0.9)) if worn else (rng.uniform(3.5, 5), 1.)
        places = {name: tip.place + rng.uniform(-REACH, REACH, 2) for name, tip in TIPS.items()} if pointed else {}
        hips.append(Hip(side, pelvis, leg, joint, flat, worn, places))
    return hips


def landmarks(hips: list[Hip]) -> dict[str, np.ndarray]:
    "Each landmark (2,) by its name: the centres of the femoral heads, then the tips of a pointed pelvis."
    points = {f'{side}_femoral_head': hip.head for side, hip in zip(SIDES, hips, strict=True)}
    for name in hips[0].places:
        tips = {f'{side}_{name}': hip.tip(name) for side, hip in zip(SIDES, hips, strict=True)}
        points |= {name: sum(tips.values()) / 2} if name == MEDIAN else tips
    return points
