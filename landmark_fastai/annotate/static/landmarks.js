/** The list of landmarks beside the film, and what is said of each. */

import { colourOf } from './colours.js';
import { ring, svg } from './svg.js';

const WORDS = { absent: 'absent', unclear: 'cannot judge' };

/** A mark in words. */
export function inWords(mark) {
  if (mark == null) return '–';
  return Array.isArray(mark) ? mark.map((value) => value.toFixed(1)).join(', ') : WORDS[mark];
}

/** A mark in a list of marks. */
function inShort(mark) { return Array.isArray(mark) ? '✓' : inWords(mark); }

/** The list of landmarks: `choose` gets the index of one, `settle` a name, the mark that is right and its origin. */
export class LandmarkList {
  constructor(element, landmarks, { choose, settle }) {
    this.settle = settle;
    this.rows = landmarks.map((name, index) => {
      const row = document.createElement('li'), button = document.createElement('button');
      const label = span('name', ...name.split(/(?<=_)/).flatMap((part) => [part, document.createElement('wbr')]));
      const mark = span('mark');
      button.className = 'landmark';
      button.append(glyph(index), label, mark);
      button.addEventListener('click', () => choose(index));
      row.append(button);
      return { name, row, button, mark };
    });
    element.replaceChildren(...this.rows.map(({ row }) => row));
  }

  /** Show marks, conflicts and what is `offered` by landmark, and which landmark's turn it is. */
  update(marks, conflicts, current, offered) {
    this.rows.forEach(({ name, row, button, mark }, index) => {
      const [best] = offered[name];
      mark.textContent = best ? 'offered' : inShort(marks[name]);
      mark.classList.toggle('offered', Boolean(best));
      button.title = best ? `${name}: ${inWords(best.mark)} is offered; y takes it`
        : Array.isArray(marks[name]) ? `${name}: ${inWords(marks[name])}` : name;
      button.setAttribute('aria-current', index === current);
      row.querySelector('.choice')?.remove();
      if (conflicts[name]?.length) row.append(this.conflict(name, marks[name] ?? null, conflicts[name]));
      else if (index === current && offered[name].length > 1) row.append(this.readers(name, offered[name]));
    });
    if (this.current !== current) this.rows[current]?.row.scrollIntoView({ block: 'nearest' });
    this.current = current;
  }

  /** What two tabs have said of a landmark, and a button for each. */
  conflict(name, kept, others) {
    return this.choice(name, 'Two pages have marked it; choose:', [kept, ...others].map((mark) => ({ mark })));
  }

  /** What readers have said of a landmark, and a button for each. */
  readers(name, offered) { return this.choice(name, 'Readers have marked it; choose, or click:', offered); }

  choice(name, words, marks) {
    const box = document.createElement('div');
    box.className = 'choice';
    box.append(words, document.createElement('br'));
    for (const { mark, origin, by } of marks) {
      const button = document.createElement('button'), text = mark === null ? 'nothing' : inWords(mark);
      const who = by || (origin === 'adjudication' ? 'mean' : '');
      button.textContent = who ? `${who} ${text}` : text;
      button.setAttribute('aria-label', `${name}: ${button.textContent} is right`);
      button.addEventListener('click', () => this.settle(name, mark, origin));
      box.append(button);
    }
    return box;
  }
}

/** The ring of a landmark, with its number in it. */
function glyph(index) {
  const number = svg('text', { y: 4, 'text-anchor': 'middle' });
  number.textContent = index + 1;
  return svg('svg', { viewBox: '-14 -14 28 28' }, ring(12, colourOf(index)), number);
}

function span(className, ...children) {
  const element = document.createElement('span');
  element.className = className;
  element.append(...children);
  return element;
}
