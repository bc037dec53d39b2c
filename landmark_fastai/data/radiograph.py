"Synthetic AP radiographs of a pelvis: a patient, laid on the detector, drawn part by part, and exposed."

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from ..config import SampleConfig
from . import anatomy
from .anatomy import Hip, landmarks, random_hips
from .canvas import Canvas, both_halves, chord, circle, clouds, draw_strokes, mesh, ramp, tube, turn

USUAL = SampleConfig.image_size  # px, the longer side of the largest usual film; a finer one shows finer detail
MARGIN = 0.07  # of the image side, between a landmark and the border; the collimator closes less than that
MOST = 0.8  # of the image side, that landmarks may span
SKIN = 50  # mm that the trunk is wider than the landmarks, on either side
MESH = 0.3  # how much more trabeculae absorb than what lies between them
CLEAR = 35  # px of a usual film, from the middle of the letter to a landmark
LETTER_R = np.array([(0, 1), (0, 0), (0.45, 0), (0.6, 0.12), (0.6, 0.38), (0.45, 0.5), (0, 0.5), (0.3, 0.5), (0.62, 1)])
LETTER_L = np.array([(0., 0.), (0, 1), (0.6, 1)])


class Radiograph(NamedTuple):
    "An image and where its landmarks are."
    image: np.ndarray  # (H, W) uint8
    points: dict[str, tuple[float, float]]  # x, y in pixel indices of each landmark
    spacing: float  # mm per pixel


class View(NamedTuple):
    "How a patient lies on the detector."
    shape: tuple[int, int]  # of the image
    spacing: float  # mm per pixel
    affine: np.ndarray  # (2, 3) from body mm to pixel indices
    detail: float  # see `Canvas`

    def canvas(self) -> Canvas:
        "An empty canvas of this view."
        return Canvas(self.shape, self.affine, self.detail)

    def usual(self) -> 'View':
        "The same view on a film of the usual size."
        shape = tuple(round(side / self.detail) for side in self.shape)
        scale = np.divide(shape, self.shape)[::-1, None]
        affine = self.affine * scale + (0, 0, 1) * (scale - 1) / 2  # pixel indices name pixel centres
        return View(shape, self.spacing * self.detail, affine, 1.)


def draw_radiograph(rng: np.random.Generator, image_size: int = USUAL, pointed: bool = False) -> Radiograph:
    """A radiograph drawn from `rng`, at its own size: `image_size` pixels or down to 5/8 of them a side.

    The landmarks are the centres of the femoral heads and, where the pelvis is `pointed`, the tips of its bones.
    """
    hips = random_hips(rng, pointed)
    places = landmarks(hips)
    view = random_view(rng, np.array(list(places.values())), image_size)
    flesh = view.usual().canvas()  # nothing in it is sharp
    _draw_flesh(flesh, hips, rng)
    canvas = view.canvas()
    draw_bones(canvas, hips, rng)
    points = {name: tuple(canvas.place(place).tolist()) for name, place in places.items()}
    soft = cv2.resize(flesh.layer, view.shape[::-1], interpolation=cv2.INTER_CUBIC)
    image = np.rint(np.clip(_expose(canvas, soft, rng), 0, 255)).astype(np.uint8)
    if rng.random() < 0.5: _draw_letter(image, points, view.detail, rng)
    return Radiograph(image, points, view.spacing)


