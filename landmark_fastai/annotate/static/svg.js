/** An SVG element with attributes. */
export function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** A ring of dots, of what is offered and not set. */
export function dots(radius, colour) {
  const circle = (stroke, width) => svg('circle', {
    r: radius, fill: 'none', stroke, 'stroke-width': width, 'stroke-linecap': 'round',
    'stroke-dasharray': `0 ${Math.PI * radius / 6}` });
  return svg('g', {}, circle('#000', 5), circle(colour, 3));
}

/** A ring with four gaps, whose middle is open: what it marks is seen in it. */
export function ring(radius, colour) {
  const quarter = Math.PI * radius / 2, dashes = `${quarter * 0.64} ${quarter * 0.36}`;
  const circle = (stroke, width) => svg('circle', {
    r: radius, fill: 'none', stroke, 'stroke-width': width, 'stroke-dasharray': dashes,
    transform: 'rotate(16.2)' }); // so that the gaps are up, down, left and right
  return svg('g', {}, circle('#000', 4), circle(colour, 2));
}
