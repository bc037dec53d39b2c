"A synthetic set of AP pelvis radiographs, labelled with the centres of both femoral heads, to try the toolkit on."

from dataclasses import dataclass

import cv2
import numpy as np

LANDMARKS = {'right_femoral_head': -1, 'left_femoral_head': 1}  # side of the image: the patient faces the reader
SHARPER = 2  # outlines are filled this much finer than the canvas: half pixels keep cortical edges smooth
MARGIN = 0.07  # of the image side, between a landmark and the border; the collimator closes less than that


def _mm(*points): return np.array(points, float)


# Anatomy of an adult. One half of the trunk and the pelvis: mm lateral of the midline, mm below the femoral heads.
HEAD, RADIUS = _mm(90, 0), 24.
INNOMINATE = _mm((34, -98), (35, -112), (42, -127), (58, -140), (80, -148), (103, -145), (123, -131), (137, -108),
    (139, -95), (131, -77), (122, -60), (122, -46), (117, -34), (119, -21), (116, -10), (112, 4), (107, 18), (101, 32),
    (98, 46), (97, 60), (91, 74), (80, 82), (68, 80), (56, 71), (40, 62), (24, 56), (11, 50), (4, 43), (3, 30),
    (3, 16), (8, 9), (20, 7), (32, 3), (46, -6), (58, -18), (65, -34), (65, -52), (60, -68), (50, -82), (40, -90))
FORAMEN = _mm((27, 31), (36, 22), (50, 16), (64, 17), (73, 27), (75, 42), (70, 56), (58, 59), (44, 52), (32, 43))
BRIM = _mm((42, -92), (56, -76), (65, -56), (66, -36), (58, -17), (44, -4), (26, 6))
ILIOISCHIAL = _mm((62, -62), (68, -40), (69, -14), (70, 10), (76, 34), (82, 56))
TEARDROP = _mm((66, -2), (63, 10), (63, 20), (66, 25), (69, 20), (69, 8))
CREST = _mm((46, -126), (60, -137), (81, -145), (103, -142), (121, -128), (134, -107))
SACRUM = _mm((0, -116), (16, -120), (32, -125), (48, -120), (55, -106), (51, -90), (43, -76), (37, -62), (31, -48),
    (22, -37), (11, -30), (9, -20), (6, -10), (0, -5))
SACRAL_FORAMINA = _mm((26, -98), (23.5, -82), (20.5, -67), (17.5, -53))
SACROILIAC = _mm((39, -119), (45, -106), (46, -95), (41, -84))
PSOAS = _mm((28, -310), (42, -230), (56, -150), (76, -80), (98, -20), (112, 40))
TRUNK = _mm((0, -560), (165, -560), (158, -330), (154, -230), (162, -140), (178, -60), (187, 20), (150, 84), (60, 96),
    (0, 92))
# A lumbar vertebra about its centre; the pedicles and the spinous process are seen end on.
VERTEBRA = _mm((0, -14), (20, -14.5), (25, -14), (22, -5), (22, 5), (25.5, 13), (20, 15), (0, 14))
TRANSVERSE = _mm((18, -9), (30, -9), (42, -13), (44, -8), (32, -3), (20, 0))
PEDICLE = _mm((21, 0), (17, -7), (13, 0), (17, 7), (21, 0))
SPINOUS = _mm((-3, 0), (0, -3), (3, 0), (5, 18), (0, 23), (-5, 18), (-3, 0))
# The leg: mm lateral of and below the centre of the femoral head. Trabeculae run along the lines of load.
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
LETTER_R = _mm((0, 1), (0, 0), (0.45, 0), (0.6, 0.12), (0.6, 0.38), (0.45, 0.5), (0, 0.5), (0.3, 0.5), (0.62, 1))
LETTER_L = _mm((0, 0), (0, 1), (0.6, 1))


