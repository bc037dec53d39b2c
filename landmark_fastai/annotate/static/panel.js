/** The lists beside the film: landmarks and what is said of each, and films and how far each is. */

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

/** The list of landmarks: `choose` gets the index of one, `settle` a name and the mark that is right. */
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

  /** Show marks and conflicts by landmark, and which landmark's turn it is. */
  update(marks, conflicts, current) {
    this.rows.forEach(({ name, row, button, mark }, index) => {
      mark.textContent = inShort(marks[name]);
      button.title = Array.isArray(marks[name]) ? `${name}: ${inWords(marks[name])}` : name;
      button.setAttribute('aria-current', index === current);
      row.querySelector('.conflict')?.remove();
      if (conflicts[name]?.length) row.append(this.conflict(name, marks[name] ?? null, conflicts[name]));
    });
    this.rows[current]?.button.scrollIntoView({ block: 'nearest' });
  }

  /** What two tabs have said of a landmark, and a button for each. */
  conflict(name, kept, others) {
    const box = document.createElement('div');
    box.className = 'conflict';
    box.append('Two pages have marked it; choose:', document.createElement('br'));
    for (const mark of [kept, ...others]) {
      const button = document.createElement('button');
      button.textContent = mark === null ? 'nothing' : inWords(mark);
      button.setAttribute('aria-label', `${name}: ${button.textContent} is right`);
      button.addEventListener('click', () => this.settle(name, mark));
      box.append(button);
    }
    return box;
  }
}

/** The list of the films of a desk; `open` gets the number of one. */
export class FilmList {
  constructor({ films, search, unfinished }, desk, open) {
    Object.assign(this, { element: films, search, unfinished, desk });
    search.addEventListener('input', () => this.fill());
    unfinished.addEventListener('change', () => this.fill());
    const chosen = () => { // a click on the scroll bar chooses nothing
      if (films.value !== '' && Number(films.value) !== this.current) open(Number(films.value));
    };
    films.addEventListener('click', chosen);
    films.addEventListener('keydown', (event) => { if (event.key === 'Enter') chosen(); });
  }

  /** The numbers of the films that the list shows: of all, those that are searched for, and the one that is open. */
  get numbers() { return [...this.element.options].map((option) => Number(option.value)); }

  /** Fill the list anew. */
  fill(current = this.current) {
    this.current = current;
    const { desk } = this, part = this.search.value.toLowerCase();
    const numbers = [...desk.images.keys()].filter((number) => number === current || (
      desk.images[number].toLowerCase().includes(part) && !(this.unfinished.checked && desk.isFinished(number))));
    this.options = new Map(numbers.map((number) => [number, new Option(this.textOf(number), number)]));
    this.element.replaceChildren(...this.options.values());
    this.element.value = current;
  }

  /** Mark the film that is open. */
  show(current) {
    if (this.unfinished.checked || !this.options?.has(current)) this.fill(current);
    this.current = current;
    this.element.value = current;
  }

  /** Say anew how far a film is. */
  update(number) {
    const option = this.options?.get(number);
    if (option) option.textContent = this.textOf(number);
  }

  textOf(number) {
    const { desk } = this;
    return `${desk.isFinished(number) ? '✓' : `${desk.answeredOf(number)}/${desk.landmarks.length}`}  ${desk.images[number]}`;
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