def random_view(rng: np.random.Generator, places: np.ndarray, image_size: int = USUAL) -> View:
    "A view with `places` (n, 2), body mm, inside, anywhere else free."
    detail = image_size / USUAL
    shape = rng.integers(image_size * 5 // 8, image_size + 1, 2)
    spacing = rng.uniform(max(0.5 / detail, 300 / shape.min()), 0.82 / detail)
    size = shape[::-1]
    linear = turn(rng.uniform(-12, 12)) * rng.uniform(0.88, 1.1)
    spacing = float(max(spacing, *(np.ptp(places @ linear.T, 0) / size / MOST)))
    linear = linear / spacing
    spots = places @ linear.T
    low = np.maximum(size * MARGIN - spots.min(0), size * 0.24)
    high = np.minimum(size * (1 - MARGIN) - spots.max(0), size * 0.76)
    return View(tuple(shape.tolist()), spacing, np.column_stack([linear, rng.uniform(low, high)]), detail)


# --- body parts

def draw_bones(canvas: Canvas, hips: list[Hip], rng: np.random.Generator):
    "Spine, pelvis and femora on an empty `canvas`."
    _draw_sacrum(canvas)
    _draw_spine(canvas, rng)
    for hip in hips:
        _draw_innominate(canvas, hip)
        _draw_femur(canvas, hip)


def _draw_flesh(canvas: Canvas, hips: list[Hip], rng: np.random.Generator):
    "Trunk and thighs with a coat of fat, the bladder, gas in the bowel."
    widest = max(abs(place[0]) for place in landmarks(hips).values())
    girth = max(rng.uniform(0.92, 1.12), (widest + SKIN) / abs(anatomy.TRUNK).max(0)[0])
    fat = rng.uniform(10, 28)
    trunk = both_halves(anatomy.TRUNK) * (girth, 1)
    depth = canvas.depth([trunk, *(hip.on_leg(anatomy.THIGH * (girth, 1)) for hip in hips)])
    canvas.layer += tube(depth, 85 * girth, fat, 0.017, 0.0215)
    canvas.layer *= 1 + 0.02 * clouds(rng, depth.shape, 60) + 0.01 * clouds(rng, depth.shape, 20)
    canvas.layer += 0.25 * canvas.ellipsoid((0, -32), np.diag((45., 30)))
    canvas.layer += 0.1 * canvas.strokes([anatomy.PSOAS * (side, 1) for side in (-1, 1)], 32)
    loops = [_bowel(rng) for _ in range(rng.integers(3, 12))]
    gas = canvas.blur(chord(canvas.depth([bubble for loop in loops for bubble in loop]), 12), 1.5)
    canvas.layer -= rng.uniform(0.012, 0.03) * gas * (1 + 0.35 * clouds(rng, gas.shape, 12))


def _bowel(rng: np.random.Generator) -> Iterator[np.ndarray]:
    "Outlines (8, 2) of the gas bubbles in one loop of bowel: a short winding chain."
    spot = np.array([rng.uniform(-100, 100), rng.uniform(-330, -50)])
    heading = rng.uniform(0, 360)
    size = rng.uniform(8, 17)
    for _ in range(rng.integers(1, 8)):
        yield spot + size * rng.uniform(0.8, 1.2, (8, 1)) * circle(8)
        heading += rng.uniform(-50, 50)
        spot = spot + 0.8 * size * turn(heading)[:, 0]


def _draw_sacrum(canvas: Canvas):
    outline = both_halves(anatomy.SACRUM)
    canvas = canvas.around(outline)
    sacrum = tube(canvas.depth([outline]), 14, 1.8, 0.035, 0.02)
    sacrum *= 1 - 0.55 * ramp(abs(canvas.x), 32, 50)  # the wings thin out behind the ilium
    foramina = both_halves(anatomy.SACRAL_FORAMINA)
    holes = [np.array([(x - 3, y + 1), (x + 3, y)]) for x, y in foramina]
    arcs = [np.array([(x - 9, y), (x - 4, y - 5), (x + 4, y - 5), (x + 9, y)]) for x, y in foramina]
    canvas.layer += sacrum * (1 - 0.6 * canvas.strokes(holes, 6)) + 0.14 * canvas.borders(arcs, 2)


def _draw_spine(canvas: Canvas, rng: np.random.Generator):
    "Lumbar vertebrae, slightly bent sideways."
    bend = rng.uniform(-0.0006, 0.0006)
    levels = -139 - 39 * np.arange(8)
    centres = np.column_stack([bend * (levels + 120) ** 2, levels])
    bodies = [both_halves(anatomy.VERTEBRA) + centre for centre in centres]
    wings = [anatomy.TRANSVERSE * (side, 1) + centre for centre in centres for side in (-1, 1)]
    canvas = canvas.around(*bodies, *wings)
    bodies, wings = canvas.depth(bodies), canvas.depth(wings)
    canvas.layer += tube(bodies, 13, 1.6, 0.04, 0.02) + tube(wings, 4, 1, 0.04, 0.018)
    lines = anatomy.PEDICLE, anatomy.PEDICLE * (-1, 1), anatomy.SPINOUS
    canvas.layer += 0.3 * canvas.borders([line + centre for centre in centres for line in lines], 2)


def _draw_innominate(canvas: Canvas, hip: Hip):
    "Ilium, ischium and pubis of one side, hollowed by the acetabulum and lined by the borders seen end on."
    outline = hip.outline('innominate')
    canvas = canvas.around(outline)
    depth = canvas.depth([outline], [hip.on_pelvis(anatomy.FORAMEN)])
    bone = tube(depth, 9, 1.8, 0.038, 0.02)
    buttress = canvas.ellipsoid(hip.on_pelvis(anatomy.BUTTRESS), hip.pelvis @ turn(-35) * (30, 62))
    fossa = canvas.ellipsoid(hip.on_pelvis(anatomy.FOSSA), hip.pelvis @ turn(30) * (30, 34))
    socket = canvas.ellipsoid(hip.head, hip.ball + hip.joint * np.eye(2))
    bone *= (1 + 0.9 * buttress) * (1 - 0.4 * fossa) * (1 - 0.7 * ramp(socket, 0, 0.35))
    bone *= 1 - 0.5 * canvas.strokes([hip.on_pelvis(anatomy.SACROILIAC)], 3)
    brim, ilioischial, crest = (hip.on_pelvis(line) for line in (anatomy.BRIM, anatomy.ILIOISCHIAL, anatomy.CREST))
    canvas.layer += bone + 0.3 * canvas.borders([brim, ilioischial, hip.outline('teardrop'), crest], 2.2)
    arc = circle(36)[20:34] * (hip.side, 1)  # the roof that carries the load, whiter over a worn joint
    roof = arc @ (hip.ball + (hip.joint + 2) * np.eye(2)) + hip.head
    canvas.layer += (0.45 if hip.worn else 0.32) * canvas.strokes([roof], 3.5)


def _draw_femur(canvas: Canvas, hip: Hip):
    "Head, neck, trochanters and a shaft whose cortex thickens downwards, with the trabeculae that carry the load."
    outlines = hip.outline('femur'), circle() @ hip.ball + hip.head
    canvas = canvas.around(*outlines)
    depth = canvas.depth(outlines)
    below = ramp(canvas.y - hip.head[1], 35, 130)
    canvas.layer += tube(depth, 15, 1.6 + 5 * below, 0.042, 0.014 * (1 - below) + 0.005)
    canvas.layer += 0.12 * canvas.ellipsoid(hip.head, hip.ball)
    trabeculae = canvas.strokes([hip.on_leg(line) for line in anatomy.TRABECULAE], 5)
    crest = canvas.borders([hip.on_leg(anatomy.INTERTROCHANTERIC)], 3)
    canvas.layer += 0.14 * trabeculae + 0.15 * crest


# --- the exposure

def _beam(shape: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    "Rays (H, W) that reach the patient, stronger towards one edge, and the shutter: 0 where the collimator is closed."
    height, width = shape
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    rays = np.exp(rng.uniform(-0.15, 0.15) * x + rng.uniform(-0.15, 0.15) * y - 0.15 * (x * x + y * y))
    shutter = np.zeros(shape, np.float32)
    left, top, right, bottom = (rng.uniform(0.01, 0.045, 4) * (width, height, width, height)).astype(int)
    shutter[top:height - bottom, left:width - right] = 1
    return rays.astype(np.float32), cv2.GaussianBlur(shutter, (0, 0), 1)


def _expose(canvas: Canvas, soft: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The image (H, W), float 0 to 255, of `soft` tissue (H, W) and the bones on `canvas`.

    Texture of the bones, scatter, quantum noise, the detector's curve and grain.
    """
    shape = soft.shape
    dose = rng.uniform(0.6e4, 4e4)
    rays, shutter = _beam(shape, rng)
    bone = canvas.layer * (1 + 0.08 * clouds(rng, shape, 2.5 / canvas.mm) + 0.08 * clouds(rng, shape, 1.3))
    if canvas.detail > 1: bone *= 1 + MESH * (mesh(rng, shape, 0.9 / canvas.mm) - 0.25)  # a usual pixel is coarser
    absorbed = np.maximum(soft, 0) + bone * rng.uniform(0.85, 1.15)
    through = np.exp(-canvas.blur(absorbed, rng.uniform(0.35, 0.7) / canvas.detail))
    photons = dose * rays * (through + rng.uniform(0.04, 0.1) * canvas.blur(through, 20) + 0.002)
    photons += np.sqrt(photons) * rng.standard_normal(shape).astype(np.float32)
    density = np.log(dose / np.maximum(photons, 1))
    sparse = np.s_[::int(canvas.detail), ::int(canvas.detail)]
    middle = np.median(density[sparse][soft[sparse] > 1]) + rng.uniform(0.15, 0.6)  # of the body, by which to expose
    grey = 255 / (1 + np.exp((middle - density) / rng.uniform(0.34, 0.5))) ** 0.6  # the root keeps the skin in sight
    grey += rng.uniform(0.8, 2.5) * rng.standard_normal(shape).astype(np.float32)
    closed = int(rng.choice([0, 0, 0, 12, 12, 225]))  # open, blacked out by the console, unexposed
    return closed + (grey - closed) * shutter if closed else grey


def _draw_letter(image: np.ndarray, points: dict[str, tuple[float, float]], detail: float,
                 rng: np.random.Generator):
    "A lead letter beside the patient's side that it names, at the end of the image farther from the hips."
    height, width = image.shape
    letter, x = (LETTER_R, 0.06) if rng.random() < 0.6 else (LETTER_L, 0.91)
    hips_are_low = np.mean(list(points.values()), 0)[1] > height / 2
    y = rng.uniform(0.08, 0.2) if hips_are_low else rng.uniform(0.8, 0.9)
    line = letter * rng.uniform(14, 26) * detail @ turn(rng.uniform(-15, 15)) + (width * x, height * y)
    is_near = abs(np.array(list(points.values())) - line.mean(0)).max(1) < CLEAR * detail
    if not is_near.any(): draw_strokes(image, line, grey=245, thickness=round(3 * detail))
