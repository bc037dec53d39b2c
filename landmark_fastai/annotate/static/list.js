/** The list of the films of a desk, and how far each is; of thousands only those that are in sight are drawn. */

const ROW = 26; // CSS px, as in the style sheet

export class FilmList {
  numbers = []; // of the films that the list shows
  active = 0;   // index in it, of the row that the keyboard is on

  /** A list in an element of the role listbox; `open` gets the number of a film. */
  constructor({ films, search, unfinished, noted, order, position }, desk, open) {
    Object.assign(this, { element: films, search, unfinished, noted, order, position, desk, open });
    this.ordered = [...desk.images.keys()];
    this.rows = films.appendChild(document.createElement('div'));
    search.addEventListener('input', () => this.fill());
    search.addEventListener('keydown', (event) => this.searchKey(event));
    for (const box of [unfinished, noted]) box.addEventListener('change', () => this.fill());
    order.addEventListener('change', () => this.sort());
    films.addEventListener('keydown', (event) => this.key(event));
    films.addEventListener('scroll', () => this.draw());
    new ResizeObserver(() => this.draw()).observe(films);
  }

  /** Begin with the films that are to be looked at, if any are. */
  begin() {
    const isNoted = Object.keys(this.desk.notes).length > 0;
    this.noted.parentElement.hidden = this.order.querySelector('[value=worst]').hidden = !isNoted;
    this.order.hidden = this.desk.isBlind; // the order is the reader's own
    this.order.value = isNoted ? 'worst' : 'name';
    this.noted.checked = isNoted;
    return this.sort();
  }

  /** Bring the films into the order that is chosen. */
  async sort() {
    this.ordered = await this.desk.order(this.order.value).catch(() => this.ordered); // the server is away
    this.fill();
  }

  /** Choose the films anew: those that are searched for, and the one that is open. */
  fill() {
    const { desk, current, unfinished, noted } = this, part = this.search.value.toLowerCase();
    this.numbers = this.ordered.filter((number) => number === current || (
      desk.images[number].toLowerCase().includes(part) && !(unfinished.checked && desk.isFinished(number))
      && !(noted.checked && !desk.notes[number])));
    this.rows.style.height = `${this.numbers.length * ROW}px`;
    this.place();
  }

  /** Mark the film that is open, and bring it into sight. */
  show(current) {
    this.current = current;
    if (this.unfinished.checked || !this.numbers.includes(current)) this.fill();
    else this.place();
  }

  /** Bring the film that is open into sight, and say which one of the list it is. */
  place() {
    const index = this.numbers.indexOf(this.current);
    this.position.textContent = index < 0 ? '–' : `${index + 1} / ${this.numbers.length}`;
    this.activate(index);
  }

  activate(index) {
    this.active = Math.min(Math.max(index, 0), this.numbers.length - 1);
    const { element } = this, top = this.active * ROW, room = element.clientHeight;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + ROW > element.scrollTop + room) element.scrollTop = top + ROW - room;
    this.draw();
  }

  /** Draw the rows in sight. */
  draw() {
    const { element } = this, first = Math.max(Math.floor(element.scrollTop / ROW), 0);
    const last = Math.min(first + Math.ceil(element.clientHeight / ROW) + 1, this.numbers.length);
    const seen = Array.from({ length: Math.max(last - first, 0) }, (_, k) => first + k);
    this.rows.replaceChildren(...seen.map((index) => this.row(index)));
    element.setAttribute('aria-activedescendant', `film-${this.numbers[this.active]}`);
  }

  row(index) {
    const { desk } = this, number = this.numbers[index], row = document.createElement('div');
    const state = desk.isFinished(number) ? '✓' : `${desk.answeredOf(number)}/${desk.landmarks.length}`;
    row.textContent = `${state}  ${desk.images[number]}`;
    row.title = [desk.images[number], desk.notes[number]].filter(Boolean).join(': ');
    row.id = `film-${number}`;
    row.className = index === this.active ? 'active' : '';
    row.style.top = `${index * ROW}px`;
    const said = { role: 'option', 'aria-selected': number === this.current, 'aria-posinset': index + 1,
                   'aria-setsize': this.numbers.length };
    for (const [name, value] of Object.entries(said)) row.setAttribute(name, value);
    row.addEventListener('click', () => this.open(number));
    return row;
  }

  /** Enter opens the first film that was found; Escape finds all again and goes back to the one that is open. */
  searchKey({ key }) {
    if (key === 'Enter') this.open(this.numbers.find((number) => number !== this.current) ?? this.current);
    if (key !== 'Escape') return;
    this.search.value = '';
    this.fill();
    this.open(this.current);
  }

  key(event) {
    const page = Math.floor(this.element.clientHeight / ROW);
    const to = { ArrowUp: this.active - 1, ArrowDown: this.active + 1, Home: 0, End: Infinity,
                 PageUp: this.active - page, PageDown: this.active + page }[event.key];
    if (to === undefined && event.key !== 'Enter') return;
    event.preventDefault();
    event.stopPropagation(); // page up and down are keys of the film, too
    if (event.key === 'Enter') this.open(this.numbers[this.active]);
    else this.activate(to);
  }
}