@dataclass
class Hip:
    "One side of a patient: `pelvis` and `leg` (2, 2) take its outlines to mm beside the midline, below the heads."
    side: int  # -1 the patient's right, at the image's left
    pelvis: np.ndarray
    leg: np.ndarray
    joint: float  # mm of cartilage
    flat: float  # height of the femoral head against its width
    worn: bool  # by arthrosis: narrow joint, flattened head

    @property
    def head(self): return HEAD @ self.pelvis.T

    @property
    def ball(self): return np.diag((RADIUS, RADIUS * self.flat))

    def on_pelvis(self, points): return points @ self.pelvis.T

    def on_leg(self, points): return points @ self.leg.T + self.head


class Canvas:
    "Attenuation summed over body parts on an (H, W) canvas; `affine` (2, 3) takes body mm to pixel indices."

    def __init__(self, shape, affine):
        self.affine, self.mm = affine, float(np.linalg.det(affine[:, :2])) ** -0.5
        self.soft, self.bone = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        back = cv2.invertAffineTransform(affine)
        y, x = np.indices(shape, np.float32)
        self.x, self.y = (row[0] * x + row[1] * y + row[2] for row in back.astype(np.float32))

    def place(self, points): return points @ self.affine[:, :2].T + self.affine[:, 2]

    def depth(self, outlines, holes=()):
        "How many mm each pixel lies inside the union of closed `outlines` less `holes`."
        height, width = self.soft.shape
        fine = np.zeros((height * SHARPER, width * SHARPER), np.uint8)
        for parts, value in ((outlines, 1), (holes, 0)):
            for part in parts:  # + 0.5 and - 0.5: pixel indices name pixel centres, also on the finer grid
                points = (self.place(_spline(part)) + 0.5) * SHARPER - 0.5
                cv2.fillPoly(fine, [np.rint(points * 16).astype(np.int32)], value, shift=4)
        depth = cv2.distanceTransform(fine, cv2.DIST_L2, 3)
        return cv2.resize(depth, (width, height), interpolation=cv2.INTER_AREA) * (self.mm / SHARPER)

    def strokes(self, lines, width):
        "Soft lines about `width` mm wide, 1 in their middle."
        drawn = np.zeros(self.soft.shape, np.uint8)
        for line in lines:
            points = np.rint(self.place(_spline(line, closed=False)) * 16).astype(np.int32)
            cv2.polylines(drawn, [points], False, 255, max(1, round(width / self.mm)), cv2.LINE_AA, shift=4)
        return self.blur(drawn.astype(np.float32) / 255, width / 3)

    def ellipsoid(self, centre, axes):
        "Thickness, 1 in the middle, of an ellipsoid whose half axes in mm are the columns of `axes` (2, 2)."
        inverse = np.linalg.inv(axes).astype(np.float32)
        x, y = self.x - np.float32(centre[0]), self.y - np.float32(centre[1])
        square = (inverse[0, 0] * x + inverse[0, 1] * y) ** 2 + (inverse[1, 0] * x + inverse[1, 1] * y) ** 2
        return np.sqrt(np.maximum(1 - square, 0))

    def blur(self, layer, mm): return cv2.GaussianBlur(layer, (0, 0), max(mm / self.mm, 0.3))


def _spline(points, closed=True, steps=6):
    "A Catmull-Rom curve (n, 2) through `points`."
    padded = np.pad(points, ((1, 2 if closed else 1), (0, 0)), 'wrap' if closed else 'edge')
    a, b, c, d = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    t = np.arange(steps)[:, None, None] / steps
    curve = b + t / 2 * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return curve.transpose(1, 0, 2).reshape(-1, 2)


def _both(points): return np.concatenate([points, points[::-1] * (-1, 1)])


def _circle(corners=12):
    angle = np.arange(corners)[:, None] * 2 * np.pi / corners
    return np.hstack([np.cos(angle), np.sin(angle)])


def _ramp(values, start, stop):
    t = np.clip((values - start) / (stop - start), 0, 1)
    return t * t * (3 - 2 * t)


def _chord(depth, radius):
    "Length of a ray through a cylinder of `radius` that enters its shadow `depth` below the edge; flat past the axis."
    depth = np.clip(depth, 0, radius)
    return 2 * np.sqrt(depth * (2 * radius - depth))


