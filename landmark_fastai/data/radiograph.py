"Synthetic AP radiographs of a pelvis: a patient, laid on the detector, drawn part by part, and exposed."

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from . import anatomy
from .anatomy import LANDMARKS, Hip, random_hips
from .canvas import Canvas, both_halves, chord, circle, clouds, draw_strokes, ramp, tube, turn

MARGIN = 0.07  # of the image side, between a landmark and the border; the collimator closes less than that
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


def draw_radiograph(rng: np.random.Generator) -> Radiograph:
    "A radiograph of 400 to 640 pixels a side, drawn from `rng`; the landmarks are the centres of the femoral heads."
    hips = random_hips(rng)
    view = random_view(rng, hips)
    canvas = Canvas(view.shape, view.affine)
    _draw_flesh(canvas, hips, rng)
    _draw_sacrum(canvas)
    _draw_spine(canvas, rng)
    for hip in hips:
        _draw_innominate(canvas, hip)
        _draw_femur(canvas, hip)
    points = {name: tuple(canvas.place(hip.head).tolist()) for name, hip in zip(LANDMARKS, hips, strict=True)}
    image = np.rint(np.clip(_expose(canvas, rng), 0, 255)).astype(np.uint8)
    if rng.random() < 0.5: _draw_letter(image, points, rng)
    return Radiograph(image, points, view.spacing)


def random_view(rng: np.random.Generator, hips: list[Hip]) -> View:
    "A view with the heads of both `hips` inside, anywhere else free."
    shape = rng.integers(400, 641, 2)
    spacing = rng.uniform(max(0.5, 300 / shape.min()), 0.82)
    linear = turn(rng.uniform(-12, 12)) * rng.uniform(0.88, 1.1) / spacing
    heads = np.array([linear @ hip.head for hip in hips])
    size = shape[::-1]
    low = np.maximum(size * MARGIN - heads.min(0), size * 0.24)
    high = np.minimum(size * (1 - MARGIN) - heads.max(0), size * 0.76)
    return View(tuple(shape.tolist()), spacing, np.column_stack([linear, rng.uniform(low, high)]))


# --- body parts

def _draw_flesh(canvas: Canvas, hips: list[Hip], rng: np.random.Generator):
    "Trunk and thighs with a coat of fat, the bladder, gas in the bowel."
    girth = rng.uniform(0.92, 1.12)
    fat = rng.uniform(10, 28)
    trunk = both_halves(anatomy.TRUNK) * (girth, 1)
    depth = canvas.depth([trunk, *(hip.on_leg(anatomy.THIGH * (girth, 1)) for hip in hips)])
    canvas.soft += tube(depth, 85 * girth, fat, 0.017, 0.0215)
    canvas.soft *= 1 + 0.02 * clouds(rng, depth.shape, 60) + 0.01 * clouds(rng, depth.shape, 20)
    canvas.soft += 0.25 * canvas.ellipsoid((0, -32), np.diag((45., 30)))
    canvas.soft += 0.1 * canvas.strokes([anatomy.PSOAS * (side, 1) for side in (-1, 1)], 32)
    loops = [_bowel(rng) for _ in range(rng.integers(3, 12))]
    gas = canvas.blur(chord(canvas.depth([bubble for loop in loops for bubble in loop]), 12), 1.5)
    canvas.soft -= rng.uniform(0.012, 0.03) * gas * (1 + 0.35 * clouds(rng, gas.shape, 12))


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
    sacrum = tube(canvas.depth([both_halves(anatomy.SACRUM)]), 14, 1.8, 0.035, 0.02)
    sacrum *= 1 - 0.55 * ramp(abs(canvas.x), 32, 50)  # the wings thin out behind the ilium
    foramina = both_halves(anatomy.SACRAL_FORAMINA)
    holes = [np.array([(x - 3, y + 1), (x + 3, y)]) for x, y in foramina]
    arcs = [np.array([(x - 9, y), (x - 4, y - 5), (x + 4, y - 5), (x + 9, y)]) for x, y in foramina]
    canvas.bone += sacrum * (1 - 0.6 * canvas.strokes(holes, 6)) + 0.14 * canvas.strokes(arcs, 2)


def _draw_spine(canvas: Canvas, rng: np.random.Generator):
    "Lumbar vertebrae, slightly bent sideways."
    bend = rng.uniform(-0.0006, 0.0006)
    levels = -139 - 39 * np.arange(8)
    centres = np.column_stack([bend * (levels + 120) ** 2, levels])
    bodies = canvas.depth([both_halves(anatomy.VERTEBRA) + centre for centre in centres])
    wings = canvas.depth([anatomy.TRANSVERSE * (side, 1) + centre for centre in centres for side in (-1, 1)])
    canvas.bone += tube(bodies, 13, 1.6, 0.04, 0.02) + tube(wings, 4, 1, 0.04, 0.018)
    lines = anatomy.PEDICLE, anatomy.PEDICLE * (-1, 1), anatomy.SPINOUS
    canvas.bone += 0.3 * canvas.strokes([line + centre for centre in centres for line in lines], 2)


