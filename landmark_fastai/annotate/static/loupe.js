/** A round magnifying glass, as long as its key is held. */

import { Painter } from './paint.js';

const SIDE = 200, TIMES = 4; // CSS px; as large as on the stage
const LEAST = 4;             // CSS px a pixel of the film

export class Loupe {
  constructor(canvas) {
    this.canvas = canvas;
    this.painter = new Painter(canvas);
  }

  hide() { this.canvas.hidden = true; }

  /** Show what is around a point of the film, over that point. */
  show(film, view, look, point) {
    const scale = Math.max(view.scale * TIMES, LEAST), [x, y] = view.toStage(point);
    this.canvas.hidden = false;
    this.canvas.style.left = `${x - SIDE / 2}px`;
    this.canvas.style.top = `${y - SIDE / 2}px`;
    const left = SIDE / 2 - (point[0] + 0.5) * scale, top = SIDE / 2 - (point[1] + 0.5) * scale;
    this.painter.draw(film, { scale, left, top, stage: { width: SIDE, height: SIDE } }, look);
    this.cross();
  }

  cross() {
    const { context } = this.painter, middle = SIDE / 2;
    for (const [colour, width] of [['#000', 3], ['#fff', 1]]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      for (const [x, y] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(middle + 10 * x, middle + 10 * y);
        context.lineTo(middle + 30 * x, middle + 30 * y);
      }
      context.stroke();
    }
  }
}