def _tube(depth, radius, wall, hard, marrow):
    "Attenuation of a tube: per mm `hard` in its `wall` (mm), `marrow` inside. The wall's rim is what shines on canvas."
    inside = _chord(depth - wall, radius - wall)
    return hard * (_chord(depth, radius) - inside) + marrow * inside


def _clouds(rng, shape, grain):
    "Smooth noise about 1 strong, with blobs of about `grain` pixels."
    coarse = rng.standard_normal([int(n / grain) + 4 for n in shape]).astype(np.float32)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)


def _turn(degrees):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([(c, -s), (s, c)])


def _hips(rng):
    "Two hips of one pelvis: common width, height and lean, each side's own swing of the leg, neck and joint."
    width, height = rng.uniform(0.93, 1.08), rng.uniform(0.92, 1.08)
    lean, twist = rng.uniform(-0.06, 0.06), rng.uniform(-0.05, 0.05)
    for side in LANDMARKS.values():
        pelvis = np.array([(side * width * (1 + side * twist), lean), (0, height)])
        neck = np.array([(side * rng.uniform(0.88, 1.03), 0), (rng.uniform(-0.1, 0.1), 1)])
        leg, worn = _turn(side * rng.uniform(-12, 6)) @ neck, rng.random() < 0.15
        joint, flat = (rng.uniform(1, 2), rng.uniform(0.8, 0.9)) if worn else (rng.uniform(3.5, 5), 1.)
        yield Hip(side, pelvis, leg, joint, flat, worn)


def _draw_flesh(canvas, hips, rng):
    "Trunk and thighs with a coat of fat, the bladder, gas in the bowel."
    girth, fat = rng.uniform(0.92, 1.12), rng.uniform(10, 28)
    depth = canvas.depth([_both(TRUNK) * (girth, 1)] + [hip.on_leg(THIGH * (girth, 1)) for hip in hips])
    canvas.soft += _tube(depth, 85 * girth, fat, 0.017, 0.0215)
    canvas.soft *= 1 + 0.02 * _clouds(rng, depth.shape, 60) + 0.01 * _clouds(rng, depth.shape, 20)
    canvas.soft += 0.25 * canvas.ellipsoid((0, -32), np.diag((45., 30)))
    canvas.soft += 0.1 * canvas.strokes([PSOAS * (side, 1) for side in (-1, 1)], 32)
    loops = [_bowel(rng) for _ in range(rng.integers(3, 12))]
    gas = canvas.blur(_chord(canvas.depth([bubble for loop in loops for bubble in loop]), 12), 1.5)
    canvas.soft -= rng.uniform(0.012, 0.03) * gas * (1 + 0.35 * _clouds(rng, gas.shape, 12))


def _bowel(rng):
    "Outlines (8, 2) of the gas bubbles in one loop of bowel: a short winding chain."
    spot, heading = np.array([rng.uniform(-100, 100), rng.uniform(-330, -50)]), rng.uniform(0, 360)
    size = rng.uniform(8, 17)
    for _ in range(rng.integers(1, 8)):
        yield spot + size * rng.uniform(0.8, 1.2, (8, 1)) * _circle(8)
        heading += rng.uniform(-50, 50)
        spot = spot + 0.8 * size * _turn(heading)[:, 0]


def _draw_sacrum(canvas):
    sacrum = _tube(canvas.depth([_both(SACRUM)]), 14, 1.8, 0.035, 0.02)
    holes = [np.array([(x - 3, y + 1), (x + 3, y)]) for x, y in _both(SACRAL_FORAMINA)]
    arcs = [np.array([(x - 9, y), (x - 4, y - 5), (x + 4, y - 5), (x + 9, y)]) for x, y in _both(SACRAL_FORAMINA)]
    sacrum *= 1 - 0.55 * _ramp(abs(canvas.x), 32, 50)  # the wings thin out behind the ilium
    canvas.bone += sacrum * (1 - 0.6 * canvas.strokes(holes, 6)) + 0.14 * canvas.strokes(arcs, 2)


