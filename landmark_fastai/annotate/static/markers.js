/** The markers on a film: open rings of one size on the screen, with their numbers and, if wished, names. */

import { colourOf } from './colours.js';
import { ring, svg } from './svg.js';

const RADIUS = 9, CURRENT = 13; // CSS px

export class Markers {
  constructor(element) { this.element = element; }

  /**
   * Draw landmarks, a list of {index, name, point, isCurrent}, and the cross of the keyboard or of a finger, a point or
   * null. User units are px of the film, with pixel centres at whole numbers.
   */
  draw(view, landmarks, cross, hasNames) {
    const size = 1 / view.scale, corner = view.toImage([0, 0]);
    const box = [...corner, view.stage.width * size, view.stage.height * size];
    this.element.setAttribute('viewBox', box.join(' '));
    const at = ([x, y], ...children) => svg('g', { transform: `translate(${x} ${y}) scale(${size})` }, ...children);
    const drawn = landmarks.map((landmark) => at(landmark.point, ...marker(landmark, hasNames)));
    if (cross) drawn.push(at(cross, ...crossHair()));
    this.element.replaceChildren(...drawn);
  }
}

function marker({ index, name, isCurrent }, hasNames) {
  const colour = colourOf(index), radius = isCurrent ? CURRENT : RADIUS;
  const text = svg('text', { x: radius + 3, y: -radius + 3, fill: colour });
  text.textContent = hasNames ? `${index + 1} ${name}` : index + 1;
  return [ring(radius, colour), text];
}

/** Four arms that leave the middle open. */
function crossHair() {
  const d = 'M-22 0H-5M22 0H5M0 -22V-5M0 22V5';
  return [['#000', 4], ['#fff', 2]].map(([stroke, width]) => svg('path', { d, stroke, 'stroke-width': width }));
}
