/** The markers on a film: open rings of one size on the screen, with their numbers and, if wished, names. */

import { colourOf } from './colours.js';
import { dots, ring, svg } from './svg.js';

const RADIUS = 9, CURRENT = 13; // CSS px
const LETTER = 8;               // CSS px that a letter takes, at most

export class Markers {
  constructor(element) { this.element = element; }

  /**
   * Draw points, a list of {index, text, point, isCurrent, isOffered} where index is that of the landmark, and the cross
   * of the keyboard or of a finger, a point or null. User units are px of the film, with pixel centres at whole numbers.
   */
  draw(view, points, cross) {
    const size = 1 / view.scale, corner = view.toImage([0, 0]);
    const box = [...corner, view.stage.width * size, view.stage.height * size];
    this.element.setAttribute('viewBox', box.join(' '));
    const at = ([x, y], ...children) => svg('g', { transform: `translate(${x} ${y}) scale(${size})` }, ...children);
    const drawn = points.map((each) => at(each.point, ...marker(each, view.stage.width - view.toStage(each.point)[0])));
    if (cross) drawn.push(at(cross, ...crossHair()));
    this.element.replaceChildren(...drawn);
  }
}

/** A ring with its text, which is on the other side where there is no room, in CSS px, to the right. */
function marker({ index, text, isCurrent, isOffered }, room) {
  const colour = colourOf(index), radius = isCurrent ? CURRENT : RADIUS;
  const isLeft = room < radius + 3 + LETTER * text.length;
  const words = svg('text', {
    x: (isLeft ? -1 : 1) * (radius + 3), y: 3 - radius, fill: colour, 'text-anchor': isLeft ? 'end' : 'start' });
  words.textContent = text;
  if (isOffered) words.setAttribute('class', 'offered');
  return [(isOffered ? dots : ring)(radius, colour), words];
}

/** Four arms that leave the middle open. */
function crossHair() {
  const d = 'M-22 0H-5M22 0H5M0 -22V-5M0 22V5';
  return [['#000', 4], ['#fff', 2]].map(([stroke, width]) => svg('path', { d, stroke, 'stroke-width': width }));
}