def _draw_innominate(canvas: Canvas, hip: Hip):
    "Ilium, ischium and pubis of one side, hollowed by the acetabulum and lined by the borders seen end on."
    depth = canvas.depth([hip.on_pelvis(anatomy.INNOMINATE)], [hip.on_pelvis(anatomy.FORAMEN)])
    bone = tube(depth, 9, 1.8, 0.038, 0.02)
    buttress = canvas.ellipsoid(hip.on_pelvis(anatomy.BUTTRESS), hip.pelvis @ turn(-35) * (30, 62))
    fossa = canvas.ellipsoid(hip.on_pelvis(anatomy.FOSSA), hip.pelvis @ turn(30) * (30, 34))
    socket = canvas.ellipsoid(hip.head, hip.ball + hip.joint * np.eye(2))
    bone *= (1 + 0.9 * buttress) * (1 - 0.4 * fossa) * (1 - 0.7 * ramp(socket, 0, 0.35))
    bone *= 1 - 0.5 * canvas.strokes([hip.on_pelvis(anatomy.SACROILIAC)], 3)
    lines = anatomy.BRIM, anatomy.ILIOISCHIAL, anatomy.TEARDROP, anatomy.CREST
    canvas.bone += bone + 0.3 * canvas.strokes([hip.on_pelvis(line) for line in lines], 2.2)
    arc = circle(36)[20:34] * (hip.side, 1)  # the roof that carries the load, whiter over a worn joint
    roof = arc @ (hip.ball + (hip.joint + 2) * np.eye(2)) + hip.head
    canvas.bone += (0.45 if hip.worn else 0.32) * canvas.strokes([roof], 3.5)


def _draw_femur(canvas: Canvas, hip: Hip):
    "Head, neck, trochanters and a shaft whose cortex thickens downwards, with the trabeculae that carry the load."
    depth = canvas.depth([hip.on_leg(anatomy.FEMUR), circle() @ hip.ball + hip.head])
    below = ramp(canvas.y - hip.head[1], 35, 130)
    canvas.bone += tube(depth, 15, 1.6 + 5 * below, 0.042, 0.014 * (1 - below) + 0.005)
    canvas.bone += 0.12 * canvas.ellipsoid(hip.head, hip.ball)
    trabeculae = canvas.strokes([hip.on_leg(line) for line in anatomy.TRABECULAE], 5)
    crest = canvas.strokes([hip.on_leg(anatomy.INTERTROCHANTERIC)], 3)
    canvas.bone += 0.14 * trabeculae + 0.15 * crest


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


def _expose(canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
    "The image (H, W), float 0 to 255, of the attenuation: scatter, quantum noise, the detector's curve and grain."
    shape = canvas.soft.shape
    dose = rng.uniform(0.6e4, 4e4)
    rays, shutter = _beam(shape, rng)
    bone = canvas.bone * (1 + 0.08 * clouds(rng, shape, 2.5 / canvas.mm) + 0.08 * clouds(rng, shape, 1.3))
    through = np.exp(-canvas.blur(np.maximum(canvas.soft, 0) + bone * rng.uniform(0.85, 1.15), rng.uniform(0.35, 0.7)))
    photons = dose * rays * (through + rng.uniform(0.04, 0.1) * canvas.blur(through, 20) + 0.002)
    photons += np.sqrt(photons) * rng.standard_normal(shape).astype(np.float32)
    density = np.log(dose / np.maximum(photons, 1))
    middle = np.median(density[canvas.soft > 1]) + rng.uniform(0.15, 0.6)  # automatic exposure looks at the body
    grey = 255 / (1 + np.exp((middle - density) / rng.uniform(0.34, 0.5))) ** 0.6  # the root keeps the skin in sight
    grey += rng.uniform(0.8, 2.5) * rng.standard_normal(shape).astype(np.float32)
    closed = int(rng.choice([0, 0, 0, 12, 12, 225]))  # open, blacked out by the console, unexposed
    return closed + (grey - closed) * shutter if closed else grey


def _draw_letter(image: np.ndarray, points: dict[str, tuple[float, float]], rng: np.random.Generator):
    "A lead letter beside the patient's side that it names, at the end of the image farther from the hips."
    height, width = image.shape
    letter, x = (LETTER_R, 0.06) if rng.random() < 0.6 else (LETTER_L, 0.91)
    hips_are_low = np.mean(list(points.values()), 0)[1] > height / 2
    y = rng.uniform(0.08, 0.2) if hips_are_low else rng.uniform(0.8, 0.9)
    line = letter * rng.uniform(14, 26) @ turn(rng.uniform(-15, 15)) + (width * x, height * y)
    draw_strokes(image, line, grey=245, thickness=3)