def _draw_spine(canvas, rng):
    "Lumbar vertebrae, slightly bent sideways."
    bend, levels = rng.uniform(-0.0006, 0.0006), -139 - 39 * np.arange(8)
    centres = np.column_stack([bend * (levels + 120) ** 2, levels])
    bodies = canvas.depth([_both(VERTEBRA) + centre for centre in centres])
    wings = canvas.depth([TRANSVERSE * (side, 1) + centre for centre in centres for side in (-1, 1)])
    canvas.bone += _tube(bodies, 13, 1.6, 0.04, 0.02) + _tube(wings, 4, 1, 0.04, 0.018)
    arches = [line + centre for centre in centres for line in (PEDICLE, PEDICLE * (-1, 1), SPINOUS)]
    canvas.bone += 0.3 * canvas.strokes(arches, 2)


def _draw_innominate(canvas, hip):
    "Ilium, ischium and pubis of one side, hollowed by the acetabulum and lined by the borders seen end on."
    bone = _tube(canvas.depth([hip.on_pelvis(INNOMINATE)], [hip.on_pelvis(FORAMEN)]), 9, 1.8, 0.038, 0.02)
    buttress = canvas.ellipsoid(hip.on_pelvis(_mm(80, -50)), hip.pelvis @ _turn(-35) * (30, 62))
    fossa = canvas.ellipsoid(hip.on_pelvis(_mm(96, -105)), hip.pelvis @ _turn(30) * (30, 34))
    socket = canvas.ellipsoid(hip.head, hip.ball + hip.joint * np.eye(2))
    bone *= (1 + 0.9 * buttress) * (1 - 0.4 * fossa) * (1 - 0.7 * _ramp(socket, 0, 0.35))
    bone *= 1 - 0.5 * canvas.strokes([hip.on_pelvis(SACROILIAC)], 3)
    lines = [hip.on_pelvis(line) for line in (BRIM, ILIOISCHIAL, TEARDROP, CREST)]
    canvas.bone += bone + 0.3 * canvas.strokes(lines, 2.2)
    arc = _circle(36)[20:34] * (hip.side, 1)  # the roof that carries the load, whiter over a worn joint
    roof = arc @ (hip.ball + (hip.joint + 2) * np.eye(2)) + hip.head
    canvas.bone += (0.45 if hip.worn else 0.32) * canvas.strokes([roof], 3.5)


def _draw_femur(canvas, hip):
    "Head, neck, trochanters and a shaft whose cortex thickens downwards, with the trabeculae that carry the load."
    depth = canvas.depth([hip.on_leg(FEMUR), _circle() @ hip.ball + hip.head])
    below = _ramp(canvas.y - hip.head[1], 35, 130)
    canvas.bone += _tube(depth, 15, 1.6 + 5 * below, 0.042, 0.014 * (1 - below) + 0.005)
    canvas.bone += 0.12 * canvas.ellipsoid(hip.head, hip.ball)
    lines = [hip.on_leg(line) for line in TRABECULAE]
    canvas.bone += 0.14 * canvas.strokes(lines, 5) + 0.15 * canvas.strokes([hip.on_leg(INTERTROCHANTERIC)], 3)


def _frame(rng, hips):
    "Size of the canvas, mm of a pixel and the affine (2, 3) from body mm to it: both heads inside, anywhere else free."
    shape = rng.integers(400, 641, 2)
    spacing = rng.uniform(max(0.5, 300 / shape.min()), 0.82)
    linear = _turn(rng.uniform(-12, 12)) * rng.uniform(0.88, 1.1) / spacing
    heads = np.array([linear @ hip.head for hip in hips])
    size = shape[::-1]
    low = np.maximum(size * MARGIN - heads.min(0), size * 0.24)
    high = np.minimum(size * (1 - MARGIN) - heads.max(0), size * 0.76)
    return tuple(shape.tolist()), spacing, np.column_stack([linear, rng.uniform(low, high)])


def _mark(image, points, rng):
    "A lead letter beside the patient's side that it names, at the end of the canvas farther from the hips."
    height, width = image.shape
    letter, x = (LETTER_R, 0.06) if rng.random() < 0.6 else (LETTER_L, 0.91)
    y = rng.uniform(0.08, 0.2) if np.mean(list(points.values()), 0)[1] > height / 2 else rng.uniform(0.8, 0.9)
    lines = letter * rng.uniform(14, 26) @ _turn(rng.uniform(-15, 15)) + (width * x, height * y)
    cv2.polylines(image, [np.rint(lines * 16).astype(np.int32)], False, 245, 3, cv2.LINE_AA, shift=4)


def _beam(shape, rng):
    "Rays (H, W) that reach the patient: stronger towards one edge, none behind the collimator where it is closed."
    height, width = shape
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    rays = np.exp(rng.uniform(-0.15, 0.15) * x + rng.uniform(-0.15, 0.15) * y - 0.15 * (x * x + y * y))
    shutter = np.zeros(shape, np.float32)
    left, top, right, bottom = (rng.uniform(0.01, 0.045, 4) * (width, height, width, height)).astype(int)
    shutter[top:height - bottom, left:width - right] = 1
    return rays.astype(np.float32), cv2.GaussianBlur(shutter, (0, 0), 1)


def _expose(canvas, rng):
    "Grey canvas (H, W), float 0 to 255, of the attenuation: scatter, quantum noise, the canvas's curve and grain."
    shape, dose = canvas.soft.shape, rng.uniform(0.6e4, 4e4)
    rays, shutter = _beam(shape, rng)
    bone = canvas.bone * (1 + 0.08 * _clouds(rng, shape, 2.5 / canvas.mm) + 0.08 * _clouds(rng, shape, 1.3))
    through = np.exp(-canvas.blur(np.maximum(canvas.soft, 0) + bone * rng.uniform(0.85, 1.15), rng.uniform(0.35, 0.7)))
    photons = dose * rays * (through + rng.uniform(0.04, 0.1) * canvas.blur(through, 20) + 0.002)
    photons += np.sqrt(photons) * rng.standard_normal(shape).astype(np.float32)
    density = np.log(dose / np.maximum(photons, 1))
    middle = np.median(density[canvas.soft > 1]) + rng.uniform(0.15, 0.6)  # automatic exposure looks at the body
    grey = 255 / (1 + np.exp((middle - density) / rng.uniform(0.34, 0.5))) ** 0.6  # the root keeps the skin in sight
    grey += rng.uniform(0.8, 2.5) * rng.standard_normal(shape).astype(np.float32)
    closed = int(rng.choice([0, 0, 0, 12, 12, 225]))  # open, blacked out by the console, unexposed
    return closed + (grey - closed) * shutter if closed else grey


def _radiograph(rng):
    "Grey image (H, W) uint8, its landmarks, mm of a pixel."
    hips = list(_hips(rng))
    shape, spacing, affine = _frame(rng, hips)
    canvas = Canvas(shape, affine)
    _draw_flesh(canvas, hips, rng)
    _draw_sacrum(canvas)
    _draw_spine(canvas, rng)
    for hip in hips:
        _draw_innominate(canvas, hip)
        _draw_femur(canvas, hip)
    points = {name: tuple(canvas.place(hip.head).tolist()) for name, hip in zip(LANDMARKS, hips, strict=True)}
    image = np.rint(np.clip(_expose(canvas, rng), 0, 255)).astype(np.uint8)
    if rng.random() < 0.5: _mark(image, points, rng)
    return image, points, spacing


def draw_radiograph(rng):
    """A synthetic AP canvas of a pelvis drawn from the NumPy generator `rng`, with the centres of the femoral heads.

    Returns the image, (H, W) uint8 of 400 to 640 pixels a side, and `{name: (x, y)}` in pixel indices of that image.
    """
    return _radiograph(rng)[:2]
